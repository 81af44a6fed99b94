"""The use-cases of one consultation: open, append audio, close, follow, read, erase; and tending those left alone."""

import secrets
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from functools import partial
from typing import Protocol, TypeVar

import anyio
import msgspec
import structlog
from anyio.abc import TaskGroup
from sqlalchemy import Connection

from pipeline.containers import MIN_SNIFF_BYTES, sniff
from pipeline.errors import LanguageUnsupported, UnsupportedAudio
from pipeline.ports import Recogniser
from pipeline.speakers import Speaker, speakers
from pipeline.types import Utterance
from server.access import Action, record
from server.admission import Admission, Limits
from server.domain import FINISHED, Caller, EncounterOptions, EncounterRow, EncounterView, Stage, State
from server.drafts import Boards, Drafting, UnderWay
from server.errors import (
    AlreadyFinal,
    BlobsUnavailable,
    Conflict,
    EpochLost,
    Erased,
    Forbidden,
    NotFound,
    StoreUnavailable,
)
from server.executors import ENDED, ERASED, Executors, HeldElsewhere
from server.followers import Followers
from server.following import Update
from server.glossaries import Glossaries
from server.holding import IN_WORK, Holding
from server.intake import NOTHING, Intake
from server.languages import check_language
from server.live import LiveEncounter, Studio
from server.notes import FALLBACK, Notes
from server.quotas import Quotas
from server.retention import Retention, expires_at
from server.store import encounters as sql
from server.store import retention
from server.store.blobs import Blobs
from server.store.seal import KeyRing, Seal
from server.store.tenants import settings_of

T = TypeVar("T")

log = structlog.get_logger()


class Jobs(Protocol):
    """Durable work (`server.jobs`)."""

    async def start_closing(self, encounter: str) -> None:
        """See that the encounter's closing steps are all done, whatever dies. Harmless when called again."""
        ...

    async def start_recording(self, encounter: str) -> None:
        """See that the recording's steps are all done, whatever dies. Harmless when called again."""
        ...

    async def forget(self, encounter: str) -> None:
        """Delete what is recorded of the encounter's jobs."""
        ...


class Encounters:
    """See the module. One per process."""

    def __init__(
        self,
        *,
        studio: Studio,
        keyring: KeyRing,
        blobs: Blobs,
        notes: Notes,
        glossaries: Glossaries,
        limits: Limits,
        quotas: Quotas,
        executors: Executors,
        retention: Retention,
        takes_live: bool = True,
    ) -> None:
        """`takes_live`: whether live sessions that nobody holds are for this process."""
        self.notes = notes
        self._retention = retention
        self.quotas = quotas
        self._studio = studio
        self._keyring = keyring
        self._blobs = blobs
        self._glossaries = glossaries
        self._executors = executors
        self._takes_live = takes_live
        self._holding = Holding(
            studio=studio,
            keyring=keyring,
            blobs=blobs,
            glossaries=glossaries,
            executors=executors,
            idle_timeout_s=limits.idle_timeout_s,
            reconnect_timeout_s=limits.reconnect_timeout_s,
        )
        self.admission = Admission(studio.batcher, self._holding, limits, studio.metrics)
        self.boards = Boards()
        self.under_way = UnderWay()
        self._drafting = Drafting(notes, self.intake, studio.steady, interval_s=limits.draft_interval_s)
        self.followers = Followers(self.row, self.items, self.boards, self._drafting)
        self._jobs: Jobs | None = None
        self._opening: set[str] = set()  # stored, and not held yet: nobody has left them alone
        self.erasures = 0  # how often something was erased here

    def start(self, tasks: TaskGroup, jobs: Jobs) -> None:
        """Live encounters run as tasks of `tasks`; closing goes through `jobs`."""
        self._jobs = jobs
        self._holding.start(tasks, self.close)
        self._drafting.start(tasks)

    @property
    def recogniser(self) -> Recogniser:
        return self._studio.batcher.recogniser

    def live_count(self) -> int:
        """Encounters held by this process."""
        return self._holding.live

    def live_streams(self) -> int:
        """Audio streams that are still being heard."""
        return self._holding.streams

    async def idle(self) -> None:
        """See `Holding.idle`."""
        await self._holding.idle()

    @property
    def process(self) -> int:
        """The number of this process among those that share the database; 0 where it is alone."""
        return self._executors.me.number

    async def check_process(self, number: int) -> None:
        """Raises `HeldElsewhere` where another process has this number, and lives."""
        other = await self._executors.numbered(number)
        if other is not None:
            raise HeldElsewhere(other)

    def streams_carried(self) -> int:
        """See `Admission.streams_carried`."""
        return self.admission.streams_carried

    # Use-cases

    async def open(
        self,
        caller: Caller,
        options: EncounterOptions,
        *,
        head: bytes = b"",
        client_key: str | None = None,
        intake: Intake = NOTHING,
    ) -> str:
        """Start an encounter; returns its id (the known one for a `client_key` used before).

        `head` is its first chunk, looked at before anything is stored.

        Raises `UnsupportedAudio`, `Overloaded`, `QuotaExceeded`, `Forbidden`.
        """
        if caller.encounter:
            raise Forbidden("A token for one session opens no other: make one with the scope stream.")
        self._check_head(options, head)
        known = client_key and await self._read(partial(sql.find, tenant=caller.tenant_id, client_key=client_key))
        if known:
            return known
        with self.admission.place(len(options.streams)):
            return await self._open(caller, options, client_key, intake)

    async def append(
        self, caller: Caller, encounter: str, body: bytes, *, client_key: str | None = None, final: bool = False
    ) -> None:
        """Log a chunk of the encounter's only stream; see `LiveEncounter.append` for what it raises."""
        row = await self.fed(caller, encounter)
        if row.state is State.LIVE:
            await self._append(row, body, client_key=client_key, final=final)
            self._studio.metrics.audio_bytes.inc(len(body))
        else:
            await self._refuse_unless_repeated(row, body, client_key=client_key, final=final)
        if final:  # also for one that says it again: its first answer may have been an error
            await self._closed(encounter, caller if row.state is State.LIVE else None)

    def live(self, encounter: str) -> LiveEncounter:
        """An encounter that this process holds, for sockets. Raises `NotFound`."""
        live = self._holding.get(encounter)
        if live is None:
            raise NotFound
        return live

    def holds(self, encounter: str) -> LiveEncounter | None:
        """An encounter, if this process holds it."""
        return self._holding.get(encounter)

    async def close(self, encounter: str, caller: Caller | None = None) -> None:
        """The audio is over, whether or not a last chunk said so; `caller` is who ended it, if somebody did."""
        live = self._holding.get(encounter)
        if live is None or live.ended:
            return
        try:
            await live.close()
        except (EpochLost, StoreUnavailable):
            self._holding.let_go(live)  # tending finds it again
            raise
        await self._closed(encounter, caller)

    async def follow(
        self, caller: Caller, encounter: str, after: int = 0, *, drafts: bool = False
    ) -> AsyncGenerator[Update]:
        """The transcript behind its first `after` finals, live or over: see `LiveTranscript.follow`.

        With `drafts` also those of its note: while the talk goes on, and as it is written then.

        Raises `NotFound`, and `Erased` where that happens meanwhile.
        """
        row = await self.owned(caller, encounter)
        drafts = drafts and row.options.note
        await self._record(caller, Action.FOLLOW, encounter)
        live = await self._holding.held(row)
        async with aclosing(self.followers.updates(row, live, after, drafts)) as updates:
            async for update in updates:
                yield update
        if live is not None and live.erased:
            raise Erased

    async def followed(self, caller: Caller, encounter: str) -> None:
        """To be called before it is answered that `follow` will tell: raises `NotFound`, `HeldElsewhere`."""
        row = await self.owned(caller, encounter)
        await self._holding.held(row)
        await self._holding.check_here(row)

    async def view(self, caller: Caller, encounter: str) -> EncounterView:
        """Everything that is known so far. Raises `NotFound`, also for another tenant's encounter.

        One visit to the database: many ask now and then, and beside a long upload each visit has to wait its turn.
        """
        live = self._holding.get(encounter)
        told = None if live is None else tuple(live.transcript.items)

        def query(connection: Connection) -> EncounterView:
            row = _reached(caller, sql.get(connection, encounter))
            seal = self.seal(row)
            if told is None or row.state in FINISHED:  # it may have ended since, with more to it
                items = tuple(sql.read_items(connection, seal, encounter))
            else:
                items = told
            note = sql.get_note(connection, seal, encounter)
            return EncounterView(
                row=row,
                items=items,
                note=note,
                intake=sql.get_intake(connection, seal, encounter),
                expires_at=self.expires_at(connection, row),
            )

        return await self._read(query)

    async def read(self, caller: Caller, encounter: str) -> EncounterView:
        """See `view`, for who gets what was said: that is recorded. Raises `NotFound`."""
        view = await self.view(caller, encounter)
        await self._record(caller, Action.READ, encounter)
        return view

    async def speakers(self, caller: Caller, encounter: str) -> tuple[Speaker, ...]:
        """Who spoke how much so far. Raises `NotFound`."""
        row = await self.owned(caller, encounter)
        await self._record(caller, Action.READ, encounter)
        return speakers(await self.items(row))

    async def progress(self, caller: Caller, encounter: str) -> EncounterRow:
        """How far it is, without what was said. Raises `NotFound`."""
        return await self.owned(caller, encounter)

    async def detected_language(self, row: EncounterRow) -> str:
        """Of the first stream whose language was; empty where none was."""
        states = await self._read(partial(sql.stream_states, seal=self.seal(row), encounter=row.id))
        return next((state.checkpoint.language for state in states if state.checkpoint.language), "")

    async def collect(self, caller: Caller, encounter: str, *, again: bool) -> bool:
        """Give out a completed encounter; False where it was given out before and may not be `again`."""
        at = self._studio.now()

        def operation(connection: Connection) -> bool:
            given = sql.mark_fetched(connection, encounter, at) or again
            if given:
                record(connection, caller, Action.READ, encounter, at)
            return given

        return await self._studio.writer.write(operation)

    async def outcome(self, caller: Caller, encounter: str) -> EncounterView:
        """Wait for the last word on an encounter: done (with its note, if any) or failed. What was said is not in it,
        only who spoke how much.

        Any number may wait, and leave. Raises `NotFound`.
        """
        await self.owned(caller, encounter)
        row = await self.followers.over(encounter)
        await self._record(caller, Action.READ, encounter)
        seal = self.seal(row)

        def read(connection: Connection) -> EncounterView:
            note, intake = sql.get_note(connection, seal, row.id), sql.get_intake(connection, seal, row.id)
            return EncounterView(row=row, note=note, intake=intake, expires_at=self.expires_at(connection, row))

        view = await self._read(read)
        return msgspec.structs.replace(view, speakers=speakers(await self.items(row)))

    async def delete(self, caller: Caller, encounter: str) -> None:
        """Erase an encounter now, whatever is going on with it. Raises `NotFound`, `Forbidden`."""
        row = await self.owned(caller, encounter)
        if not caller.may_feed:
            raise Forbidden("This token only follows the session: delete it with another one, or with a key.")
        at = self._studio.now()
        await self._erase(row.id, partial(record, caller=caller, action=Action.ERASE, encounter=row.id, at=at))

    async def erase(self, encounter: str) -> None:
        """Destroy an encounter: its data key, then everything sealed under it, and its jobs' records."""
        await self._erase(encounter, lambda connection: None)

    async def erase_audio(self, encounter: str) -> None:
        """Delete the audio of an encounter that is over; words and note stay."""
        names = await self._read(partial(retention.blob_names, encounter=encounter))
        for name in names:
            await self._blobs.delete(name)
        await self._studio.writer.write(partial(retention.drop_audio, encounter=encounter))
        self.erasures += 1

    async def _erase(self, encounter: str, also: Callable[[Connection], None]) -> None:
        names = await self._read(partial(retention.blob_names, encounter=encounter))

        def operation(connection: Connection) -> None:
            sql.erase(connection, encounter)
            also(connection)

        with anyio.CancelScope(shield=True):  # who asked for it may leave; it is finished
            self.under_way.erased(encounter)
            await self._studio.writer.write(operation)
            self.erasures += 1
            await self._executors.tell(ERASED, encounter)
            try:
                for name in names:
                    await self._blobs.delete(name)
            except BlobsUnavailable as exc:  # what is left of it opens no more, and a sweep finds it
                log.warning("encounter.blobs_left", encounter=encounter, code=exc.code)
            await self._started_jobs().forget(encounter)

    async def tend(self) -> None:
        """See that nothing is left alone: at start, now and then, because a write may have failed in between, and when
        another process has died.

        What was ended is being closed; what lives is held; what lives and has lost its client for good is closed.
        """
        for row in await self._read(partial(sql.in_states, states=IN_WORK)):
            try:
                await self._tend(row)
            except HeldElsewhere:
                continue
            except Exception as exc:  # one that is damaged must not keep the others from being tended
                log.error("encounter.not_tended", encounter=row.id, exc_info=exc)

    def hear(self, topic: str, about: str) -> None:
        """What another process tells."""
        if topic in (ENDED, ERASED):
            self.boards.completed(about)
            (self.under_way.erased if topic == ERASED else self.under_way.over)(about)
            if (live := self._holding.get(about)) is not None:
                live.erased = topic == ERASED
                self._holding.let_go(live)

    def check_language(self, options: EncounterOptions) -> None:
        """Raises `LanguageUnsupported`, naming the recogniser and the command that mends it; not before that is met."""
        if self._studio.batcher.met:
            check_language(self.recogniser, options.language)

    # For connections and the closing job

    async def owned(self, caller: Caller, encounter: str) -> EncounterRow:
        """An encounter as stored. Raises `NotFound`, also for one that this caller may not reach."""
        return _reached(caller, await self.row(encounter))

    async def fed(self, caller: Caller, encounter: str) -> EncounterRow:
        """See `owned`, for who is not only going to read. Raises `Forbidden`, too."""
        row = await self.owned(caller, encounter)
        if not caller.may_feed:
            raise Forbidden("This token only follows the session: send audio with another one.")
        return row

    async def row(self, encounter: str) -> EncounterRow:
        """An encounter as stored. Raises `NotFound`."""
        return await self._read(partial(sql.get, encounter=encounter))

    async def held(self, row: EncounterRow) -> LiveEncounter | None:
        """See `Holding.held`."""
        return await self._holding.held(row)

    async def correctable(self, row: EncounterRow) -> LiveEncounter | None:
        """Who must be told that labels change; None: only the store does. Raises `HeldElsewhere`, `EpochLost`,
        `Conflict`.
        """
        if (live := self._holding.get(row.id)) is not None:
            return live
        if row.state in FINISHED or Stage.TRANSCRIBED in row.stages:
            return None
        await self._holding.check_here(row)
        if row.options.recording:  # it waits in line, or nobody has taken it over yet
            raise Conflict("This recording is not being heard at the moment: change its speakers later.")
        return await self._holding.held(row)

    async def items(self, row: EncounterRow) -> Sequence[Utterance]:
        """See `Holding.items`."""
        return await self._holding.items(row)

    async def intake(self, row: EncounterRow) -> Intake:
        """What is known beside the talk."""
        return await self._read(partial(sql.get_intake, seal=self.seal(row), encounter=row.id))

    def seal(self, row: EncounterRow) -> Seal:
        """See `Holding.seal`."""
        return self._holding.seal(row)

    def let_go(self, live: LiveEncounter) -> None:
        """See `Holding.let_go`."""
        self._holding.let_go(live)

    def expires_at(self, connection: Connection, row: EncounterRow) -> float | None:
        """When what is known of an encounter will be erased; None where it is not over."""
        if row.completed_at is None:
            return None
        return expires_at(self._retention, settings_of(connection, row.tenant_id), row.completed_at)

    def new_seal(self) -> tuple[str, Seal, bytes]:
        """The id of a new encounter, its seal, and its wrapped data key."""
        encounter = secrets.token_hex(12)
        return encounter, *self._keyring.new(encounter)

    async def new_row(
        self, caller: Caller, options: EncounterOptions, encounter: str, wrapped: bytes, *, state: State, owner: str
    ) -> EncounterRow:
        """An encounter that begins now. Raises `StoreUnavailable`."""
        known = await self._glossaries.known(caller.tenant_id) if options.glossaries else ()
        at = self._studio.now()
        return EncounterRow(
            id=encounter,
            tenant_id=caller.tenant_id,
            key_id=caller.key_id,
            token_id=caller.token_id,
            options=self._understood(options, known),
            state=state,
            stages={Stage.CREATED: at, Stage.QUEUED: at},
            percentage=0,
            failure=None,
            warnings=tuple(self._warnings(options, known)),
            epoch=1,
            owner=owner,
            data_key=wrapped,
            last_key=None,
            resumptions=0,
            created_at=at,
            active_at=at,
            completed_at=None,
            fetched_at=None,
        )

    async def typed(self, encounter: str) -> None:
        """One that came as text is stored: its note can be written."""
        await self._closed(encounter, None)

    async def work_on(self, row: EncounterRow) -> LiveEncounter | None:
        """See `Holding.work_on`."""
        return await self._holding.work_on(row)

    async def completed(self, encounter: str) -> None:
        """The last word on it is stored: this process lets it go, and tells those who wait, here and elsewhere."""
        self._holding.release(encounter)
        await self._executors.tell(ENDED, encounter)

    # Inside

    async def _open(self, caller: Caller, options: EncounterOptions, client_key: str | None, intake: Intake) -> str:
        allowed = await self.quotas.allowance(caller.tenant_id)
        encounter, seal, wrapped = self.new_seal()
        row = await self.new_row(caller, options, encounter, wrapped, state=State.LIVE, owner=self._executors.me.id)
        at = row.created_at

        def operation(connection: Connection) -> str:
            if client_key is None or sql.find(connection, row.tenant_id, client_key) is None:
                self.quotas.check(connection, row.tenant_id, allowed, streams=len(options.streams))
            opened = sql.create(connection, row, client_key)
            if opened == encounter:
                sql.put_intake(connection, seal, opened, intake)
            record(connection, caller, Action.OPEN, opened, at)
            return opened

        self._opening.add(encounter)
        try:
            with self.quotas.counted():
                opened = await self._studio.writer.write(operation)
            if opened == encounter:
                await self._holding.begin(row, seal)
                self._studio.metrics.sessions_opened.labels(api=options.api).inc()
        finally:
            self._opening.discard(encounter)
        return opened

    async def _append(self, row: EncounterRow, body: bytes, *, client_key: str | None, final: bool) -> None:
        for _ in range(2):  # once more, where this process had let go of it without knowing
            live = await self._holding.held(row)
            if live is None:
                break
            try:
                await live.append(0, body, client_key=client_key, final=final)
            except EpochLost:
                self._holding.let_go(live)
                row = await self.row(row.id)
            except StoreUnavailable:
                self._holding.let_go(live)  # whether the chunk was stored is read from the store again
                raise
            else:
                return
        raise AlreadyFinal

    async def _refuse_unless_repeated(
        self, row: EncounterRow, body: bytes, *, client_key: str | None, final: bool
    ) -> None:
        """Behind the end only what was taken before is taken again: an answer may have been lost on its way."""
        if final and not body:
            return
        if client_key is not None and (
            client_key == row.last_key or await self._read(partial(sql.has_chunk, encounter=row.id, key=client_key))
        ):
            return
        live = self._holding.get(row.id)
        if live is None:
            raise AlreadyFinal
        await live.append(0, body)  # raises AlreadyFinal, but for the last chunk again

    async def _tend(self, row: EncounterRow) -> None:
        if row.id in self._opening or await self._executors.other(row.owner) is not None:
            return
        if row.options.recording:
            await self._started_jobs().start_recording(row.id)
            return
        if row.state is State.CLOSING:
            await self._started_jobs().start_closing(row.id)
            return
        if not self._takes_live:
            return
        live = await self._holding.held(row)
        if live is not None and not row.options.resumable and not live.attended:
            await self.close(row.id)

    def _check_head(self, options: EncounterOptions, head: bytes) -> None:
        container = any(stream.encoding == "container" for stream in options.streams)
        if container:
            check_head(head)

    def _understood(self, options: EncounterOptions, known: Collection[str]) -> EncounterOptions:
        """The options without names that mean nothing here: what is stored in the clear holds only our own words."""
        return msgspec.structs.replace(
            options,
            template=options.template if self.notes.known(options.template) else self._fallback(options),
            style=options.style or self.notes.default_style,
            glossaries=tuple(name for name in dict.fromkeys(options.glossaries) if name in known),
        )

    def _fallback(self, options: EncounterOptions) -> str:
        return FALLBACK if options.template else self.notes.default_template

    def _warnings(self, options: EncounterOptions, known_glossaries: Collection[str]) -> list[str]:
        """What the client should know although its request was accepted."""
        warnings: list[str] = []
        if not set(options.glossaries) <= set(known_glossaries):
            known = ", ".join(sorted(known_glossaries))
            warnings.append(f"A glossary is unknown here and ignored. Known ones: {known}.")
        if options.template and not self.notes.known(options.template):
            known = ", ".join(sorted(self.notes.templates))
            warnings.append(f"The template is unknown here: the note is written as {FALLBACK}. Known ones: {known}.")
        try:
            self.check_language(options)
        except LanguageUnsupported as exc:
            warnings.append(str(exc))
        return warnings

    async def _closed(self, encounter: str, caller: Caller | None) -> None:
        """Behind a stored end: whoever is waiting for this may leave, the closing job is started all the same."""
        with anyio.CancelScope(shield=True):
            await self._started_jobs().start_closing(encounter)
            if caller is not None:
                await self._record(caller, Action.CLOSE, encounter)

    async def _record(self, caller: Caller, action: Action, encounter: str) -> None:
        at = self._studio.now()
        await self._studio.writer.write(partial(record, caller=caller, action=action, encounter=encounter, at=at))

    def _started_jobs(self) -> Jobs:
        assert self._jobs is not None, "Encounters.start was not called"
        return self._jobs

    async def _read(self, query: Callable[[Connection], T]) -> T:
        return await self._studio.reader.read(query)


def _reached(caller: Caller, row: EncounterRow) -> EncounterRow:
    """The encounter, if this caller may reach it. Raises `NotFound`."""
    if not caller.may_reach(row):
        raise NotFound
    return row


def check_head(head: bytes) -> None:
    """Raises `UnsupportedAudio` where the first bytes of a file begin none that is known; too few say nothing."""
    if len(head) >= MIN_SNIFF_BYTES and sniff(head) is None:
        raise UnsupportedAudio
