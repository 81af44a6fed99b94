"""The versions of an encounter's note, as SQL."""

from hashlib import sha256
from typing import cast

import msgspec
from sqlalchemy import Connection, Row, func, insert, select, update

from server.domain import NoteVersion, StoredNote
from server.errors import Conflict, NotFound
from server.store import tables as t
from server.store.seal import Seal

MOST = 100  # versions of one encounter


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


def check_room(connection: Connection, encounter: str) -> int:
    """The number of the next version. Raises `Conflict` where there are as many as there may be."""
    last = connection.execute(select(func.max(t.notes.c.version)).where(t.notes.c.encounter_id == encounter)).scalar()
    number = (last or 0) + 1
    if number > MOST:
        raise Conflict(f"The note has {MOST} versions, the most there may be.")
    return int(number)


def add(connection: Connection, seal: Seal, encounter: str, note: StoredNote, at: float) -> NoteVersion:
    """A version more, the newest. The caller holds the encounter's lock."""
    number = check_room(connection, encounter)
    sealed = _sealed(seal, number, note)
    connection.execute(insert(t.notes).values(encounter_id=encounter, version=number, created_at=at, sealed=sealed))
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
