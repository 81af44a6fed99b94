"""A WebSocket with limits: messages in with a deadline, messages out with a deadline, errors that end it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Generic, TypeVar

import anyio
import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from pipeline.errors import AuscultError, first
from server.errors import TooLarge
from server.wire import reading_json

Inbound = TypeVar("Inbound")

# RFC 6455 §7.4.1
NORMAL, UNSUPPORTED_DATA, POLICY_VIOLATION, TOO_BIG, INTERNAL_ERROR, TRY_AGAIN = 1000, 1003, 1008, 1009, 1011, 1013


class SocketError(AuscultError):
    """The socket cannot go on."""

    code = "socket_error"
    close_code = POLICY_VIOLATION


class NotText(SocketError):
    """Binary frames are not understood here: send JSON text frames."""

    code = "unsupported_data"
    close_code = UNSUPPORTED_DATA


class NoConfig(SocketError):
    """No configuration came in time: send it as the first message."""

    code = "config_timeout"


class StreamSilent(SocketError):
    """A declared stream received no audio for too long: send audio also in silence."""

    code = "stream_silent"


class Displaced(SocketError):
    """A newer connection feeds this stream: this one is closed."""

    code = "displaced"


class SlowReader(SocketError):
    """The client does not read what it is sent."""

    code = "slow_reader"


class ClientGone(SocketError):
    """The client has closed the connection."""

    code = "client_gone"


class Socket(Generic[Inbound]):
    """JSON messages over a WebSocket."""

    def __init__(self, websocket: WebSocket, inbound: object, *, max_bytes: int, send_timeout_s: float) -> None:
        self._websocket = websocket
        self._decoder: msgspec.json.Decoder[Inbound] = msgspec.json.Decoder(inbound)
        self._encoder = msgspec.json.Encoder()
        self._max_bytes = max_bytes
        self._send_timeout_s = send_timeout_s

    async def receive(self) -> Inbound:
        """The next message. Raises `ClientGone`, `NotText`, `TooLarge`, `BadRequest` (which name no content)."""
        frame = await self._frame()
        if isinstance(frame, bytes):
            raise NotText
        return self._decoded(frame)

    async def receive_any(self) -> Inbound | bytes:
        """The next message, or the next binary frame. Raises as `receive` does, but for `NotText`."""
        frame = await self._frame()
        if isinstance(frame, str):
            return self._decoded(frame)
        if len(frame) > self._max_bytes:
            raise TooLarge(f"The chunk is larger than {self._max_bytes} bytes: send smaller chunks.")
        return frame

    async def send(self, message: msgspec.Struct) -> None:
        """Send a message. Raises `SlowReader` when the client does not take it in time, `ClientGone`."""
        await self.send_encoded(self._encoder.encode(message))

    async def send_encoded(self, message: bytes) -> None:
        """Send a message that is JSON already. Raises as `send` does."""
        try:
            with anyio.fail_after(self._send_timeout_s):
                await self._websocket.send_text(message.decode())
        except TimeoutError:
            raise SlowReader from None
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise ClientGone from None

    async def _frame(self) -> str | bytes:
        try:
            frame = await self._websocket.receive()
        except (WebSocketDisconnect, RuntimeError):
            raise ClientGone from None
        if frame["type"] == "websocket.disconnect":
            raise ClientGone
        content = frame.get("bytes") if frame.get("text") is None else frame["text"]
        assert isinstance(content, str | bytes)  # ASGI: one of them is there
        return content

    def _decoded(self, text: str) -> Inbound:
        if len(text) > self._max_bytes:
            raise TooLarge(f"The message is larger than {self._max_bytes} bytes: send smaller chunks.")
        with reading_json():
            return self._decoder.decode(text)

    async def close(self, code: int = NORMAL) -> None:
        """Close; nothing happens when the client has already gone."""
        try:
            with anyio.move_on_after(self._send_timeout_s):
                await self._websocket.close(code)
        except (WebSocketDisconnect, RuntimeError, OSError):
            return


class Silence:
    """Notices a stream that gets no audio, and an end of audio that never comes."""

    def __init__(self, streams: list[str], timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._deadlines = dict.fromkeys(streams, anyio.current_time() + timeout_s)
        self._pause: anyio.Event | None = None  # set when the server has caught up

    def heard(self, stream: str) -> None:
        """A chunk of the stream came."""
        self._deadlines[stream] = anyio.current_time() + self._timeout_s

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While the server itself keeps the client waiting, nobody is silent."""
        pause = self._pause = anyio.Event()
        began = anyio.current_time()
        try:
            yield
        finally:
            waited = anyio.current_time() - began
            self._deadlines = {stream: deadline + waited for stream, deadline in self._deadlines.items()}
            self._pause = None
            pause.set()

    async def watch(self) -> None:
        """Raises `StreamSilent` when a stream's deadline passes."""
        while True:
            if (deadline := min(self._deadlines.values())) > anyio.current_time():
                await anyio.sleep_until(deadline)
            elif self._pause is not None:
                await self._pause.wait()
            else:
                break
        raise StreamSilent(f"A declared stream received no audio for {self._timeout_s:g} seconds.")


@asynccontextmanager
async def first_error() -> AsyncIterator[None]:
    """Raise the first of our errors alone, where a task group would raise a group of them."""
    try:
        yield
    except BaseExceptionGroup as group:
        ours, others = group.split(AuscultError)
        if ours is None or others is not None:
            raise
        raise first(ours) from None
