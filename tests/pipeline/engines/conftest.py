"""Real speech for real recognisers: what the doctor and the patient of our own recording say, phrase by phrase."""

from dataclasses import dataclass

import pytest

from bench.recordings import Recording
from pipeline.types import Pcm, Role, to_samples

MARGIN_MS = 150  # of silence on both sides, as a segment has it


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """What one voice says without a break."""

    text: str
    pcm: Pcm


@pytest.fixture(scope="session")
def recording() -> Recording:
    return Recording.load("headache")


@pytest.fixture(scope="session")
def phrases(recording: Recording) -> list[Phrase]:
    """Everything that is said, in order."""
    doctor, patient = recording.channels()
    channels = {Role.DOCTOR: doctor, Role.PATIENT: patient}
    return [
        Phrase(
            text=item.text,
            pcm=channels[item.speaker][to_samples(item.start_ms - MARGIN_MS) : to_samples(item.end_ms + MARGIN_MS)],
        )
        for item in recording.items
    ]
