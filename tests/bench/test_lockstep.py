"""A live stream whose clock counts audio alone."""

from collections.abc import Sequence

import anyio
import numpy as np

from bench.lockstep import lockstep
from bench.score import Final
from pipeline.engines.scripted import ScriptedRecogniser
from pipeline.segmenter import SegmenterOptions
from pipeline.session import SessionOptions
from pipeline.types import SAMPLE_RATE, Pcm, Role
from server.transcribe import working
from tests.fakes import LoudnessModel, silence, speech

OPTIONS = SessionOptions(segmenter=SegmenterOptions(), partial_interval=SAMPLE_RATE * 6 // 10)


async def heard(pcm: Pcm, *, delay_ms: float = 0.0) -> Sequence[Final]:
    async with working(ScriptedRecogniser(delay_ms=delay_ms)) as batcher:
        with anyio.fail_after(30):
            return await lockstep(
                pcm,
                role=Role.DOCTOR,
                language="en",
                options=OPTIONS,
                voice_activity=LoudnessModel(),
                batcher=batcher,
            )


TWICE = np.concatenate([silence(500), speech(2000), silence(1500), speech(1000), silence(250)])


async def test_a_final_comes_with_the_chunk_in_which_its_end_is_sure() -> None:
    first, second = await heard(TWICE)
    assert first.role is Role.DOCTOR
    assert first.arrived_ms % 100 == 0  # a chunk is heard whole
    assert 2500 < first.arrived_ms < 4000
    assert second.arrived_ms == 5250  # the end of the stream ends everything


async def test_the_first_words_are_shown_while_somebody_speaks() -> None:
    first, _ = await heard(TWICE)
    assert first.first_partial_ms is not None
    assert 500 < first.first_partial_ms < 2500


async def test_how_long_recognition_takes_changes_nothing() -> None:
    assert await heard(TWICE) == await heard(TWICE, delay_ms=20)


async def test_silence_has_no_finals() -> None:
    assert await heard(silence(3000)) == []
