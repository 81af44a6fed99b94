"""`POST /api/recordings`: whole files, uploaded or to be fetched. `/api/encounters/{id}`: how far an encounter is."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.auth import Authenticator, bearer
from server.domain import Caller
from server.encounters import Encounters
from server.errors import BadRequest
from server.facades.auscult import convert, schema
from server.facades.auscult.answers import answer, refusing
from server.http import Handler, body, decode, guarded
from server.ingest.multipart import form_parts
from server.metrics import Metrics
from server.recordings import Receiving, Recordings

MAX_OPTIONS_BYTES = 65_536


class RecordingRoutes:
    """See the module."""

    def __init__(
        self,
        encounters: Encounters,
        recordings: Recordings,
        authenticator: Authenticator,
        metrics: Metrics,
        *,
        stall_s: float,
    ) -> None:
        self._encounters = encounters
        self._recordings = recordings
        self._authenticator = authenticator
        self._metrics = metrics
        self._stall_s = stall_s

    def routes(self) -> list[Route]:
        def route(path: str, handler: Handler, method: str) -> Route:
            return Route(path, guarded(handler, refusing(self._metrics)), methods=[method])

        return [
            route("/api/recordings", self.take, "POST"),
            route("/api/encounters/{encounter}", self.show, "GET"),
            route("/api/encounters/{encounter}", self.erase, "DELETE"),
            route("/api/encounters/{encounter}/cancel", self.cancel, "POST"),
        ]

    async def take(self, request: Request) -> Response:
        """Files as `multipart/form-data` (`options`, `audio` …), or addresses as JSON. Answered once it is stored."""
        caller = await self._caller(request)
        key = convert.idempotency_key(request.headers.get("idempotency-key"))
        known = await self._recordings.known(caller, key)
        if known is None:
            async with self._recordings.receiving(caller) as receiving:
                known = await self._received(request, receiving, key)
        accepted = schema.Accepted(encounter_id=known, status_url=f"/api/encounters/{known}")
        return answer(accepted, 202, {"Location": accepted.status_url})

    async def show(self, request: Request) -> Response:
        """How far it is, and what is known by now."""
        caller = await self._caller(request)
        view = await self._encounters.view(caller, request.path_params["encounter"])
        return answer(convert.encounter(view))

    async def erase(self, request: Request) -> Response:
        """Destroy an encounter and all that was said in it, at once."""
        caller = await self._caller(request)
        await self._encounters.delete(caller, request.path_params["encounter"])
        return Response(status_code=204)

    async def cancel(self, request: Request) -> Response:
        """End a recording that is not over."""
        caller = await self._caller(request)
        await self._recordings.cancel(caller, request.path_params["encounter"])
        return Response(status_code=204)

    async def _received(self, request: Request, receiving: Receiving, key: str | None) -> str:
        if request.headers.get("content-type", "").startswith("application/json"):
            wanted = decode(await body(request, MAX_OPTIONS_BYTES), schema.RecordingRequest)
            for url in convert.urls(wanted.urls):
                receiving.url(url)
        else:
            wanted = schema.RecordingRequest()
            async for part in form_parts(request, stall_s=self._stall_s):
                if part.name == "audio":
                    await receiving.file(part.pieces)
                elif part.name == "options":
                    wanted = decode(await part.text(MAX_OPTIONS_BYTES), schema.RecordingRequest)
            if wanted.urls:
                raise BadRequest("urls are sent as JSON alone, without files.")
        options = convert.recording(wanted)
        self._encounters.check_language(options)
        if options.note and options.template:
            self._encounters.notes.require(options.template)
        return await receiving.accept(options, key, convert.callback_url(wanted.callback_url))

    async def _caller(self, request: Request) -> Caller:
        return await self._authenticator.caller(bearer(request.headers))
