"""OpenAI's endpoints: the transcript of a file is the answer, and nothing of it is kept here."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import anyio
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from pipeline.errors import AuscultError
from pipeline.types import Utterance
from server.domain import Caller, EncounterView, Stage
from server.encounters import Encounters
from server.endpoints import EVENTS, FORM, JSON, TEXT, Content, Endpoint, Facade
from server.errors import ServerError
from server.executors import HeldElsewhere
from server.facades.openai import convert, schema
from server.facades.openai.convert import Asked, Invalid
from server.http import answer, cancel_when_gone, refusal
from server.ingest.websocket import first_error
from server.reception import Reception
from server.recordings import Receiving, Recordings
from server.sse import EventStream

log = structlog.get_logger()

MAX_FIELD_BYTES = 65_536
BEGUN_S = 0.2  # between two looks whether a recording's turn has come
NOT_BEGUN = (Stage.CREATED, Stage.QUEUED, Stage.STARTED)


class OpenAi:
    """`/openai/v1`."""

    def __init__(
        self,
        encounters: Encounters,
        recordings: Recordings,
        reception: Reception,
        *,
        send_timeout_s: float,
        stopping: anyio.Event,
    ) -> None:
        self._encounters = encounters
        self._recordings = recordings
        self._reception = reception
        self._send_timeout_s = send_timeout_s
        self._stopping = stopping

    def endpoints(self) -> list[Endpoint]:
        """The endpoints, as OpenAI has them behind `/v1`."""
        about = "As OpenAI has it."
        api = Facade(
            name="OpenAI",
            about=about,
            refuse=self._reception.refusing(refusal(convert.error)),
            refusal=Content(schema.ErrorBody),
        )
        json = (schema.Transcription, schema.TranscriptionVerbose, schema.TranscriptionDiarized)
        return [
            Endpoint(
                facade=api,
                method="POST",
                path="/openai/v1/audio/transcriptions",
                handler=self.transcribe,
                takes=[Content(schema.TranscriptionForm, FORM)],
                gives={200: [*map(Content, json), Content(str, TEXT), Content(schema.StreamEvent, EVENTS)]},
                refuses=(400, 404, 408, 413),
            ),
            Endpoint(
                facade=api,
                method="GET",
                path="/openai/v1/models",
                handler=self.models,
                gives={200: Content(schema.Models)},
            ),
        ]

    async def transcribe(self, request: Request) -> Response:
        """Transcribe a file. The answer is all there is: the server keeps neither audio nor text."""
        caller = await self._reception.caller(request)
        async with self._recordings.receiving(caller) as receiving:
            asked = await self._received(request, receiving)
            encounter = await receiving.accept(asked.options, intake=asked.intake)
        if asked.stream:
            return EventStream(
                self._told(caller, encounter, asked),
                problem=lambda exc: convert.frame(convert.error(exc)[1]),
                send_timeout_s=self._send_timeout_s,
                endings=[self._stopped],
            )
        return await self._answered(request, caller, encounter, asked)

    async def models(self, request: Request) -> Response:
        """The recogniser that runs here. Transcriptions take any name."""
        await self._reception.caller(request)
        return answer(schema.Models(data=[schema.Model(id=self._encounters.recogniser.model)]))

    async def _received(self, request: Request, receiving: Receiving) -> Asked:
        fields: dict[str, list[str]] = {}
        async for part in self._reception.form(request, schema.TranscriptionForm):
            if part.name != "file":
                text = (await part.text(MAX_FIELD_BYTES)).decode(errors="replace")
                fields.setdefault(part.name, []).append(text)
            elif receiving.parts:
                raise Invalid("file", "file is there twice: send one.")
            else:
                await receiving.file(part.pieces)
        asked = convert.asked(fields)
        if not receiving.parts:
            raise Invalid("file", "file is required: send the audio as a file.")
        self._encounters.check_language(asked.options)
        return asked

    async def _answered(self, request: Request, caller: Caller, encounter: str, asked: Asked) -> Response:
        """The answer once everything is heard. Raises `ClientDisconnect`."""
        body: str | None = None
        try:
            async with first_error(), anyio.create_task_group() as tasks:
                tasks.start_soon(cancel_when_gone, request.receive, tasks.cancel_scope)
                tasks.start_soon(self._stopped)
                view, language = await self._heard(caller, encounter, asked)
                body = convert.transcription(view, asked.format, asked.granularities, language)
                tasks.cancel_scope.cancel()
        finally:
            await self._forget(caller, encounter)
        if body is None:
            raise ClientDisconnect
        plain = asked.format in convert.PLAIN
        return Response(body, headers={"Cache-Control": "no-store"}, media_type=TEXT if plain else JSON)

    async def _told(self, caller: Caller, encounter: str, asked: Asked) -> AsyncGenerator[bytes]:
        """The events, as what is said becomes final."""
        diarized = convert.Diarizing() if asked.format == "diarized_json" else None
        told: set[str] = set()

        def events(item: Utterance) -> bytes:
            said = convert.frame(convert.delta(item, first=not told))
            told.add(item.id)
            return said if diarized is None else said + convert.frame(diarized.segment(item))

        try:
            await self._begun(caller, encounter)
            with suppress(HeldElsewhere):  # another process hears it: then it is told when it is over
                async with aclosing(self._encounters.follow(caller, encounter)) as updates:
                    async for update in updates:
                        if isinstance(update, Utterance):
                            yield events(update)
            view, _ = await self._heard(caller, encounter, asked)
            for item in view.items:
                if item.id not in told:
                    yield events(item)
            yield convert.frame(schema.Done(text=convert.whole(view.items), usage=convert.used(view.row)))
        finally:
            await self._forget(caller, encounter)

    async def _begun(self, caller: Caller, encounter: str) -> None:
        """Wait until its turn comes: before, there is nothing to follow."""
        while True:
            if (await self._encounters.progress(caller, encounter)).stage not in NOT_BEGUN:
                return
            await anyio.sleep(BEGUN_S)

    async def _heard(self, caller: Caller, encounter: str, asked: Asked) -> tuple[EncounterView, str]:
        """Everything, once it is heard, and its language. Raises `Failed`."""
        await self._encounters.outcome(caller, encounter)
        view = await self._encounters.view(caller, encounter)
        convert.check(view)
        return view, asked.options.language or await self._encounters.detected_language(view.row)

    async def _forget(self, caller: Caller, encounter: str) -> None:
        """Whoever asked for it has it, or is gone; nobody else knows of it. Where this fails retention does it."""
        with anyio.CancelScope(shield=True):
            try:
                await self._encounters.delete(caller, encounter)
            except AuscultError as exc:
                log.warning("transcription.not_erased", encounter=encounter, code=exc.code)

    async def _stopped(self) -> None:
        """Raises `Stopped` when the server is being stopped."""
        await self._stopping.wait()
        raise Stopped


class Stopped(ServerError):
    """The server is being stopped: send the same request again."""

    code = "stopped"
    retryable = True
