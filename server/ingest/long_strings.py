"""A JSON body (RFC 8259) whose long strings are taken as they arrive: nothing is held but the piece that has just come.

All else of the body, in which those strings are left empty, is small, and is decoded as any other.
"""

import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import msgspec
from starlette.requests import Request

from server.errors import BadRequest, TooLarge
from server.ingest.multipart import received

STRUCTURE = re.compile(rb'["{}\[\]:,]')
PLAIN = re.compile(rb'[^"\\]*')
RUN = re.compile(rb'[^"\\]*(?:\\/[^"\\]*)*')  # some encoders write every "/" as "\/"
UNICODE_ESCAPE = 6  # bytes of "\u002f"; of the others two
NOT_JSON = "The message is not valid JSON."


@dataclass(frozen=True, slots=True, kw_only=True)
class LongString:
    """A string's content, without escapes, in UTF-8. Its pieces are to be read before the next string is asked for."""

    name: str  # of the field
    pieces: AsyncIterator[bytes]


class JsonBody:
    """A request's body. Read `strings` to the end, then `rest`."""

    def __init__(self, request: Request, names: Iterable[str], *, rest_limit: int, stall_s: float) -> None:
        """`names`: fields of the top object that are long strings, or lists of them."""
        self._parser = Parser(names, rest_limit=rest_limit)
        self._request = request
        self._stall_s = stall_s

    async def strings(self) -> AsyncIterator[LongString]:
        """The long strings, in the order in which they come.

        Raises `BadRequest`, `TooLarge`, `UploadStalled`, and `ClientDisconnect` as Starlette does.
        """
        events = self._events()
        async for event in events:
            if isinstance(event, str):
                pieces = _pieces(events)
                yield LongString(name=event, pieces=pieces)
                async for _ in pieces:  # of a string that nobody wanted
                    pass

    @property
    def rest(self) -> bytes:
        """The body with empty strings in place of the long ones."""
        return bytes(self._parser.rest)

    async def _events(self) -> AsyncIterator[str | bytes | None]:
        async for chunk in received(self._request, stall_s=self._stall_s):
            for event in self._parser.parse(chunk):
                yield event
        self._parser.close()


async def _pieces(events: AsyncIterator[str | bytes | None]) -> AsyncIterator[bytes]:
    async for event in events:
        if event is None:
            return
        assert isinstance(event, bytes)
        yield event


class Parser:
    """Finds the long strings in pieces of JSON. Whether all the rest is JSON is for its decoder to say."""

    def __init__(self, names: Iterable[str], *, rest_limit: int) -> None:
        self.rest = bytearray()
        self._names = frozenset(names)
        self._rest_limit = rest_limit
        self._held = b""  # the beginning of an escape
        self._inside: bool | None = None  # a string; True: a long one
        self._depth = 0
        self._object = False  # whether the top is one
        self._list = False  # whether the field's value is one
        self._name_follows = False
        self._name: bytearray | None = None  # of the field, while it is read
        self._field = ""

    def parse(self, chunk: bytes) -> list[str | bytes | None]:
        """What comes next: the field's name where a long string begins, its pieces, None where it ends.

        Raises `TooLarge` where the rest is.
        """
        found: list[str | bytes | None] = []
        piece, self._held = self._held + chunk, b""
        at = 0
        while at < len(piece):
            if self._inside is None:
                at = self._between(piece, at, found)
            elif self._inside:
                at = self._long(piece, at, found)
            else:
                at = self._short(piece, at)
            if len(self.rest) > self._rest_limit:
                raise TooLarge(f"The request is larger than {self._rest_limit} bytes, without its audio.")
        return found

    def close(self) -> None:
        """Nothing more comes. Raises `BadRequest` where a string goes on."""
        if self._inside is not None:
            raise BadRequest(NOT_JSON)

    def _between(self, piece: bytes, at: int, found: list[str | bytes | None]) -> int:
        """Up to the next mark."""
        if not self._depth and not self._object and piece[at:].lstrip()[:1] not in (b"", b"{", b"[", b'"'):
            raise BadRequest(NOT_JSON)  # now, and not when more of it came than there may be around the audio
        mark = STRUCTURE.search(piece, at)
        end = len(piece) if mark is None else mark.end()
        self.rest += piece[at:end]
        match mark and mark.group():
            case b"{" | b"[":
                self._depth += 1
                if self._depth == 1:
                    self._object = self._name_follows = piece[end - 1 : end] == b"{"
                elif self._depth == 2:
                    self._list = piece[end - 1 : end] == b"["
            case b"}" | b"]":
                self._depth -= 1
            case b":" if self._depth == 1:
                self._name_follows = False
            case b"," if self._depth == 1:
                self._name_follows = True
            case b'"':
                self._begin(found)
        return end

    def _begin(self, found: list[str | bytes | None]) -> None:
        names_field = self._object and self._depth == 1 and self._name_follows
        value = (self._depth == 1 and not self._name_follows) or (self._depth == 2 and self._list)
        self._inside = self._object and not names_field and value and self._field in self._names
        if names_field:
            self._name = bytearray()
        if self._inside:
            found.append(self._field)

    def _short(self, piece: bytes, at: int) -> int:
        """Into the rest, up to its end or an escape."""
        run = PLAIN.match(piece, at)
        assert run is not None
        end = run.end()
        if piece[end : end + 1] == b"\\":
            if end + 1 == len(piece):
                self._held = piece[end:]
                self._take(piece[at:end])
                return len(piece)
            end += 2
            self._take(piece[at:end])
            return end
        self._take(piece[at:end])
        if end < len(piece):
            self._end()
            end += 1
        return end

    def _take(self, content: bytes) -> None:
        self.rest += content
        if self._name is not None:
            self._name += content

    def _long(self, piece: bytes, at: int, found: list[str | bytes | None]) -> int:
        """To who reads it, up to its end or an escape."""
        end = piece.find(b'"', at)
        end = len(piece) if end < 0 else end
        if piece.find(b"\\", at, end) >= 0:
            run = RUN.match(piece, at)
            assert run is not None
            end = run.end()
        if end > at:
            found.append(piece[at:end].replace(b"\\/", b"/"))
        if end == len(piece):
            return end
        if piece[end : end + 1] == b'"':
            found.append(None)
            self._end()
            return end + 1
        length = UNICODE_ESCAPE if piece[end + 1 : end + 2] == b"u" else 2
        escape = piece[end : end + length]
        if len(escape) < length:
            self._held = escape
            return len(piece)
        found.append(_text(escape).encode())
        return end + length

    def _end(self) -> None:
        self.rest += b'"'
        self._inside = None
        if self._name is not None:
            self._field, self._name = _text(bytes(self._name)), None


def _text(content: bytes) -> str:
    """A string's content as JSON means it; where it has no meaning, or is half of a character that is written as two
    escapes, a sign that is in no text of ours."""
    try:
        return msgspec.json.decode(b'"' + content + b'"', type=str)
    except (msgspec.DecodeError, UnicodeError):
        return "\ufffd"
