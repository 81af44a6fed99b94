"""What can be edited of an encounter: `…/speakers`, `…/consent` and `…/notes`, with entity-tags."""

from collections.abc import Sequence
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from server.computing import Computing
from server.domain import Caller, NoteVersion
from server.editing import Editing
from server.endpoints import Content, Endpoint, Header, Method, Parameter
from server.facades.auscult import convert as common
from server.facades.auscult import editing_convert as convert
from server.facades.auscult import schema
from server.facades.auscult.answers import own_api
from server.http import Handler, answer, while_there
from server.intake import Consent
from server.reception import Reception

MAX_BYTES = 2 << 20  # of a note; all else is much smaller
EXPECTED = Parameter("If-Match", "header", "The ETag of what is changed, as it was read.")
NAMED = Parameter("If-Match", "header", EXPECTED.about, required=True)
TAG = Header("ETag", "Of what is shown, for If-Match.")
DRAFTED = (
    Parameter("template", "query", "Name of a template; none: as it was asked for at first."),
    Parameter("style", "query", "auto, paragraphs or bullet_points; none: as it was asked for at first."),
)
VERSIONS = Content(schema.NoteVersions)
EDITS = (400, 404, 412, 413)


class EditingRoutes:
    """See the module."""

    def __init__(self, editing: Editing, reception: Reception, computing: Computing) -> None:
        self._editing = editing
        self._reception = reception
        self._computing = computing

    def endpoints(self) -> list[Endpoint]:
        speakers, consent = Content(schema.SpeakerSummary), Content(schema.ConsentState)
        version = Content(schema.NoteVersion)
        edited, patched = Content(schema.EditedNote), Content(schema.NotePatch)
        return [
            self._endpoint("GET", "speakers", self.speakers, gives=speakers, refuses=(404,)),
            self._endpoint(
                "PATCH",
                "speakers",
                self.correct,
                takes=Content(schema.SpeakerCorrections),
                gives=speakers,
                refuses=(*EDITS, 409),
                parameter=EXPECTED,
            ),
            self._endpoint("GET", "consent", self.consent, gives=consent, refuses=(404,)),
            self._endpoint(
                "PUT",
                "consent",
                self.put_consent,
                takes=Content(schema.Consent),
                gives=consent,
                refuses=(*EDITS, 428),
                parameter=EXPECTED,
            ),
            self._endpoint("GET", "notes", self.notes, gives=VERSIONS, refuses=(404,)),
            self._endpoint(
                "POST",
                "notes",
                self.write,
                takes=Content(schema.NoteRequest),
                gives=version,
                refuses=(400, 404, 409, 413, 422, 502),
                statuses=(201,),
            ),
            self._endpoint(
                "GET",
                "notes/draft",
                self.draft,
                gives=Content(schema.DraftedNote),
                refuses=(400, 404, 409, 422),
                parameters=DRAFTED,
            ),
            self._endpoint("GET", "notes/{version}", self.note, gives=version, refuses=(404,)),
            self._endpoint(
                "PUT",
                "notes/{version}",
                self.replace,
                takes=edited,
                gives=version,
                statuses=(201,),
                refuses=(*EDITS, 409, 428),
                parameter=NAMED,
            ),
            self._endpoint(
                "PATCH",
                "notes/{version}",
                self.patch,
                takes=patched,
                gives=version,
                statuses=(200, 201),
                refuses=(*EDITS, 409, 428),
                parameter=NAMED,
            ),
        ]

    def _endpoint(
        self,
        method: Method,
        path: str,
        handler: Handler,
        *,
        gives: Content,
        refuses: tuple[int, ...],
        takes: Content | None = None,
        parameter: Parameter | None = None,
        parameters: Sequence[Parameter] = (),
        statuses: Sequence[int] = (200,),
    ) -> Endpoint:
        return Endpoint(
            facade=own_api(self._reception),
            method=method,
            path=f"/api/encounters/{{encounter}}/{path}",
            handler=handler,
            takes=() if takes is None else (takes,),
            gives=dict.fromkeys(statuses, gives),
            headers={} if gives == VERSIONS or path == "notes/draft" else {status: [TAG] for status in statuses},
            refuses=refuses,
            parameters=parameters if parameter is None else (parameter,),
        )

    async def speakers(self, request: Request) -> Response:
        """Who spoke how much so far."""
        caller, encounter = await self._asked(request)
        summary, tag = await self._editing.speakers(caller, encounter)
        return _tagged(convert.speakers(summary), tag)

    async def correct(self, request: Request) -> Response:
        """Set what roles speakers have, or swap doctor and patient: items change, and who follows is told."""
        caller, encounter = await self._asked(request)
        corrections = convert.corrections(await self._reception.read(request, schema.SpeakerCorrections, MAX_BYTES))
        expected = convert.expected(request.headers.get("if-match"))
        summary, tag = await self._editing.correct_speakers(caller, encounter, corrections, expected)
        return _tagged(convert.speakers(summary), tag)

    async def consent(self, request: Request) -> Response:
        """What the platform told of the patient's consent."""
        caller, encounter = await self._asked(request)
        return _consent(*await self._editing.consent(caller, encounter))

    async def put_consent(self, request: Request) -> Response:
        """Tell that the patient consented. If-Match is needed where that was told before."""
        caller, encounter = await self._asked(request)
        told = common.told_consent(await self._reception.read(request, schema.Consent, MAX_BYTES))
        expected = convert.expected(request.headers.get("if-match"))
        return _consent(*await self._editing.put_consent(caller, encounter, told, expected))

    async def notes(self, request: Request) -> Response:
        """All versions of the note, the oldest first."""
        caller, encounter = await self._asked(request)
        found = await self._editing.notes(caller, encounter)
        return await self._computing.run(lambda: answer(convert.note_versions(found)))

    async def write(self, request: Request) -> Response:
        """Write the note again, as a new version: with another template or style, or since speakers were corrected."""
        caller, encounter = await self._asked(request)
        wanted = await self._reception.read(request, schema.NoteRequest, MAX_BYTES, absent=b"{}")
        wishes = convert.note_wishes(wanted)
        write = partial(self._editing.write_note, caller, encounter, wishes)
        return _created(await while_there(request, write), encounter)

    async def draft(self, request: Request) -> Response:
        """The note of what was said so far, also while the talk goes on, in any template. It is stored nowhere."""
        caller, encounter = await self._asked(request)
        wishes = convert.draft_wishes(request.query_params)
        draft = partial(self._editing.draft_note, caller, encounter, wishes)
        return answer(convert.drafted(await while_there(request, draft)))

    async def note(self, request: Request) -> Response:
        """One version of the note."""
        caller, encounter = await self._asked(request)
        number = convert.version_number(request.path_params["version"])
        return _note(await self._editing.note(caller, encounter, number))

    async def replace(self, request: Request) -> Response:
        """What a provider wrote in the place of a version: a version more, and the one they had stays."""
        return await self._edit(request, schema.EditedNote)

    async def patch(self, request: Request) -> Response:
        """The same for a part of it; or approve of this version, or take that back: nothing else of it changes."""
        return await self._edit(request, schema.NotePatch)

    async def _edit(self, request: Request, kind: type[schema.EditedNote] | type[schema.NotePatch]) -> Response:
        caller, encounter = await self._asked(request)
        number = convert.version_number(request.path_params["version"])
        edit = convert.note_edit(await self._reception.read(request, kind, MAX_BYTES))
        expected = convert.expected(request.headers.get("if-match"))
        edited = await self._editing.edit_note(caller, encounter, number, edit, expected)
        return _note(edited) if edited.version == number else _created(edited, encounter)

    async def _asked(self, request: Request) -> tuple[Caller, str]:
        """Who asks, and for which encounter. Who only reads may have its token in the address."""
        reads = request.method in ("GET", "HEAD")
        caller = await (self._reception.reader(request) if reads else self._reception.caller(request))
        return caller, request.path_params["encounter"]


def _tagged(
    told: schema.SpeakerSummary | schema.ConsentState | schema.NoteVersion,
    tag: str,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    return answer(told, status, {"ETag": convert.etag(tag), **(headers or {})})


def _consent(consent: Consent | None, tag: str) -> Response:
    told = None if consent is None else schema.Consent(given_by=consent.given_by, at=consent.at, method=consent.method)
    return _tagged(schema.ConsentState(consent=told), tag)


def _note(version: NoteVersion) -> Response:
    return _tagged(convert.note_version(version), version.tag)


def _created(version: NoteVersion, encounter: str) -> Response:
    location = f"/api/encounters/{encounter}/notes/{version.version}"
    return _tagged(convert.note_version(version), version.tag, 201, {"Location": location})
