"""Recordings that come in several uploads: each is a segment of one consultation, and all are joined into one note.

Segments come in any order, one file each; a repeat of one is taken silently. With the last of them, or when none has
come for too long, the recording gets in line as any other.
"""

import secrets
from datetime import timedelta
from functools import partial

import msgspec
import structlog
from sqlalchemy import Connection

from server.access import Action, record
from server.domain import EncounterOptions, EncounterRow, State
from server.encounters import Encounters
from server.errors import AlreadyFinal, BadRequest, TooLarge
from server.executors import QUEUED, Executors
from server.intake import Intake
from server.live import Studio
from server.recordings import Receiving, RecordingLimits
from server.store import encounters as encounter_sql
from server.store import recordings as sql
from server.store import tenants

log = structlog.get_logger()

WAITED_FOR_S = timedelta(hours=12).total_seconds()  # the next segment: the longest shift
MISSING = "Not all segments of the recording came."


class Segments:
    """See the module. One per process."""

    def __init__(self, encounters: Encounters, studio: Studio, executors: Executors, limits: RecordingLimits) -> None:
        self._encounters = encounters
        self._studio = studio
        self._executors = executors
        self._limits = limits

    async def join(
        self, receiving: Receiving, options: EncounterOptions, client_key: str, intake: Intake, number: int
    ) -> None:
        """The next file is segment `number`, from 1, of the recording with this key, which begins with whichever comes
        first: its options and intake are those of all. To be called before the file.

        Raises `NotFound`, `TooLarge`, `QuotaExceeded`.
        """
        if number > self._limits.max_files:
            raise TooLarge(f"A recording has at most {self._limits.max_files} segments.")
        caller = receiving.caller
        row = await self._encounters.new_row(
            caller, options, receiving.encounter, receiving.wrapped, state=State.GATHERING, owner=""
        )
        quotas = self._encounters.quotas
        allowed = await quotas.allowance(caller.tenant_id)

        def operation(connection: Connection) -> str:
            if (known := encounter_sql.find(connection, row.tenant_id, client_key)) is not None:
                return known
            quotas.check(connection, row.tenant_id, allowed, streams=0)
            priority = tenants.settings_of(connection, caller.tenant_id).priority or 0
            opened = encounter_sql.create(connection, msgspec.structs.replace(row, priority=priority), client_key)
            encounter_sql.put_intake(connection, receiving.seal, opened, intake)
            record(connection, caller, Action.OPEN, opened, row.created_at)
            return opened

        with quotas.counted():
            opened = await self._studio.writer.write(operation)
        if opened == row.id:
            self._studio.metrics.sessions_opened.labels(api=options.api).inc()
        known = await self._encounters.fed(caller, opened)
        receiving.encounter, receiving.seal = known.id, self._encounters.seal(known)
        receiving.first, receiving.mark = number - 1, f"-{secrets.token_hex(4)}"

    async def accept(self, receiving: Receiving, *, final: bool) -> str:
        """The segment is stored; returns the encounter's id. `final`: no other has a higher number.

        Raises `BadRequest`, `AlreadyFinal`, `TooLarge`.
        """
        if not receiving.parts:
            raise BadRequest("There is no audio: send the segment as a file named audio.", field="audio")
        complete, receiving.accepted = await self._studio.writer.write(
            partial(self._store, receiving=receiving, final=final)
        )
        if complete:
            await self._executors.tell(QUEUED, receiving.encounter)
        return receiving.encounter

    async def tend(self) -> None:
        """Go on with recordings whose last segment never came, with what did come."""
        before = self._studio.now() - WAITED_FOR_S
        for row in await self._studio.reader.read(partial(encounter_sql.in_states, states=(State.GATHERING,))):
            if row.active_at > before:
                continue
            try:
                await self._go_on(row)
            except Exception as exc:  # one that is damaged must not keep the others from being tended
                log.error("recording.not_tended", encounter=row.id, exc_info=exc)

    async def _go_on(self, row: EncounterRow) -> None:
        parts = await self._studio.reader.read(partial(sql.parts, seal=self._encounters.seal(row), encounter=row.id))
        if not parts:
            await self._encounters.erase(row.id)
            return
        log.info("recording.segments_missing", encounter=row.id)
        closed = msgspec.structs.replace(row.options, segments=0)  # what comes late is refused, and is no repeat
        await self._studio.writer.write(
            partial(sql.gathered, encounter=row.id, options=closed, complete=True, warning=MISSING)
        )
        await self._executors.tell(QUEUED, row.id)

    def _store(self, connection: Connection, *, receiving: Receiving, final: bool) -> tuple[bool, bool]:
        """Whether that was all there is to come, and whether this segment was new."""
        sql.hold(connection, receiving.encounter)
        row = encounter_sql.get(connection, receiving.encounter)
        known = sql.parts(connection, receiving.seal, row.id)
        (part,) = receiving.parts
        blobs = {each.ordinal: each.blob for each in known}
        there, number = set(blobs), part.ordinal + 1
        new = part.ordinal not in there
        if row.state is not State.GATHERING:
            if number > row.options.segments and new:
                raise AlreadyFinal("The last segment was received before: this one is not part of the note.")
            return False, False  # a repeat: the files themselves may be gone by now
        most = number if final else row.options.segments
        if most and max(number, most, *(ordinal + 1 for ordinal in there)) > most:
            raise BadRequest("final_segment must be the segment with the highest number.", field="final_segment")
        if sum(each.size for each in known) + part.size > self._limits.max_bytes:
            raise TooLarge(f"The recording is larger than {self._limits.max_bytes // 1_000_000} MB.")
        if new:
            sql.add_part(connection, receiving.seal, row.id, part)
        complete = most == len(there | {part.ordinal})
        options = msgspec.structs.replace(row.options, segments=most)
        sql.gathered(connection, row.id, options, complete=complete, at=self._studio.now())
        return complete, new or blobs[part.ordinal] == part.blob  # the same write again, whose answer was lost
