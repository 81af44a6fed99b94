"""`GET /api/encounters/{id}/events`: the transcript of any session, live or over, as Server-Sent Events.

The format: `server.sse`.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Literal

import anyio
from starlette.requests import Request
from starlette.responses import Response

from pipeline.errors import AuscultError
from server import sse
from server.domain import Caller
from server.encounters import Encounters
from server.endpoints import EVENTS, Content, Endpoint, Parameter
from server.errors import BadRequest
from server.facades.auscult import convert, schema
from server.facades.auscult.answers import own_api
from server.facades.auscult.telling import Telling, Told, told_problem
from server.reception import Reception
from server.sse import Ending

OVER = "done"  # the id of the last event: whoever comes back with it is told to stay away

FOLLOWED = {200: Content(schema.Event, EVENTS), 204: None}  # 204: everything was told before
FOLLOWING = (
    Parameter("Last-Event-ID", "header", "Of the last event that the client has; none: from the start."),
    Parameter("drafts", "query", "true: drafts of the note are told, too, while it grows.", Literal["true", "false"]),
)


class EventStream(sse.EventStream):
    """What followers are told, as Server-Sent Events."""

    def __init__(self, telling: AsyncGenerator[Told], *, send_timeout_s: float, endings: Sequence[Ending] = ()) -> None:
        super().__init__(
            self._told(telling), problem=self._told_problem, send_timeout_s=send_timeout_s, endings=endings
        )
        self._finals = 0

    async def _told(self, telling: AsyncGenerator[Told]) -> AsyncGenerator[bytes]:
        async with aclosing(telling):
            async for each in telling:
                self._finals = each.finals
                yield frame(each)

    def _told_problem(self, exc: AuscultError) -> bytes:
        return frame(told_problem(exc, self._finals))


class EventRoutes:
    """See the module."""

    def __init__(
        self,
        encounters: Encounters,
        telling: Telling,
        reception: Reception,
        *,
        send_timeout_s: float,
        stopping: anyio.Event,
    ) -> None:
        self._encounters = encounters
        self._telling = telling
        self._reception = reception
        self._send_timeout_s = send_timeout_s
        self._stopping = stopping

    def endpoints(self) -> list[Endpoint]:
        api = own_api(self._reception)
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
        ]

    async def follow(self, request: Request) -> Response:
        """Follow a session that the caller may reach."""
        caller = await self._reception.reader(request)
        return await self.stream(request, caller, request.path_params["encounter"])

    async def stream(self, request: Request, caller: Caller, encounter: str) -> Response:
        """The events of a session, from where the request says. Raises `NotFound`, `BadRequest`."""
        after = last_event_id(request.headers.get("last-event-id", ""))
        drafts = convert.switch("drafts", request.query_params.get("drafts", "false"))
        await self._encounters.followed(caller, encounter)
        if after is None:
            return Response(status_code=204)  # §9.2.3: an EventSource must not connect again

        async def expiry() -> None:
            await self._reception.until_expiry(caller)

        return EventStream(
            self._telling.tell(caller, encounter, after, drafts=drafts),
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
