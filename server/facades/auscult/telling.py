"""A session told as our own events, ready to be sent: over a socket, as Server-Sent Events, on a data channel."""

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from pipeline.errors import AuscultError
from pipeline.events import Partial
from pipeline.notes.note import NoteSection
from pipeline.types import Utterance
from server.domain import Caller
from server.encounters import Encounters
from server.errors import ServerError
from server.facades.auscult import convert, schema
from server.following import Finished, Problem
from server.notes import Draft

REMEMBERED = 512  # encoded events: more than the partials and newest finals of all sessions that are followed by many

_encode = msgspec.json.Encoder().encode


class SessionLost(ServerError):
    """The server cannot go on with this session at present: connect again, and go on where you were."""

    code = "session_lost"
    retryable = True


class _Event(NamedTuple):
    """An event on the wire."""

    kind: str  # its `type`
    json: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event for one follower."""

    kind: str  # its `type`
    json: bytes
    finals: int  # how many the follower has, this one included


class Telling:
    """One per process: what many are told is encoded once."""

    def __init__(self, encounters: Encounters) -> None:
        self._encounters = encounters
        self._known: OrderedDict[int, tuple[Utterance | Partial, _Event]] = (
            OrderedDict()
        )  # by identity; it stays alive in here

    async def tell(
        self, caller: Caller, encounter: str, after: int = 0, *, drafts: bool = False
    ) -> AsyncGenerator[Told]:
        """Everything behind the first `after` finals, live or over, then the note and `done`.

        With `drafts` also those of the note.

        Raises `NotFound`, `Erased`, and `SessionLost` where this process cannot go on with it.
        """
        finals, complete = after, False
        problems: set[tuple[str, str]] = set()
        drafted: dict[str, NoteSection] = {}  # sections that were told, by key
        async with aclosing(self._encounters.follow(caller, encounter, after, drafts=drafts)) as updates:
            async for update in updates:
                if isinstance(update, Finished):
                    complete = True
                    continue
                if isinstance(update, Draft):
                    yield told(convert.note_draft(update, drafted), finals)
                    drafted = {section.key: section for section in update.sections}
                    continue
                finals += isinstance(update, Utterance)
                if isinstance(update, Problem):
                    problems.add((update.error.code, str(update.error)))
                event = self._encoded(update)
                yield Told(kind=event.kind, json=event.json, finals=finals)
        if not complete:
            raise SessionLost
        view = await self._encounters.outcome(caller, encounter)
        for last in convert.last_words(view):
            if not (isinstance(last, schema.ErrorEvent) and (last.code, last.message) in problems):
                yield told(last, finals)

    def _encoded(self, update: convert.Tellable) -> _Event:
        if not isinstance(update, Utterance | Partial):
            return _on_the_wire(convert.event(update))
        known = self._known.get(id(update))
        if known is None:
            known = self._known[id(update)] = (update, _on_the_wire(convert.event(update)))
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return known[1]


def told(event: schema.Event, finals: int) -> Told:
    """An event that only one follower is told."""
    wire = _on_the_wire(event)
    return Told(kind=wire.kind, json=wire.json, finals=finals)


def told_problem(exc: AuscultError, finals: int) -> Told:
    """An error as an event."""
    return told(convert.problem(exc), finals)


def _on_the_wire(event: schema.Event) -> _Event:
    return _Event(str(event.__struct_config__.tag), _encode(event))
