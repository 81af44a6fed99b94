"""A WHIP session whose streams a newer connection takes over, at every moment at which that may happen."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import cast

import anyio
import pytest
from anyio.lowlevel import checkpoint

from server.attendance import Attendance, Attendances
from server.domain import Caller, StreamSpec
from server.facades.auscult.telling import Telling
from server.facades.auscult.whip_session import PIECE_BYTES, Part, WhipSession
from server.following import Interrupted, LiveTranscript, Update
from server.ingest.rtc_channel import TextChannel
from server.ingest.webrtc import Ending, Event, Heard, Peer
from server.live import LiveEncounter
from server.metrics import Metrics

PIECE = bytes(640)


class Speaker:
    """A peer that has sent this already, and sends no more."""

    split = False
    ending: Ending | None = None

    def __init__(self, *events: Event) -> None:
        self.transcript = TextChannel()
        self.waiting = deque(events)
        self._closed = anyio.Event()

    async def __anext__(self) -> Event:
        if not self.waiting:
            await self._closed.wait()
            raise StopAsyncIteration
        return self.waiting.popleft()

    async def aclose(self) -> None:
        self._closed.set()


class SlowEncounter:
    """Its decoder takes audio when `go_on` is set; what it was given counts at once, as in `LiveEncounter.hear`."""

    id, ended = "encounter", False

    def __init__(self, elapsed_s: float = 0.0) -> None:
        self.row = SimpleNamespace(options=SimpleNamespace(streams=(StreamSpec(name="left"), StreamSpec(name="right"))))
        self.transcript = LiveTranscript([])
        self.gone = anyio.Event()
        self.go_on = anyio.Event()
        self.heard: list[tuple[int, bytes]] = []
        self.left: list[int] = []
        self._elapsed_s = elapsed_s
        self._attendances = Attendances()

    def attend(self, *streams: int) -> AbstractContextManager[Attendance]:
        return self._attendances.attend(*streams)

    def elapsed_s(self) -> float:
        return self._elapsed_s

    def heard_bytes(self, stream: int) -> int:
        return sum(len(pcm) for heard, pcm in self.heard if heard == stream)

    def reached_by(self, stream: int) -> int:
        return self.heard_bytes(stream) // 2

    async def hear(self, stream: int, body: bytes) -> None:
        self.heard.append((stream, body))
        await self.go_on.wait()

    async def log_heard(self) -> None:
        await checkpoint()

    async def leave(self, stream: int) -> None:
        self.left.append(stream)


@asynccontextmanager
async def feeding(encounter: SlowEncounter, peer: Speaker, *streams: int) -> AsyncIterator[WhipSession]:
    """A session that runs, until it is over."""
    part = Part(
        caller=Caller(tenant_id="t", key_id="k"),
        live=cast(LiveEncounter, encounter),
        streams=streams,
        drafts=False,
        leave=encounter.leave,
    )
    session = WhipSession(cast(Peer, peer), part, cast(Telling, object()), Metrics(), process=0, send_timeout_s=1.0)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await tasks.start(session.run)
            yield session


async def until_heard(encounter: SlowEncounter) -> None:
    while not encounter.heard:
        await checkpoint()


async def told(encounter: SlowEncounter) -> list[Update]:
    encounter.transcript.end(complete=False)
    return [update async for update in encounter.transcript.follow()]


async def test_what_a_displaced_peer_had_sent_does_not_come_behind_what_was_heard_when_it_was_displaced() -> None:
    encounter, peer = SlowEncounter(), Speaker(*[Heard(stream=0, pcm=PIECE)] * 5)
    async with feeding(encounter, peer, 0) as session:
        await until_heard(encounter)
        with encounter.attend(0):
            assert session.over
            reached = encounter.reached_by(0)
            encounter.go_on.set()
            await session.silent.wait()
            assert encounter.reached_by(0) == reached
    assert not await told(encounter), "nobody was interrupted: the stream goes on"
    assert not encounter.left


async def test_a_peer_that_is_displaced_while_its_silence_is_filled_in_leaves_the_rest_of_it() -> None:
    encounter, peer = SlowEncounter(elapsed_s=100), Speaker(Heard(stream=0, pcm=PIECE))
    async with feeding(encounter, peer, 0) as session:
        await until_heard(encounter)
        with encounter.attend(0):
            encounter.go_on.set()
            await session.silent.wait()
    assert encounter.heard == [(0, bytes(PIECE_BYTES))]


@pytest.mark.parametrize("joins", [(), (1,), (0, 1)])
async def test_a_client_that_hangs_up_ends_the_streams_that_nobody_else_feeds(joins: tuple[int, ...]) -> None:
    encounter, peer = SlowEncounter(), Speaker()
    encounter.go_on.set()
    async with feeding(encounter, peer, 0, 1) as session:
        await peer.aclose()
        await session.silent.wait()
        with encounter.attend(*joins):  # it has sent nothing yet
            assert session.over == bool(joins)
            await session.end()
    assert encounter.left == [stream for stream in (0, 1) if stream not in joins]


async def test_a_peer_that_is_gone_interrupts_its_stream_and_the_session_waits_for_its_client() -> None:
    encounter, peer = SlowEncounter(), Speaker(Heard(stream=0, pcm=PIECE))
    encounter.go_on.set()
    async with feeding(encounter, peer, 0) as session:
        await until_heard(encounter)
        await peer.aclose()
        await session.silent.wait()
        assert not session.over
        encounter.gone.set()
    assert await told(encounter) == [Interrupted(stream="left")]


async def test_what_a_stream_missed_before_a_peer_came_is_silence() -> None:
    encounter, peer = SlowEncounter(elapsed_s=1.5), Speaker(Heard(stream=0, pcm=PIECE))
    encounter.heard.append((0, bytes(32_000)))
    encounter.go_on.set()
    async with feeding(encounter, peer, 0) as session:
        while peer.waiting:
            await checkpoint()
        await session.end()
        encounter.gone.set()
    assert encounter.heard[1:] == [(0, bytes(16_000)), (0, PIECE)]
