"""What a note loses by recognition: the same talk as it was said and as it was heard."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.manifest import Entry
from bench.notes_checks import Share
from bench.notes_heard import compared, ours, pooled
from bench.notes_writing import Outcome
from bench.recordings import TruthItem
from pipeline.notes.note import Note, NoteSection, NoteSentence
from pipeline.types import Role, Utterance

SAID = ((Role.DOCTOR, "Any fever?"), (Role.PATIENT, "No. I take metformin 500 mg."), (Role.PATIENT, "My toe hurts."))
ENTRY = Entry(
    id="toe",
    seconds=3.0,
    language="en",
    text=" ".join(text for _, text in SAID),
    items=tuple(
        TruthItem(speaker=role, start_ms=1000 * at, end_ms=1000 * at + 900, text=text)
        for at, (role, text) in enumerate(SAID)
    ),
    mono=Path("toe.flac"),
)


async def verbatim(items: Sequence[Utterance]) -> Outcome:
    """A writer that notes what patients say as it is."""
    said = tuple(NoteSentence(text=item.text, items=(item.id,)) for item in items if item.role is Role.PATIENT)
    section = NoteSection(key="HPI", title="History", sentences=said)
    return Outcome(note=Note(template="T", title="N", language="en-US", sections=(section,)) if said else None)


def heard(*texts: str) -> list[Utterance]:
    said = zip(SAID, texts, strict=True)
    return [
        Utterance(id=f"h{at}", stream="s", role=role, start=at, end=at + 1, text=text)
        for at, ((role, _), text) in enumerate(said)
    ]


async def test_a_talk_that_is_heard_as_it_was_said_loses_nothing() -> None:
    found = await compared(ENTRY, "r", heard(*(text for _, text in SAID)), verbatim, "")
    assert (found.errors.rate, found.rouge.one) == (0, 1)
    assert found.words_kept.share == found.terms_kept.share == found.numbers.share == 1
    assert found.terms_unsaid == 0
    assert found.clinician is None


async def test_what_was_misheard_is_unsaid_and_what_it_replaces_is_missing() -> None:
    texts = ("any fever", "no i take ibuprofen 50 mg", "my toe hurts")
    found = await compared(ENTRY, "r", heard(*texts), verbatim, "Toe hurts. Takes metformin.")
    assert found.errors.rate == pytest.approx(2 / 11)
    assert found.medicines_kept == Share(kept=0, of=1)
    assert found.numbers == Share(kept=0, of=1)
    assert found.terms_unsaid == 1  # ibuprofen
    assert found.clinician is not None
    assert found.clinician.heard_rouge_1 < found.clinician.said_rouge_1
    assert found.clinician.said_kept == 1
    assert found.clinician.heard_kept == pytest.approx(3 / 4)


async def test_a_talk_of_which_nothing_was_heard_has_an_empty_note() -> None:
    found = await compared(ENTRY, "r", [], verbatim, "")
    assert (found.heard_words, found.rouge.one, found.words_kept.kept) == (0, 0, 0)


async def test_recordings_are_told_together() -> None:
    right = await compared(ENTRY, "r", heard(*(text for _, text in SAID)), verbatim, "Toe hurts.")
    wrong = await compared(ENTRY, "r", heard("any fever", "no", "no"), verbatim, "")
    found = pooled([right, wrong])
    assert found.errors.words == 22
    assert found.medicines_kept == Share(kept=1, of=2)
    assert found.rouge.one == (right.rouge.one + wrong.rouge.one) / 2
    assert found.terms_unsaid == 0  # the second note has no terms
    assert found.clinician == right.clinician


def test_our_consultations_are_read_as_they_were_said() -> None:
    assert [visit.name for visit in ours()] == ["cough", "headache"]
    assert all({item.role for item in visit.items} == {Role.DOCTOR, Role.PATIENT} for visit in ours())
