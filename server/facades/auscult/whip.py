"""WHIP (RFC 9725): audio by WebRTC in, the transcript by Server-Sent Events and over a data channel out."""

from collections.abc import Sequence
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pipeline.errors import AuscultError
from server.domain import Caller, Scope
from server.endpoints import Content, Endpoint, Header, Parameter
from server.errors import NotFound
from server.facades.auscult import whip_convert as convert
from server.facades.auscult.answers import own_api
from server.facades.auscult.events import FOLLOWED, FOLLOWING, EventRoutes
from server.facades.auscult.whip_session import WhipSession
from server.facades.auscult.whip_sessions import WhipSessions
from server.http import body
from server.ingest.rtc_errors import FragmentInvalid, SdpInvalid
from server.reception import Reception
from server.tokens import Tokens

ALLOW = Header("Allow", "The methods of this address.")
ACCEPT_PATCH = Header("Accept-Patch", "What the session's resource takes.")
CREATED = (
    Header("Location", "The session's resource, to be deleted at the end."),
    Header("ETag", "Of the ICE session, for If-Match."),
    ACCEPT_PATCH,
    Header("Link", "Where the events are, and ICE servers."),
    Header(convert.ENCOUNTER_HEADER, "The encounter's id."),
    Header(convert.WARNING_HEADER, "What was asked for and is not so."),
)


class WhipLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may be, and how long its events can be read."""

    max_sdp_bytes: int
    events_token_s: int


class Whip:
    """The endpoint `/whip`, and the resource of each session below it."""

    def __init__(
        self,
        sessions: WhipSessions,
        events: EventRoutes,
        tokens: Tokens,
        reception: Reception,
        limits: WhipLimits,
        ice_servers: Sequence[str],
    ) -> None:
        """`ice_servers`: values of `Link` headers (`whip_convert.ice_server_link`)."""
        self._sessions = sessions
        self._events = events
        self._tokens = tokens
        self._reception = reception
        self._limits = limits
        self._ice_servers = tuple(ice_servers)

    def endpoints(self) -> list[Endpoint]:
        """Other methods than these are answered with 405 and `Allow` (RFC 9725 §4.2)."""
        endpoint = partial(Endpoint, facade=own_api(self._reception))
        return [
            endpoint(
                method="POST",
                path="/whip",
                handler=self.offer,
                takes=[Content(str, convert.SDP)],
                gives={201: Content(str, convert.SDP)},
                headers={201: CREATED},
                refuses=(400, 413, 415, 422),
            ),
            endpoint(
                method="OPTIONS",
                path="/whip",
                handler=self.endpoint_options,
                gives={200: None},
                headers={200: [ALLOW, Header("Accept-Post", "What it takes.")]},
                secured=False,
            ),
            endpoint(
                method="PATCH",
                path="/whip/{session}",
                handler=self.candidates,
                takes=[Content(str, convert.FRAGMENT)],
                gives={204: None},
                refuses=(400, 404, 409, 412, 413, 415, 422, 428),
                parameters=[Parameter("If-Match", "header", "The ETag of the ICE session.", required=True)],
            ),
            endpoint(method="DELETE", path="/whip/{session}", handler=self.end, gives={200: None}, refuses=(404, 409)),
            endpoint(
                method="OPTIONS",
                path="/whip/{session}",
                handler=self.resource_options,
                gives={200: None},
                headers={200: [ALLOW, ACCEPT_PATCH]},
                secured=False,
            ),
            endpoint(
                method="GET",
                path="/whip/{session}/events",
                handler=self.events,
                gives=FOLLOWED,
                refuses=(400, 404),
                parameters=FOLLOWING,
            ),
        ]

    async def endpoint_options(self, _: Request) -> Response:
        """What the endpoint takes."""
        return Response(headers={"Allow": "POST, OPTIONS", "Accept-Post": convert.SDP})

    async def resource_options(self, _: Request) -> Response:
        """What a session's resource takes."""
        return Response(headers={"Allow": "PATCH, DELETE, OPTIONS", "Accept-Patch": convert.FRAGMENT})

    async def offer(self, request: Request) -> Response:
        """Offer in, answer out."""
        caller = await self._reception.caller(request)
        convert.require_type(request.headers, convert.SDP)
        wanted = convert.wanted(request.query_params.multi_items())
        offer = await self._text(request, SdpInvalid)
        session, answer = await self._sessions.make(caller, wanted, offer)
        return await self._created(caller, session, answer)

    async def end(self, request: Request) -> Response:
        """End a session."""
        session = await self._session(request)
        await session.end()
        return Response(status_code=200)

    async def candidates(self, request: Request) -> Response:
        """More candidates."""
        session = await self._session(request)
        convert.require_type(request.headers, convert.FRAGMENT)
        convert.require_match(request.headers, session.ice_session)
        await session.peer.add_candidates(await self._text(request, FragmentInvalid))
        return Response(status_code=204)

    async def events(self, request: Request) -> Response:
        """The transcript of the session's encounter: also when the session is over, for the token knows the way."""
        caller = await self._reception.reader(request)
        encounter = await self._sessions.encounter(request.path_params["session"]) or caller.encounter
        if not encounter:
            raise NotFound("There is no such WHIP session any more: read /api/encounters/{encounter}/events.")
        return await self._events.stream(request, caller, encounter)

    async def _created(self, caller: Caller, session: WhipSession, answer: str) -> Response:
        token = await self._tokens.issue(
            caller, Scope.FOLLOW, session.encounter, expires_in_s=self._limits.events_token_s
        )
        created = Response(answer, 201, media_type=convert.SDP)
        headers = created.headers
        headers["Location"] = f"/whip/{session.id}"
        headers["ETag"] = convert.etag(session.ice_session)
        headers["Accept-Patch"] = convert.FRAGMENT
        headers["Cache-Control"] = "no-store"
        headers[convert.ENCOUNTER_HEADER] = session.encounter
        for link in (convert.events_link(session.id, token.token), *self._ice_servers):
            headers.append("Link", link)
        for warning in session.part.live.row.warnings:
            headers.append(convert.WARNING_HEADER, warning.encode("ascii", "backslashreplace").decode())
        return created

    async def _session(self, request: Request) -> WhipSession:
        caller = await self._reception.caller(request)
        return await self._sessions.find(caller, request.path_params["session"])

    async def _text(self, request: Request, invalid: type[AuscultError]) -> str:
        """The body. Raises `TooLarge`, and `invalid` where it is no text."""
        octets = await body(request, self._limits.max_sdp_bytes)
        try:
            return octets.decode()
        except UnicodeDecodeError:
            raise invalid from None
