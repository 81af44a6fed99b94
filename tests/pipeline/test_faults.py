"""Whole streams over an engine that fails, raises, hangs and writes nonsense: what is lost, and that all of it ends."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batching import HANG_S, Batcher
from pipeline.endpointing import Thresholds
from pipeline.events import Committed, Event, SegmentLost, StreamFinished
from pipeline.runner import open_stream
from pipeline.segmenter import SegmenterOptions
from pipeline.session import SessionOptions
from pipeline.stereo import StereoSession
from pipeline.types import SAMPLE_RATE, Hypothesis, Pcm, PcmBlock, RecognitionRequest, RestartPoint, StreamOptions
from tests.fakes import LoudnessModel, hypothesis, silence, speech
from tests.simulation import SimulatedEngine, in_virtual_time

BLOCK = SAMPLE_RATE // 10
CUTTING = SegmenterOptions(thresholds=Thresholds(min_speech=3, silence=12), pre_roll=4, hangover=5)
GUESSING = SessionOptions(segmenter=CUTTING, speculate_after=5, finished_after=8)
PLAIN = SessionOptions(segmenter=CUTTING)
MOST_HANGS = 20  # calls: two streams of two segments, their guesses and their partials, and each final twice
FATES = ("fails", "raises", "hangs", "guessed")


class Playback:
    """A decoder that has its audio already and gives it out at the speed of speech."""

    nonfinite = 0
    skipped = 0

    def __init__(self, pcm: Pcm) -> None:
        self._pcm = pcm

    async def feed(self, chunk: bytes, *, new_file: bool = False) -> None:
        return None

    def end(self) -> None:
        return None

    async def __aiter__(self) -> AsyncIterator[PcmBlock]:
        for start in range(0, len(self._pcm), BLOCK):
            yield PcmBlock(start=start, pcm=self._pcm[start : start + BLOCK])
            await anyio.sleep(BLOCK / SAMPLE_RATE)

    def restart_point(self, position: int) -> RestartPoint:
        return RestartPoint()

    async def aclose(self) -> None:
        return None


def talk(sentences: int, ms: int) -> Pcm:
    """Sentences with pauses between them that end a segment."""
    return np.concatenate([silence(300), *(part for _ in range(sentences) for part in (speech(ms), silence(700)))])


Fates = Mapping[tuple[str, int], str]
"""What becomes of a stream's segment; nothing special where it is not named."""


def engine(fates: Fates, *, lanes: int = 1, max_batch: int = 4) -> SimulatedEngine:
    def fate(asked: RecognitionRequest) -> str:
        return fates.get((asked.stream_id.split("/")[0], asked.segment), "")

    def says(asked: RecognitionRequest) -> Hypothesis:
        said = hypothesis(f"sentence {asked.segment}.")
        return replace(said, avg_logprob=-3.0) if fate(asked) == "guessed" else said

    return SimulatedEngine(
        capacity=lanes,
        max_batch=max_batch,
        call=0.05,
        item=0.01,
        fails=lambda asked: fate(asked) == "fails",
        raises=lambda asked: fate(asked) == "raises",
        hangs=lambda asked: fate(asked) == "hangs",
        says=says,
        temperatures=(0.0, 0.4),
    )


def played(streams: Mapping[str, Pcm], subject: SimulatedEngine, options: SessionOptions) -> dict[str, list[Event]]:
    """Every stream's events, from its first sample until it has finished by itself."""
    events: dict[str, list[Event]] = defaultdict(list)
    batcher = Batcher(subject)

    async def play(name: str, pcm: Pcm) -> None:
        session = StereoSession(StreamOptions(encounter=name, stream="s", tenant=name), options, LoudnessModel())
        async with open_stream(session, Playback(pcm), batcher, events[name].append):
            pass

    async def main() -> None:
        await batcher.calibrate()
        async with anyio.create_task_group() as serving:
            serving.start_soon(batcher.run)
            async with anyio.create_task_group() as speakers:
                for name, pcm in streams.items():
                    speakers.start_soon(play, name, pcm)
            serving.cancel_scope.cancel()

    in_virtual_time(main)
    return events


def said(events: Sequence[Event]) -> list[str]:
    """The sentences of a stream in the order in which they were told, "lost" for one that was lost."""
    told: list[str] = []
    for event in events:
        if isinstance(event, Committed):
            told += [item.text.removeprefix("sentence ").rstrip(".") for item in event.utterances]
        elif isinstance(event, SegmentLost):
            told.append("lost")
    return told


@pytest.mark.parametrize("options", [PLAIN, GUESSING])
@pytest.mark.parametrize("fate", ["fails", "raises", "hangs"])
def test_a_segment_that_breaks_the_engine_is_all_that_is_lost(fate: str, options: SessionOptions) -> None:
    streams = {name: talk(4, 1200) for name in ("a", "b", "c")}
    events = played(streams, engine({("b", 1): fate}), options)
    assert said(events["a"]) == said(events["c"]) == ["0", "1", "2", "3"]
    assert said(events["b"]) == ["0", "lost", "2", "3"]
    assert all(isinstance(each[-1], StreamFinished) for each in events.values())


def test_a_text_that_looks_wrong_at_every_temperature_is_told_in_its_place() -> None:
    events = played({"a": talk(4, 1200)}, engine({("a", 1): "guessed"}), GUESSING)
    assert said(events["a"]) == ["0", "1", "2", "3"]


def test_an_engine_that_only_hangs_ends_every_stream_with_what_was_lost() -> None:
    subject = replace(engine({}), hangs=lambda asked: "calibration" not in asked.stream_id)
    events = played({"a": talk(2, 1200), "b": talk(2, 1200)}, subject, GUESSING)
    assert all(said(each) == ["lost", "lost"] for each in events.values())
    assert all(isinstance(each[-1], StreamFinished) for each in events.values())
    assert subject.calls[-1].began < MOST_HANGS * HANG_S


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abc"), st.integers(0, 2)), st.sampled_from(FATES), min_size=1, max_size=5
    ),
    st.sampled_from((400, 1200, 2500)),
    st.integers(1, 2),
    st.integers(1, 4),
    st.sampled_from((PLAIN, GUESSING)),
)
def test_every_segment_is_told_in_order_or_lost_for_a_reason(
    fates: dict[tuple[str, int], str], ms: int, lanes: int, max_batch: int, options: SessionOptions
) -> None:
    streams = {name: talk(3, ms) for name in "abc"}
    events = played(streams, engine(fates, lanes=lanes, max_batch=max_batch), options)
    for name in streams:
        broken = [fates.get((name, segment), "guessed") != "guessed" for segment in range(3)]
        assert said(events[name]) == ["lost" if lost else str(n) for n, lost in enumerate(broken)]
        assert isinstance(events[name][-1], StreamFinished)
