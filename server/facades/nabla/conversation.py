"""One conversation over Nabla's socket. What the vendor's clients do is in the tests; OPEN points are in the README."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import anyio
import structlog

from pipeline.errors import AuscultError
from server.attendance import Attendance
from server.domain import Caller
from server.errors import FULL, BadRequest, TokenExpired
from server.facades.nabla import schema
from server.facades.nabla.desk import Connection, Desk
from server.facades.nabla.dialect import Dialect, Setup
from server.facades.nabla.exchange import Exchange, Expiry
from server.facades.nabla.returning import Beginning, chosen, eligible, zero
from server.ingest.websocket import (
    INTERNAL_ERROR,
    NORMAL,
    POLICY_VIOLATION,
    TRY_AGAIN,
    ClientGone,
    Displaced,
    NoConfig,
    SlowReader,
    SocketError,
    StreamSilent,
    first_error,
)
from server.live import LiveEncounter

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Start:
    """The session of a socket, and what came over it before that was clear."""

    live: LiveEncounter
    setup: Setup
    pending: Sequence[schema.ClientMessage] = ()


class Conversation:
    """Config, audio of each stream, end; items and note. One per socket, in the dialect of its path."""

    def __init__(self, dialect: Dialect, connection: Connection, caller: Caller, desk: Desk, expiry: Expiry) -> None:
        self._dialect = dialect
        self._connection = connection
        self._caller = caller
        self._desk = desk
        self._encounters = desk.encounters
        self._limits = desk.limits
        self._expiry = expiry

    async def hold(self) -> int:
        """The whole conversation; returns the close code."""
        try:
            async with first_error():
                start = await self._start(await self._setup())
                exchange = Exchange(self._dialect, self._connection, self._caller, start.setup, start.live, self._desk)
                async with self._attended(exchange) as attendance:
                    timeout_s = self._limits.stream_silence_timeout_s
                    await exchange.hold(attendance, start.pending, timeout_s, self._expiry)
                if start.setup.options.note:
                    await self._send_note(start.live.id)
        except ClientGone:
            return NORMAL
        except AuscultError as exc:
            self._desk.metrics.rejected.labels(code=exc.code).inc()
            return await self._refuse(exc)
        return NORMAL

    async def _setup(self) -> Setup:
        with anyio.move_on_after(self._limits.config_timeout_s):
            message = await self._connection.receive()
            setup = self._dialect.setup(message, self._limits.max_streams, self._encounters.recogniser.languages)
            self._encounters.check_language(setup.options)
            if setup.options.note:
                self._encounters.notes.require(setup.options.template)
            return setup
        raise NoConfig

    async def _start(self, setup: Setup) -> _Start:
        """A new session, or one whose connection broke, if this socket repeats what that one has heard."""
        beginning = Beginning(setup)
        if setup.options.resumable:
            candidates = await self._desk.replays.candidates(self._caller, setup.options)
            while not beginning.settled and (candidates := eligible(candidates, beginning.first)):
                evidence = beginning.add(await self._first_message())
                if evidence is None:
                    continue
                match = chosen(await self._desk.replays.matches(candidates, evidence))
                live = await self._desk.replays.take_up(self._caller, match) if match is not None else None
                if match is not None and live is not None:
                    log.info("encounter.returned", encounter=live.id)
                    sample_rate = setup.options.streams[evidence.stream].sample_rate
                    resumed = replace(setup, zero=zero(match.offset - evidence.before, sample_rate), resumes=True)
                    return _Start(live=live, setup=resumed, pending=beginning.messages)
        encounter = await self._encounters.open(self._caller, setup.options)
        return _Start(live=self._encounters.live(encounter), setup=setup, pending=beginning.messages)

    async def _first_message(self) -> schema.ClientMessage:
        timeout_s = self._limits.stream_silence_timeout_s
        with anyio.move_on_after(timeout_s):
            while True:
                try:
                    return await self._connection.receive()
                except BadRequest as exc:
                    await self._connection.send(self._dialect.error(exc))
        raise StreamSilent(f"A declared stream received no audio for {timeout_s:g} seconds.")

    @asynccontextmanager
    async def _attended(self, exchange: Exchange) -> AsyncIterator[Attendance]:
        """The session is closed when the block ends: what was said is kept and finished.

        One that can be resumed stays open where its connection was lost, for `limits.reconnect_timeout_s`.
        """
        live, stays = exchange.live, False
        options = live.row.options
        try:
            with live.attend(*range(len(options.streams))) as attendance:
                yield attendance
        except (anyio.get_cancelled_exc_class(), AuscultError) as exc:
            stays = options.resumable and not exchange.ended and _may_return(exc)
            raise
        finally:
            if not stays:
                with anyio.CancelScope(shield=True):
                    await self._encounters.close(live.id)

    async def _send_note(self, encounter: str) -> None:
        stored = (await self._encounters.outcome(self._caller, encounter)).note
        if stored is not None and stored.note is not None:
            if (note := self._dialect.note(stored.note)) is not None:
                await self._connection.send(note)
        elif stored is not None and stored.absence is not None:
            await self._connection.send(self._dialect.error(stored.absence))

    async def _refuse(self, exc: AuscultError) -> int:
        """Say what was wrong; returns the close code."""
        try:
            await self._connection.send(self._dialect.error(exc))
        except SocketError:
            return NORMAL
        if isinstance(exc, FULL):
            return TRY_AGAIN
        if isinstance(exc, SocketError):
            return exc.close_code
        return INTERNAL_ERROR if exc.retryable else POLICY_VIOLATION


def _may_return(exc: BaseException) -> bool:
    """Whether a client whose connection ended like this comes back: it was lost, displaced, or the server ends."""
    if isinstance(exc, AuscultError):
        return exc.retryable or isinstance(exc, ClientGone | SlowReader | Displaced | TokenExpired)
    return True
