import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio
import jiwer
import numpy as np
import pytest
import pytest_asyncio

from pipeline.engines.sphinx import SphinxRecogniser
from pipeline.errors import RecognitionFailed
from pipeline.types import SAMPLE_RATE, Hypothesis, Pcm, Purpose, RecognitionRequest, to_samples
from tests.pipeline.engines.conftest import Phrase

ROOT = Path(__file__).parents[3]
PARTIAL, FINAL = Purpose.REFRESH, Purpose.FINAL
STEP = to_samples(600)  # between two partials

shares_engine = pytest.mark.asyncio(loop_scope="module")  # a model is loaded once, not for each test


def request(pcm: Pcm, purpose: Purpose = FINAL, *, segment: int = 0, stream: str = "stream1") -> RecognitionRequest:
    return RecognitionRequest(
        stream_id=f"e1/{stream}", segment=segment, purpose=purpose, start=0, pcm=pcm, language="en"
    )


async def answer(engine: SphinxRecogniser, asked: RecognitionRequest) -> Hypothesis:
    (given,) = await engine.recognise([asked])
    assert isinstance(given, Hypothesis)
    return given


async def grow(engine: SphinxRecogniser, pcm: Pcm, *, segment: int, stream: str = "stream1") -> list[Hypothesis]:
    """Partials of a segment as it grows, then its final."""
    ends = range(STEP, len(pcm), STEP)
    partials = [await answer(engine, request(pcm[:end], PARTIAL, segment=segment, stream=stream)) for end in ends]
    return [*partials, await answer(engine, request(pcm, segment=segment, stream=stream))]


def bare(text: str) -> str:
    return re.sub(r"[^a-z' ]", " ", text.lower())


def ended(pid: int, seconds: float) -> bool:
    """Whether a process ends within a time."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], seconds)[0])
    finally:
        os.close(process)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[SphinxRecogniser]:
    recogniser = SphinxRecogniser(workers=1)
    await recogniser.start()
    yield recogniser
    await recogniser.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncIterator[SphinxRecogniser]:
    recogniser = SphinxRecogniser(workers=2)
    await recogniser.start()
    yield recogniser
    await recogniser.aclose()


# What is heard


@shares_engine
async def test_a_phrase_is_understood(engine: SphinxRecogniser, phrases: Sequence[Phrase]) -> None:
    heard = await answer(engine, request(phrases[1].pcm))
    assert jiwer.wer(bare(phrases[1].text), heard.text) < 0.3


@pytest.mark.slow
@shares_engine
async def test_fifteen_words_in_a_hundred_may_be_wrong(pair: SphinxRecogniser, phrases: Sequence[Phrase]) -> None:
    heard = [await answer(pair, request(phrase.pcm, segment=number)) for number, phrase in enumerate(phrases)]
    spoken = " ".join(phrase.text for phrase in phrases)
    assert jiwer.wer(bare(spoken), " ".join(hypothesis.text for hypothesis in heard)) <= 0.15


@shares_engine
async def test_words_are_words_with_times_and_probabilities(
    engine: SphinxRecogniser, phrases: Sequence[Phrase]
) -> None:
    pcm = phrases[1].pcm
    for hypothesis in await grow(engine, pcm, segment=0):
        times = [time for word in hypothesis.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert all(0 <= time <= len(pcm) for time in times)
        assert all(0 <= word.probability <= 1 for word in hypothesis.words)
        assert all(re.fullmatch(r"[a-z'.-]+", word.text) for word in hypothesis.words)
    assert times[0] < to_samples(400)  # the phrase begins after a margin of 150 ms
    assert times[-1] > len(pcm) - to_samples(400)


@shares_engine
async def test_silence_noise_and_nothing_hold_no_words(engine: SphinxRecogniser) -> None:
    hiss = np.random.default_rng(1).normal(0, 0.001, SAMPLE_RATE).astype(np.float32)
    for number, pcm in enumerate(
        (np.zeros(0, np.float32), np.zeros(50, np.float32), np.zeros(SAMPLE_RATE, np.float32))
    ):
        assert (await answer(engine, request(pcm, segment=number))).words == ()
    assert len((await answer(engine, request(hiss, segment=9))).words) <= 1


@shares_engine
async def test_samples_beyond_full_scale_are_clipped(engine: SphinxRecogniser, phrases: Sequence[Phrase]) -> None:
    assert (await answer(engine, request(phrases[1].pcm * 10))).words


# The same segment, the same words


@shares_engine
async def test_what_was_decoded_before_changes_nothing(engine: SphinxRecogniser, phrases: Sequence[Phrase]) -> None:
    first = await answer(engine, request(phrases[0].pcm, segment=0))
    await answer(engine, request(phrases[1].pcm, segment=1))
    assert await answer(engine, request(phrases[0].pcm, segment=2)) == first


@shares_engine
async def test_a_final_does_not_depend_on_its_partials(engine: SphinxRecogniser, phrases: Sequence[Phrase]) -> None:
    pcm = np.concatenate([phrases[1].pcm, phrases[3].pcm])
    assert len(pcm) > 4 * SAMPLE_RATE
    fresh = await answer(engine, request(pcm, segment=0))
    *partials, grown = await grow(engine, pcm, segment=1)
    assert grown == fresh
    assert 0 < len(partials[1].words) < len(partials[-1].words)


@shares_engine
async def test_a_final_may_be_shorter_than_its_last_partial(
    engine: SphinxRecogniser, phrases: Sequence[Phrase]
) -> None:
    pcm = phrases[1].pcm
    shorter = pcm[: len(pcm) - STEP]
    fresh = await answer(engine, request(shorter, segment=0))
    await grow(engine, pcm, segment=1)
    await answer(engine, request(pcm, PARTIAL, segment=2))
    assert await answer(engine, request(shorter, segment=2)) == fresh


@shares_engine
async def test_a_final_may_be_asked_for_again(engine: SphinxRecogniser, phrases: Sequence[Phrase]) -> None:
    asked = request(phrases[0].pcm)
    assert await answer(engine, asked) == await answer(engine, asked)


@pytest.mark.slow
@shares_engine
async def test_more_open_segments_than_decoders_only_cost_time(
    engine: SphinxRecogniser, phrases: Sequence[Phrase]
) -> None:
    pcm = phrases[0].pcm
    fresh = await answer(engine, request(pcm, segment=0))
    for stream in range(6):
        await answer(engine, request(pcm[: len(pcm) // 2], PARTIAL, segment=1, stream=f"stream{stream}"))
    for stream in range(6):
        assert await answer(engine, request(pcm, segment=1, stream=f"stream{stream}")) == fresh


@pytest.mark.slow
@shares_engine
async def test_streams_that_speak_at_the_same_time_do_not_mix(
    pair: SphinxRecogniser, phrases: Sequence[Phrase]
) -> None:
    spoken = phrases[:4]
    expected = [await answer(pair, request(phrase.pcm, stream="alone", segment=n)) for n, phrase in enumerate(spoken)]
    finals: dict[int, Hypothesis] = {}

    async def speak(number: int) -> None:
        *_, finals[number] = await grow(pair, spoken[number].pcm, segment=0, stream=f"stream{number}")

    async with anyio.create_task_group() as streams:
        for number in range(len(spoken)):
            streams.start_soon(speak, number)
    assert [finals[number] for number in range(len(spoken))] == expected


# Processes


@shares_engine
async def test_a_worker_that_dies_fails_its_request_and_is_replaced(
    engine: SphinxRecogniser, phrases: Sequence[Phrase]
) -> None:
    (pid,) = engine.pids
    expected = await answer(engine, request(phrases[0].pcm))
    failures: list[Hypothesis | RecognitionFailed] = []

    async def ask() -> None:
        failures.extend(await engine.recognise([request(np.tile(phrases[1].pcm, 10), segment=1)]))

    async with anyio.create_task_group() as asking:
        asking.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        os.kill(pid, signal.SIGKILL)
    assert isinstance(failures[0], RecognitionFailed)
    assert await answer(engine, request(phrases[0].pcm, segment=2)) == expected
    assert engine.pids != (pid,)


@shares_engine
async def test_a_request_that_is_cancelled_does_not_answer_the_next(
    engine: SphinxRecogniser, phrases: Sequence[Phrase]
) -> None:
    expected = await answer(engine, request(phrases[0].pcm))
    async with anyio.create_task_group() as asking:
        asking.start_soon(engine.recognise, [request(np.tile(phrases[1].pcm, 10), segment=1)])
        await anyio.wait_all_tasks_blocked()
        asking.cancel_scope.cancel()
    assert await answer(engine, request(phrases[0].pcm, segment=2)) == expected


async def test_closing_ends_the_workers() -> None:
    recogniser = SphinxRecogniser(workers=2)
    await recogniser.start()
    pids = recogniser.pids
    assert len(pids) == 2
    await recogniser.aclose()
    assert all(ended(pid, 0) for pid in pids)
    assert recogniser.pids == ()


def test_workers_end_when_their_server_is_killed() -> None:
    server = """
import asyncio, sys
from pipeline.engines.sphinx import SphinxRecogniser
async def main():
    recogniser = SphinxRecogniser(workers=1)
    await recogniser.start()
    sys.stdout.write(f"{recogniser.pids[0]}\\n")
    sys.stdout.flush()
    await asyncio.Event().wait()
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", server], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        process.kill()
    assert ended(worker, 10)


def test_a_worker_ends_with_its_input_and_writes_nothing_else() -> None:
    command = [sys.executable, "-m", "pipeline.engines.sphinx_worker"]
    worker = subprocess.run(command, cwd=ROOT, input=b"", capture_output=True, timeout=60)
    assert worker.returncode == 0
    assert worker.stderr == b""
    assert worker.stdout[4:] == b"\x81\xa4type\xa5Ready"
