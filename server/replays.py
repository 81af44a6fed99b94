"""Sessions whose client comes back without saying so: found by the audio that it repeats."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from server.chunk_log import read_numbers
from server.connections import Connections
from server.domain import Caller, EncounterOptions, EncounterRow
from server.encounters import Encounters
from server.errors import EpochLost
from server.live import LiveEncounter
from server.store import encounters as sql
from server.store.database import Reader
from server.store.seal import Seal

SOUGHT = 512  # log entries of a stream, the newest: more than clients hold back, however small their chunks are
FAR = 2000  # numbers: more than clients hold back, which is 10 s of chunks of all their streams


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A session that may be meant."""

    row: EncounterRow
    attended: bool  # by a connection, as far as is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A numbered chunk of a new connection by which a session is recognised."""

    stream: int
    number: int
    body: bytes
    before: int  # bytes of the stream that came over the connection before it
    first: int  # number of the connection's first chunk


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Match:
    """A session that has heard the chunk."""

    candidate: Candidate
    offset: int  # of the chunk's first byte in its stream


class Replays:
    """See the module. One per process."""

    def __init__(self, encounters: Encounters, connections: Connections, reader: Reader) -> None:
        self._encounters = encounters
        self._connections = connections
        self._reader = reader

    async def candidates(self, caller: Caller, options: EncounterOptions) -> list[Candidate]:
        """Sessions of the caller's key, opened over the same API, whose streams and language are these."""
        query = partial(sql.live_of_key, tenant=caller.tenant_id, key_id=caller.key_id)
        found: list[Candidate] = []
        for row in await self._reader.read(query):
            if not _alike(row.options, options) or (caller.encounter and not caller.may_reach(row)):
                continue
            live = self._encounters.holds(row.id)
            found.append(Candidate(row=row, attended=live is not None and live.attended))
        return found

    async def matches(self, candidates: Sequence[Candidate], evidence: Evidence) -> list[Match]:
        """Those that have heard exactly this chunk; attended ones are looked at where no other has."""
        waiting = [candidate for candidate in candidates if not candidate.attended]
        attended = [candidate for candidate in candidates if candidate.attended]
        return await self._matches(waiting, evidence) or await self._matches(attended, evidence)

    async def _matches(self, candidates: Sequence[Candidate], evidence: Evidence) -> list[Match]:
        sought: list[tuple[Candidate, Seal]] = []
        for candidate in candidates:
            live = self._encounters.holds(candidate.row.id)
            if live is not None:
                if live.ended or not 0 < live.next_number(evidence.stream) - evidence.number <= FAR:
                    continue
                with suppress(EpochLost):  # then another process has it, and the log tells what it has heard
                    await live.log_heard()
            sought.append((candidate, self._encounters.seal(candidate.row)))
        return await self._reader.read(partial(_places, sought=sought, evidence=evidence)) if sought else []

    async def take_up(self, caller: Caller, match: Match) -> LiveEncounter | None:
        """The session, held by this process and within the caller's reach; None where it takes no audio any more."""
        row = match.candidate.row
        await self._connections.hand_on(caller, row)
        live = await self._encounters.held(row)
        return None if live is None or live.ended else live


def _alike(known: EncounterOptions, asked: EncounterOptions) -> bool:
    return (known.api, known.streams, known.language) == (asked.api, asked.streams, asked.language)


def _places(connection: Connection, sought: Sequence[tuple[Candidate, Seal]], evidence: Evidence) -> list[Match]:
    places = [(candidate, _place(connection, candidate.row, seal, evidence)) for candidate, seal in sought]
    return [Match(candidate=candidate, offset=offset) for candidate, offset in places if offset is not None]


def _place(connection: Connection, row: EncounterRow, seal: Seal, evidence: Evidence) -> int | None:
    """Where in its stream a chunk lies, if these bytes have its number."""
    for entry in sql.newest_entries(connection, row.id, evidence.stream, most=SOUGHT):
        numbers = read_numbers(entry.client_key)
        if numbers is None or not numbers[0] <= evidence.number <= numbers[1]:
            continue
        end = entry.offset + entry.size
        (chunk,) = sql.read_log(connection, seal, row.id, evidence.stream, begin=entry.offset, end=end, most=1)
        at = chunk.body.find(evidence.body)
        return None if at < 0 else entry.offset + at
    return None
