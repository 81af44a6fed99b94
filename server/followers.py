"""What those are told who follow an encounter, live or over, and when it has come to its end."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

import anyio

from pipeline.types import Utterance
from server.domain import FINISHED, EncounterRow
from server.drafts import Boards, Drafting
from server.errors import Erased, NotFound
from server.following import Finished, Update, catching_up
from server.live import LiveEncounter
from server.notes import Draft

LOOK_AGAIN_S = 5.0  # what another process tells is told at most once


class Followers:
    """See the module. One per process."""

    def __init__(
        self,
        row: Callable[[str], Awaitable[EncounterRow]],
        items: Callable[[EncounterRow], Awaitable[Sequence[Utterance]]],
        boards: Boards,
        drafting: Drafting,
    ) -> None:
        """`row` raises `NotFound`: by then whoever follows has seen the encounter, so that it was erased."""
        self._known_row = row
        self._items = items
        self._boards = boards
        self._drafting = drafting

    async def over(self, encounter: str) -> EncounterRow:
        """The encounter, once it is done or has failed. Raises `Erased`."""
        with self._boards.watch(encounter) as board:
            while True:
                changed = board.changed
                row = await self._row(encounter)
                if row.state in FINISHED:
                    return row
                with anyio.move_on_after(LOOK_AGAIN_S):  # another process may have completed it, and nobody heard
                    await changed.wait()

    def updates(
        self, row: EncounterRow, live: LiveEncounter | None, after: int, drafts: bool
    ) -> AsyncGenerator[Update]:
        """The transcript behind its first `after` finals; with `drafts` also those of its note. Raises `Erased`."""
        if live is None:
            return self._stored(row.id, after, drafts)
        return self._drafted(live, after) if drafts else _undrafted(live, after)

    async def _row(self, encounter: str) -> EncounterRow:
        try:
            return await self._known_row(encounter)
        except NotFound:
            raise Erased from None

    async def _drafted(self, live: LiveEncounter, after: int) -> AsyncGenerator[Update]:
        """A live transcript with drafts; it is finished once its note is stored."""
        with self._boards.watch(live.id) as board:
            with self._drafting.wanted(live):
                async with aclosing(live.transcript.follow(after)) as updates:
                    async for update in updates:
                        if isinstance(update, Finished):
                            break
                        yield update
                    else:
                        return
            shown: Draft | None = None
            while True:
                changed = board.changed
                if (await self._row(live.id)).state in FINISHED:
                    break
                if board.draft is not shown and (shown := board.draft) is not None:
                    yield shown
                    continue
                with anyio.move_on_after(LOOK_AGAIN_S):  # another process may write it
                    await changed.wait()
        yield Finished()

    async def _stored(self, encounter: str, after: int, drafts: bool) -> AsyncGenerator[Update]:
        """What the store holds behind the first finals, until that is all there will be."""
        told = after
        for rename in catching_up((await self._items(await self._row(encounter)))[:after]):
            yield rename
        shown: Draft | None = None
        with self._boards.watch(encounter) as board:
            while True:
                changed = board.changed
                row = await self._row(encounter)
                for item in (await self._items(row))[told:]:
                    told += 1
                    yield item
                if row.state in FINISHED:
                    break
                if drafts and board.draft is not shown and (shown := board.draft) is not None:
                    yield shown
                with anyio.move_on_after(LOOK_AGAIN_S):  # a recording: it waits in line, or another process has it
                    await changed.wait()
        yield Finished()


async def _undrafted(live: LiveEncounter, after: int) -> AsyncGenerator[Update]:
    """A live transcript without the drafts that others want."""
    async with aclosing(live.transcript.follow(after)) as updates:
        async for update in updates:
            if not isinstance(update, Draft):
                yield update
