"""The versions of a note: what was made of what, and how much there may be."""

import pytest
from sqlalchemy import Connection, Engine, insert, update

from pipeline.notes.note import Note, NoteSection, NoteSentence
from server.domain import EncounterOptions, EncounterRow, Review, Stage, State, StoredNote
from server.errors import Conflict
from server.store import encounters, notes
from server.store import tables as t
from server.store.seal import KeyRing, Seal

ENCOUNTER = "e" * 24


@pytest.fixture
def seal(engine: Engine) -> Seal:
    """Of an encounter, which there is now."""
    seal, wrapped = KeyRing(bytes(32)).new(ENCOUNTER)
    row = EncounterRow(
        id=ENCOUNTER, tenant_id="t", key_id="", token_id="", state=State.DONE, percentage=100, failure=None,
        options=EncounterOptions(api="auscult", streams=()), warnings=(), epoch=1, stages={Stage.CREATED: 0.0},
        owner="", data_key=wrapped, last_key=None, resumptions=0, created_at=0.0, active_at=0.0, completed_at=1.0,
        fetched_at=None,
    )  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(t.tenants).values(id="t", name="t", created_at=0.0))
        encounters.create(connection, row, None)
    return seal


def note(edited_from: int = 0, review: Review = Review.DRAFT, text: str = "A cough.") -> StoredNote:
    sentences = (NoteSentence(text=text, items=()),)
    section = NoteSection(key="S", title="S", sentences=sentences)
    written = Note(template="SOAP", title="", language="en", sections=(section,))
    return StoredNote(note=written, review=review, edited_from=edited_from)


def forget(connection: Connection) -> None:
    """All versions are as those that were stored before it was kept what was edited."""
    connection.execute(update(t.notes).values(edited_from=None))


@pytest.mark.parametrize("old", [False, True])
def test_the_edit_of_a_version_is_found_also_among_old_ones(engine: Engine, seal: Seal, old: bool) -> None:
    with engine.begin() as connection:
        encounters.put_note(connection, seal, ENCOUNTER, note(), 0.0)
        for edited_from in (1, 0, 2):
            notes.add(connection, seal, ENCOUNTER, note(edited_from), 0.0)
        if old:
            forget(connection)
        assert [notes.edit_of(connection, seal, ENCOUNTER, number) for number in (1, 2, 3, 4)] == [2, 4, None, None]


def test_no_version_is_opened_to_find_what_was_edited(engine: Engine, seal: Seal) -> None:
    _, other_key = KeyRing(bytes(32)).new(ENCOUNTER)
    with engine.begin() as connection:
        encounters.put_note(connection, seal, ENCOUNTER, note(), 0.0)
        notes.add(connection, seal, ENCOUNTER, note(1), 0.0)
        connection.execute(update(t.notes).values(sealed=other_key))
        assert notes.edit_of(connection, seal, ENCOUNTER, 1) == 2
        assert notes.edit_of(connection, seal, ENCOUNTER, 2) is None


def test_an_amendment_has_an_approved_version_behind_it(engine: Engine, seal: Seal) -> None:
    chain = [note(0, Review.APPROVED), note(1), note(2), note(0, Review.APPROVED)]
    with engine.begin() as connection:
        for each in chain:
            notes.add(connection, seal, ENCOUNTER, each, 0.0)
        assert [notes.amends(connection, seal, ENCOUNTER, each) for each in chain] == [False, True, True, False]


def test_the_versions_of_a_note_have_a_size_together(
    engine: Engine, seal: Seal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "MOST_BYTES", 5_000)
    with engine.begin() as connection:
        for _ in range(2):
            notes.add(connection, seal, ENCOUNTER, note(text="x" * 2_000), 0.0)
        with pytest.raises(Conflict, match="together"):
            notes.add(connection, seal, ENCOUNTER, note(text="x" * 2_000), 0.0)
        assert len(notes.versions(connection, seal, ENCOUNTER)) == 2
