"""What the streams of a live encounter emit, on its way to the store and then to those who follow."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import anyio
import structlog
from sqlalchemy import Connection

from pipeline.errors import SegmentUnheard
from pipeline.events import Committed, Event, PartialWithdrawn, SegmentLost, SpeakerRenamed, StreamFailed
from pipeline.types import Utterance, to_ms
from server.chunk_log import Channel
from server.domain import EncounterRow, Failure, Stage, StreamState
from server.following import LiveTranscript, renamed
from server.store import encounters as sql
from server.store.seal import Seal
from server.store.writer import Writer

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Commit:
    """New finals of one stream, with their ordinals, and the state behind them."""

    channel: Channel
    state: StreamState
    items: list[tuple[int, Utterance]]


def _percentage(heard: float) -> int:
    """What the fraction heard means for the whole; 0: nothing."""
    begin, end = Stage.TRANSCRIBING.percentage, Stage.TRANSCRIBED.percentage
    return begin + int(min(1.0, heard) * (end - begin - 1)) if heard else 0


@dataclass(slots=True, eq=False)
class _Post:
    """What is to be stored next, together."""

    events: list[tuple[Channel | None, Event]] = field(default_factory=list)
    stamps: dict[Stage, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    heard_ms: int = 0  # of audio behind the last checkpoints

    def __bool__(self) -> bool:
        return bool(self.events or self.stamps or self.warnings)


class Outbox:
    """Events and stages of one encounter. What was stored together is told together, and never before."""

    def __init__(
        self,
        row: EncounterRow,
        seal: Seal,
        *,
        epoch: int,
        transcript: LiveTranscript,
        writer: Writer,
        now: Callable[[], float],
        before: Callable[[], Awaitable[None]],
        conversation: Callable[[], bytes],
        progress: Callable[[], float],
    ) -> None:
        self._encounter = row.id
        self._seal = seal
        self._epoch = epoch
        self._transcript = transcript
        self._writer = writer
        self._now = now
        self._before = before  # awaited before anything is stored
        self._conversation = conversation  # its state behind everything that was put in here
        self._stored_conversation = b""
        self._post = _Post()
        self._progress = progress  # the fraction of a recording that was heard
        self._stamped = set(row.stages)
        self._mail = anyio.Event()  # there is something to store
        self._storing = anyio.Lock()  # events are stored and told in order

    def put(self, channel: Channel | None, event: Event) -> None:
        """A stream emitted this, or the conversation of all of them (None)."""
        self._post.events.append((channel, event))
        self._mail.set()

    def stamp(self, stage: Stage) -> None:
        """A stage is reached; what matters is the first time."""
        if stage not in self._stamped:
            self._stamped.add(stage)
            self._post.stamps[stage] = self._now()
            self._mail.set()

    def warn(self, warning: str) -> None:
        """The client should know this; it is stored once."""
        self._post.warnings.append(warning)
        self._mail.set()

    def heard(self, more_ms: int) -> None:
        """So much audio was heard behind the last checkpoints; it is stored with the stage that says so, once."""
        if Stage.TRANSCRIBED not in self._stamped:
            self._post.heard_ms += more_ms

    async def keep_storing(self) -> None:
        """Store whatever comes, until cancelled."""
        while True:
            await self._mail.wait()
            self._mail = anyio.Event()
            await self.store()

    async def store(self) -> None:
        """Store what is there, in one operation, then tell it. Raises `EpochLost`, `StoreUnavailable`."""
        async with self._storing:
            post, self._post = self._post, _Post()
            events = post.events
            if not post:
                return
            labels = any(isinstance(event, Committed | SpeakerRenamed) for _, event in events)
            conversation = self._conversation() if labels else b""  # now: more may be put in while this is stored
            with anyio.CancelScope(shield=True):  # what was taken out of the box must reach the store
                await self._before()
                commits, relabelled = self._commits(events)
                spoken = conversation if conversation != self._stored_conversation and (commits or relabelled) else None
                await self._writer.write(self._operation(post, commits, relabelled, spoken))
            if spoken is not None:
                self._stored_conversation = spoken
            for commit in commits:
                commit.channel.state = commit.state
            for channel, event in events:
                if channel is not None and isinstance(event, StreamFailed):
                    channel.failed = True
                self._publish(event)

    def _operation(
        self,
        post: "_Post",
        commits: Sequence[_Commit],
        relabelled: Sequence[Utterance],
        conversation: bytes | None,
    ) -> Callable[[Connection], None]:
        percentage = _percentage(self._progress())
        heard_ms = post.heard_ms + sum(map(_heard_ms, commits))
        losses = [event for _, event in post.events if isinstance(event, SegmentLost | StreamFailed)]

        def operation(connection: Connection) -> None:
            sql.own(connection, self._encounter, self._epoch)
            for commit in commits:
                ordinal = commit.channel.ordinal
                sql.commit(connection, self._seal, self._encounter, self._epoch, ordinal, commit.state, commit.items)
            if heard_ms:
                sql.add_audio(connection, self._encounter, heard_ms)
            if relabelled:
                sql.relabel(connection, self._seal, self._encounter, relabelled)
            if conversation is not None:
                sql.put_conversation(connection, self._seal, self._encounter, conversation)
            for loss in losses:
                sql.add_warning(connection, self._encounter, _warning(loss))
                if isinstance(loss, StreamFailed):
                    sql.set_failure(connection, self._encounter, Failure(code=loss.error.code, message=str(loss.error)))
            for warning in post.warnings:
                sql.add_warning(connection, self._encounter, warning)
            if post.stamps:
                sql.set_stages(connection, self._encounter, post.stamps, self._now())
            if percentage:
                sql.set_progress(connection, self._encounter, percentage)

        return operation

    def _commits(self, events: Sequence[tuple[Channel | None, Event]]) -> tuple[list[_Commit], list[Utterance]]:
        """For each stream with events its newest state and its new items; and items that are stored and renamed."""
        commits: dict[int, _Commit] = {}
        relabelled: dict[str, Utterance] = {}
        ordinal = len(self._transcript.items)
        for channel, event in events:
            if isinstance(event, SpeakerRenamed):
                named = set(event.items)
                for earlier_commit in commits.values():
                    earlier_commit.items[:] = [
                        (at, renamed(item, event) if item.id in named else item) for at, item in earlier_commit.items
                    ]
                for item in self._transcript.named(event.items):
                    relabelled[item.id] = renamed(relabelled.get(item.id, item), event)
            if not isinstance(event, Committed) or channel is None or channel.stream is None:
                continue
            commit = commits.get(channel.ordinal)
            state = (channel.state if commit is None else commit.state).behind(event.checkpoint)
            restart = channel.stream.restart_point(state.audio_from)
            earlier = [] if commit is None else commit.items
            commits[channel.ordinal] = _Commit(
                channel=channel,
                state=state.decoded_from(restart, entered=channel.spec.encoding == "container"),
                items=earlier + list(enumerate(event.utterances, ordinal)),
            )
            ordinal += len(event.utterances)
        return list(commits.values()), list(relabelled.values())

    def _publish(self, event: Event) -> None:
        if isinstance(event, Committed):
            self._transcript.add(event.utterances)
        elif isinstance(event, PartialWithdrawn):
            self._transcript.withdraw(event)
        elif isinstance(event, SpeakerRenamed):
            self._transcript.rename(event)
        elif isinstance(event, StreamFailed):
            self._transcript.report(event.error)
        elif isinstance(event, SegmentLost):
            log.warning("segment.lost", encounter=self._encounter, code=event.error.code)
            self._transcript.report(SegmentUnheard(_warning(event)))


def _heard_ms(commit: _Commit) -> int:
    """What was heard of a stream since its last checkpoint, of both its sides at once."""
    return to_ms(commit.state.checkpoint.position) - to_ms(commit.channel.state.checkpoint.position)


def _warning(loss: SegmentLost | StreamFailed) -> str:
    if isinstance(loss, StreamFailed):
        return f"The audio of {loss.stream} ended early. {loss.error}"
    return f"{to_ms(loss.start)}–{to_ms(loss.end)} ms of {loss.stream} could not be recognised."
