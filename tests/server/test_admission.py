from dataclasses import dataclass

import anyio
import pytest

from pipeline.batching import Answer, Batcher
from pipeline.errors import Overloaded
from pipeline.types import RecognitionRequest
from server.admission import Admission, Limits
from server.metrics import Metrics
from tests.simulation import SimulatedEngine, calibrated, in_virtual_time, request, served


@dataclass
class Inside:
    """So many sessions, of one stream each unless it is said otherwise."""

    live: int = 0
    streams: int = 0


def admission(
    inside: Inside, *, max_sessions: int = 1000, max_streams: int = 0, batcher: Batcher | None = None
) -> Admission:
    limits = Limits(max_sessions=max_sessions, max_streams=max_streams, idle_timeout_s=1, reconnect_timeout_s=1)
    return Admission(batcher or Batcher(SimulatedEngine()), inside, limits, Metrics())


def let_in(door: Admission, streams: int = 1) -> bool:
    try:
        with door.place(streams):
            return True
    except Overloaded:
        return False


def test_streams_are_counted_not_sessions() -> None:
    door = admission(Inside(live=1, streams=2), max_streams=3)
    assert let_in(door, 1)
    assert not let_in(door, 2)


def test_sessions_have_a_limit_of_their_own() -> None:
    assert not let_in(admission(Inside(live=2, streams=2), max_sessions=2, max_streams=100))


def test_a_place_is_held_until_its_session_is_inside() -> None:
    door = admission(Inside(live=1, streams=1), max_streams=2)
    with door.place(1):
        assert not let_in(door)
    assert let_in(door)


def test_one_session_is_always_let_in() -> None:
    assert let_in(admission(Inside(), max_sessions=1, max_streams=1), 4)
    assert let_in(admission(Inside(), batcher=calibrated(SimulatedEngine(item=20.0))), 4)


def test_without_a_limit_as_many_are_let_in_as_the_recogniser_carries() -> None:
    async def main() -> None:
        inside = Inside()
        door = admission(inside, batcher=fast)
        while let_in(door):
            inside.live = inside.streams = inside.streams + 1
        assert inside.streams == fast.capacity.streams_carried() == door.streams_carried > 1

    fast = calibrated(SimulatedEngine(item=0.05))
    in_virtual_time(main)


def test_whoever_is_refused_learns_when_to_come_back() -> None:
    door = admission(Inside(live=1, streams=1), max_streams=1)
    with pytest.raises(Overloaded) as refused, door.place(1):
        pass
    assert f"try again in {refused.value.retry_after_s} seconds" in str(refused.value)


def ignored(asked: RecognitionRequest, answer: Answer) -> None:
    return None


def test_whatever_was_measured_nobody_is_let_in_while_finals_are_late() -> None:
    batcher = calibrated(SimulatedEngine(item=0.01))
    batcher.recogniser = SimulatedEngine(item=2.0)
    measured = admission(Inside(live=1, streams=1), batcher=batcher)
    fixed = admission(Inside(live=1, streams=1), batcher=batcher, max_streams=5)

    async def play() -> None:
        assert let_in(measured)
        for segment in range(3):
            batcher.submit(request("a", segment), ignored)
        await anyio.sleep(1.5)
        assert not let_in(measured)
        assert let_in(fixed)  # who sets a number knows better
        await anyio.sleep(10.0)
        assert let_in(measured)

    served(batcher, play)
