"""The use-cases of connections that come and go: take part in a session, leave it, continue it after a break."""

from functools import partial

import msgspec

from server import resumption
from server.domain import Caller, EncounterRow, Scope, StreamSpec
from server.encounters import Encounters
from server.errors import (
    AlreadyFinal,
    BadRequest,
    EpochLost,
    NotFound,
    ResumeTokenInvalid,
    ResumeTokenUsed,
    StoreUnavailable,
)
from server.live import LiveEncounter
from server.store import encounters as sql
from server.store.writer import Writer


class Connections:
    """See the module. One per process."""

    def __init__(self, encounters: Encounters, writer: Writer, *, max_streams_per_session: int) -> None:
        self._encounters = encounters
        self._writer = writer
        self._max_streams_per_session = max_streams_per_session

    async def reach(self, caller: Caller, encounter: str) -> LiveEncounter:
        """A session that goes on: held by this process, taken over if need be. Raises `NotFound`, `AlreadyFinal`."""
        live = await self._encounters.held(await self._encounters.fed(caller, encounter))
        if live is None or live.ended:
            raise AlreadyFinal
        return live

    async def join(self, caller: Caller, encounter: str, spec: StreamSpec, *, position: int = 0) -> int:
        """The stream by which a connection takes part in a session: the one with its role, or one more.

        A connection with the role of a stream that goes on continues it, in the place of whoever fed it before.
        `spec` is named here; a stream more has its first sample at `position`. Raises `NotFound`, `AlreadyFinal`,
        `BadRequest` (another format), `Overloaded`, `QuotaExceeded`.
        """
        quotas = self._encounters.quotas
        allowed = await quotas.allowance(caller.tenant_id)
        live = await self.reach(caller, encounter)
        streams = live.row.options.streams
        for ordinal, known in enumerate(streams):
            if known.role is spec.role and not live.stream_ended(ordinal):
                if known.format != spec.format:
                    raise BadRequest("The stream of this role has another audio format: send that one.")
                return ordinal
        if len(streams) >= self._max_streams_per_session:
            raise BadRequest(f"A session has at most {self._max_streams_per_session} streams.")
        check = partial(quotas.check, tenant_id=caller.tenant_id, allowed=allowed, streams=1)
        named = msgspec.structs.replace(spec, name=f"stream{len(streams)}")
        with self._encounters.admission.place(1, inside=True), quotas.counted():
            return await live.add(named, position=position, check=check)

    async def leave(self, caller: Caller, encounter: str, stream: int) -> None:
        """One stream of a session is over; with the last one, the session."""
        live = self._encounters.holds(encounter)
        if live is None or live.ended:
            return
        try:
            await live.end_stream(stream)
        except (EpochLost, StoreUnavailable):
            self._encounters.let_go(live)
            raise
        if live.all_streams_ended:
            await self._encounters.close(encounter, caller)

    async def resume_token(self, caller: Caller, encounter: str) -> str:
        """What continues a new session over another connection. Raises `NotFound`."""
        row = await self._encounters.fed(caller, encounter)
        return resumption.make(self._encounters.seal(row), row.id, row.resumptions)

    async def resume(self, caller: Caller, token: str) -> tuple[str, str]:
        """The session that a resume token continues, and the token for the time after this one.

        The token stays good until the next one was used, because the answer that carries that may be lost: see
        `resumed`. Raises `ResumeTokenInvalid`, `ResumeTokenUsed`.
        """
        row, number = await self._resumable(caller, token)
        await self._spend(row, number)
        await self.hand_on(caller, row)
        return row.id, resumption.make(self._encounters.seal(row), row.id, number + 1)

    async def hand_on(self, caller: Caller, row: EncounterRow) -> None:
        """A session goes on under a newer token of the same key, which reaches it from now on; the old one expires."""
        if caller.scope is Scope.STREAM and row.token_id != caller.token_id:
            await self._writer.write(partial(sql.hand_on, encounter=row.id, token_id=caller.token_id))

    async def resumed(self, caller: Caller, token: str) -> None:
        """The client has shown that it got this token: earlier ones are spent."""
        row, number = await self._resumable(caller, token)
        await self._spend(row, number)

    async def _resumable(self, caller: Caller, token: str) -> tuple[EncounterRow, int]:
        """What a resume token belongs to, and its number. The caller's own token may be newer than the session."""
        try:
            row = await self._encounters.row(resumption.encounter_of(token))
            seal = self._encounters.seal(row)
        except NotFound:
            raise ResumeTokenInvalid from None
        number = resumption.read(seal, token)
        if not caller.may_feed or (row.tenant_id, row.key_id) != (caller.tenant_id, caller.key_id):
            raise ResumeTokenInvalid
        if number < row.resumptions:
            raise ResumeTokenUsed
        return row, number

    async def _spend(self, row: EncounterRow, below: int) -> None:
        if below > row.resumptions:
            await self._writer.write(partial(sql.spend_resume_tokens, encounter=row.id, below=below))
