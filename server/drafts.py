"""Drafts of notes: what a writer has written so far, for those who watch; and those of talks that go on.

Drafts are stored nowhere. A live encounter's is written anew whenever more was said, as long as somebody wants it.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
import structlog
from anyio.abc import TaskGroup

from pipeline.errors import AuscultError
from server.domain import EncounterRow
from server.intake import Intake
from server.live import LiveEncounter
from server.notes import Draft, Notes

log = structlog.get_logger()

SHARE = 10.0  # a draft is written at most in one part of so many of the time


@dataclass(slots=True, eq=False)
class Board:
    """Where the newest draft of an encounter's final note hangs while it is written, or somebody watches."""

    draft: Draft | None = None
    changed: anyio.Event = field(default_factory=anyio.Event)  # replaced by another one when it is set
    watchers: int = 0

    def publish(self, draft: Draft) -> None:
        """More of the note is written."""
        self.draft = draft
        self.tell()

    def tell(self) -> None:
        """Wake all who wait for something new."""
        self.changed.set()
        self.changed = anyio.Event()


class Boards:
    """One per process."""

    def __init__(self) -> None:
        self._boards: dict[str, Board] = {}  # of encounters whose note is written, or that somebody watches

    @contextmanager
    def watch(self, encounter: str) -> Iterator[Board]:
        """The board, told of new drafts and of the encounter's completion while the block lasts. It goes with the last
        who watches.
        """
        board = self._boards.setdefault(encounter, Board())
        board.watchers += 1
        try:
            yield board
        finally:
            board.watchers -= 1
            if not board.watchers:
                self._boards.pop(encounter, None)

    def completed(self, encounter: str) -> None:
        """The note is stored: whoever watches reads it there."""
        if (board := self._boards.get(encounter)) is not None:
            board.tell()


class UnderWay:
    """Notes that are being written: nobody asks a model any more about what is over or erased. One per process."""

    def __init__(self) -> None:
        self._scopes: dict[str, dict[anyio.CancelScope, bool]] = {}  # by encounter; whether it is the final note's

    @contextmanager
    def writing(self, encounter: str, *, final: bool) -> Iterator[anyio.CancelScope]:
        """Ends early, without an error, when the encounter is `over` (the `final` note alone) or `erased`."""
        with anyio.CancelScope() as scope:
            self._scopes.setdefault(encounter, {})[scope] = final
            try:
                yield scope
            finally:
                scopes = self._scopes[encounter]
                del scopes[scope]
                if not scopes:
                    del self._scopes[encounter]

    def over(self, encounter: str) -> None:
        """The last word on it was said: whoever still writes its final note comes too late."""
        for scope, final in self._scopes.get(encounter, {}).items():
            if final:
                scope.cancel()

    def erased(self, encounter: str) -> None:
        """Nothing of it is to be written, or asked about, any more."""
        for scope in self._scopes.get(encounter, {}):
            scope.cancel()


@dataclass(slots=True)
class _Wanted:
    followers: int = 0
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class Drafting:
    """Writes drafts of live encounters. One per process."""

    def __init__(
        self,
        notes: Notes,
        intake: Callable[[EncounterRow], Awaitable[Intake]],
        steady: Callable[[], float],
        *,
        interval_s: float,
    ) -> None:
        """`interval_s`: from one draft to the next at least; `steady`: seconds of a clock that never goes back."""
        self._notes = notes
        self._intake = intake
        self._steady = steady
        self._interval_s = interval_s
        self._turn = anyio.Semaphore(1)  # so that notes of talks that are over never wait for more than one draft
        self._wanted: dict[str, _Wanted] = {}
        self._tasks: TaskGroup | None = None

    def start(self, tasks: TaskGroup) -> None:
        """Drafts are written in tasks of `tasks`."""
        self._tasks = tasks

    @contextmanager
    def wanted(self, live: LiveEncounter) -> Iterator[None]:
        """Somebody follows the draft while the block lasts; it is told with the transcript."""
        assert self._tasks is not None, "Drafting.start was not called"
        wanted = self._wanted.get(live.id)
        if wanted is None:
            wanted = self._wanted[live.id] = _Wanted()
            self._tasks.start_soon(self._draft, live, wanted)
        wanted.followers += 1
        try:
            yield
        finally:
            wanted.followers -= 1
            if not wanted.followers:
                wanted.scope.cancel()
                if self._wanted.get(live.id) is wanted:
                    del self._wanted[live.id]

    async def _draft(self, live: LiveEncounter, wanted: _Wanted) -> None:
        with wanted.scope:
            await self._keep_drafting(live)

    async def _keep_drafting(self, live: LiveEncounter) -> None:
        transcript, drafted = live.transcript, 0
        intake: Intake | None = None
        while not live.gone.is_set():
            changed = transcript.changed
            if drafted == transcript.revision:
                await changed.wait()
                continue
            drafted, began = transcript.revision, self._steady()
            if intake is None:
                try:
                    intake = await self._intake(live.row)
                except AuscultError as exc:  # the talk goes on, and with its next final this is tried again
                    log.warning("draft.failed", encounter=live.id, code=exc.code)
                    continue
            items = tuple(transcript.items)
            async with self._turn:
                stored = await self._notes.write(
                    live.row.options, items, intake, writer=self._notes.drafter, draft=True
                )
            if stored.note is None:  # too little was said so far
                continue
            note = stored.note
            transcript.show_draft(Draft(sections=note.sections, title=note.title, writer=note.generator))
            await anyio.sleep(max(self._interval_s, SHARE * (self._steady() - began)))  # the bound on what it may cost
