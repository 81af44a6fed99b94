"""The audio of a stream that is over is decoded again and diarised; what goes wrong there costs nobody anything."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from pipeline.engines.pyav import open_decoder
from pipeline.errors import VoicesUnavailable
from pipeline.events import SpeakerRenamed
from pipeline.types import SAMPLE_RATE, AudioFormat, Pcm, Role, SpokenSpan, Utterance
from server.reviewing import Recorded, Reviewer, worth_it
from tests.fakes import words

SECOND = SAMPLE_RATE
STORED = [("s1", Role.DOCTOR), ("s2", Role.PATIENT), ("s1", Role.DOCTOR), ("s1", Role.DOCTOR)]  # the last one is wrong


@dataclass
class FakeDiarizer:
    """Hears A and B by turns, a second each, and remembers what it was given."""

    fault: Exception | None = None
    name: str = "fake"
    model: str = "none"
    heard: list[Pcm] = field(default_factory=list)
    expected: list[int | None] = field(default_factory=list)

    async def start(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def diarize(self, pcm: Pcm, *, expected_speakers: int | None) -> tuple[SpokenSpan, ...]:
        self.heard.append(pcm)
        self.expected.append(expected_speakers)
        return tuple(
            SpokenSpan(start=at, end=at + SECOND, speaker="AB"[at // SECOND % 2]) for at in range(0, len(pcm), SECOND)
        )

    async def aclose(self) -> None:
        return None


def items(shift: int = 0) -> list[Utterance]:
    return [
        Utterance(
            id=f"item{index}",
            stream="stream0",
            role=role,
            start=shift + index * SECOND,
            end=shift + index * SECOND + 4 * 1600,
            text="a b c d",
            words=words("a b c d", start=shift + index * SECOND),
            speaker=speaker,
        )
        for index, (speaker, role) in enumerate(STORED)
    ]


def audio(seconds: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return (np.arange(seconds * SECOND) % 1000).astype(np.int16)


async def pieces(body: bytes, size: int = 1001) -> AsyncIterator[bytes]:
    for begin in range(0, len(body), size):
        yield body[begin : begin + size]


def recorded(body: bytes, *, duration: int, said: Sequence[Utterance], channels: int = 1) -> Recorded:
    format = AudioFormat(encoding="pcm_s16le", sample_rate=SAMPLE_RATE, channels=channels)
    return Recorded(
        encounter="e1",
        decoder=open_decoder(format),
        chunks=pieces(body),
        duration=duration,
        items=said,
        expected_speakers=2,
    )


async def test_the_whole_audio_is_diarised_and_the_wrong_label_is_found() -> None:
    diarizer = FakeDiarizer()
    said = recorded(audio(4).tobytes(), duration=4 * SECOND, said=items())
    assert await Reviewer(diarizer).renames(said) == [SpeakerRenamed(speaker="s2", role=Role.PATIENT, items=("item3",))]
    (heard,) = diarizer.heard
    assert np.allclose(heard, audio(4) / 32768, atol=1e-4)
    assert diarizer.expected == [2]


async def test_a_stream_that_was_added_later_keeps_its_times() -> None:
    said = recorded(audio(4).tobytes(), duration=64 * SECOND, said=items(shift=60 * SECOND))
    renames = await Reviewer(FakeDiarizer()).renames(said)
    assert renames is not None
    assert [rename.items for rename in renames] == [("item3",)]


async def test_two_channels_of_one_room_are_heard_as_one() -> None:
    diarizer = FakeDiarizer()
    both = np.repeat(audio(4), 2).tobytes()
    assert await Reviewer(diarizer).renames(recorded(both, duration=4 * SECOND, said=items(), channels=2))
    assert np.allclose(diarizer.heard[0], audio(4) / 32768, atol=1e-4)


@pytest.mark.parametrize("fault", [VoicesUnavailable("no torch here"), MemoryError(), RuntimeError("odd tensor")])
async def test_whatever_goes_wrong_labels_stay_and_nothing_is_raised(fault: Exception) -> None:
    reviewer = Reviewer(FakeDiarizer(fault=fault))
    assert await reviewer.renames(recorded(audio(4).tobytes(), duration=4 * SECOND, said=items())) is None
    assert reviewer.failed == 1


async def test_what_is_too_long_is_not_even_decoded() -> None:
    diarizer = FakeDiarizer()
    reviewer = Reviewer(diarizer, max_samples=3 * SECOND)
    assert await reviewer.renames(recorded(audio(4).tobytes(), duration=4 * SECOND, said=items())) is None
    assert diarizer.heard == []


def test_with_one_speaker_there_is_nothing_to_find() -> None:
    assert worth_it(items())
    assert not worth_it(items()[2:])
