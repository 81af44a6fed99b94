"""The live encounters that this process holds: taken over, run, closed when idle, let go when something breaks."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from io import RawIOBase

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup

from pipeline.errors import AuscultError
from pipeline.types import Utterance
from server.chunk_log import Channel, read_numbers
from server.domain import EncounterRow, State
from server.errors import NotFound
from server.executors import Executors, HeldElsewhere
from server.glossaries import Glossaries
from server.intake import spoken_names
from server.live import LiveEncounter, Studio
from server.parts import Parts, survey
from server.store import encounters as sql
from server.store import recordings
from server.store.blobs import Blobs
from server.store.seal import KeyRing, Seal

log = structlog.get_logger()

IN_WORK = (State.LIVE, State.WORKING, State.CLOSING)


class Holding:
    """See the module. One per process."""

    def __init__(
        self,
        *,
        studio: Studio,
        keyring: KeyRing,
        blobs: Blobs,
        glossaries: Glossaries,
        executors: Executors,
        idle_timeout_s: float,
        reconnect_timeout_s: float,
    ) -> None:
        self._studio = studio
        self._keyring = keyring
        self._blobs = blobs
        self._glossaries = glossaries
        self._executors = executors
        self._idle_timeout_s = idle_timeout_s
        self._reconnect_timeout_s = reconnect_timeout_s
        self._live: dict[str, LiveEncounter] = {}
        self._fewer = anyio.Event()  # one is held no longer; replaced by who waits for it
        self._taking_over = anyio.Lock()
        self._tasks: TaskGroup | None = None
        self._close: Callable[[str], Awaitable[None]] | None = None

    def start(self, tasks: TaskGroup, close: Callable[[str], Awaitable[None]]) -> None:
        """Encounters run as tasks of `tasks`; those that fall idle are closed by `close`."""
        self._tasks, self._close = tasks, close

    @property
    def live(self) -> int:
        """Those whose talk goes on, or has just ended: all but recordings."""
        return sum(not live.row.options.recording for live in self._live.values())

    @property
    def streams(self) -> int:
        """Audio streams of live sessions that are still being heard."""
        heard = (live for live in self._live.values() if not live.transcribed.is_set())
        return sum(len(live.row.options.streams) for live in heard if not live.row.options.recording)

    def get(self, encounter: str) -> LiveEncounter | None:
        """The encounter, if this process holds it."""
        return self._live.get(encounter)

    async def begin(self, row: EncounterRow, seal: Seal) -> None:
        """Hold an encounter that was just opened."""
        self._begin(await self._restored(row, seal, epoch=row.epoch))

    async def held(self, row: EncounterRow) -> LiveEncounter | None:
        """The encounter in this process: taken over and rebuilt where it is not; None where it takes no work.

        Raises `HeldElsewhere`, and `EpochLost` where another process was faster.
        """
        return await self._held(row, (State.LIVE, State.CLOSING))

    async def work_on(self, row: EncounterRow) -> LiveEncounter | None:
        """See `held`, for the job of a recording."""
        return await self._held(row, (State.WORKING,))

    async def check_here(self, row: EncounterRow) -> None:
        """Raises `HeldElsewhere` where another process holds it."""
        if row.id not in self._live and row.state in IN_WORK:
            holder = await self._executors.other(row.owner)
            if holder is not None:
                raise HeldElsewhere(holder)

    async def _held(self, row: EncounterRow, states: Sequence[State]) -> LiveEncounter | None:
        if row.id not in self._live and row.state in states:
            async with self._taking_over:
                row = await self._studio.reader.read(partial(sql.get, encounter=row.id))  # it may be over by now
                if row.id not in self._live and row.state in states:
                    await self.check_here(row)
                    await self._take_over(row)
        return self._live.get(row.id)

    def let_go(self, live: LiveEncounter) -> None:
        """Stop working on it: its next chunk, or the next round of tending, takes it over again from the store."""
        if self._live.get(live.id) is live:
            self.release(live.id)
        live.scope.cancel()

    def release(self, encounter: str) -> None:
        """It is completed: nothing is left to hold."""
        self._live.pop(encounter, None)
        self._fewer.set()

    async def idle(self) -> None:
        """Wait until no live session is held."""
        while self.live:
            self._fewer = anyio.Event()
            await self._fewer.wait()

    async def items(self, row: EncounterRow) -> Sequence[Utterance]:
        """Its finals, in the order in which they were told."""
        if (live := self._live.get(row.id)) is not None:
            return live.transcript.items
        return await self._studio.reader.read(partial(sql.read_items, seal=self.seal(row), encounter=row.id))

    def seal(self, row: EncounterRow) -> Seal:
        """What opens its words. Raises `NotFound` once it is erased."""
        if row.data_key is None:
            raise NotFound
        return self._keyring.unwrap(row.id, row.data_key)

    async def _take_over(self, row: EncounterRow) -> None:
        take_over = partial(sql.take_over, encounter=row.id, owner=self._executors.me.id, epoch=row.epoch)
        epoch = await self._studio.writer.write(take_over)
        live = await self._restored(row, self.seal(row), epoch=epoch)
        if row.state is not State.LIVE:
            live.end()
        if not (row.state is State.WORKING and row.owner == self._executors.me.id):  # else it was just claimed
            self._studio.metrics.takeovers.inc()
            log.info("encounter.taken_over", encounter=row.id, epoch=epoch)
        self._begin(live)

    async def _restored(self, row: EncounterRow, seal: Seal, *, epoch: int) -> LiveEncounter:
        read = self._studio.reader.read
        parts = await self._parts(row, seal) if row.options.recording else None
        states = await read(partial(sql.stream_states, seal=seal, encounter=row.id))
        ends = await read(partial(sql.log_ends, encounter=row.id))
        intake = await read(partial(sql.get_intake, seal=seal, encounter=row.id))
        terms = await self._glossaries.terms(row.tenant_id, row.options.glossaries)
        channels = []
        for ordinal, spec in enumerate(row.options.streams):
            channel = Channel(ordinal=ordinal, spec=spec, state=states[ordinal])
            if (end := ends.get(ordinal)) is not None:
                numbers = await self._numbers(row, ordinal, end) if row.options.attended else None
                channel.seq, channel.offset = end.seq, end.offset
                channel.heard = channel.inherited = end.offset
                channel.next_number = numbers[1] + 1 if numbers else 0
            channels.append(channel)
        return LiveEncounter(
            row,
            seal,
            self._studio,
            epoch=epoch,
            glossary=(*intake.expected, *spoken_names(intake), *terms),
            channels=channels,
            items=await read(partial(sql.read_items, seal=seal, encounter=row.id)),
            conversation=await read(partial(sql.get_conversation, seal=seal, encounter=row.id)),
            parts=parts,
        )

    async def _numbers(self, row: EncounterRow, stream: int, end: sql.LogEnd) -> tuple[int, int] | None:
        """Of the chunks that connections counted last: a peer, which counts none, may have fed the stream since."""
        last_key = partial(sql.last_key, encounter=row.id, stream=stream)
        return read_numbers(end.client_key or await self._studio.reader.read(last_key))

    async def _parts(self, row: EncounterRow, seal: Seal) -> Parts:
        known = await self._studio.reader.read(partial(recordings.parts, seal=seal, encounter=row.id))
        files: list[Callable[[], RawIOBase]] = [
            partial(self._blobs.open, part.blob, seal) for part in known if part.blob is not None
        ]
        return await anyio.to_thread.run_sync(survey, files, self._studio.probe)

    def _begin(self, live: LiveEncounter) -> None:
        assert self._tasks is not None, "Holding.start was not called"
        self._live[live.id] = live
        self._tasks.start_soon(self._run, live, name=f"encounter {live.id}")

    async def _run(self, live: LiveEncounter) -> None:
        """The end of the line for anything that goes wrong in one encounter: no other one notices."""
        try:
            with live.scope:
                async with anyio.create_task_group() as owner:
                    if live.row.options.resumable:
                        owner.start_soon(self._close_when_idle, live)
                    await live.run()
                    owner.cancel_scope.cancel()
        except* Exception as group:
            self.let_go(live)
            for exc in group.exceptions:
                code = exc.code if isinstance(exc, AuscultError) else "error"
                log.error("encounter.let_go", encounter=live.id, code=code, exc_info=exc)
        if not live.transcribed.is_set():
            self.let_go(live)

    async def _close_when_idle(self, live: LiveEncounter) -> None:
        """A session whose client never says that it is over, and does not come back, is closed as if it had."""
        assert self._close is not None, "Holding.start was not called"
        patience = self._reconnect_timeout_s if live.row.options.attended else self._idle_timeout_s
        while not live.ended:
            live.active = anyio.Event()
            if live.attended:  # whoever attends it knows what silence means there
                await live.active.wait()
                continue
            with anyio.move_on_after(patience) as waiting:
                await live.active.wait()
            if waiting.cancelled_caught and not live.attended:
                try:
                    await self._close(live.id)
                except AuscultError as exc:  # the store is not there at the moment: the next round tries again
                    log.warning("encounter.not_closed", encounter=live.id, code=exc.code)
