"""`GET /api/encounters`: which there are. `…/{id}/transcript`: what was said, also as a file with captions."""

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from server.catalogue import Catalogue
from server.encounters import Encounters
from server.endpoints import Content, Endpoint, Parameter
from server.errors import Conflict
from server.facades.auscult import catalogue_convert as convert
from server.facades.auscult import schema
from server.facades.auscult.answers import own_api
from server.http import answer
from server.reception import Reception

LISTED = (
    Parameter(
        "status", "query", "Only these: live, gathering, queued, working, closing, done, failed; several with commas."
    ),
    Parameter("api", "query", "Only those that came by this API, such as auscult, haidy or nabla."),
    Parameter("language", "query", "Only those in this language; de finds de-CH, too."),
    Parameter("created_from", "query", "Only those opened at this time or later (ISO 8601)."),
    Parameter("created_before", "query", "Only those opened before this time (ISO 8601)."),
    Parameter("limit", "query", "How many at most, 1 to 200; 50 by default.", int),
    Parameter("cursor", "query", "next_cursor of the page before, with the same filters."),
)


class EncounterRoutes:
    """See the module."""

    def __init__(self, encounters: Encounters, catalogue: Catalogue, reception: Reception) -> None:
        self._encounters = encounters
        self._catalogue = catalogue
        self._reception = reception

    def endpoints(self) -> list[Endpoint]:
        api = own_api(self._reception)
        return [
            Endpoint(
                facade=api,
                method="GET",
                path="/api/encounters",
                handler=self.list,
                gives={200: Content(schema.EncounterList)},
                refuses=(400,),
                parameters=LISTED,
            ),
            Endpoint(
                facade=api,
                method="GET",
                path="/api/encounters/{encounter}/transcript",
                handler=self.transcript,
                gives={
                    200: [
                        Content(schema.Transcript),
                        *(Content(str, kind.partition(";")[0]) for kind, _ in convert.FORMATS.values()),
                    ]
                },
                refuses=(400, 404, 409),
                parameters=[
                    Parameter("format", "query", "json where there is none.", Literal["json", "text", "srt", "vtt"])
                ],
            ),
        ]

    async def list(self, request: Request) -> Response:
        """The encounters that the caller may reach, newest first, a page at a time."""
        caller = await self._reception.caller(request)
        query = request.query_params
        wanted, most = convert.wanted(query.multi_items()), convert.limit(query.get("limit"))
        page = await self._catalogue.page(caller, wanted, behind=convert.place(query.get("cursor")), most=most)
        return answer(convert.listing(page))

    async def transcript(self, request: Request) -> Response:
        """What was said so far, as JSON, plain text or captions."""
        caller = await self._reception.reader(request)
        wanted = convert.transcript_format(request.query_params.get("format"))
        view = await self._encounters.read(caller, request.path_params["encounter"])
        if wanted == "json":
            return answer(convert.transcript(view))
        if wanted in convert.TIMED and convert.untimed(view):
            raise Conflict("A transcript that came as text has no times: ask for json or text.")
        media_type, write = convert.FORMATS[wanted]
        return Response(write(convert.cues(view)), headers={"Cache-Control": "no-store"}, media_type=media_type)
