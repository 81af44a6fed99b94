"""`GET /api/encounters/{id}/events`: the transcript of any session, live or over, as Server-Sent Events; beside it who
spoke how much, `…/speakers`.

HTML Living Standard §9.2. The response is our own: it owns its tasks, and never logs what it sends.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

import anyio
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pipeline.errors import AuscultError
from server.auth import Authenticator, credential
from server.domain import Caller
from server.encounters import Encounters
from server.endpoints import EVENTS, Content, Endpoint, Parameter
from server.errors import BadRequest
from server.facades.auscult import convert, schema
from server.facades.auscult.answers import answer, own_api
from server.facades.auscult.telling import Telling, Told, told_problem
from server.ingest.websocket import ClientGone, SlowReader, SocketError, first_error
from server.metrics import Metrics

log = structlog.get_logger()

KEEP_ALIVE_S = 15.0  # §9.2.7: proxies drop connections that are silent for longer
OVER = "done"  # the id of the last event: whoever comes back with it is told to stay away

FOLLOWED = {200: Content(schema.Event, EVENTS), 204: None}  # 204: everything was told before
FOLLOWING = (Parameter("Last-Event-ID", "header", "Of the last event that the client has; none: from the start."),)

Ending = Callable[[], Awaitable[object]]
"""Runs beside the telling, which ends when it returns, or with the error that it raises."""


class EventStream(Response):
    """A response that tells as fast as its reader reads; a reader that does not read at all is dropped."""

    media_type = "text/event-stream"

    def __init__(self, telling: AsyncGenerator[Told], *, send_timeout_s: float, endings: Sequence[Ending] = ()) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._telling = telling
        self._send_timeout_s = send_timeout_s
        self._endings = endings
        self._last_sent = anyio.current_time()
        self._finals = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request; returns when everything is told, or nobody is there to be told."""
        try:
            await self._send(
                send, {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            async with aclosing(self._telling):
                if scope["method"] != "HEAD":  # which gets headers alone
                    await self._tell_until_the_end(receive, send)
            await self._send(send, {"type": "http.response.body", "body": b"", "more_body": False})
        except SocketError as exc:
            log.debug("events.ended", code=exc.code)

    async def _tell_until_the_end(self, receive: Receive, send: Send) -> None:
        try:
            async with first_error(), anyio.create_task_group() as tasks:
                tasks.start_soon(_until_gone, receive)
                tasks.start_soon(self._keep_alive, send)
                for ending in self._endings:
                    tasks.start_soon(_then_cancel, ending, tasks.cancel_scope)
                async for each in self._telling:
                    self._finals = each.finals
                    await self._write(send, frame(each))
                tasks.cancel_scope.cancel()
        except SocketError:
            raise
        except AuscultError as exc:
            await self._write(send, frame(told_problem(exc, self._finals)))

    async def _keep_alive(self, send: Send) -> None:
        """A comment whenever nothing else was to be told for a while."""
        while True:
            await anyio.sleep_until(self._last_sent + KEEP_ALIVE_S)
            if anyio.current_time() >= self._last_sent + KEEP_ALIVE_S:
                await self._write(send, b":\n\n")

    async def _write(self, send: Send, octets: bytes) -> None:
        await self._send(send, {"type": "http.response.body", "body": octets, "more_body": True})

    async def _send(self, send: Send, message: dict[str, object]) -> None:
        """Raises `SlowReader`, `ClientGone`."""
        self._last_sent = anyio.current_time()
        try:
            with anyio.fail_after(self._send_timeout_s):
                await send(message)
        except TimeoutError:
            raise SlowReader from None
        except OSError:  # ASGI HTTP 2.4: the connection is closed
            raise ClientGone from None


class EventRoutes:
    """See the module."""

    def __init__(
        self,
        encounters: Encounters,
        telling: Telling,
        authenticator: Authenticator,
        metrics: Metrics,
        *,
        send_timeout_s: float,
        stopping: anyio.Event,
    ) -> None:
        self._encounters = encounters
        self._telling = telling
        self._authenticator = authenticator
        self._metrics = metrics
        self._send_timeout_s = send_timeout_s
        self._stopping = stopping

    def endpoints(self) -> list[Endpoint]:
        api = own_api(self._metrics)
        return [
            Endpoint(
                facade=api,
                method="GET",
                path="/api/encounters/{encounter}/events",
                handler=self.follow,
                gives=FOLLOWED,
                refuses=(400, 404),
                parameters=FOLLOWING,
            ),
            Endpoint(
                facade=api,
                method="GET",
                path="/api/encounters/{encounter}/speakers",
                handler=self.speakers,
                gives={200: Content(schema.SpeakerSummary)},
                refuses=(404,),
            ),
        ]

    async def follow(self, request: Request) -> Response:
        """Follow a session that the caller may reach."""
        caller = await self._authenticator.caller(credential(request))
        return await self.stream(request, caller, request.path_params["encounter"])

    async def speakers(self, request: Request) -> Response:
        """Who spoke how much so far."""
        caller = await self._authenticator.caller(credential(request))
        summary = await self._encounters.speakers(caller, request.path_params["encounter"])
        return answer(schema.SpeakerSummary(speakers=convert.speakers(summary)))

    async def stream(self, request: Request, caller: Caller, encounter: str) -> Response:
        """The events of a session, from where the request says. Raises `NotFound`, `BadRequest`."""
        after = last_event_id(request.headers.get("last-event-id", ""))
        await self._encounters.followed(caller, encounter)
        if after is None:
            return Response(status_code=204)  # §9.2.3: an EventSource must not connect again

        async def expiry() -> None:
            await self._authenticator.until_expiry(caller)

        return EventStream(
            self._telling.tell(caller, encounter, after),
            send_timeout_s=self._send_timeout_s,
            endings=(expiry, self._stopping.wait),
        )


def frame(told: Told) -> bytes:
    """An event's lines."""
    last = OVER if told.kind == "done" else str(told.finals)
    return b"event: %b\nid: %b\ndata: %b\n\n" % (told.kind.encode(), last.encode(), told.json)


def last_event_id(text: str) -> int | None:
    """How many finals a client has that comes back; None where it was told everything. Raises `BadRequest`."""
    if text == OVER:
        return None
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequest("Last-Event-ID must be the id of an event of this session.")
    return int(text)


async def _until_gone(receive: Receive) -> None:
    """Raises `ClientGone`."""
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientGone


async def _then_cancel(ending: Ending, scope: anyio.CancelScope) -> None:
    await ending()
    scope.cancel()
