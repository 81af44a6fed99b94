"""`POST /api/recordings`: whole files, uploaded or to be fetched. `/api/encounters/{id}`: how far an encounter is."""

from starlette.requests import Request
from starlette.responses import Response

from server.auth import Authenticator, bearer
from server.domain import Caller
from server.encounters import Encounters
from server.endpoints import FORM, Content, Endpoint, Parameter
from server.errors import BadRequest
from server.facades.auscult import convert, schema
from server.facades.auscult.answers import answer, own_api
from server.http import body, decode
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

    def endpoints(self) -> list[Endpoint]:
        api = own_api(self._metrics)
        return [
            Endpoint(
                facade=api,
                method="POST",
                path="/api/recordings",
                handler=self.take,
                takes=[Content(schema.RecordingForm, FORM), Content(schema.RecordingRequest)],
                gives={202: Content(schema.Accepted)},
                refuses=(400, 408, 409, 413, 415, 507),
                parameters=[Parameter("Idempotency-Key", "header", "Makes a repeat of this upload safe.")],
            ),
            Endpoint(
                facade=api,
                method="GET",
                path="/api/encounters/{encounter}",
                handler=self.show,
                gives={200: Content(schema.Encounter)},
                refuses=(404,),
            ),
            Endpoint(
                facade=api,
                method="DELETE",
                path="/api/encounters/{encounter}",
                handler=self.erase,
                gives={204: None},
                refuses=(404,),
            ),
            Endpoint(
                facade=api,
                method="POST",
                path="/api/encounters/{encounter}/cancel",
                handler=self.cancel,
                gives={204: None},
                refuses=(404, 409),
            ),
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
