"""SOAPNoteAPI's endpoints."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import anyio
from starlette.requests import Request
from starlette.responses import Response

from pipeline.errors import AuscultError, NoteError
from server.computing import Computing
from server.domain import Caller, StoredNote
from server.encounters import Encounters
from server.endpoints import EVENTS, FORM, Content, Endpoint, Facade, Method, Parameter
from server.errors import NotFound
from server.facades.soapnoteapi import convert, schema
from server.facades.soapnoteapi.convert import Asked, Invalid, Segment
from server.facades.soapnoteapi.specialties import Specialties
from server.http import answer, refusal
from server.reception import Reception
from server.recordings import Receiving, Recordings
from server.segments import Segments
from server.sse import EventStream
from server.transcripts import Transcripts

MAX_BODY_BYTES = 2 << 20  # of text: a day of talk, with what is known of the patient
MAX_METADATA_BYTES = 1 << 20
MAX_FIELD_BYTES = 200
IDEMPOTENT = Parameter("Idempotency-Key", "header", "Makes a repeat of this request safe (extension).")


class SoapNoteApi:
    """`/v1`."""

    def __init__(
        self,
        encounters: Encounters,
        recordings: Recordings,
        segments: Segments,
        transcripts: Transcripts,
        specialties: Specialties,
        reception: Reception,
        *,
        procedures: Mapping[str, str],
        computing: Computing,
        send_timeout_s: float,
        stopping: anyio.Event,
    ) -> None:
        """`procedures`: the operator's CPT codes."""
        self._encounters = encounters
        self._recordings = recordings
        self._segments = segments
        self._transcripts = transcripts
        self._specialties = specialties
        self._reception = reception
        self._procedures = procedures
        self._computing = computing
        self._send_timeout_s = send_timeout_s
        self._stopping = stopping

    def endpoints(self) -> list[Endpoint]:
        """The endpoints, as published by the vendor."""
        api = Facade(
            name="SOAPNoteAPI",
            about="As SOAPNoteAPI has it.",
            refuse=self._reception.refusing(refusal(convert.error)),
            refusal=Content(schema.ErrorBody),
        )
        return [
            self._upload(api, "PUT"),
            self._upload(api, "POST"),
            Endpoint(
                facade=api,
                method="GET",
                path="/v1/audio/status/{note}",
                handler=self.status,
                gives={200: Content(schema.Status)},
                refuses=(404,),
            ),
            Endpoint(
                facade=api,
                method="GET",
                path="/v1/note/{note}",
                handler=self.note,
                gives={200: Content(schema.Note)},
                refuses=(404,),
            ),
            Endpoint(
                facade=api,
                method="POST",
                path="/v1/note",
                handler=self.write,
                takes=[Content(schema.NoteRequest)],
                gives={200: Content(schema.Note)},
                refuses=(400, 413),
                parameters=[IDEMPOTENT],
            ),
            Endpoint(
                facade=api,
                method="POST",
                path="/v1/stream/note",
                handler=self.stream,
                takes=[Content(schema.NoteRequest)],
                gives={200: Content(schema.StreamEvent, EVENTS)},
                refuses=(400, 413),
            ),
            Endpoint(
                facade=api,
                method="GET",
                path="/v1/specialties",
                handler=self.specialties,
                gives={200: Content(schema.Specialties)},
                secured=False,
            ),
            Endpoint(
                facade=api,
                method="POST",
                path="/v1/visit-summary",
                handler=self.summarise,
                takes=[Content(schema.VisitSummaryRequest)],
                gives={200: Content(schema.VisitSummary)},
                refuses=(400, 413),
            ),
        ]

    def _upload(self, api: Facade, method: Method) -> Endpoint:
        return Endpoint(
            facade=api,
            method=method,
            path="/v1/note/audio",
            handler=self.upload,
            takes=[Content(schema.AudioForm, FORM)],
            gives={202: Content(schema.Accepted)},
            refuses=(400, 408, 409, 413),
            parameters=[IDEMPOTENT],
        )

    async def upload(self, request: Request) -> Response:
        """Take a recording; answered once it is stored, its note is written later."""
        caller = await self._reception.caller(request)
        key = convert.client_key(request.headers.get("idempotency-key"))

        async def received(receiving: Receiving) -> str:
            asked = await self._received(request, receiving)
            if asked.segment is None:
                return await receiving.accept(asked.options, key, intake=asked.intake)
            return await self._segments.accept(receiving, final=asked.segment.final)

        return answer(convert.accepted(await self._recordings.once(caller, key, received)), 202)

    async def status(self, request: Request) -> Response:
        """How far a note is, and the note once it is there."""
        caller = await self._reception.caller(request)
        row = await self._encounters.progress(caller, convert.note_id(request.path_params["note"]))
        if row.options.api != convert.API:
            raise NotFound
        if not convert.is_over(row):
            return answer(convert.processing(row))
        view = await self._encounters.read(caller, row.id)
        return answer(await self._computing.run(convert.status, view, self._procedures))

    async def note(self, request: Request) -> Response:
        """A note, of a recording or of text."""
        caller = await self._reception.caller(request)
        view = await self._encounters.read(caller, convert.note_id(request.path_params["note"]))
        if view.row.options.api != convert.API:
            raise NotFound
        return answer(await self._computing.run(convert.note, view, self._procedures))

    async def write(self, request: Request) -> Response:
        """The note of a text, once it is written and stored."""
        caller, asked = await self._asked(request)
        key = convert.client_key(request.headers.get("idempotency-key"))
        options, intake = asked.options, asked.intake
        opened = await self._transcripts.open(caller, options, asked.turns, client_key=key, intake=intake)
        await self._encounters.outcome(caller, opened)
        view = await self._encounters.view(caller, opened)
        if (failed := convert.failure(view)) is not None:
            raise NoNote(failed.code, failed.message)
        return answer(await self._computing.run(convert.note, view, self._procedures))

    async def stream(self, request: Request) -> Response:
        """The note of a text bit by bit, as Server-Sent Events. It is stored nowhere."""
        caller, asked = await self._asked(request)
        await self._transcripts.check(caller, asked.turns)
        return EventStream(
            self._written(asked), problem=_problem, send_timeout_s=self._send_timeout_s, endings=[self._stopping.wait]
        )

    async def specialties(self, _: Request) -> Response:
        """The specialties and the templates of each. No key is needed."""
        return answer(convert.specialties(self._specialties), headers={"Cache-Control": "public, max-age=300"})

    async def summarise(self, request: Request) -> Response:
        """Several visits at a glance, made of what the request holds; stored nowhere."""
        await self._transcripts.check(await self._reception.caller(request))
        wanted = await self._reception.read(request, schema.VisitSummaryRequest, MAX_BODY_BYTES)
        return answer(await self._computing.run(convert.visits, wanted))

    async def _asked(self, request: Request) -> tuple[Caller, Asked]:
        caller = await self._reception.caller(request)
        wanted = await self._reception.read(request, schema.NoteRequest, MAX_BODY_BYTES)
        asked = convert.text(wanted, self._specialties)
        self._encounters.notes.check_language(asked.options)
        return caller, asked

    async def _written(self, asked: Asked) -> AsyncGenerator[bytes]:
        streamed = convert.Streamed()
        async with aclosing(self._transcripts.draft(asked.options, asked.turns, asked.intake)) as updates:
            async for update in updates:
                if isinstance(update, StoredNote) and update.note is None:
                    raise NoNote("note_failed", "" if update.absence is None else update.absence.message)
                written = update.note if isinstance(update, StoredNote) else update
                for event in streamed.more(() if written is None else written.sections):
                    yield convert.frame(event)
        yield convert.DONE

    async def _received(self, request: Request, receiving: Receiving) -> Asked:
        """Everything of the form, in whatever order its parts come. Raises `Invalid`."""
        seen: set[str] = set()
        metadata, plain = schema.Metadata(), dict[str, str]()
        async for part in self._reception.form(request, schema.AudioForm):
            if part.name in seen:
                raise Invalid((part.name, f"{part.name} is there twice: send it once."))
            seen.add(part.name)
            if part.name == "audio":
                await receiving.file(part.pieces, checked=False)
            elif part.name == "metadata":
                metadata = convert.metadata(await part.text(MAX_METADATA_BYTES), self._reception.decode)
                await self._joined(convert.segment(metadata), metadata, receiving)
            else:
                plain[part.name] = (await part.text(MAX_FIELD_BYTES)).decode(errors="replace")
        asked = self._audio(convert.with_fields(metadata, plain))
        if "audio" not in seen:
            raise Invalid(("audio", "audio is required: send the recording as a file."))
        return asked

    async def _joined(self, segment: Segment | None, metadata: schema.Metadata, receiving: Receiving) -> None:
        """What is to come is a segment of a longer recording, where metadata says so. Raises `Invalid`."""
        if segment is None:
            return
        if receiving.parts:
            raise Invalid(("metadata", "metadata must come before audio in the form where it has encounter_id."))
        asked = self._audio(metadata)
        await self._segments.join(receiving, asked.options, segment.encounter, asked.intake, segment.number)

    def _audio(self, metadata: schema.Metadata) -> Asked:
        asked = convert.audio(metadata, self._specialties)
        self._encounters.check_language(asked.options)
        return asked


class NoNote(NoteError):
    """The note could not be written."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _problem(exc: AuscultError) -> bytes:
    return convert.frame(schema.StreamError(error=str(exc)))
