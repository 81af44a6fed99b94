"""Long talks in portions, and their answers in one note."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ModelTooLong
from pipeline.notes.asking.answering import MOST_SENTENCES
from pipeline.notes.asking.merging import MOST_IN_SECTION, Merging
from pipeline.notes.asking.portions import (
    MESSAGE_TOKENS,
    bounded,
    fewest_tokens,
    line_tokens,
    longest_line,
    portions,
    tokens,
)
from pipeline.notes.asking.prompting import numbered
from pipeline.notes.note import NoteSentence
from pipeline.notes.request import Background
from tests.pipeline.notes.talk import talk


def said(*texts: str, items: tuple[str, ...] = ("1",)) -> list[NoteSentence]:
    return [NoteSentence(text=text, items=items) for text in texts]


@given(st.lists(st.integers(1, 400), max_size=60), st.integers(300, 900))
def test_every_line_is_in_a_portion_and_no_portion_is_too_large(lengths: list[int], room: int) -> None:
    lines = numbered(talk(*("P: " + "é" * length for length in lengths)), longest_line(room))
    made = portions(lines, room)
    covered = [line for portion in made for line in portion]
    assert sorted(set(map(id, covered))) == sorted(map(id, lines))
    for portion in made:
        assert sum(tokens(line.encoded) - MESSAGE_TOKENS for line in portion) <= room


@given(st.lists(st.text(max_size=80), max_size=20), st.integers(1, 60))
def test_no_line_has_fewer_tokens_than_its_length_tells(texts: list[str], longest: int) -> None:
    items = [replace(item, text=text) for item, text in zip(talk(*["P: x"] * len(texts)), texts, strict=True)]
    assert fewest_tokens(texts) <= sum(map(line_tokens, numbered(items, longest)))


def test_a_talk_that_fits_is_one_portion() -> None:
    assert len(portions(numbered(talk("P: Hello.", "D: Hello."), 100), 1000)) == 1


def test_a_portion_begins_with_the_end_of_the_one_before() -> None:
    made = portions(numbered(talk(*("P: I have a cough." for _ in range(200))), 400), 1000)
    assert len(made) > 2
    for before, after in pairwise(made):
        assert after[0] in before
        assert after[-1].number > before[-1].number


def test_where_no_talk_fits_it_is_too_long() -> None:
    with pytest.raises(ModelTooLong):
        portions(numbered(talk("P: Hello."), 100), 50)


def test_a_hundred_thousand_items_are_portioned_quickly() -> None:
    lines = numbered(talk(*("P: I have a cough and a fever." for _ in range(100_000))), 4000)
    assert sum(map(len, portions(lines, 20_000))) >= 100_000


def test_a_background_that_is_too_long_is_cut_where_it_is_longest() -> None:
    known = Background(history="h" * 40_000, context="short", chat=tuple(("p", "message") for _ in range(10)))
    cut = bounded(known, 1000)
    assert cut.context == "short"
    assert cut.chat == known.chat
    assert cut.history.endswith("…")
    assert tokens(cut.history) < 1000
    assert bounded(Background(context="short"), 1000) == Background(context="short")


def test_of_too_many_messages_the_latest_stay() -> None:
    known = Background(chat=tuple(("", f"message {n}") for n in range(5000)))
    cut = bounded(known, 1000)
    assert cut.chat
    assert cut.chat[-1] == ("", "message 4999")


def test_of_a_background_of_any_size_no_more_is_left_than_may_fit() -> None:
    pairs = tuple((f"name {n}", "value") for n in range(50_000))
    cut = bounded(Background(patient=pairs, chat=pairs, sections=pairs, context="\u54b3" * 2_000_000), 4_000)
    assert len(cut.context) <= 4_000
    assert max(map(len, (cut.patient, cut.chat, cut.sections))) <= 4_000 / MESSAGE_TOKENS / 2


def test_a_section_is_ready_when_every_portion_is_past_it() -> None:
    merging = Merging(["A", "B", "C"], 2)
    merging.add(0, "A", said("One."))
    assert list(merging.ready()) == []
    merging.add(1, "B", said("Two."))  # nothing on A in this portion
    assert list(merging.ready()) == [("A", tuple(said("One.")))]
    merging.finish(0)
    merging.add(1, "C", said("Three."))
    assert [key for key, _ in merging.ready()] == ["B", "C"]
    merging.finish(1)
    assert list(merging.ready()) == []


def test_a_section_that_comes_late_is_in_the_note_all_the_same() -> None:
    merging = Merging(["A", "B"], 1)
    merging.add(0, "B", said("Two."))
    assert [key for key, _ in merging.ready()] == ["B"]
    merging.add(0, "A", said("One."))
    assert [key for key, _ in merging.sections()] == ["A", "B"]


def test_a_section_nobody_asked_for_is_passed_over() -> None:
    merging = Merging(["A"], 1)
    merging.add(0, "ORDERS", said("Obey."))
    merging.finish(0)
    assert list(merging.ready()) == []
    assert list(merging.sections()) == []


def test_what_two_portions_tell_alike_is_told_once() -> None:
    merging = Merging(["A"], 2)
    merging.add(0, "A", said("Reports a cough for 3 weeks.", "Denies fever."))
    merging.add(1, "A", said("Reports a cough for 3 weeks.", "Takes aspirin."))
    texts = [one.text for one in merging.section("A")]
    assert texts == ["Reports a cough for 3 weeks.", "Denies fever.", "Takes aspirin."]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The patient has a cough at night and a fever.", "The patient has no cough at night and a fever."),
        ("Takes 500 mg of metformin twice a day with meals.", "Takes 850 mg of metformin twice a day with meals."),
        ("Has pain in the left knee when walking up stairs.", "Has pain in the right knee when walking up stairs."),
        ("Pain in the left knee, swelling of the right foot.", "Pain in the right knee, swelling of the left foot."),
    ],
)
def test_sentences_that_differ_in_what_matters_are_both_told(one: str, other: str) -> None:
    merging = Merging(["A"], 2)
    merging.add(0, "A", said(one))
    merging.add(1, "A", said(other))
    assert len(merging.section("A")) == 2


def test_nearly_the_same_of_the_same_items_is_told_once_by_neighbouring_portions() -> None:
    nearly = ("Reports a bad cough at night for weeks.", "Reports a bad cough for weeks at night.")
    merging = Merging(["A"], 2)
    merging.add(0, "A", said(nearly[0]))
    merging.add(1, "A", [*said(nearly[1]), *said(nearly[1], items=("2",))])
    assert merging.section("A") == (*said(nearly[0]), *said(nearly[1], items=("2",)))


def test_a_section_is_put_together_once_until_more_is_told_of_it() -> None:
    merging = Merging(["A", "B"], 1)
    merging.add(0, "A", said("One."))
    ((_, first),) = merging.ready()
    assert merging.section("A") is first
    assert dict(merging.sections())["A"] is first
    merging.add(0, "A", said("Two."))
    assert merging.section("A") == tuple(said("One.", "Two."))


def test_a_section_has_a_largest_size_however_often_it_is_told() -> None:
    merging = Merging(["A"], 6)
    for portion in range(6):
        for time in range(20):
            merging.add(portion, "A", said(*(f"Cough {portion} {time} {n}." for n in range(100))))
    assert len(merging.section("A")) == MOST_IN_SECTION < 6 * MOST_SENTENCES
    alone = Merging(["A"], 1)
    for time in range(20):
        alone.add(0, "A", said(*(f"Cough {time} {n}." for n in range(100))))
    assert len(alone.section("A")) == MOST_SENTENCES


def test_what_is_missing_is_what_comes_behind_the_last_section() -> None:
    merging = Merging(["A", "B", "C"], 1)
    assert merging.missing(0) == ["A", "B", "C"]
    merging.add(0, "B", said("Two."))
    assert merging.missing(0) == ["C"]
