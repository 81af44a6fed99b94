"""Headers of snippets, read off notes."""

import pytest

from bench.notes_headers import GROUPS, HEADER_OF, NONE, classified, header_of
from pipeline.notes.note import Note, NoteSection, NoteSentence, Topic


def note(*sections: tuple[Topic, str]) -> Note:
    written = tuple(
        NoteSection(key=topic, title=topic, sentences=(NoteSentence(text=text, items=("1",)),), topics=(topic,))
        for topic, text in sections
    )
    return Note(template="T", title="N", language="en-US", sections=written)


def test_a_snippet_is_about_what_most_words_are_on() -> None:
    assert header_of(note((Topic.HISTORY, "Cough."), (Topic.FAMILY, "Mother had asthma."))) == "FAM/SOCHX"
    assert header_of(note((Topic.HISTORY, "Cough."), (Topic.SOCIAL, "Smokes."), (Topic.FAMILY, "Gout."))) == "FAM/SOCHX"
    assert header_of(None) == NONE


def test_every_topic_has_a_header_and_every_header_one_group() -> None:
    assert set(HEADER_OF) == set(Topic)
    for header in HEADER_OF.values():
        assert sum(header in group for group in GROUPS) == 1


def test_headers_are_compared_by_themselves_and_in_groups() -> None:
    found = classified(["ROS", "GENHX", "ALLERGY", "ALLERGY"], ["GENHX", "GENHX", "ALLERGY", NONE])
    assert found.snippets == 4
    assert found.accuracy == 0.5
    assert found.macro_f1 == pytest.approx((0 + 2 / 3 + 2 / 3) / 3)
    assert found.grouped_accuracy == 0.75
    assert found.grouped_macro_f1 == pytest.approx((1 + 2 / 3) / 2)
