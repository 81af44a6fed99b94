"""What a measuring client, a process of its own, says on its way: a line of JSON for each thing."""

from contextlib import suppress
from typing import Any, TypeVar

import anyio
import msgspec
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from pipeline.errors import AuscultError

T = TypeVar("T")


class ClientFailed(AuscultError):
    """The measuring client ended before it was done."""

    code = "client_failed"


class Lines:
    """The lines of a client, in order."""

    def __init__(self, child: Process, kinds: Any, *, most_bytes: int) -> None:
        """`kinds`: the union of what a line may be; `most_bytes`: of one line."""
        assert child.stdout is not None
        self._child = child
        self._decoder = msgspec.json.Decoder(kinds)
        self._received = BufferedByteReceiveStream(child.stdout)
        self._most_bytes = most_bytes
        self._line: bytes | None = None  # that came and was not asked for yet

    async def arrival(self) -> None:
        """Wait for the next line, or for the client's end. Raises nothing, for use among other tasks."""
        if self._line is None:
            with suppress(anyio.EndOfStream, anyio.IncompleteRead):
                self._line = await self._received.receive_until(b"\n", self._most_bytes)

    async def next(self, kind: type[T]) -> T:
        """The next line, which must be of this kind. Raises `ClientFailed` with what the client said last."""
        await self.arrival()
        if self._line is None:
            assert self._child.stderr is not None
            said = b"".join([piece async for piece in self._child.stderr]).decode(errors="replace").strip()
            last = said.splitlines()[-1] if said else "It says nothing."
            raise ClientFailed(f"The measuring client ended early. {last}")
        line, self._line = self._decoder.decode(self._line), None
        if not isinstance(line, kind):
            raise ClientFailed(f"The measuring client said {type(line).__name__} where {kind.__name__} was due.")
        return line
