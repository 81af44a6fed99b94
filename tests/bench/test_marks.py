"""What transcripts made by hand are worth."""

from pathlib import Path

import pytest

from bench.manifest import Entry
from bench.marks import Marks, marks, texts
from bench.recordings import TruthItem
from bench.score import Final
from bench.terms import Recall, glossary
from bench.words import WordErrors
from pipeline.types import Role

SAID = (
    TruthItem(speaker=Role.DOCTOR, start_ms=0, end_ms=2000, text="Any chest pain, okay?"),
    TruthItem(speaker=Role.PATIENT, start_ms=3000, end_ms=4000, text="Yeah, I take aspirin."),
)
ENTRY = Entry(
    id="one",
    seconds=5.0,
    language="en",
    text="Any chest pain, okay? Yeah, I take aspirin.",
    items=SAID,
    exact=True,
    mono=Path("mono.flac"),
    stereo=Path("stereo.flac"),
)


def heard(role: Role, start_ms: int, end_ms: int, text: str) -> Final:
    return Final(role=role, start_ms=start_ms, end_ms=end_ms, text=text, arrived_ms=0)


SPLIT = [
    heard(Role.DOCTOR, 40, 2100, "any chess pain ok"),
    heard(Role.PATIENT, 2950, 4000, "yes I take aspirin"),
]


def test_each_voice_is_compared_with_its_own_words() -> None:
    # Whisper's form: chess, ok, yes; the medical one: chess
    figures = marks(ENTRY, SPLIT, glossary([]), split=True)
    assert figures.whisper == WordErrors(words=8, substitutions=3, deletions=0, insertions=0)
    assert figures.medical == WordErrors(words=8, substitutions=1, deletions=0, insertions=0)
    assert figures.recalls.terms == Recall(said=3, heard=2)
    assert figures.recalls.drugs == Recall(said=1, heard=1)
    assert figures.start_errors == (40, -50)
    assert (figures.items, figures.lost) == (2, 0)


def test_words_of_the_wrong_voice_are_missing_here_and_too_many_there() -> None:
    swapped = [heard(Role.PATIENT, 40, 2100, "any chest pain ok"), heard(Role.DOCTOR, 2950, 4000, "yes I take aspirin")]
    assert (marks(ENTRY, swapped, glossary([]), split=True).medical.rate or 0) > 0.5


def test_all_in_one_stream_are_compared_in_the_order_of_their_start() -> None:
    mixed = [heard(Role.UNSPECIFIED, item.start_ms, item.end_ms, item.text) for item in reversed(SPLIT)]
    assert texts(ENTRY, mixed, split=False) == [(ENTRY.text, "any chess pain ok yes I take aspirin")]
    assert marks(ENTRY, mixed, glossary([]), split=False).medical.substitutions == 1


def test_estimated_times_are_not_compared() -> None:
    from dataclasses import replace

    assert marks(replace(ENTRY, exact=False), SPLIT, glossary([]), split=True).start_errors == ()


def test_marks_add_up() -> None:
    once = marks(ENTRY, SPLIT, glossary([]), split=True)
    twice = sum([once, once], Marks())
    assert twice.medical.words == 16
    assert twice.medical.rate == pytest.approx(once.medical.rate)
    assert twice.start_errors == (40, -50, 40, -50)
    assert twice.recalls.terms == Recall(said=6, heard=4)


def test_silence_for_a_transcript_loses_everything() -> None:
    figures = marks(ENTRY, [], glossary([]), split=True)
    assert figures.medical.rate == 1.0
    assert figures.lost == 2
    assert figures.recalls.terms.share == 0.0
