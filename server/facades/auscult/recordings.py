"""`POST /api/recordings`: whole files, uploaded or to be fetched. `/api/encounters/{id}`: how far an encounter is."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from server.encounters import Encounters
from server.endpoints import FORM, Content, Endpoint, Header, Parameter
from server.errors import BadRequest
from server.facades.auscult import convert, schema
from server.facades.auscult.answers import own_api
from server.http import answer
from server.reception import Reception
from server.recordings import Receiving, Recordings
from server.transcripts import Transcripts

MAX_OPTIONS_BYTES = 65_536
MAX_TYPED_BYTES = 2 << 20  # of a transcript: a day of talk


class RecordingRoutes:
    """See the module."""

    def __init__(
        self,
        encounters: Encounters,
        recordings: Recordings,
        transcripts: Transcripts,
        reception: Reception,
    ) -> None:
        self._encounters = encounters
        self._recordings = recordings
        self._transcripts = transcripts
        self._reception = reception

    def endpoints(self) -> list[Endpoint]:
        api = own_api(self._reception)
        return [
            Endpoint(
                facade=api,
                method="POST",
                path="/api/recordings",
                handler=self.take,
                takes=[Content(schema.RecordingForm, FORM), Content(schema.RecordingRequest)],
                gives={202: Content(schema.Accepted)},
                headers={202: [Header("Location", "Where to look how far it is.")]},
                refuses=(400, 408, 409, 413, 415),
                parameters=[Parameter("Idempotency-Key", "header", "Makes a repeat of this upload safe.")],
            ),
            Endpoint(
                facade=api,
                method="POST",
                path="/api/encounters",
                handler=self.typed,
                takes=[Content(schema.TypedRequest)],
                gives={202: Content(schema.Accepted)},
                headers={202: [Header("Location", "Where to look how far it is.")]},
                refuses=(400, 413),
                parameters=[Parameter("Idempotency-Key", "header", "Makes a repeat of this request safe.")],
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
        caller = await self._reception.caller(request)
        key = convert.idempotency_key(request.headers.get("idempotency-key"))
        stored = await self._recordings.once(caller, key, partial(self._received, request, key=key))
        return accepted(stored, "queued")

    async def typed(self, request: Request) -> Response:
        """Store a transcript that came as text; its note is being written."""
        caller = await self._reception.caller(request)
        key = convert.idempotency_key(request.headers.get("idempotency-key"))
        wanted = await self._reception.read(request, schema.TypedRequest, MAX_TYPED_BYTES)
        options, turns = convert.typed(wanted)
        if options.template:
            self._encounters.notes.require(options.template)
        callback, intake = convert.callback(wanted.callback_url), convert.intake(wanted)
        opened = await self._transcripts.open(caller, options, turns, client_key=key, callback=callback, intake=intake)
        return accepted(opened, "closing")

    async def show(self, request: Request) -> Response:
        """How far it is, and what is known by now."""
        caller = await self._reception.caller(request)
        view = await self._encounters.view(caller, request.path_params["encounter"])
        return answer(convert.encounter(view))

    async def erase(self, request: Request) -> Response:
        """Destroy an encounter and all that was said in it, at once."""
        caller = await self._reception.caller(request)
        await self._encounters.delete(caller, request.path_params["encounter"])
        return Response(status_code=204)

    async def cancel(self, request: Request) -> Response:
        """End a recording that is not over."""
        caller = await self._reception.caller(request)
        await self._recordings.cancel(caller, request.path_params["encounter"])
        return Response(status_code=204)

    async def _received(self, request: Request, receiving: Receiving, *, key: str | None) -> str:
        if request.headers.get("content-type", "").lower().startswith("application/json"):
            wanted = await self._reception.read(request, schema.RecordingRequest, MAX_OPTIONS_BYTES)
            for url in convert.urls(wanted.urls):
                receiving.url(url)
        else:
            asked: schema.RecordingRequest | None = None
            async for part in self._reception.form(request, schema.RecordingForm):
                if part.name == "audio":
                    await receiving.file(part.pieces)
                elif asked is None:
                    asked = self._reception.decode(await part.text(MAX_OPTIONS_BYTES), schema.RecordingRequest)
                else:
                    raise BadRequest("The form has more than one part named options.", field="options")
            wanted = asked or schema.RecordingRequest()
            if wanted.urls:
                raise BadRequest("urls are sent as JSON alone, without files.")
        options = convert.recording(wanted)
        self._encounters.check_language(options)
        if options.note and options.template:
            self._encounters.notes.require(options.template)
        return await receiving.accept(options, key, convert.callback(wanted.callback_url), convert.intake(wanted))


def accepted(encounter: str, status: str) -> Response:
    """It is stored, and can be looked for there."""
    body = schema.Accepted(encounter_id=encounter, status_url=f"/api/encounters/{encounter}", status=status)
    return answer(body, 202, {"Location": body.status_url})
