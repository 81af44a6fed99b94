"""Evidence and omissions of notes, counted by hand."""

import pytest

from bench.notes_checks import Share, check, cited, doubtful, missing
from bench.notes_sets import Visit, as_items
from bench.role_dialogues import Said
from pipeline.notes.note import Note, NoteSection, NoteSentence, Topic
from pipeline.types import Role

VISIT = Visit(
    name="V",
    corpus="x",
    items=tuple(
        as_items(
            (
                Said(role=Role.DOCTOR, text="What brings you in?"),
                Said(role=Role.PATIENT, text="My toe has hurt for twenty days. I take ibuprofen and metformin."),
                Said(role=Role.DOCTOR, text="Any fever?"),
                Said(role=Role.PATIENT, text="No."),
            )
        )
    ),
    reference="CHIEF COMPLAINT\n\nToe pain.\n\nHPI\n\nToe hurt. No fever. Takes ibuprofen, metformin and naproxen.",
)


def note(*sentences: tuple[str, tuple[str, ...]]) -> Note:
    written = tuple(NoteSentence(text=text, items=items) for text, items in sentences)
    section = NoteSection(key="HPI", title="HPI", sentences=written, topics=(Topic.HISTORY,))
    return Note(template="T", title="N", language="en-US", sections=(section,))


GOOD = note(
    ("Toe has hurt for 20 days.", ("item2",)), ("Takes ibuprofen.", ("item2",)), ("No fever.", ("item3", "item4"))
)


def test_a_note_of_what_was_said_has_nothing_unsaid() -> None:
    checked = check(VISIT, GOOD)
    assert checked.cited == Share(kept=3, of=3)
    assert checked.supports == (1, 1, 1)
    assert checked.numbers == Share(kept=1, of=1)
    assert checked.terms_unsaid == 0
    assert checked.flips == 0
    assert checked.as_answered == Share(kept=3, of=3)  # toe, ibuprofen, fever


def test_what_a_note_leaves_out_of_the_sayable_is_counted() -> None:
    checked = check(VISIT, GOOD)
    assert checked.medicines == Share(kept=1, of=2)  # naproxen was not said
    assert missing(VISIT, GOOD).medicines == {"metformin"}
    assert checked.words_kept == pytest.approx(5 / 6)  # toe, hurt, fever, takes, ibuprofen; not metformin
    assert checked.terms_kept == pytest.approx(2 / 3)  # fever, ibuprofen; not metformin


def test_an_invented_number_term_and_id_are_found() -> None:
    checked = check(VISIT, note(("Gout for 30 days.", ("item2", "item9"))))
    assert checked.cited == Share(kept=0, of=1)
    assert checked.numbers == Share(kept=0, of=1)
    assert checked.terms_unsaid == 1


def test_a_flip_is_found_and_can_be_read() -> None:
    wrong = note(("Reports fever, no toe.", ("item2",)))
    assert check(VISIT, wrong).flips == 1
    assert check(VISIT, note(("Reports fever.", ("item3",)))).as_reference == Share(kept=0, of=1)
    assert [word for word, _ in doubtful(VISIT, note(("Reports fever.", ("item3",))))] == ["fever"]


def test_an_empty_note_keeps_nothing() -> None:
    checked = check(VISIT, None)
    assert (checked.cited, checked.numbers, checked.terms_unsaid) == (Share(), Share(), None)
    assert (checked.words_kept, checked.medicines) == (0, Share(kept=0, of=2))


def test_a_sentence_is_shown_with_the_items_that_exist() -> None:
    [one] = cited(VISIT, note(("No fever.", ("item3", "item9"))))
    assert [item.text for item in one.items] == ["Any fever?"]


def test_shares_add_up() -> None:
    assert (Share(kept=1, of=2) + Share(kept=0, of=2)).share == 0.25
    assert Share().share is None
