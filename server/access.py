"""Who did what, when, to which encounter: an append-only log without content. Status polls are no entries.

Entries ride in the transactions of what they record (or are written in the writer's next group), so none is lost.
"""

from enum import StrEnum

from sqlalchemy import Connection, insert

from server.domain import Caller
from server.store import tables as t


class Action(StrEnum):
    """What was done."""

    OPEN = "encounter.open"
    CLOSE = "encounter.close"
    READ = "encounter.read"  # transcript and note were given out
    FOLLOW = "encounter.follow"  # the live transcript is given out
    ERASE = "encounter.erase"
    LIST = "encounter.list"  # what there is, without what was said
    LISTEN = "encounter.listen"  # audio was given out
    EDIT = "encounter.edit"  # speakers, consent or a note were changed
    TOKEN = "token.make"  # a key was turned into a token
    PATIENT = "patient.put"  # what is known of a patient was stored …
    READ_PATIENT = "patient.read"
    ERASE_PATIENT = "patient.erase"  # … for what names it later


def record(connection: Connection, caller: Caller, action: Action, encounter: str | None, at: float) -> None:
    """Append an entry."""
    values = {"at": at, "tenant_id": caller.tenant_id, "key_id": caller.key_id}
    connection.execute(insert(t.access_log).values(**values, action=action, encounter_id=encounter))
