"""Items → sentences and clauses."""

from pipeline.notes.english.units import units
from pipeline.notes.english.wording import clean, join
from pipeline.types import Utterance
from tests.pipeline.notes.talk import talk, without_roles


def said(items: list[Utterance]) -> list[tuple[str, tuple[str, ...]]]:
    """Each unit's text and the items in which it was said."""
    cleaned = {item.id: clean(item.text) for item in items}
    return [(join(unit.tokens), unit.items) for unit in units(items, cleaned)]


def test_an_item_with_two_sentences_makes_two_units() -> None:
    assert said(talk("P: My head hurts. I feel sick.")) == [("My head hurts.", ("0",)), ("I feel sick.", ("0",))]


def test_a_sentence_that_hangs_in_the_air_goes_on_in_the_next_item() -> None:
    assert said(talk("P: i have had a cough for", "P: about three weeks")) == [
        ("i have had a cough for about 3 weeks", ("0", "1"))
    ]


def test_a_short_addition_after_a_pause_belongs_to_the_sentence_before() -> None:
    assert said(talk("P: i have had a bad cough", "P: for about three weeks")) == [
        ("i have had a bad cough for about 3 weeks", ("0", "1"))
    ]


def test_two_speakers_never_share_a_unit() -> None:
    found = said(talk("D: i was asking about the", "P: pain is gone"))
    assert found == [("i was asking about the", ("0",)), ("pain is gone", ("1",))]


def test_without_roles_an_answer_is_not_joined_to_its_question() -> None:
    items = without_roles(talk("D: who do you live with", "P: with my husband and my son"))
    assert [text for text, _ in said(items)] == ["who do you live with", "with my husband and my son"]


def test_an_unmarked_run_on_is_cut_at_discourse_markers() -> None:
    found = said(talk("P: i was walking up the stairs with the laundry and i slipped and fell and it got very swollen"))
    assert [text for text, _ in found] == [
        "i was walking up the stairs with the laundry",
        "and i slipped and fell and it got very swollen",
    ]


def test_a_short_contrast_stays_with_what_it_contrasts() -> None:
    line = "i used to smoke but i quit ten years ago"
    assert len(said(talk(f"P: {line}"))) == 1
    found = said(without_roles(talk(f"D: yes i am allergic to penicillin it gave me a rash do you smoke {line}")))
    assert found[-1][0] == "i used to smoke but i quit 10 years ago"


def test_without_roles_an_answer_in_the_same_item_is_told_from_its_question() -> None:
    found = said(without_roles(talk("D: are you allergic to anything else none that i know of")))
    assert [text for text, _ in found] == ["are you allergic to anything else", "none that i know of"]
    found = said(without_roles(talk("D: who do you live with i live with my husband")))
    assert [text for text, _ in found] == ["who do you live with", "i live with my husband"]


def test_questions_in_a_row_are_told_apart() -> None:
    found = said(talk("D: okay any numbness any tingling do you have a fever"))
    assert [text for text, _ in found] == ["okay any numbness", "any tingling", "do you have a fever"]


def test_an_any_that_belongs_to_a_statement_cuts_nothing() -> None:
    line = "your exam is normal without any significant findings"
    assert [text for text, _ in said(talk(f"D: {line}"))] == [line]


def test_an_any_behind_a_verb_is_no_question_of_its_own() -> None:
    found = said(talk("D: do you take any blood thinners i don't think i saw any on your list"))
    assert not any(text.startswith("any") for text, _ in found)


def test_a_tag_that_asks_for_agreement_makes_no_question() -> None:
    items = talk("D: I want you to weigh yourself every day, okay?")
    (unit,) = units(items, {item.id: clean(item.text) for item in items})
    assert not unit.question
    assert join(unit.tokens) == "I want you to weigh yourself every day."


def test_acknowledgements_of_the_doctor_do_not_break_into_a_story() -> None:
    items = talk("P: i have had a cough for", "D: mm-hmm okay", "P: about three weeks")
    assert said(items) == [("i have had a cough for about 3 weeks", ("0", "2"))]


def test_items_are_put_into_spoken_order() -> None:
    items = talk("P: My head hurts.", "P: My knee hurts.")
    assert [text for text, _ in said(items[::-1])] == ["My head hurts.", "My knee hurts."]
