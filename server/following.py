"""What a live encounter tells, and those who follow it, each at its own pace."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import anyio

from pipeline.errors import AuscultError
from pipeline.events import Partial, PartialWithdrawn, RoleDoubted, SpeakerRenamed, relabelled, renames
from pipeline.types import Utterance
from server.notes import Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Every final of the encounter is stored and was told; to who wants drafts, also its note as it was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something of the encounter went wrong; what was stored stays."""

    error: AuscultError


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """This follower was busy with what it was told: it missed so many partials. Finals it never misses."""

    partials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """Nothing comes over the connection that feeds a stream; what was said stays, and the stream may go on."""

    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A stream that was interrupted goes on."""

    stream: str


Update: TypeAlias = (
    Utterance
    | Partial
    | PartialWithdrawn
    | SpeakerRenamed
    | RoleDoubted
    | Skipped
    | Interrupted
    | Resumed
    | Problem
    | Draft
    | Finished
)


def doubt(event: RoleDoubted) -> str:
    """What the client should know."""
    return (
        f"What is said on {event.stream} is unlike its declared role {event.declared}: check which microphone is whose."
    )


def renamed(item: Utterance, event: SpeakerRenamed) -> Utterance:
    """A final that the event names, with its new label, and known to have had another one."""
    return replace(relabelled(item, event), renamed=True)


def catching_up(items: Iterable[Utterance]) -> list[SpeakerRenamed]:
    """What somebody must be told who may know these finals by their first labels: their present ones."""
    return renames(item for item in items if item.renamed)


class LiveTranscript:
    """Finals, which only grow, and the newest partial of each open segment."""

    def __init__(self, items: Sequence[Utterance]) -> None:
        self.items = list(items)  # stored finals, in the order in which they were told
        self.inherited = len(self.items)  # those of a former owner, who told them
        self._index = {item.id: at for at, item in enumerate(self.items)}
        self._partials: dict[str, tuple[int, Partial]] = {}
        self._version = 0  # of the newest partial
        self.revision = len(self.items)  # another one whenever the finals are other ones
        self._draft: Draft | None = None
        self._others: list[PartialWithdrawn | SpeakerRenamed | RoleDoubted | Interrupted | Resumed | Problem] = []
        self._complete = False
        self._over = False
        self._changed = anyio.Event()

    def show(self, partial: Partial) -> None:
        """A partial takes the place of the last one with its id."""
        self._version += 1
        self._partials[partial.id] = (self._version, partial)
        self._tell()

    def withdraw(self, withdrawn: PartialWithdrawn) -> None:
        """A partial turned out to be nothing."""
        self._partials.pop(withdrawn.id, None)
        self._others.append(withdrawn)
        self._tell()

    def add(self, items: Sequence[Utterance]) -> None:
        """Finals that are stored."""
        for item in items:
            self._partials.pop(item.id, None)
            self._index[item.id] = len(self.items)
            self.items.append(item)
        self.revision += 1
        self._tell()

    def named(self, ids: Iterable[str]) -> list[Utterance]:
        """The finals with these ids, as far as they are there."""
        return [self.items[self._index[each]] for each in ids if each in self._index]

    def rename(self, event: SpeakerRenamed) -> None:
        """Finals that were told have another label."""
        for item in self.named(event.items):
            self.items[self._index[item.id]] = renamed(item, event)
        self.revision += 1
        self._others.append(event)
        self._tell()

    def report(self, error: AuscultError) -> None:
        """Followers should know of an error."""
        self._others.append(Problem(error=error))
        self._tell()

    def doubt(self, event: RoleDoubted) -> None:
        """A declared role seems wrong."""
        self._others.append(event)
        self._tell()

    def interrupt(self, stream: str) -> None:
        """The connection that feeds a stream is silent."""
        self._others.append(Interrupted(stream=stream))
        self._tell()

    def resume(self, stream: str) -> None:
        """An interrupted stream goes on."""
        self._others.append(Resumed(stream=stream))
        self._tell()

    def show_draft(self, draft: Draft) -> None:
        """A draft of the note takes the place of the last one."""
        self._draft = draft
        self._tell()

    @property
    def changed(self) -> anyio.Event:
        """Set with the next change."""
        return self._changed

    def end(self, *, complete: bool) -> None:
        """Nothing more will come; `complete` says whether everything was told."""
        self._complete, self._over = complete, True
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def _still_true(self) -> list[Update]:
        """What who comes later should know of before: errors, and streams that are interrupted."""
        last = {
            other.stream: other for other in self._others if isinstance(other, Interrupted | Resumed)
        }  # of each stream
        return [
            other
            for other in self._others
            if isinstance(other, Problem | RoleDoubted)
            or (isinstance(other, Interrupted) and other is last[other.stream])
        ]

    async def follow(self, after: int = 0) -> AsyncGenerator[Update]:
        """Everything from the beginning, or behind the first `after` finals, then live; of what is replaced, only the
        newest: of partials and drafts.

        Each follower reads the shared lists at its own pace, so a slow one misses partials, and is told how many, but
        never a final. Ends with `Finished`, or without it when the encounter is lost.
        """
        items, version, busy = after, 0, False
        draft: Draft | None = None
        counted = self._version  # partials shown until now are no business of who comes later
        past: list[Update] = [*catching_up(self.items[:after]), *self._still_true()]
        others = len(self._others)
        while True:
            changed, over = self._changed, self._over
            while items < len(self.items):
                items += 1
                yield self.items[items - 1]
            while past:
                yield past.pop(0)
            while others < len(self._others):
                others += 1
                yield self._others[others - 1]
            fresh = [(number, partial) for number, partial in self._partials.values() if number > version]
            missed = self._version - counted - sum(number > counted for number, _ in fresh)
            version = counted = self._version
            if missed and (busy or changed.is_set()):
                yield Skipped(partials=missed)
            for _, partial in fresh:
                if partial.id in self._partials:  # it may have become final while the follower was slow
                    yield partial
            if self._draft is not draft and (draft := self._draft) is not None:
                yield draft
            if over:
                if self._complete:
                    yield Finished()
                return
            busy = changed.is_set()  # else whatever comes now is told at once
            await changed.wait()
