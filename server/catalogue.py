"""The use-case of finding encounters again: a caller's own, filtered, a page at a time."""

from functools import partial

import msgspec

from server.access import Action, record
from server.domain import Caller, EncounterRow, Filter, Place
from server.live import Studio
from server.store import catalogue as sql

MAX_PAGE = 200  # encounters


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some encounters, newest first, and where the next page begins; None: these are the last."""

    rows: tuple[EncounterRow, ...]
    next: Place | None


class Catalogue:
    """See the module. One per process."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    async def page(self, caller: Caller, wanted: Filter, *, behind: Place | None, most: int) -> Page:
        """At most `most` of those that the caller may reach, behind that place."""
        query = partial(sql.page, caller=caller, wanted=wanted, behind=behind, most=most + 1)
        rows = await self._studio.reader.read(query)
        listed = partial(record, caller=caller, action=Action.LIST, encounter=None, at=self._studio.now())
        await self._studio.writer.write(listed)
        last = rows[most - 1] if len(rows) > most else None
        following = None if last is None else Place(created_at=last.created_at, encounter=last.id)
        return Page(rows=tuple(rows[:most]), next=following)
