"""`POST /v2/audio/transcribe_file` and `/v2/audio/transcribe_base64`: whole recordings, which become tasks."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from server.encounters import Encounters
from server.endpoints import FORM, Content, Endpoint, Parameter
from server.errors import BadRequest
from server.facades.haidy import convert, schema
from server.facades.haidy.answers import vendor_api
from server.facades.haidy.encoded import NOTHING, from_base64, some
from server.http import answer
from server.ingest.long_strings import JsonBody
from server.patients import Patients
from server.reception import Reception
from server.recordings import Receiving, Recordings

FIELD_BYTES = 16 * 1024  # of a form's field that is no file
ENVELOPE_BYTES = 64 * 1024  # everything in a JSON request but the audio

Receive: TypeAlias = Callable[[Request, Receiving], Awaitable[convert.Upload]]


class FileRoutes:
    """See the module."""

    def __init__(
        self,
        encounters: Encounters,
        recordings: Recordings,
        patients: Patients,
        reception: Reception,
    ) -> None:
        self._encounters = encounters
        self._recordings = recordings
        self._patients = patients
        self._reception = reception

    def endpoints(self) -> list[Endpoint]:
        """The endpoints, as published by the vendor."""
        api = vendor_api(self._reception)
        key = Parameter("Idempotency-Key", "header", "Makes a repeat of this upload safe.")
        return [
            Endpoint(
                facade=api,
                method="POST",
                path="/v2/audio/transcribe_file",
                handler=self.transcribe_file,
                takes=[Content(schema.FileForm, FORM)],
                gives={200: Content(schema.Task)},
                refuses=(400, 408, 413),
                parameters=[key],
            ),
            Endpoint(
                facade=api,
                method="POST",
                path="/v2/audio/transcribe_base64",
                handler=self.transcribe_base64,
                takes=[Content(schema.Base64Request)],
                gives={200: Content(schema.Task)},
                refuses=(400, 408, 413),
                parameters=[key],
            ),
        ]

    async def transcribe_file(self, request: Request) -> Response:
        """Transcribe one or more files, joined in their order."""
        return await self._taken(request, self._form)

    async def transcribe_base64(self, request: Request) -> Response:
        """Transcribe one or more files in base64, joined in their order."""
        return await self._taken(request, self._json)

    async def _taken(self, request: Request, receive: Receive) -> Response:
        caller = await self._reception.caller(request)
        key = convert.upload_key(request.headers.get("idempotency-key"))

        async def received(receiving: Receiving) -> str:
            upload = await receive(request, receiving)
            intake = await self._patients.intake(caller, upload.patient_context_id)
            return await receiving.accept(upload.options, key, intake=intake)

        task_id = await self._recordings.once(caller, key, received)
        return answer(convert.started(await self._encounters.progress(caller, task_id)))

    async def _form(self, request: Request, receiving: Receiving) -> convert.Upload:
        fields: dict[str, list[str]] = {}
        async for part in self._reception.form(request, schema.FileForm):
            if part.name == "audio_files":
                await receiving.file(some(part.pieces))
            else:
                fields.setdefault(part.name, []).append((await part.text(FIELD_BYTES)).decode("utf-8", "replace"))
        if not receiving.parts:
            raise BadRequest(NOTHING)
        return convert.form(fields)

    async def _json(self, request: Request, receiving: Receiving) -> convert.Upload:
        body = JsonBody(request, convert.AUDIO_FIELDS, rest_limit=ENVELOPE_BYTES, stall_s=self._reception.stall_s)
        first: int | None = None
        async for string in body.strings():
            if string.name == convert.FIRST_AUDIO:
                if first is not None:
                    raise BadRequest(f"Field '{string.name}' is given more than once")
                first = len(receiving.parts)
            await receiving.file(some(from_base64(string.pieces)))
        upload = convert.base64_request(self._reception.decode(body.rest, schema.Base64Request))
        if first is None:
            raise BadRequest(NOTHING)
        receiving.lead(first)
        return upload
