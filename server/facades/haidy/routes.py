"""Haidy's endpoints."""

from starlette.requests import Request
from starlette.responses import Response

from server.domain import Caller, EncounterRow, Scope, State
from server.encounters import Encounters
from server.endpoints import Content, Endpoint, Parameter
from server.errors import NotFound, TooLarge
from server.facades.haidy import convert, schema
from server.facades.haidy.answers import vendor_api
from server.http import answer
from server.metrics import Metrics
from server.patients import Patients
from server.reception import Reception
from server.turns import Turns

BASE64_OVERHEAD = 4 / 3
ENVELOPE_BYTES = 64 * 1024  # everything in a chunk request but the audio
MAX_AT_ONCE = 64  # chunks of one task that wait for the one before them, each in memory


class Haidy:
    """`/v2/audio/audio_chunk` and `/v2/tasks`."""

    def __init__(
        self,
        encounters: Encounters,
        patients: Patients,
        reception: Reception,
        metrics: Metrics,
        *,
        max_chunk_bytes: int,
        keep_after_fetch: bool,
    ) -> None:
        self._encounters = encounters
        self._patients = patients
        self._reception = reception
        self._append_seconds = metrics.append_seconds
        self._max_chunk_bytes = max_chunk_bytes
        self._keep_after_fetch = keep_after_fetch
        self._turns = Turns(MAX_AT_ONCE)

    def endpoints(self) -> list[Endpoint]:
        """The endpoints, as published by the vendor."""
        api = vendor_api(self._reception)
        return [
            Endpoint(
                facade=api,
                method="POST",
                path="/v2/audio/audio_chunk",
                handler=self.audio_chunk,
                takes=[Content(schema.ChunkRequest)],
                gives={200: Content(schema.Task)},
                refuses=(400, 404, 413),
                parameters=[Parameter("Idempotency-Key", "header", "Makes a repeat of this chunk safe.")],
            ),
            Endpoint(
                facade=api,
                method="POST",
                path="/v2/tasks",
                handler=self.tasks,
                takes=[Content(schema.TaskRequest)],
                gives={200: Content(schema.Task)},
                refuses=(400, 404, 413),
            ),
        ]

    async def audio_chunk(self, request: Request) -> Response:
        """A chunk of a live session: the first opens it, the final one ends it."""
        caller = await self._reception.caller(request)
        with self._append_seconds.time():
            chunk = await self._chunk(request)
            if chunk.task_id is not None:
                async with self._turns.turn((caller.tenant_id, chunk.task_id)):  # no wait between this and the body
                    return await self._next(caller, chunk.task_id, chunk)
            intake = await self._patients.intake(caller, chunk.patient_context_id)
            opened = await self._encounters.open(
                caller, chunk.options, head=chunk.audio, client_key=chunk.session_key, intake=intake
            )
            first = chunk.client_key or "first"  # so that a retried opening does not log its chunk twice
            await self._encounters.append(caller, opened, chunk.audio, client_key=first, final=chunk.final)
            return answer(convert.started(await self._encounters.progress(caller, opened)))

    async def _next(self, caller: Caller, task_id: str, chunk: convert.Chunk) -> Response:
        """A chunk of a session that goes on."""
        if (await self._known(caller, task_id)).options.recording:  # its files are all there is
            raise NotFound
        await self._encounters.append(caller, task_id, chunk.audio, client_key=chunk.client_key, final=chunk.final)
        return answer(convert.task(await self._encounters.progress(caller, task_id)))

    async def tasks(self, request: Request) -> Response:
        """A task with what it has so far. What is done or failed is given out once, unless a setting keeps it."""
        caller = await self._reception.caller(request)
        task_id = (await self._reception.read(request, schema.TaskRequest, ENVELOPE_BYTES)).task_id
        await self._known(caller, task_id)
        view = await self._encounters.view(caller, task_id)
        over, kept = view.row.state in (State.DONE, State.FAILED), self._keep_after_fetch
        collects = over and caller.scope is not Scope.FOLLOW  # who may only read leaves it for the others
        if collects and not await self._encounters.collect(caller, task_id, again=kept):
            raise NotFound
        if over and not collects:
            view = await self._encounters.read(caller, task_id)
        return answer(convert.full_task(view))

    async def _known(self, caller: Caller, task_id: str) -> EncounterRow:
        """Raises `NotFound` for what is no task of this API, and for one that was given out."""
        if not convert.TASK_ID.fullmatch(task_id):
            raise NotFound
        row = await self._encounters.progress(caller, task_id)
        if row.options.api != convert.API or (row.fetched_at is not None and not self._keep_after_fetch):
            raise NotFound
        return row

    async def _chunk(self, request: Request) -> convert.Chunk:
        limit = int(self._max_chunk_bytes * BASE64_OVERHEAD) + ENVELOPE_BYTES
        asked = await self._reception.read(request, schema.ChunkRequest, limit)
        chunk = convert.chunk(asked, request.headers.get("idempotency-key"))
        if len(chunk.audio) > self._max_chunk_bytes:
            raise TooLarge(f"The audio chunk is larger than {self._max_chunk_bytes} bytes: send smaller chunks")
        return chunk
