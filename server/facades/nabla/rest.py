"""Nabla's REST endpoints: files and texts in; transcripts and notes out, at once or later."""

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.domain import Callback, Caller, EncounterView, State
from server.encounters import Encounters
from server.endpoints import FORM, Content, Endpoint, Facade, Method
from server.errors import BadRequest, NotFound
from server.facades.nabla import convert, rest_b, rest_c, schema
from server.facades.nabla import schema_rest as wire
from server.facades.nabla.asked import Asked, Kind, Wanted, asked_of, callback, encounter_of
from server.http import Handler, answer, refusal
from server.reception import Reception
from server.recordings import Receiving, Recordings
from server.transcripts import Transcripts

B = ("/v1/copilot-api/server", "/v1/copilot-api/user", "/v1/server/copilot")  # the last is generation A's
C = ("/v1/core/server", "/v1/core/user")
NOTES = "generate-note-async"
MAX_BYTES = 2 << 20  # of a transcript: a day of talk
MAX_PARAMETERS_BYTES = 65_536

UPLOADS = (400, 404, 408, 409, 413, 422)  # refusals; 404: it was erased meanwhile
TEXTS = (400, 404, 413, 422)

Line: TypeAlias = tuple[Method, str, Handler, Content | None, Content, Sequence[int]]
"""An endpoint: method, name, handler, what it takes, gives, refuses."""

S = TypeVar("S", bound=msgspec.Struct)


class NablaRest:
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
        """The endpoints, as published by the vendor."""
        api = Facade(
            name="Nabla",
            about="As Nabla has it.",
            refuse=self._reception.refusing(refusal(convert.http_error)),
            refusal=Content(schema.HttpError),
        )
        accepted = Content(wire.AsyncAccepted)
        b: list[Line] = [
            ("POST", "listen", self.listen, Content(wire.ListenForm, FORM), Content(wire.Outcome), UPLOADS),
            ("POST", "listen_async", self.listen_async, Content(wire.ListenAsyncRequest), accepted, TEXTS),
            ("POST", "digest", self.digest, Content(wire.DigestRequest), Content(wire.Outcome), TEXTS),
            ("POST", "digest_async", self.digest_async, Content(wire.DigestAsyncRequest), accepted, TEXTS),
            ("POST", NOTES, self.generate_note_async, Content(wire.NoteAsyncRequest), Content(wire.NoteJob), TEXTS),
            ("GET", NOTES + "/{id}", self.note_job, None, Content(wire.NoteJob), (404,)),
        ]
        asked, made = Content(wire.GenerateNoteRequest), Content(wire.GenerateNoteAsyncRequest)
        c: list[Line] = [
            ("POST", "generate-note", self.generate_note, asked, Content(wire.NoteAnswerC), TEXTS),
            ("POST", NOTES, self.generate_note_async_c, made, Content(wire.NoteJobC), TEXTS),
            ("GET", NOTES + "/{id}", self.note_job_c, None, Content(wire.NoteJobC), (404,)),
        ]
        return [
            Endpoint(
                facade=api,
                method=method,
                path=f"{base}/{name}",
                handler=handler,
                takes=[] if takes is None else [takes],
                gives={200: gives},
                refuses=refuses,
            )
            for bases, lines in ((B, b), (C, c))
            for base in bases
            for method, name, handler, takes, gives, refuses in lines
        ]

    # Generations A and B

    async def listen(self, request: Request) -> Response:
        """Hear an audio file of up to 10 minutes: its transcript, its note, or both."""
        caller = await self._reception.caller(request)

        async def received(receiving: Receiving) -> str:
            wanted = await self._form(request, receiving)
            return await receiving.accept(wanted.options, intake=wanted.intake)

        opened = await self._recordings.once(caller, None, received)
        return await self._answered(caller, opened, rest_b.answer)

    async def listen_async(self, request: Request) -> Response:
        """Fetch and hear an audio file of up to 60 minutes; the result is posted to `callback_url`."""
        caller = await self._reception.caller(request)
        asked = await self._read(request, wire.ListenAsyncRequest)
        wanted, url = rest_b.listening_later(asked)
        self._check(wanted)
        to = callback(asked.callback_url, Kind.LISTEN_ASYNC)

        async def received(receiving: Receiving) -> str:
            receiving.url(url)
            return await receiving.accept(wanted.options, wanted.client_key, to, wanted.intake)

        opened = await self._recordings.once(caller, wanted.client_key, received)
        return answer(rest_b.accepted(opened, asked.client_request_id))

    async def digest(self, request: Request) -> Response:
        """Write the note of a transcript."""
        caller = await self._reception.caller(request)
        wanted = rest_b.digest(await self._read(request, wire.DigestRequest), Kind.DIGEST)
        return await self._answered(caller, await self._opened(caller, wanted), rest_b.answer)

    async def digest_async(self, request: Request) -> Response:
        """Write the note of a transcript; the result is posted to `callback_url`."""
        caller = await self._reception.caller(request)
        asked = await self._read(request, wire.DigestAsyncRequest)
        wanted = rest_b.digest(asked, Kind.DIGEST_ASYNC, asked.client_request_id)
        opened = await self._opened(caller, wanted, callback(asked.callback_url, Kind.DIGEST_ASYNC))
        return answer(rest_b.accepted(opened, asked.client_request_id))

    async def generate_note_async(self, request: Request) -> Response:
        """Write the note of a transcript, which can be looked for under the id in the answer."""
        caller = await self._reception.caller(request)
        asked = await self._read(request, wire.NoteAsyncRequest)
        opened = await self._opened(caller, rest_b.digest(asked, Kind.NOTE_ASYNC, asked.client_request_id))
        return answer(rest_b.job(*await self._view(caller, opened)))

    async def note_job(self, request: Request) -> Response:
        """How far a note is, and the note."""
        return answer(rest_b.job(*await self._job(request)))

    # Generation C

    async def generate_note(self, request: Request) -> Response:
        """Write the note of a transcript, in generation C's words."""
        caller = await self._reception.caller(request)
        wanted = rest_c.generating(await self._read(request, wire.GenerateNoteRequest), Kind.NOTE)
        return await self._answered(caller, await self._opened(caller, wanted), rest_c.answer)

    async def generate_note_async_c(self, request: Request) -> Response:
        """Write the note of a transcript, which can be looked for, in generation C's words."""
        caller = await self._reception.caller(request)
        asked = await self._read(request, wire.GenerateNoteAsyncRequest)
        opened = await self._opened(caller, rest_c.generating(asked, Kind.NOTE_ASYNC, asked.client_request_id))
        return answer(rest_c.job(*await self._view(caller, opened)))

    async def note_job_c(self, request: Request) -> Response:
        """How far a note is, and the note, in generation C's words."""
        return answer(rest_c.job(*await self._job(request)))

    # Inside

    async def _form(self, request: Request, receiving: Receiving) -> Wanted:
        parameters: wire.ListenParameters | None = None
        async for part in self._reception.form(request, wire.ListenForm):
            if part.name == "file":
                if receiving.parts:
                    raise BadRequest("The form has more than one part named file.")
                rest_b.audio_type(part.content_type)
                await receiving.file(part.pieces)
            else:
                if parameters is not None:
                    raise BadRequest("The form has more than one part named request_parameters.")
                parameters = self._reception.decode(await part.text(MAX_PARAMETERS_BYTES), wire.ListenParameters)
        if parameters is None or not receiving.parts:
            raise BadRequest("The form needs two parts: file, the audio, and request_parameters, JSON.")
        wanted = rest_b.listening(parameters, Kind.LISTEN, rest_b.LISTEN_MINUTES)
        self._check(wanted)
        return wanted

    async def _opened(self, caller: Caller, wanted: Wanted, to: Callback | None = None) -> str:
        """A text, stored: its note is being written."""
        self._encounters.notes.require(wanted.options.template)
        return await self._transcripts.open(
            caller, wanted.options, wanted.turns, client_key=wanted.client_key, callback=to, intake=wanted.intake
        )

    def _check(self, wanted: Wanted) -> None:
        """Raises `LanguageUnsupported`, `UnknownTemplate`."""
        self._encounters.check_language(wanted.options)
        if wanted.options.note:
            self._encounters.notes.require(wanted.options.template)

    async def _answered(
        self, caller: Caller, encounter: str, told: Callable[[EncounterView, Asked], tuple[int, msgspec.Struct]]
    ) -> Response:
        """The answer once everything is done."""
        await self._encounters.outcome(caller, encounter)
        status, said = told(*await self._view(caller, encounter))
        return answer(said, status)

    async def _view(self, caller: Caller, encounter: str) -> tuple[EncounterView, Asked]:
        """Raises `NotFound`, also for what did not come by this API."""
        row = await self._encounters.progress(caller, encounter)
        over = row.state in (State.DONE, State.FAILED)  # then it holds what was said, and that is recorded
        view = await (self._encounters.read if over else self._encounters.view)(caller, encounter)
        asked = asked_of(view)
        if asked is None:
            raise NotFound
        return view, asked

    async def _job(self, request: Request) -> tuple[EncounterView, Asked]:
        caller = await self._reception.caller(request)
        view, asked = await self._view(caller, encounter_of(request.path_params["id"]))
        if asked.kind is not Kind.NOTE_ASYNC:
            raise NotFound
        return view, asked

    async def _read(self, request: Request, kind: type[S]) -> S:
        return await self._reception.read(request, kind, MAX_BYTES)
