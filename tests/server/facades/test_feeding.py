"""What a socket of `/api/live` may still do of a stream that a newer connection feeds: nothing."""

from collections.abc import Awaitable
from contextlib import AbstractContextManager, ExitStack
from types import SimpleNamespace
from typing import cast

import pytest

from server.attendance import Attendance, Attendances
from server.connections import Connections
from server.domain import Caller, StreamSpec
from server.facades.auscult import schema
from server.facades.auscult.feeding import Feeding
from server.facades.auscult.seating import Seat
from server.following import LiveTranscript
from server.ingest.websocket import Displaced, Socket
from server.live import LiveEncounter
from server.metrics import Metrics


class Encounter:
    """Keeps what it hears."""

    id, ended = "encounter", False

    def __init__(self) -> None:
        self.row = SimpleNamespace(options=SimpleNamespace(streams=(StreamSpec(name="stream0"),)))
        self.transcript = LiveTranscript([])
        self.heard: list[bytes] = []
        self._attendances = Attendances()

    def attend(self, *streams: int) -> AbstractContextManager[Attendance]:
        return self._attendances.attend(*streams)

    def next_number(self, stream: int) -> int:
        return len(self.heard)

    def stream_failed(self, stream: int) -> bool:
        return False

    async def hear(self, stream: int, body: bytes, number: int, *, taken: object) -> None:
        self.heard.append(body)


class Leaving:
    """The end of a stream must not be said."""

    def leave(self, caller: Caller, encounter: str, stream: int) -> Awaitable[None]:
        raise AssertionError


class Client:
    """While its second frame is on its way, a newer connection takes the stream."""

    def __init__(self, frames: list[bytes | schema.End], encounter: Encounter, newer: ExitStack) -> None:
        self._frames = frames
        self._encounter = encounter
        self._newer = newer
        self._taken = 0

    async def receive_any(self) -> bytes | schema.End:
        self._taken += 1
        if self._taken == 2:
            self._newer.enter_context(self._encounter.attend(0))
        return self._frames[self._taken - 1]


@pytest.mark.parametrize("late", [b"more", schema.End()])
async def test_a_frame_that_comes_when_a_newer_socket_has_the_stream_is_not_taken(late: bytes | schema.End) -> None:
    encounter = Encounter()
    with ExitStack() as newer:
        feeding = Feeding(
            cast("Socket[schema.ClientMessage]", Client([b"first", late], encounter, newer)),
            Caller(tenant_id="t", key_id="k"),
            Seat(encounter="encounter", live=cast(LiveEncounter, encounter)),
            cast(Connections, Leaving()),
            Metrics(),
            numbered=False,
            silence_timeout_s=10,
        )
        with feeding.attend():
            with pytest.raises(Displaced):
                await feeding.hear()
            await feeding.leave()
    assert encounter.heard == [b"first"]
