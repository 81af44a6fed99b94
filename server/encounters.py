"""The use-cases of one consultation: open, append audio, close, follow, read, erase; and the steps of closing one."""

import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

import anyio
import anyio.to_thread
import msgspec
import structlog
from anyio.abc import TaskGroup
from sqlalchemy import Connection

from pipeline.containers import MIN_SNIFF_BYTES, sniff
from pipeline.errors import AuscultError, LanguageUnsupported, Overloaded, UnsupportedAudio
from pipeline.ports import Recogniser
from pipeline.types import Utterance
from server.access import Action, record
from server.chunk_log import Channel
from server.domain import Caller, EncounterOptions, EncounterRow, EncounterView, Stage, State
from server.errors import AlreadyFinal, EpochLost, NotFound
from server.following import Update
from server.live import LiveEncounter, Studio
from server.metrics import Metrics
from server.notes import FALLBACK, Notes
from server.store import encounters as sql
from server.store.blobs import DirectoryBlobs
from server.store.seal import KeyRing, Seal

T = TypeVar("T")

log = structlog.get_logger()


class Jobs(Protocol):
    """Durable work (`server.jobs`)."""

    async def start_closing(self, encounter: str) -> None:
        """See that the encounter's closing steps are all done, whatever dies. Harmless when called again."""
        ...


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much this process takes on."""

    max_sessions: int
    idle_timeout_s: float  # a session that may come back is closed after so long without audio


class Encounters:
    """See the module. One per process."""

    def __init__(
        self,
        *,
        studio: Studio,
        keyring: KeyRing,
        blobs: DirectoryBlobs,
        notes: Notes,
        glossaries: Mapping[str, tuple[str, ...]],
        limits: Limits,
        metrics: Metrics,
        owner: str,
    ) -> None:
        self.notes = notes
        self._studio = studio
        self._keyring = keyring
        self._blobs = blobs
        self._glossaries = glossaries
        self._limits = limits
        self._metrics = metrics
        self._owner = owner
        self._live: dict[str, LiveEncounter] = {}
        self._opening: dict[str, anyio.Lock] = {}  # held while an encounter is being rebuilt
        self._completed: dict[str, anyio.Event] = {}  # for those who wait for the last word
        self._jobs: Jobs | None = None
        self._tasks: TaskGroup | None = None

    def start(self, tasks: TaskGroup, jobs: Jobs) -> None:
        """Live encounters run as tasks of `tasks`; closing goes through `jobs`."""
        self._tasks = tasks
        self._jobs = jobs

    @property
    def recogniser(self) -> Recogniser:
        return self._studio.batcher.recogniser

    def live_count(self) -> int:
        """Encounters held by this process."""
        return len(self._live)

    # Use-cases

    async def open(
        self, caller: Caller, options: EncounterOptions, *, head: bytes = b"", client_key: str | None = None
    ) -> str:
        """Start an encounter; returns its id (the known one for a `client_key` used before).

        `head` is its first chunk, looked at before anything is stored. Raises `UnsupportedAudio`, `Overloaded`.
        """
        self._check_head(options, head)
        if len(self._live) >= self._limits.max_sessions:
            raise Overloaded
        at, warnings = self._studio.now(), self._warnings(options)
        options = self._understood(options)
        seal, wrapped = self._keyring.new(encounter := secrets.token_hex(12))
        row = EncounterRow(
            id=encounter,
            tenant_id=caller.tenant_id,
            options=options,
            state=State.LIVE,
            stages={Stage.CREATED: at, Stage.QUEUED: at},
            percentage=0,
            failure=None,
            warnings=tuple(warnings),
            epoch=1,
            owner=self._owner,
            data_key=wrapped,
            created_at=at,
            active_at=at,
            completed_at=None,
            fetched_at=None,
        )

        def operation(connection: Connection) -> str:
            opened = sql.create(connection, row, client_key)
            record(connection, caller, Action.OPEN, opened, at)
            return opened

        opened = await self._studio.writer.write(operation)
        if opened == encounter:
            self._begin(await self._restored(row, seal, epoch=row.epoch))
            self._metrics.sessions_opened.labels(api=options.api).inc()
        return opened

    async def append(
        self, caller: Caller, encounter: str, body: bytes, *, client_key: str | None = None, final: bool = False
    ) -> None:
        """Log a chunk of the encounter's only stream; see `LiveEncounter.append` for what it raises."""
        row = await self._owned(caller, encounter)
        if row.state is not State.LIVE:
            await self._refuse_unless_repeated(row, body, client_key=client_key, final=final)
            return
        await self._append(row, body, client_key=client_key, final=final)
        self._metrics.audio_bytes.inc(len(body))
        if final:
            await self._closed(encounter, caller)

    def live(self, encounter: str) -> LiveEncounter:
        """An encounter that this process holds, for sockets. Raises `NotFound`."""
        try:
            return self._live[encounter]
        except KeyError:
            raise NotFound from None

    async def close(self, encounter: str, caller: Caller | None = None) -> None:
        """The audio is over, whether or not a last chunk said so; `caller` is who ended it, if somebody did."""
        live = self._live.get(encounter)
        if live is None or live.ended:
            return
        await live.close()
        await self._closed(encounter, caller)

    async def follow(self, caller: Caller, live: LiveEncounter) -> AsyncIterator[Update]:
        """The live transcript, from its beginning: see `LiveTranscript.follow`."""
        await self._record(caller, Action.FOLLOW, live.id)
        async for update in live.transcript.follow():
            yield update

    async def view(self, caller: Caller, encounter: str) -> EncounterView:
        """Everything that is known so far. Raises `NotFound`, also for another tenant's encounter."""
        return await self._view(await self._owned(caller, encounter))

    async def progress(self, caller: Caller, encounter: str) -> EncounterRow:
        """How far it is, without what was said. Raises `NotFound`."""
        return await self._owned(caller, encounter)

    async def collect(self, caller: Caller, encounter: str) -> bool:
        """Give out a completed encounter; True for the first time."""
        at = self._studio.now()

        def operation(connection: Connection) -> bool:
            record(connection, caller, Action.READ, encounter, at)
            return sql.mark_fetched(connection, encounter, at)

        return await self._studio.writer.write(operation)

    async def outcome(self, encounter: str) -> EncounterView:
        """Wait for the last word on an encounter: done (with its note, if any) or failed."""
        completed = self._completed.setdefault(encounter, anyio.Event())
        row = await self._read(partial(sql.get, encounter=encounter))
        if row.state not in (State.DONE, State.FAILED):
            await completed.wait()
            row = await self._read(partial(sql.get, encounter=encounter))
        return await self._view(row)

    async def erase(self, encounter: str) -> None:
        """Destroy an encounter: its data key, then everything sealed under it."""
        keys = await self._read(partial(sql.blob_keys, encounter=encounter))
        await self._studio.writer.write(partial(sql.erase, encounter=encounter))
        for key in keys:
            await anyio.to_thread.run_sync(self._blobs.delete, key)

    async def erase_completed_before(self, at: float) -> int:
        """Erase what was completed before a time; returns how many."""
        expired = await self._read(partial(sql.completed_before, at=at))
        for encounter in expired:
            await self.erase(encounter)
        return len(expired)

    def check_language(self, options: EncounterOptions) -> None:
        """Raises `LanguageUnsupported`, naming the recogniser and the command that mends it."""
        if options.base_language not in self.recogniser.languages:
            raise LanguageUnsupported(
                f"The recogniser {self.recogniser.name} ({self.recogniser.model}) does not know the language "
                f"{options.language}: fetch a model that does with `auscult models fetch small` and restart the server."
            )

    # Recovery

    async def recover(self) -> None:
        """At start: sessions whose client cannot come back are closed, the others wait for their clients."""
        for row in await self._read(partial(sql.in_states, states=(State.LIVE, State.CLOSING))):
            if row.state is State.CLOSING:
                await self._start_closing(row.id)
            elif await self.held(row) is not None and not row.options.resumable:
                await self.close(row.id)

    # For the closing job

    async def row(self, encounter: str) -> EncounterRow:
        """An encounter as stored. Raises `NotFound`."""
        return await self._read(partial(sql.get, encounter=encounter))

    async def held(self, row: EncounterRow) -> LiveEncounter | None:
        """The encounter in this process: taken over and rebuilt where it is not; None where it takes no work."""
        if row.id in self._live:
            return self._live[row.id]
        lock = self._opening.setdefault(row.id, anyio.Lock())
        async with lock:
            if row.id not in self._live and row.state in (State.LIVE, State.CLOSING):
                await self._take_over(row)
        self._opening.pop(row.id, None)
        return self._live.get(row.id)

    async def items(self, row: EncounterRow) -> Sequence[Utterance]:
        """Its finals, in the order in which they were told."""
        if (live := self._live.get(row.id)) is not None:
            return live.transcript.items
        return await self._read(partial(sql.read_items, seal=self.seal(row), encounter=row.id))

    def seal(self, row: EncounterRow) -> Seal:
        """What opens its words. Raises `NotFound` once it is erased."""
        if row.data_key is None:
            raise NotFound
        return self._keyring.unwrap(row.id, row.data_key)

    def completed(self, encounter: str) -> None:
        """The last word on it is stored: this process lets it go, and tells those who wait."""
        self._live.pop(encounter, None)
        if (waiting := self._completed.pop(encounter, None)) is not None:
            waiting.set()

    # Inside

    def _check_head(self, options: EncounterOptions, head: bytes) -> None:
        container = any(stream.encoding == "container" for stream in options.streams)
        if container and len(head) >= MIN_SNIFF_BYTES and sniff(head) is None:
            raise UnsupportedAudio

    def _understood(self, options: EncounterOptions) -> EncounterOptions:
        """The options without names that mean nothing here: what is stored in the clear holds only our own words."""
        return msgspec.structs.replace(
            options,
            template=options.template if self.notes.known(options.template) else FALLBACK,
            glossaries=tuple(name for name in options.glossaries if name in self._glossaries),
        )

    def _warnings(self, options: EncounterOptions) -> list[str]:
        """What the client should know although its request was accepted."""
        warnings: list[str] = []
        if not set(options.glossaries) <= set(self._glossaries):
            known = ", ".join(sorted(self._glossaries))
            warnings.append(f"A glossary is unknown here and ignored. Known ones: {known}.")
        if not self.notes.known(options.template):
            known = ", ".join(sorted(self.notes.templates))
            warnings.append(f"The template is unknown here: the note is written as {FALLBACK}. Known ones: {known}.")
        try:
            self.check_language(options)
        except LanguageUnsupported as exc:
            warnings.append(str(exc))
        return warnings

    async def _record(self, caller: Caller, action: Action, encounter: str) -> None:
        at = self._studio.now()
        await self._studio.writer.write(partial(record, caller=caller, action=action, encounter=encounter, at=at))

    async def _append(self, row: EncounterRow, body: bytes, *, client_key: str | None, final: bool) -> None:
        for _ in range(2):  # once more, where this process had let go of it without knowing
            live = await self.held(row)
            if live is None:
                break
            try:
                await live.append(0, body, client_key=client_key, final=final)
            except EpochLost:
                self._live.pop(row.id, None)
                row = await self.row(row.id)
            else:
                return
        raise AlreadyFinal

    async def _refuse_unless_repeated(
        self, row: EncounterRow, body: bytes, *, client_key: str | None, final: bool
    ) -> None:
        """Behind the end only what was taken before is taken again: an answer may have been lost on its way."""
        if final and not body:
            return
        if client_key is not None and await self._read(partial(sql.has_chunk, encounter=row.id, key=client_key)):
            return
        live = self._live.get(row.id)
        if live is None:
            raise AlreadyFinal
        await live.append(0, body)  # raises AlreadyFinal, but for the last chunk again

    async def _owned(self, caller: Caller, encounter: str) -> EncounterRow:
        row = await self._read(partial(sql.get, encounter=encounter))
        if row.tenant_id != caller.tenant_id:
            raise NotFound
        return row

    async def _view(self, row: EncounterRow) -> EncounterView:
        note = await self._read(partial(sql.get_note, seal=self.seal(row), encounter=row.id))
        return EncounterView(row=row, items=tuple(await self.items(row)), note=note)

    async def _take_over(self, row: EncounterRow) -> None:
        epoch = await self._studio.writer.write(partial(sql.take_over, encounter=row.id, owner=self._owner))
        live = await self._restored(row, self.seal(row), epoch=epoch)
        if row.state is State.CLOSING:
            live.end()
        self._metrics.takeovers.inc()
        log.info("encounter.taken_over", encounter=row.id, epoch=epoch)
        self._begin(live)

    async def _restored(self, row: EncounterRow, seal: Seal, *, epoch: int) -> LiveEncounter:
        states = await self._read(partial(sql.stream_states, seal=seal, encounter=row.id))
        ends = await self._read(partial(sql.log_ends, encounter=row.id))
        channels = []
        for ordinal, spec in enumerate(row.options.streams):
            seq, offset = ends.get(ordinal, (0, 0))
            channels.append(Channel(ordinal=ordinal, spec=spec, state=states[ordinal], seq=seq, offset=offset))
        return LiveEncounter(
            row,
            seal,
            self._studio,
            epoch=epoch,
            glossary=tuple(term for name in row.options.glossaries for term in self._glossaries.get(name, ())),
            channels=channels,
            items=await self.items(row),
            listens=row.options.base_language in self.recogniser.languages,
        )

    def _begin(self, live: LiveEncounter) -> None:
        assert self._tasks is not None, "Encounters.start was not called"
        self._live[live.id] = live
        self._tasks.start_soon(self._run, live, name=f"encounter {live.id}")

    async def _run(self, live: LiveEncounter) -> None:
        """The end of the line for anything that goes wrong in one encounter: no other one notices."""
        try:
            async with anyio.create_task_group() as owner:
                if live.row.options.resumable:
                    owner.start_soon(self._close_when_idle, live)
                await live.run()
                owner.cancel_scope.cancel()
        except* Exception as group:  # it is let go; its next chunk, or the next start, takes it over again
            self._live.pop(live.id, None)
            for exc in group.exceptions:
                code = exc.code if isinstance(exc, AuscultError) else "error"
                log.error("encounter.let_go", encounter=live.id, code=code, exc_info=exc)

    async def _close_when_idle(self, live: LiveEncounter) -> None:
        """A session whose client never says `final` is closed as if it had."""
        while not live.ended:
            live.active = anyio.Event()
            with anyio.move_on_after(self._limits.idle_timeout_s) as waiting:
                await live.active.wait()
            if waiting.cancelled_caught:
                await self.close(live.id)

    async def _closed(self, encounter: str, caller: Caller | None) -> None:
        """Behind a stored end: whoever is waiting for this may leave, the closing job is started all the same."""
        with anyio.CancelScope(shield=True):
            if caller is not None:
                await self._record(caller, Action.CLOSE, encounter)
            await self._start_closing(encounter)

    async def _start_closing(self, encounter: str) -> None:
        assert self._jobs is not None, "Encounters.start was not called"
        await self._jobs.start_closing(encounter)

    async def _read(self, query: Callable[[Connection], T]) -> T:
        return await self._studio.reader.read(query)
