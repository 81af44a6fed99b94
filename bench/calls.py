"""One call to a live transcription server: an excerpt in real time, then silence until its text has come to rest.

What a server says is told apart from how it is said: a `Wire` is one server's protocol without its socket, fed with
frames and asked what the screen of its user shows; `call` moves the bytes, for every server alike.
"""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeAlias

import anyio
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from bench.clients import CHUNK_MS, Pace
from bench.excerpts import BYTES_PER_MS, Excerpt
from bench.score import Final

Frame: TypeAlias = str | bytes

CHUNK_BYTES = CHUNK_MS * BYTES_PER_MS
QUIET_S = 3.0  # without a change, and twice the longest pause there was: the text has come to rest
TAIL_S = 40.0  # of silence, at most: what has not come by then does not come
CLOSING_S = 5.0  # for what a server still has to say after its client has said goodbye …
TOLD_S = 120.0  # … or, of one that ends when everything is told, until it does: late is not lost
READY_S = 60.0
NORMAL = 1000
TRY_AGAIN_LATER = 1013
MAX_FRAME_BYTES = 16 * 2**20  # some peers send everything they ever heard with every word


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The whole transcript as a user sees it, from one moment on."""

    at_ms: float  # since the first sample was spoken
    text: str
    settled: str  # without what the server says may change


class Heard(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Everything that one caller got."""

    caller: int
    shown: tuple[Shown, ...] = ()
    finals: tuple[Final, ...] = ()  # of a server that says when they were spoken
    refused: bool = False
    error: str = ""  # why the call ended before its audio, or before everything was told
    lateness_ms: tuple[float, ...] = ()  # of the chunks that were sent


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a server listens, and what its handshake wants."""

    url: str
    headers: Mapping[str, str] = {}
    subprotocol: str = ""


class Wire(Protocol):
    """A server's protocol, without its socket. Times are milliseconds since the first sample was spoken."""

    ready: bool  # whether audio may come
    refused: bool  # whether the server takes no call now
    ended: bool  # whether everything is told
    tells_end: ClassVar[bool]  # whether the server, behind the goodbye, says or shows by closing that all is told

    @property
    def finals(self) -> Sequence[Final]:
        """What is final and has times in the audio; nothing where a server does not say when it was spoken."""
        ...

    @property
    def text(self) -> str:
        """All that the screen shows."""
        ...

    @property
    def settled(self) -> str:
        """What the server says will not change any more."""
        ...

    def opening(self) -> Sequence[Frame]:
        """What is sent first."""
        ...

    def packet(self, audio: bytes) -> Frame:
        """A chunk of s16le audio as it is sent."""
        ...

    def closing(self) -> Sequence[Frame]:
        """What is sent behind the last chunk."""
        ...

    def receive(self, frame: Frame, at_ms: float) -> None:
        """Take what the server says; what it means is in the properties then."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One conversation over an open socket: `open` it, then `talk`; `heard` is what came of it."""

    wire: Wire
    socket: ClientConnection
    excerpt: Excerpt
    quiet_s: float = QUIET_S
    closing_s: float = CLOSING_S
    told_s: float = TOLD_S
    shown: list[Shown] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    spoken: anyio.Event = field(default_factory=anyio.Event)  # the excerpt is over, what follows is silence
    _begun: float = 0.0  # monotonic; when the first sample is spoken
    _complete: bool = False  # everything was sent
    _ended: anyio.Event = field(default_factory=anyio.Event)
    _longest_pause_ms: float = 0.0

    async def open(self) -> bool:
        """Introduce oneself; whether the server takes the call. Raises `ConnectionClosed`, `TimeoutError`."""
        for frame in self.wire.opening():
            await self.socket.send(frame)
        with anyio.fail_after(READY_S):
            while not self.wire.ready and not self.wire.refused:
                self.wire.receive(await self.socket.recv(), 0.0)
        return not self.wire.refused

    async def talk(self, begin: float) -> None:
        """Play the excerpt from `begin` on (monotonic) and listen until everything is told."""
        self._begun = begin
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen)
            with suppress(ConnectionClosed):
                await self._play()
                self._complete = True
                for frame in self.wire.closing():
                    await self.socket.send(frame)
                with anyio.move_on_after(self.told_s if self.wire.tells_end else self.closing_s):
                    await self._ended.wait()
            self.spoken.set()
            tasks.cancel_scope.cancel()

    def heard(self, caller: int) -> Heard:
        """What came of it."""
        refused = self.wire.refused or self.socket.close_code == TRY_AGAIN_LATER
        return Heard(
            caller=caller,
            shown=tuple(self.shown),
            finals=tuple(self.wire.finals),
            refused=refused,
            error="" if refused else self._error(),
            lateness_ms=tuple(round(seconds * 1000, 1) for seconds in self.lateness),
        )

    def _error(self) -> str:
        """Why the call did not come to its end; empty where it did."""
        untold = self.wire.tells_end and not self.wire.ended
        if self._complete and untold and self.socket.close_code is None:
            return f"the server had not told everything {self.told_s:g} s after the goodbye"
        if not self._complete or (untold and self.socket.close_code != NORMAL):
            return f"the server closed with {self.socket.close_code}"
        return ""

    async def _play(self) -> None:
        pace = Pace(CHUNK_MS / 1000, self._begun)
        self.lateness = pace.lateness
        for at in range(0, len(self.excerpt.audio), CHUNK_BYTES):
            await pace.step()
            await self.socket.send(self.wire.packet(self.excerpt.audio[at : at + CHUNK_BYTES]))
        self.spoken.set()
        over_ms = self._now_ms()
        while not self._at_rest(over_ms):
            await pace.step()
            await self.socket.send(self.wire.packet(bytes(CHUNK_BYTES)))

    def _at_rest(self, over_ms: float) -> bool:
        now_ms = self._now_ms()
        last_ms = max(over_ms, self.shown[-1].at_ms if self.shown else 0.0)
        patience_ms = max(self.quiet_s * 1000, 2 * self._longest_pause_ms)
        return now_ms - last_ms >= patience_ms or now_ms - over_ms >= TAIL_S * 1000

    async def _listen(self) -> None:
        try:
            while not self.wire.ended:
                frame = await self.socket.recv()
                self._note(frame, self._now_ms())
        except ConnectionClosed:
            return  # who sends meets it too, if there is anything left to send
        finally:
            self._ended.set()

    def _note(self, frame: Frame, at_ms: float) -> None:
        before = (self.wire.text, self.wire.settled)
        self.wire.receive(frame, at_ms)
        if (self.wire.text, self.wire.settled) != before:
            last_ms = self.shown[-1].at_ms if self.shown else 0.0
            self._longest_pause_ms = max(self._longest_pause_ms, at_ms - last_ms)
            self.shown.append(Shown(at_ms=round(at_ms, 1), text=self.wire.text, settled=self.wire.settled))

    def _now_ms(self) -> float:
        return (time.monotonic() - self._begun) * 1000


@asynccontextmanager
async def connected(endpoint: Endpoint) -> AsyncIterator[ClientConnection]:
    """An open socket. Raises: `OSError`, `InvalidStatus`."""
    async with connect(
        endpoint.url,
        additional_headers=endpoint.headers,
        subprotocols=[Subprotocol(endpoint.subprotocol)] if endpoint.subprotocol else None,
        compression=None,
        proxy=None,
        max_size=MAX_FRAME_BYTES,
        ping_interval=None,  # a server that is too busy to answer is measured, not cut off
    ) as socket:
        yield socket
