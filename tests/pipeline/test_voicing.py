"""The owner of a voice embedder, in virtual time: who is answered with what, also where it fails, hangs, is missing."""

from collections.abc import Awaitable, Callable, Sequence

import anyio
import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from pipeline.errors import VoicesUnavailable
from pipeline.ports import VoiceEmbedder
from pipeline.types import SAMPLE_RATE, Pcm, VoiceprintRequest, Voiceprints, to_samples
from pipeline.voicing import BATCH, HANG_S, WAITING, Voicing
from tests.fakes import SpectrumEmbedder, silence
from tests.simulation import in_virtual_time

WINDOW = to_samples(800)


def tone(hz: float) -> Pcm:
    """Somebody who only ever sings one note."""
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(WINDOW) / SAMPLE_RATE)).astype(np.float32)


def asks(stream: str = "a", segment: int = 0, *windows: Pcm) -> VoiceprintRequest:
    windows = windows or (tone(220),)
    spans = tuple((index * WINDOW, (index + 1) * WINDOW) for index in range(len(windows)))
    return VoiceprintRequest(stream_id=stream, segment=segment, spans=spans, windows=windows)


class Answers:
    """What came, in order."""

    def __init__(self) -> None:
        self.got: list[tuple[VoiceprintRequest, Voiceprints | None]] = []

    def __call__(self, request: VoiceprintRequest, voices: Voiceprints | None) -> None:
        self.got.append((request, voices))

    @property
    def order(self) -> list[tuple[str, int]]:
        return [(request.stream_id, request.segment) for request, _ in self.got]

    @property
    def voiceless(self) -> list[tuple[str, int]]:
        return [(request.stream_id, request.segment) for request, voices in self.got if voices is None]


class Picky(SpectrumEmbedder):
    """Fails on silence."""

    async def embed(self, windows: Sequence[Pcm]) -> NDArray[np.float32]:
        vectors = await super().embed(windows)
        if not all(window.any() for window in windows):
            raise RuntimeError("the patient said nothing")
        return vectors


class Missing(SpectrumEmbedder):
    """Cannot be loaded."""

    started = 0

    async def start(self) -> None:
        self.started += 1
        raise VoicesUnavailable("Fetch the voices: make them")


class Hanging(SpectrumEmbedder):
    """Does not answer, until it is told to."""

    hangs = True

    async def embed(self, windows: Sequence[Pcm]) -> NDArray[np.float32]:
        if self.hangs:
            await anyio.sleep_forever()
        return await super().embed(windows)


def served(voicing: Voicing, play: Callable[[], Awaitable[None]], *, seconds: float = 3600.0) -> None:
    """Serve for so long while `play` goes on."""

    async def main() -> None:
        async with anyio.create_task_group() as owner:
            owner.start_soon(voicing.run)
            await play()
            await anyio.sleep(seconds)
            owner.cancel_scope.cancel()

    in_virtual_time(main)


def answered(embedder: VoiceEmbedder | None, *requests: VoiceprintRequest) -> tuple[Voicing, Answers]:
    """Everything asked for at once, and what came."""
    voicing, answers = Voicing(embedder), Answers()

    async def play() -> None:
        for each in requests:
            voicing.submit(each, answers)

    served(voicing, play)
    return voicing, answers


def test_each_window_is_answered_with_its_own_voice() -> None:
    low, high = tone(200), tone(1500)
    requests = asks("a", 0, low, high, low), asks("b", 0, high)
    voicing, answers = answered(SpectrumEmbedder(), *requests)
    (_, first), (_, second) = answers.got
    assert first is not None
    assert second is not None
    assert first.spans == requests[0].spans
    assert (first.vectors @ second.vectors[0]).round() == pytest.approx([0, 1, 0])
    assert voicing.windows == 4


def test_what_waits_of_all_streams_goes_in_one_call() -> None:
    embedder = SpectrumEmbedder()
    voicing, _ = answered(embedder, *(asks(f"s{number}", 0) for number in range(BATCH + 3)))
    assert embedder.calls == [BATCH, 3]
    assert voicing.calls == 2
    assert voicing.waiting == 0


def test_a_request_with_more_windows_than_a_batch_goes_in_a_call_of_its_own() -> None:
    embedder = SpectrumEmbedder()
    answered(embedder, asks("a", 0), asks("b", 0, *[tone(300)] * (BATCH + 5)), asks("c", 0))
    assert embedder.calls == [1, BATCH + 5, 1]


def test_streams_take_turns_and_each_keeps_its_order() -> None:
    recording = [asks("file", segment, *[tone(300)] * 8) for segment in range(6)]
    _, answers = answered(SpectrumEmbedder(), *recording, asks("live", 0))
    assert answers.order.index(("live", 0)) == 1
    assert [segment for stream, segment in answers.order if stream == "file"] == [*range(6)]


def test_a_stream_that_is_cancelled_is_not_answered() -> None:
    embedder, answers = Hanging(), Answers()
    voicing = Voicing(embedder)

    async def play() -> None:
        voicing.submit(asks("a", 0), answers)
        voicing.submit(asks("b", 0), answers)
        await anyio.sleep(1)  # both are at the embedder
        for segment in (1, 2):
            voicing.submit(asks("a", segment), answers)
            voicing.submit(asks("b", segment), answers)
        voicing.cancel("a")
        voicing.cancel("nobody")

    served(voicing, play)
    assert answers.order == [("b", 0), ("b", 1), ("b", 2)]
    assert voicing.waiting == 0


def test_it_is_loaded_by_the_first_request_and_freed_at_the_end() -> None:
    embedder, answers = SpectrumEmbedder(), Answers()
    voicing = Voicing(embedder)
    loaded = []

    async def play() -> None:
        await anyio.sleep(60)
        loaded.append(embedder.loaded)
        voicing.submit(asks(), answers)
        await anyio.sleep(60)
        loaded.append(embedder.loaded)

    served(voicing, play)
    assert loaded == [False, True]
    assert not embedder.loaded
    served(voicing, play)  # and anew
    assert [voices is not None for _, voices in answers.got] == [True, True]


def test_what_voiceprints_take_is_told_by_stream() -> None:
    class Slow(SpectrumEmbedder):
        async def embed(self, windows: Sequence[Pcm]) -> NDArray[np.float32]:
            await anyio.sleep(0.25 * len(windows))
            return await super().embed(windows)

    took: list[tuple[str, float]] = []
    voicing = Voicing(Slow(), lambda stream, seconds: took.append((stream, seconds)))

    async def play() -> None:
        voicing.submit(asks("a", 0, tone(200), tone(200), tone(200)), Answers())
        voicing.submit(asks("b", 0), Answers())

    served(voicing, play)
    assert took == [("a", 0.75), ("b", 0.25)]
    assert voicing.seconds == 1


def test_without_an_embedder_the_answer_is_there_at_once() -> None:
    voicing, answers = Voicing(None), Answers()
    voicing.submit(asks("a", 0), answers)
    voicing.submit(asks("b", 0), answers)
    assert answers.voiceless == [("a", 0), ("b", 0)]


def test_an_embedder_that_cannot_be_loaded_is_told_of_once_and_holds_nobody_up() -> None:
    embedder, answers = Missing(), Answers()
    voicing = Voicing(embedder)

    async def play() -> None:
        for segment in range(40):
            voicing.submit(asks("a", segment), answers)
        await anyio.sleep(1)
        voicing.submit(asks("a", 40), answers)
        assert len(answers.got) == 41

    with capture_logs() as logs:
        served(voicing, play)
    assert answers.voiceless == [("a", segment) for segment in range(41)]
    assert [line["reason"] for line in logs] == ["Fetch the voices: make them"]
    assert embedder.started == 1
    assert str(voicing.unavailable) == "Fetch the voices: make them"


def test_an_embedder_that_breaks_while_it_is_loaded_ends_nothing() -> None:
    class Broken(SpectrumEmbedder):
        async def start(self) -> None:
            raise RuntimeError

    voicing, answers = answered(Broken(), asks())
    assert answers.voiceless == [("a", 0)]
    assert "auscult doctor" in str(voicing.unavailable)


def test_a_failure_takes_the_voices_of_its_culprit_only_and_is_logged_once_without_what_it_says() -> None:
    requests = [asks(f"s{number}", 0, silence(800) if number == 2 else tone(300)) for number in range(5)]
    with capture_logs() as logs:
        voicing, answers = answered(Picky(), *requests, asks("s9", 1, silence(800)))
    assert sorted(answers.voiceless) == [("s2", 0), ("s9", 1)]
    assert len(answers.got) == 6
    assert voicing.failed == 2
    assert [line for line in logs if line["event"] == "voices.failed"] == [
        {"event": "voices.failed", "log_level": "error", "type": "RuntimeError"}
    ]


@pytest.mark.parametrize("vectors", [np.zeros((0, 64)), np.zeros((1, 3)), np.full((1, 64), np.nan)])
def test_an_answer_that_cannot_be_right_is_none(vectors: NDArray[np.float32]) -> None:
    class Wrong(SpectrumEmbedder):
        async def embed(self, windows: Sequence[Pcm]) -> NDArray[np.float32]:
            return vectors

    _, answers = answered(Wrong(), asks())
    assert answers.voiceless == [("a", 0)]


def test_an_embedder_that_hangs_keeps_nobody_waiting_for_ever_and_may_come_back() -> None:
    embedder, answers = Hanging(), Answers()
    voicing = Voicing(embedder)

    async def play() -> None:
        for segment in range(2 * BATCH):
            voicing.submit(asks("a", segment), answers)
        await anyio.sleep(HANG_S + 1)
        assert len(answers.voiceless) == voicing.failed == 2 * BATCH
        embedder.hangs = False
        voicing.submit(asks("a", 2 * BATCH), answers)

    served(voicing, play)
    assert answers.got[-1][1] is not None


def test_where_too_many_wait_the_newest_is_answered_without_a_voice() -> None:
    voicing, answers = Voicing(SpectrumEmbedder()), Answers()
    many = [asks("a", segment, *[tone(300)] * 100) for segment in range(WAITING // 100 + 2)]
    for each in many:  # nobody serves
        voicing.submit(each, answers)
    assert answers.voiceless == [("a", WAITING // 100), ("a", WAITING // 100 + 1)]
    assert voicing.waiting <= WAITING
