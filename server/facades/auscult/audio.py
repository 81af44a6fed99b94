"""`GET /api/encounters/{id}/audio`: what was said, to be heard again while it is kept."""

from collections.abc import Mapping

import anyio
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from pipeline.errors import AuscultError
from server.endpoints import Content, Endpoint, Parameter
from server.errors import BadRequest, TooManyAtOnce
from server.facades.auscult.answers import own_api
from server.facades.auscult.convert import MAX_MS
from server.http import ErrorResponse, cancel_when_gone
from server.playback import Kept, Playback, Playing, Span
from server.reception import Reception

log = structlog.get_logger()

OGG = "audio/ogg; codecs=opus"
HEARD = (
    Parameter("from_ms", "query", "Where to begin, in the transcript's milliseconds.", int),
    Parameter("to_ms", "query", "Where to end; none: at the end of what there is.", int),
    Parameter("stream", "query", "Only this stream, or a side of it, such as stream0 or stream0.left."),
)


class AudioRoutes:
    """See the module."""

    def __init__(self, playback: Playback, reception: Reception, *, send_timeout_s: float) -> None:
        self._playback = playback
        self._reception = reception
        self._send_timeout_s = send_timeout_s

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                facade=own_api(self._reception),
                method="GET",
                path="/api/encounters/{encounter}/audio",
                handler=self.play,
                gives={200: Content(bytes, "audio/ogg")},
                refuses=(400, 404, 409, 410),
                parameters=HEARD,
            )
        ]

    async def play(self, request: Request) -> Response:
        """The audio of an encounter, or a part of it, as Ogg Opus."""
        caller = await self._reception.reader(request)
        kept = await self._playback.find(caller, request.path_params["encounter"], span(request.query_params))
        return AudioFile(self._playback, kept, own_api(self._reception).refuse, send_timeout_s=self._send_timeout_s)


class AudioFile(Response):
    """A file that is sent as it is made. Where nothing can be made of it, that is what is answered."""

    media_type = OGG

    def __init__(self, playback: Playback, kept: Kept, refuse: ErrorResponse, *, send_timeout_s: float) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({"Cache-Control": "no-store"})
        self._playback = playback
        self._kept = kept
        self._refuse = refuse
        self._send_timeout_s = send_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        refusal: Response | None = None
        try:
            async with self._playback.playing(self._kept) as playing, anyio.create_task_group() as tasks:
                tasks.start_soon(cancel_when_gone, receive, tasks.cancel_scope)
                try:
                    head = await playing.next() or b""
                except AuscultError as exc:
                    refusal = self._refuse(exc)
                else:
                    await self._send(scope, playing, head, send)
                tasks.cancel_scope.cancel()
        except TooManyAtOnce as exc:
            refusal = self._refuse(exc)
        if refusal is not None:
            await refusal(scope, receive, send)

    async def _send(self, scope: Scope, playing: Playing, piece: bytes | None, send: Send) -> None:
        """Left before its last message where something breaks, or nobody reads: then the connection is cut."""
        try:
            await self._say(send, {"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while piece is not None and scope["method"] != "HEAD":
                await self._say(send, {"type": "http.response.body", "body": piece, "more_body": True})
                piece = await playing.next()
            await self._say(send, {"type": "http.response.body", "body": b"", "more_body": False})
        except (AuscultError, TimeoutError, OSError) as exc:
            log.warning("audio.broke_off", code=getattr(exc, "code", type(exc).__name__))

    async def _say(self, send: Send, message: Message) -> None:
        with anyio.fail_after(self._send_timeout_s):
            await send(message)


def span(query: Mapping[str, str]) -> Span:
    """What is to be heard. Raises `BadRequest`."""
    begin, end = _milliseconds("from_ms", query), _milliseconds("to_ms", query)
    if end is not None and end <= (begin or 0):
        raise BadRequest("to_ms must be behind from_ms.")
    return Span(from_ms=begin or 0, to_ms=end, stream=query.get("stream", ""))


def _milliseconds(name: str, query: Mapping[str, str]) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= MAX_MS):
        raise BadRequest(f"{name} must be milliseconds, from 0 to {MAX_MS}.")
    return int(text)
