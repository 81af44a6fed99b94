"""Talk without a pause, real voices: where it is cut, and that nothing of it is lost there."""

from itertools import pairwise

import jiwer
import numpy as np
import pytest

from bench.recordings import Recording
from bench.score import normalise
from pipeline.engines.silero import SileroModel
from pipeline.engines.sphinx import SphinxRecogniser
from pipeline.hearing import Hearing
from pipeline.segmenter import Segment, SegmenterOptions
from pipeline.types import Checkpoint, Hypothesis, Pcm, Purpose, RecognitionRequest, Role, to_samples

CHANNELS = {Role.DOCTOR: 0, Role.PATIENT: 1}


def without_pauses(recording: Recording, role: Role) -> tuple[Pcm, str]:
    """All that somebody says, each sentence right behind the other; and the words."""
    channel = recording.channels()[CHANNELS[role]]
    items = [item for item in recording.items if item.speaker is role]
    pieces = [channel[to_samples(item.start_ms) : to_samples(item.end_ms)] for item in items]
    return np.concatenate(pieces), " ".join(item.text for item in items)


def cut(pcm: Pcm) -> list[Segment]:
    hearing = Hearing(SegmenterOptions(), SileroModel(), Checkpoint())
    hearing.receive(pcm)
    hearing.receive_end()
    segments: list[Segment] = []
    while hearing.unheard:
        segments += [segment for segment in [hearing.step()] if segment]
    return segments + [segment for segment in [hearing.end_segment()] if segment]


@pytest.mark.slow
async def test_talk_without_a_pause_loses_no_words_where_it_is_cut() -> None:
    pcm, said = without_pauses(Recording.load("cough"), Role.DOCTOR)
    segments = cut(pcm)
    assert len(segments) >= 4
    assert all(first.end == second.start for first, second in pairwise(segments))
    recogniser = SphinxRecogniser(workers=1)
    await recogniser.start()
    try:
        heard = [await words(recogniser, segment) for segment in segments]
    finally:
        await recogniser.aclose()
    assert jiwer.wer(normalise(said), normalise(" ".join(heard))) < 0.1


async def words(recogniser: SphinxRecogniser, segment: Segment) -> str:
    request = RecognitionRequest(
        stream_id="talk",
        segment=segment.ordinal,
        purpose=Purpose.FINAL,
        start=segment.start,
        pcm=segment.pcm,
        language="en",
    )
    (answer,) = await recogniser.recognise([request])
    assert isinstance(answer, Hypothesis)
    return answer.text
