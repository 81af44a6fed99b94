"""The use-cases of a recording: take its files, work on it in steps, cancel it.

A recording is an encounter whose audio is there from the start. It waits in line (`server.dispatching`); then a durable
job does the steps, each of which may run again after a crash and does then what is left to do.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Protocol, TypeVar

import anyio
import msgspec
import structlog
from sqlalchemy import Connection

from pipeline.containers import MIN_SNIFF_BYTES
from pipeline.errors import AuscultError, UnsupportedAudio
from pipeline.types import to_samples
from server.access import Action, record
from server.closing import Closing
from server.domain import FINISHED, Callback, Caller, EncounterOptions, EncounterRow, Failure, Stage, State
from server.encounters import Encounters, check_head
from server.errors import (
    AudioGone,
    BadRequest,
    Cancelled,
    Conflict,
    EpochLost,
    Forbidden,
    NotFound,
    RecordingBroken,
    StoreUnavailable,
    TooLarge,
)
from server.executors import QUEUED, Executors, HeldElsewhere
from server.intake import NOTHING, Intake
from server.live import Studio
from server.store import encounters as encounter_sql
from server.store import recordings as sql
from server.store import retention, tenants
from server.store.blobs import Blobs
from server.store.deliveries import put_callback
from server.store.recordings import Part
from server.store.seal import Seal

T = TypeVar("T")

log = structlog.get_logger()

STEP_MS = 600_000  # of audio in one step of the job: a crash repeats no more, and mostly much less
FETCH_AGAIN_S = (1.0, 3.0, 9.0)  # between tries of an address that may answer later
TRIES = 5  # of work that breaks off by what is not expected to mend itself
HEAD_BYTES = 64  # looked at before anything is stored


class Fetcher(Protocol):
    """Files at addresses that clients gave (`server.outgoing`)."""

    def check(self, url: str) -> None:
        """Raises `AddressRefused` for an address that will never be called: a file's, or a callback's."""
        ...

    def fetch(self, url: str, *, max_bytes: int) -> AsyncGenerator[bytes]:
        """The file, in pieces. Raises errors whose `retryable` says whether it is worth another try."""
        ...


class RecordingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one recording may be."""

    max_bytes: int  # of all its files together
    max_files: int


class Recordings:
    """See the module. One per process."""

    def __init__(
        self,
        encounters: Encounters,
        studio: Studio,
        blobs: Blobs,
        fetcher: Fetcher,
        closing: Closing,
        executors: Executors,
        limits: RecordingLimits,
        keeps_files: Callable[[str], Awaitable[bool]],
    ) -> None:
        """`keeps_files`: whether the files of a tenant's recordings outlive their transcription."""
        self._encounters = encounters
        self._studio = studio
        self._blobs = blobs
        self._fetcher = fetcher
        self._closing = closing
        self._executors = executors
        self.limits = limits
        self._keeps_files = keeps_files
        self._broken: dict[str, int] = {}  # how often work on a recording broke off in this process

    # Use-cases

    @asynccontextmanager
    async def receiving(self, caller: Caller) -> AsyncIterator["Receiving"]:
        """Take files in this block. What is not accepted in it leaves nothing behind. Raises `Forbidden`."""
        if caller.encounter:
            raise Forbidden("A token for one session takes no recordings: use an API key.")
        receiving = Receiving(self, caller, *self._encounters.new_seal())
        try:
            yield receiving
        finally:
            if not receiving.accepted:
                with anyio.CancelScope(shield=True):
                    for part in receiving.parts:
                        if part.blob is not None:
                            await self._blobs.delete(part.blob)

    async def once(
        self, caller: Caller, client_key: str | None, receive: Callable[["Receiving"], Awaitable[str]]
    ) -> str:
        """What `receive` accepts, or what came with this key before: then the repeated request need not be read."""
        if client_key is not None:
            find = partial(encounter_sql.find, tenant=caller.tenant_id, client_key=client_key)
            if (known := await self._studio.reader.read(find)) is not None:
                return known
        async with self.receiving(caller) as receiving:
            return await receive(receiving)

    async def cancel(self, caller: Caller, encounter: str) -> None:
        """End a recording that waits or is in work; nothing happens where it is over. Raises `NotFound`, `Conflict`."""
        row = await self._encounters.fed(caller, encounter)
        if row.state in FINISHED:
            return
        if not row.options.recording:
            raise Conflict("Only recordings are cancelled: end a session by its last chunk, or delete it.")
        await self._fail(row, Cancelled())

    async def store(
        self,
        receiving: "Receiving",
        options: EncounterOptions,
        client_key: str | None,
        callback: Callback | None,
        intake: Intake,
    ) -> str:
        """The accepted files, in line; the id of the encounter, or of the one with this key before."""
        if not receiving.parts:
            raise BadRequest("There is no audio: send one or more files named audio, or urls.")
        caller = receiving.caller
        row = await self._encounters.new_row(
            caller, options, receiving.encounter, receiving.wrapped, state=State.QUEUED, owner=""
        )
        at = row.created_at

        quotas = self._encounters.quotas
        allowed = await quotas.allowance(caller.tenant_id)

        def operation(connection: Connection) -> str:
            if client_key is None or encounter_sql.find(connection, row.tenant_id, client_key) is None:
                quotas.check(connection, row.tenant_id, allowed, streams=0)
            priority = tenants.settings_of(connection, caller.tenant_id).priority or 0
            queued = msgspec.structs.replace(row, priority=priority)
            opened = sql.create(connection, receiving.seal, queued, client_key, receiving.parts)
            if opened == row.id:
                encounter_sql.put_intake(connection, receiving.seal, row.id, intake)
                if callback is not None:
                    put_callback(connection, receiving.seal, row.id, options.api, callback)
            record(connection, caller, Action.OPEN, opened, at)
            return opened

        with quotas.counted():
            opened = await self._studio.writer.write(operation)
        if opened == row.id:
            receiving.accepted = True
            self._studio.metrics.sessions_opened.labels(api=options.api).inc()
            await self._executors.tell(QUEUED, opened)
        return opened

    def check_address(self, url: str) -> None:
        """See `Fetcher.check`."""
        self._fetcher.check(url)

    # Steps of the job

    async def fetch(self, encounter: str) -> None:
        """Get the files that are elsewhere."""
        row = await self._encounters.row(encounter)
        if row.state not in FINISHED:
            await self._bounded(row, self._fetch(row))

    async def _fetch(self, row: EncounterRow) -> None:
        encounter, seal = row.id, self._encounters.seal(row)
        parts = await self._studio.reader.read(partial(sql.parts, seal=seal, encounter=encounter))
        left = self.limits.max_bytes - sum(part.size for part in parts)
        for part in parts:
            if part.blob is not None or part.url is None:
                continue
            try:
                blob, size = await self._fetched(encounter, part.ordinal, seal, part.url, most=left)
            except StoreUnavailable:
                raise
            except AuscultError as exc:
                await self._fail(row, exc)
                return
            left -= size
            put = partial(sql.put_blob, encounter=encounter, ordinal=part.ordinal, blob=blob, size=size)
            await self._studio.writer.write(put)

    async def transcribe(self, encounter: str, step: int) -> bool:
        """Hear up to the end of a step, counted from 1; whether that was the last one."""
        row = await self._encounters.row(encounter)
        if row.state in FINISHED or Stage.TRANSCRIBED in row.stages:
            return True
        return await self._bounded(row, self._heard(row, step)) is not False

    async def _heard(self, row: EncounterRow, step: int) -> bool:
        live = await self._encounters.work_on(row)
        if live is None:
            raise NotFound
        await live.reached(to_samples(step * STEP_MS))
        if live.gone.is_set() and not live.transcribed.is_set():
            raise live.fault or EpochLost()
        return live.transcribed.is_set()

    async def _bounded(self, row: EncounterRow, work: Awaitable[T]) -> T | None:
        """What the work returns; None where it broke for good, or too often, and with that the recording has failed."""
        try:
            return await work
        except AudioGone as exc:  # such as in a backup that was restored: trying again brings nothing
            await self._fail(row, exc)
            return None
        except Exception as exc:
            if not _breaks(exc):
                raise
            tries = self._broken[row.id] = self._broken.get(row.id, 0) + 1
            log.error("recording.broken", encounter=row.id, tries=tries, exc_info=exc)
            if tries < TRIES:
                raise
        await self._fail(row, RecordingBroken())
        del self._broken[row.id]
        return None

    async def drop_files(self, encounter: str) -> None:
        """The audio of a recording goes once it is transcribed, where it is not to be kept longer."""
        with suppress(NotFound):  # it was erased meanwhile
            row = await self._encounters.row(encounter)
            if row.state is State.DONE and await self._keeps_files(row.tenant_id):
                return  # a sweep deletes it in its time
        for blob in await self._studio.reader.read(partial(retention.blob_names, encounter=encounter)):
            await self._blobs.delete(blob)
        await self._studio.writer.write(partial(retention.drop_audio, encounter=encounter))

    # Inside

    async def keep(self, receiving: "Receiving", pieces: AsyncIterable[bytes], *, checked: bool) -> None:
        """Store an uploaded file as the next one."""
        ordinal = receiving.first + len(receiving.parts)
        if ordinal >= self.limits.max_files:
            raise TooLarge(f"A recording has at most {self.limits.max_files} files.")
        left = self.limits.max_bytes - sum(part.size for part in receiving.parts)
        key = f"{receiving.encounter}-part{ordinal}{receiving.mark}"
        blob, size = await self._keep(key, receiving.seal, pieces, most=left, checked=checked)
        receiving.parts.append(Part(ordinal=ordinal, blob=blob, size=size))

    async def _keep(
        self,
        key: str,
        seal: Seal,
        pieces: AsyncIterable[bytes],
        *,
        most: int,
        checked: bool = True,
    ) -> tuple[str, int]:
        """Seal a file as it comes. Raises `TooLarge`, `UnsupportedAudio`, `StorageFull`; then nothing is left of it."""
        size, head = 0, b""
        async with self._blobs.writer(key, seal) as writer:
            async for piece in pieces:
                if checked and len(head) < HEAD_BYTES:
                    head += piece[: HEAD_BYTES - len(head)]
                    check_head(head)
                size += len(piece)
                if size > most:
                    megabytes = self.limits.max_bytes // 1_000_000
                    raise TooLarge(f"The recording is larger than {megabytes} MB: send it in a smaller format.")
                await writer.write(piece)
            if not size:
                raise BadRequest("The audio file is empty.", field="audio")
            if checked and len(head) < MIN_SNIFF_BYTES:
                raise UnsupportedAudio
            await writer.finish()
        return key, size

    async def _fetched(self, encounter: str, ordinal: int, seal: Seal, url: str, *, most: int) -> tuple[str, int]:
        for wait_s in (*FETCH_AGAIN_S, None):
            try:
                async with aclosing(self._fetcher.fetch(url, max_bytes=most)) as pieces:
                    return await self._keep(f"{encounter}-part{ordinal}", seal, pieces, most=most)
            except StoreUnavailable:
                raise
            except AuscultError as exc:
                if wait_s is None or not exc.retryable:
                    raise
                log.info("recording.fetch_again", encounter=encounter, code=exc.code)
            await anyio.sleep(wait_s)
        raise AssertionError("the last try returns or raises")

    async def _fail(self, row: EncounterRow, error: AuscultError) -> None:
        """The last word on a recording that is not worth going on with."""
        failure = Failure(code=error.code, message=str(error))
        await self._closing.conclude(row, failure, await self._encounters.items(row))
        await self.drop_files(row.id)


class Receiving:
    """A recording on its way in. Made by `Recordings.receiving`."""

    def __init__(self, recordings: Recordings, caller: Caller, encounter: str, seal: Seal, wrapped: bytes) -> None:
        self.caller = caller
        self.encounter = encounter
        self.seal = seal
        self.wrapped = wrapped
        self.parts: list[Part] = []
        self.accepted = False
        self.first = 0  # ordinal of the first file; more in a recording that comes in segments (`server.segments`)
        self.mark = ""  # in the names of its blobs, where two uploads may bring the same file at the same time
        self._recordings = recordings

    async def file(self, pieces: AsyncIterable[bytes], *, checked: bool = True) -> None:
        """The next file. Raises `TooLarge`, `UnsupportedAudio`, `BadRequest`, `StorageFull`.

        `checked`: whether one whose first bytes begin no known audio is refused now, and not only found to be none.
        """
        await self._recordings.keep(self, pieces, checked=checked)

    def url(self, url: str) -> None:
        """The next file, which is to be fetched. Raises `AddressRefused`."""
        self._recordings.check_address(url)
        self.parts.append(Part(ordinal=len(self.parts), blob=None, size=0, url=url))

    def lead(self, ordinal: int) -> None:
        """The file that came as this one is to be heard first."""
        self.parts.insert(0, self.parts.pop(ordinal))
        self.parts[:] = [msgspec.structs.replace(part, ordinal=number) for number, part in enumerate(self.parts)]

    async def accept(
        self,
        options: EncounterOptions,
        client_key: str | None = None,
        callback: Callback | None = None,
        intake: Intake = NOTHING,
    ) -> str:
        """Everything is here: returns the id of the encounter, once it is stored. Its API tells `callback`.

        Raises `BadRequest`, `AddressRefused`, `QuotaExceeded`.
        """
        if callback is not None:
            self._recordings.check_address(callback.url)
        return await self._recordings.store(self, options, client_key, callback, intake)


def _breaks(exc: Exception) -> bool:
    """Whether the recording itself, or a fault of ours, is the reason, and not what is away for a while."""
    if isinstance(exc, AuscultError):
        return not (exc.retryable or isinstance(exc, NotFound))
    return not isinstance(exc, (OSError, HeldElsewhere))
