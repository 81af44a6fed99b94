"""What is beside a version of a note: `…/summary`, `…/codes`, and the version as a file, `…/document`."""

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from pipeline.notes.beside.rendering import markdown, plain_text
from server.computing import Computing
from server.domain import Caller
from server.endpoints import Content, Endpoint, Header, Parameter
from server.facades.auscult import editing_convert, schema
from server.facades.auscult import note_exports_convert as convert
from server.facades.auscult.answers import own_api
from server.fhir import document
from server.http import Handler, answer
from server.note_exports import NoteExports
from server.reception import Reception

PATH = "/api/encounters/{encounter}/notes/{version}"
FORMAT = Parameter("format", "query", "Instead of Accept.", Literal["json", "text", "markdown", "fhir"])
NAMED = Header("Content-Disposition", "A file name.")
DOCUMENTS = [
    Content(schema.NoteVersion),
    Content(str, convert.MEDIA_TYPES[convert.TEXT]),
    Content(str, convert.MEDIA_TYPES[convert.MARKDOWN]),
    Content(schema.FhirBundle, convert.MEDIA_TYPES[convert.FHIR]),
]


class NoteExportRoutes:
    """See the module."""

    def __init__(self, exports: NoteExports, reception: Reception, computing: Computing, *, program: str) -> None:
        """`program`: the version of this server."""
        self._exports = exports
        self._reception = reception
        self._computing = computing
        self._program = program

    def endpoints(self) -> list[Endpoint]:
        return [
            self._endpoint("summary", self.summary, [Content(schema.PatientSummary)], (404, 409)),
            self._endpoint("codes", self.codes, [Content(schema.NoteCodes)], (404,)),
            self._endpoint("document", self.document, DOCUMENTS, (400, 404, 409), [FORMAT], [NAMED]),
        ]

    def _endpoint(
        self,
        name: str,
        handler: Handler,
        gives: list[Content],
        refuses: tuple[int, ...],
        parameters: list[Parameter] | None = None,
        headers: list[Header] | None = None,
    ) -> Endpoint:
        return Endpoint(
            facade=own_api(self._reception),
            method="GET",
            path=f"{PATH}/{name}",
            handler=handler,
            gives={200: gives},
            refuses=refuses,
            parameters=parameters or (),
            headers={200: headers} if headers else {},
        )

    async def summary(self, request: Request) -> Response:
        """What a version says, in plain language for who was treated."""
        caller, encounter, number = await self._asked(request)
        version = await self._exports.version(caller, encounter, number)
        return answer(await self._computing.run(convert.summary, version))

    async def codes(self, request: Request) -> Response:
        """Billing codes: those that were spoken, and suggestions for what a version names; each is checked."""
        caller, encounter, number = await self._asked(request)
        return answer(convert.codes(*await self._exports.coding(caller, encounter, number)))

    async def document(self, request: Request) -> Response:
        """A version as JSON, plain text, Markdown, or a FHIR R4B document."""
        caller, encounter, number = await self._asked(request)
        form = convert.document_format(request.query_params.get("format"), request.headers.get("accept"))
        headers = {
            "Content-Disposition": f'attachment; filename="{convert.file_name(encounter, number, form)}"',
            "Cache-Control": "no-store",
            "Vary": "Accept",
            "X-Content-Type-Options": "nosniff",
        }
        if form == convert.FHIR:
            body = await self._fhir(caller, encounter, number)
            return Response(body, headers=headers, media_type=convert.MEDIA_TYPES[form])
        version = await self._exports.version(caller, encounter, number)
        if form == convert.JSON:
            return await self._computing.run(lambda: answer(editing_convert.note_version(version), headers=headers))
        write = plain_text if form == convert.TEXT else markdown
        text = await self._computing.run(write, convert.the_note(version), convert.about(version))
        return Response(text, headers=headers, media_type=f"{convert.MEDIA_TYPES[form]}; charset=utf-8")

    async def _fhir(self, caller: Caller, encounter: str, number: int) -> bytes:
        found = await self._exports.exported(caller, encounter, number)
        note = convert.the_note(found.version)

        def write() -> bytes:
            return document(
                found.row,
                found.version,
                note,
                patient=found.patient,
                items=found.items,
                amends=found.amends,
                program=self._program,
            )

        return await self._computing.run(write)

    async def _asked(self, request: Request) -> tuple[Caller, str, int]:
        """Who asks, for which version. Its token may stand in the address: browsers save files from there."""
        caller = await self._reception.reader(request)
        number = editing_convert.version_number(request.path_params["version"])
        return caller, request.path_params["encounter"], number
