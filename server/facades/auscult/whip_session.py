"""One WHIP session: a peer that feeds streams of a consultation, and is told over its data channel what was said."""

import secrets
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass

import anyio
import structlog
from anyio.abc import TaskStatus

from pipeline.errors import AuscultError
from pipeline.types import SAMPLE_RATE
from server.attendance import Attendance
from server.domain import Caller
from server.errors import ServerError, SessionTooLong
from server.facades.auscult.telling import Telling
from server.ingest.rtc_errors import AudioLost, ChannelGone
from server.ingest.webrtc import Ending, Event, Heard, Interrupted, Peer, Resumed
from server.live import LiveEncounter
from server.metrics import Metrics

log = structlog.get_logger()

SAMPLE_BYTES = 2  # s16le
PIECE_BYTES = SAMPLE_RATE * SAMPLE_BYTES  # a second: how a long silence is handed on
ENOUGH_PACKETS = 500  # of 20 ms: a page's track that was stereo for a moment only would show by then
MOSTLY = 0.9  # of them; some may be lost, or not decoded yet
LAST_WORDS_S = 60.0  # after its DELETE a peer stays so long at most, for its data channel to carry the last events


class OneChannel(ServerError):
    """The track has one channel, not two: ask the microphone for stereo, with no echo cancellation and no filters."""

    code = "one_channel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a session has to do with its encounter."""

    caller: Caller  # who made the session
    live: LiveEncounter
    streams: tuple[int, ...]  # the encounter's, in the order of the peer's own
    drafts: bool  # whether it is told drafts of the note, too
    leave: Callable[[int], Awaitable[None]]  # a stream is over; with the last one, the encounter


class WhipSession:
    """See the module. Run by `server.facades.auscult.whip_sessions`."""

    def __init__(
        self, peer: Peer, part: Part, telling: Telling, metrics: Metrics, *, process: int, send_timeout_s: float
    ) -> None:
        """`process`: the number of this one among those that share the database; it is read again from the id."""
        self.id = f"{process:x}.{secrets.token_urlsafe(24)}"  # RFC 9725 §5: nobody can guess it
        self.ice_session = secrets.token_hex(8)
        self.peer = peer
        self.part = part
        self.dismissed = anyio.Event()  # by its client, or because it is as long as it may be
        self.silent = anyio.Event()  # it feeds no stream any more
        self._telling = telling
        self._metrics = metrics
        self._send_timeout_s = send_timeout_s
        self._waiting = anyio.CancelScope()  # for the peer
        self._ending = False  # nothing more is waited for
        self._kept = False  # the client said that it is over
        self._listened = not peer.split  # whether a stereo track has two channels is known
        self._aligned = False  # what was missed before this session is silence
        self._interrupted: set[int] = set()
        self._attendance = Attendance(streams=part.streams)  # of the encounter, once it runs

    @property
    def encounter(self) -> str:
        """The id of the encounter that it feeds."""
        return self.part.live.id

    @property
    def over(self) -> bool:
        """Whether its client has no more to say here: it was dismissed, or a newer connection feeds its streams."""
        return self.dismissed.is_set() or self._attendance.displaced.is_set()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Feed the streams until the peer is gone, a newer connection takes one of them, or `end` is called.

        A session whose peer is gone can still be ended by its client, until the encounter goes on without it.
        """
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._tell)
                await self._attend(task_status)
                if self._kept and self.peer.transcript.opened.is_set():
                    tasks.cancel_scope.deadline = anyio.current_time() + LAST_WORDS_S
                else:
                    tasks.cancel_scope.cancel()
        finally:
            await self.peer.aclose()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_after, self.part.live.gone, tasks.cancel_scope)
            tasks.start_soon(_cancel_after, self._attendance.displaced, tasks.cancel_scope)
            await self.dismissed.wait()
            tasks.cancel_scope.cancel()

    async def end(self) -> None:
        """The client is done: returns when all that came of its audio is durable, and its streams are over.

        Raises `AudioLost` where the peer ended at a gap, and nobody goes on there yet; `EpochLost`, `StoreUnavailable`.
        """
        if self.peer.ending is Ending.GAP:
            raise AudioLost
        self._kept = True
        self.dismissed.set()
        if not self.peer.transcript.opened.is_set():
            await self.peer.aclose()  # and what waits behind a gap is still read
        self._stop()
        await self.silent.wait()
        await self._leave()

    # Audio in

    async def _attend(self, task_status: TaskStatus[None]) -> None:
        live = self.part.live
        try:
            with live.attend(*self.part.streams) as self._attendance:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._stop_after, self._attendance.displaced)
                    task_status.started()
                    too_long = await self._hear()
                    tasks.cancel_scope.cancel()
        finally:
            if not (self.over or live.ended):
                for stream in set(self.part.streams) - self._interrupted:
                    self._interrupt(stream)
            with anyio.CancelScope(shield=True), suppress(AuscultError):
                await live.log_heard()  # also when the server stops
            self.silent.set()
        if too_long:
            self.dismissed.set()
            await self._leave()

    async def _stop_after(self, displaced: anyio.Event) -> None:
        await displaced.wait()
        self._stop()

    async def _leave(self) -> None:
        """Those streams are over that nobody else feeds."""
        for stream in self.part.streams:
            if stream in self._attendance.kept:  # at this moment, not before the last one was left
                await self.part.leave(stream)

    async def _hear(self) -> bool:
        """Take what comes until it is over; returns whether the encounter is as long as it may be.

        Whoever took our place was told what had been heard by then, and goes on there: what the peer still has is left.
        """
        displaced = self._attendance.displaced
        try:
            while not self.part.live.ended and (event := await self._next()) is not None and not displaced.is_set():
                await self._take(event)
        except SessionTooLong as exc:
            self._metrics.rejected.labels(code=exc.code).inc()
            self.part.live.transcript.report(exc)
            return True
        except AuscultError as exc:  # this process lost the encounter: the client comes back
            self._metrics.rejected.labels(code=exc.code).inc()
            log.warning("whip.lost", encounter=self.encounter, code=exc.code)
        return False

    async def _next(self) -> Event | None:
        """What the peer brings next; None when it is over. Once it is ending, only what is there already."""
        with anyio.CancelScope() as self._waiting:
            if self._ending:
                self._waiting.cancel()
            return await anext(self.peer, None)
        return None

    def _stop(self) -> None:
        self._ending = True
        self._waiting.cancel()

    async def _take(self, event: Event) -> None:
        stream = self.part.streams[event.stream]
        match event:
            case Heard():
                if not self._aligned:
                    self._aligned = True
                    await self._align()
                if not self._listened:
                    self._listen_for_two_channels()
                self._metrics.audio_bytes.inc(len(event.pcm))
                await self._hand_on(stream, event.pcm)
            case Interrupted():
                self._interrupt(stream)
            case Resumed():
                self._interrupted.discard(stream)
                self.part.live.transcript.resume(self._name(stream))

    def _listen_for_two_channels(self) -> None:
        """A page that forgot to ask for stereo should know: nothing else would show it."""
        counts = self.peer.counts
        self._listened = counts.received >= ENOUGH_PACKETS
        if self._listened and counts.one_channel >= ENOUGH_PACKETS * MOSTLY:
            self.part.live.transcript.report(OneChannel())

    async def _align(self) -> None:
        """Streams begin where the consultation is: what they missed of it is silence."""
        live, elapsed_s = self.part.live, self.part.live.elapsed_s()
        for stream in self.part.streams:
            silence = missed_bytes(live.reached_by(stream) * SAMPLE_BYTES, elapsed_s)
            if live.heard_bytes(stream) and not self._attendance.displaced.is_set():
                live.transcript.resume(self._name(stream))
            for at in range(0, silence, PIECE_BYTES):
                await self._hand_on(stream, bytes(min(PIECE_BYTES, silence - at)))

    async def _hand_on(self, stream: int, pcm: bytes) -> None:
        """Audio to the encounter; also in the middle of a long silence not behind what a newer connection was told."""
        if not self._attendance.displaced.is_set():
            await self.part.live.hear(stream, pcm)

    def _interrupt(self, stream: int) -> None:
        self._interrupted.add(stream)
        self.part.live.transcript.interrupt(self._name(stream))

    def _name(self, stream: int) -> str:
        return self.part.live.row.options.streams[stream].name

    # Events out

    async def _tell(self) -> None:
        """Tell everything from the beginning over the data channel, once there is one. It may be slow, or go."""
        channel = self.peer.transcript
        await channel.opened.wait()
        try:
            telling = self._telling.tell(self.part.caller, self.encounter, drafts=self.part.drafts)
            async with aclosing(telling):
                async for told in telling:
                    with anyio.fail_after(self._send_timeout_s):
                        await channel.send(told.json.decode())
        except (ChannelGone, TimeoutError):
            return
        except AuscultError as exc:  # the session was lost, or erased
            log.info("whip.not_told", encounter=self.encounter, code=exc.code)


async def _cancel_after(event: anyio.Event, scope: anyio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


def missed_bytes(reached_bytes: int, elapsed_s: float) -> int:
    """The silence that a stream of 16 kHz s16le is behind by, when it has come so far in this time."""
    return max(0, round(elapsed_s * SAMPLE_RATE) * SAMPLE_BYTES - reached_bytes)


def process_of(session_id: str) -> int:
    """The number of the process that has a session with this id; 0 where no process has."""
    try:
        return int(session_id.partition(".")[0], 16)
    except ValueError:
        return 0
