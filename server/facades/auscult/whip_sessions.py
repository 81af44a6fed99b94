"""The WHIP sessions of this process: made, found, ended; a fault in one is the end of that one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from functools import partial

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus

from pipeline.errors import AuscultError
from pipeline.types import to_samples
from server.connections import Connections
from server.domain import Caller
from server.encounters import Encounters
from server.errors import NotFound
from server.facades.auscult.telling import Telling
from server.facades.auscult.whip_convert import Feed, Wanted
from server.facades.auscult.whip_session import Part, WhipSession, process_of
from server.ingest import sdp
from server.ingest.webrtc import Counts, Peer
from server.metrics import Metrics
from server.settings import WebRtcSettings

log = structlog.get_logger()

MAX_TRACKS = 2  # of an offer: doctor and patient


class WhipSessions:
    """See the module. One per process; a session is forgotten when it is over."""

    def __init__(
        self,
        encounters: Encounters,
        connections: Connections,
        telling: Telling,
        metrics: Metrics,
        settings: WebRtcSettings,
        *,
        send_timeout_s: float,
    ) -> None:
        self._encounters = encounters
        self._connections = connections
        self._telling = telling
        self._metrics = metrics
        self._settings = settings
        self._send_timeout_s = send_timeout_s
        self._sessions: dict[str, WhipSession] = {}
        self._past = Counts(**{field.name: 0 for field in fields(Counts)})
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sessions can be made in this block; their peers are closed behind it."""
        async with anyio.create_task_group() as self._tasks:
            yield
            self._tasks.cancel_scope.cancel()

    @property
    def peers(self) -> int:
        """Peer connections that are open."""
        return sum(session.peer.ending is None for session in self._sessions.values())

    def packets(self, fate: str) -> int:
        """Packets so far, of all sessions, by what became of them: a field of `Counts`."""
        counts = [self._past, *(session.peer.counts for session in self._sessions.values())]
        return sum(int(getattr(each, fate)) for each in counts)

    async def make(self, caller: Caller, wanted: Wanted, offer: str) -> tuple[WhipSession, str]:
        """A session that answers an offer, and its answer.

        Raises `RtcError`s, `BadRequest`, `NotFound`, `AlreadyFinal`, `Overloaded`, `LanguageUnsupported`,
        `UnknownTemplate`.
        """
        read = sdp.read_offer(offer, max_bytes=self._settings.max_sdp_bytes, max_tracks=MAX_TRACKS)
        feed = wanted.feed(read.tracks)
        await self._check(caller, wanted)
        peer = Peer(self._settings, split=feed.split, max_tracks=MAX_TRACKS, max_gap_ms=wanted.max_gap_ms)
        try:
            answer = await peer.answer(offer)
            part = await self._take_part(caller, wanted, feed)
            session = WhipSession(
                peer,
                part,
                self._telling,
                self._metrics,
                process=self._encounters.process,
                send_timeout_s=self._send_timeout_s,
            )
            assert self._tasks is not None, "WhipSessions is not running"
            await self._tasks.start(self._run, session, name=f"whip {part.live.id}")
        except BaseException:
            await peer.aclose()
            raise
        return session, answer

    async def find(self, caller: Caller, session_id: str) -> WhipSession:
        """A session that its client has not ended. Raises `NotFound`, also for one that this caller may not reach."""
        session = self._sessions.get(session_id)
        if session is None:
            await self._encounters.check_process(process_of(session_id))
        if session is None or session.over:
            raise NotFound("There is no such WHIP session any more: make a new one, with encounter_id to go on.")
        await self._encounters.fed(caller, session.encounter)
        return session

    async def encounter(self, session_id: str) -> str | None:
        """The encounter of a session that is known."""
        session = self._sessions.get(session_id)
        if session is None:
            await self._encounters.check_process(process_of(session_id))
        return session.encounter if session is not None else None

    async def _check(self, caller: Caller, wanted: Wanted) -> None:
        """What can be refused is refused before a peer is made."""
        if wanted.encounter:
            await self._connections.reach(caller, wanted.encounter)
        else:
            self._encounters.check_language(wanted.options)
            if wanted.options.template:
                self._encounters.notes.require(wanted.options.template)

    async def _take_part(self, caller: Caller, wanted: Wanted, feed: Feed) -> Part:
        """Open an encounter with these streams, or join one with each of them."""
        if wanted.encounter:
            encounter, streams = wanted.encounter, await self._join(caller, wanted.encounter, feed)
        else:
            encounter = await self._encounters.open(caller, wanted.opening(feed))
            streams = tuple(range(len(feed.streams)))
        return Part(
            caller=caller,
            live=self._encounters.live(encounter),
            streams=streams,
            drafts=wanted.drafts,
            leave=partial(self._connections.leave, caller, encounter),
        )

    async def _join(self, caller: Caller, encounter: str, feed: Feed) -> tuple[int, ...]:
        live = await self._connections.reach(caller, encounter)
        known, begins = len(live.row.options.streams), to_samples(live.elapsed_s() * 1000)
        joined: list[int] = []
        try:
            for stream in feed.streams:
                joined.append(await self._connections.join(caller, encounter, stream, position=begins))
        except AuscultError:
            for added in joined:
                if added >= known:  # nobody feeds it
                    await self._connections.leave(caller, encounter, added)
            raise
        return tuple(joined)

    async def _run(self, session: WhipSession, *, task_status: TaskStatus[None]) -> None:
        """The end of the line for anything that goes wrong in one session: no other one notices."""
        self._sessions[session.id] = session
        try:
            await session.run(task_status=task_status)
        except* Exception as group:
            log.error("whip.broken", encounter=session.encounter, exc_info=group)
        finally:
            del self._sessions[session.id]
            self._past = _sum(self._past, session.peer.counts)


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(**{each.name: getattr(one, each.name) + getattr(other, each.name) for each in fields(Counts)})
