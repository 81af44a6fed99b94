"""`multipart/form-data` (RFC 7578) as it arrives: nothing is held but the piece that has just come.

Starlette's own form parser would put files, in the clear, into temporary files.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from starlette.requests import Request

from pipeline.errors import AuscultError
from server.errors import BadRequest, TooLarge

MAX_PARTS = 256


class UploadStalled(AuscultError):
    """No more of the upload came for too long: send it again."""

    code = "upload_stalled"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormPart:
    """One part of a form. Its pieces are to be read before the next part is asked for."""

    name: str
    pieces: AsyncIterator[bytes]
    content_type: str = ""  # in small letters, without parameters; empty: the client named none

    async def text(self, limit: int) -> bytes:
        """All of a small part. Raises `TooLarge`."""
        held = bytearray()
        async for piece in self.pieces:
            held += piece
            if len(held) > limit:
                raise TooLarge(f"The form's part {self.name} is larger than {limit} bytes.")
        return bytes(held)


async def form_parts(request: Request, *, stall_s: float) -> AsyncIterator[FormPart]:
    """The parts of a form, in order. Raises `BadRequest`, `UploadStalled`, and `ClientDisconnect` as Starlette does."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise BadRequest("Send multipart/form-data with a boundary.")
    with _plain_errors():
        parser = PushMultipartParser(options["boundary"], max_segment_count=MAX_PARTS)
    events = _events(request, parser, stall_s)
    async for event in events:
        if isinstance(event, MultipartSegment):
            pieces = _pieces(events)
            yield FormPart(name=event.name, pieces=pieces, content_type=event.content_type or "")
            async for _ in pieces:  # of a part that nobody wanted
                pass


async def _pieces(events: AsyncIterator[MultipartSegment | bytes | None]) -> AsyncIterator[bytes]:
    async for event in events:
        if event is None:
            return
        assert isinstance(event, bytes | bytearray)
        yield bytes(event)


async def _events(
    request: Request, parser: PushMultipartParser, stall_s: float
) -> AsyncIterator[MultipartSegment | bytes | None]:
    async for chunk in received(request, stall_s=stall_s):
        if parser.closed:
            continue  # what comes behind the last boundary
        with _plain_errors():
            events = list(parser.parse(chunk))
        for event in events:
            yield event
    with _plain_errors():
        parser.close()


async def received(request: Request, *, stall_s: float) -> AsyncIterator[bytes]:
    """A request's body as it comes. Raises `UploadStalled`, `ClientDisconnect`."""
    stream = request.stream()
    while True:
        try:
            with anyio.fail_after(stall_s):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise UploadStalled from None
        if chunk is None:
            return
        if chunk:
            yield chunk


@contextmanager
def _plain_errors() -> Iterator[None]:
    """The parser's own words may quote what was sent."""
    try:
        yield
    except MultipartError:
        raise BadRequest("The form is not valid multipart/form-data, or breaks off.") from None
