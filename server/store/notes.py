"""The versions of an encounter's note, as SQL."""

from hashlib import sha256
from typing import cast

import msgspec
from sqlalchemy import Connection, Row, func, insert, select, update

from server.domain import NoteVersion, Review, StoredNote
from server.errors import Conflict, NotFound
from server.store import tables as t
from server.store.seal import Seal

MOST = 100  # versions of one encounter
MOST_BYTES = 16 << 20  # of all of them together: they are read at once


def versions(connection: Connection, seal: Seal, encounter: str) -> list[NoteVersion]:
    """All of them, the oldest first."""
    query = select(t.notes).where(t.notes.c.encounter_id == encounter).order_by(t.notes.c.version)
    return [_version(seal, found) for found in connection.execute(query)]


def version(connection: Connection, seal: Seal, encounter: str, number: int) -> NoteVersion:
    """One of them. Raises `NotFound`."""
    c = t.notes.c
    if not 0 < number <= MOST:
        raise NotFound("There is no such version of the note.")
    query = select(t.notes).where(c.encounter_id == encounter, c.version == number)
    found = connection.execute(query).one_or_none()
    if found is None:
        raise NotFound("There is no such version of the note.")
    return _version(seal, found)


def edit_of(connection: Connection, seal: Seal, encounter: str, number: int) -> int | None:
    """The version that was made of this one by editing it; None: there is none."""
    c = t.notes.c
    query = select(c.version).where(c.encounter_id == encounter, c.edited_from == number)
    known = connection.execute(query.limit(1)).scalar()
    if known is not None:
        return int(known)
    untold = select(c.version).where(c.encounter_id == encounter, c.edited_from.is_(None), c.version > number)
    for other in connection.execute(untold.order_by(c.version.desc())).scalars().all():
        if version(connection, seal, encounter, other).stored.edited_from == number:
            return int(other)
    return None


def amends(connection: Connection, seal: Seal, encounter: str, stored: StoredNote) -> bool:
    """Whether a version was made of one that was approved of, however often it was edited in between."""
    while stored.edited_from:
        stored = version(connection, seal, encounter, stored.edited_from).stored
        if stored.review is Review.APPROVED:
            return True
    return False


def check_room(connection: Connection, encounter: str, more: int = 0) -> int:
    """The number of the next version, of so many bytes. Raises `Conflict` where there are as many as there may be."""
    c = t.notes.c
    query = select(func.max(c.version), func.sum(func.length(c.sealed))).where(c.encounter_id == encounter)
    last, stored_bytes = connection.execute(query).one()
    number = (last or 0) + 1
    if number > MOST:
        raise Conflict(f"The note has {MOST} versions, the most there may be.")
    if (stored_bytes or 0) + more > MOST_BYTES:
        raise Conflict(f"The versions of the note would have more than {MOST_BYTES >> 20} MiB together, the most.")
    return int(number)


def add(connection: Connection, seal: Seal, encounter: str, note: StoredNote, at: float) -> NoteVersion:
    """A version more, the newest. The caller holds the encounter's lock."""
    number = check_room(connection, encounter)
    sealed = _sealed(seal, number, note)
    check_room(connection, encounter, len(sealed))
    values = {"encounter_id": encounter, "version": number, "created_at": at, "sealed": sealed}
    connection.execute(insert(t.notes).values(**values, edited_from=note.edited_from))
    return version(connection, seal, encounter, number)


def replace(connection: Connection, seal: Seal, encounter: str, number: int, note: StoredNote) -> NoteVersion:
    """A version is another one now. The caller holds the encounter's lock."""
    c = t.notes.c
    sealed = _sealed(seal, number, note)
    connection.execute(update(t.notes).where(c.encounter_id == encounter, c.version == number).values(sealed=sealed))
    return version(connection, seal, encounter, number)


def tag(sealed: bytes | None) -> str:
    """Another one for everything that is sealed, also where it says the same: each is sealed with a new nonce."""
    return sha256(sealed or b"").hexdigest()[:16]


def _version(seal: Seal, found: Row[tuple[object, ...]]) -> NoteVersion:
    sealed = cast(bytes, found.sealed)
    stored = msgspec.json.decode(seal.open(f"note/{found.version}", sealed), type=StoredNote)
    return NoteVersion(version=found.version, created_at=found.created_at, stored=stored, tag=tag(sealed))


def _sealed(seal: Seal, number: int, note: StoredNote) -> bytes:
    return seal.seal(f"note/{number}", msgspec.json.encode(note))
