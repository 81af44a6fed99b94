"""Learned weights: what they may decide, and what stays with the rules."""

import numpy as np
import pytest

from pipeline.notes.english.units import units
from pipeline.notes.english.wording import clean
from pipeline.notes.extract.exchanges import passages
from pipeline.notes.extract.hints import Hinted, hinted
from pipeline.notes.extract.scoring import SECTIONS, section_weights
from pipeline.types import Utterance
from tests.pipeline.notes.talk import general, talk, texts, visit, without_roles


def seen(items: list[Utterance]) -> list[Hinted]:
    return hinted(passages(units(items, {item.id: clean(item.text) for item in items})))


VISIT = visit(
    "P: The cough is worse at night.",
    "D: On exam your lungs are clear.",
    "D: I'll refer you to physical therapy and order a lipid panel.",
    "P: We went to the lake on Sunday.",
)


def test_each_passage_gets_a_likelihood_for_each_section() -> None:
    found = seen(VISIT)
    scores = section_weights().scores(found)
    assert scores.shape == (len(found), len(SECTIONS))
    assert ((scores >= 0) & (scores <= 1)).all()


def test_what_is_told_and_what_is_done_are_told_apart() -> None:
    found = seen(VISIT)
    scores = section_weights().scores(found)
    likeliest = {" ".join(one.own): SECTIONS[at] for one, at in zip(found, scores.argmax(axis=1), strict=True)}
    assert likeliest["the cough is worse at night"] == "history"
    assert likeliest["on exam your lungs are clear"] == "exam"
    assert likeliest["i'll refer you to physical therapy and order a lipid panel"] == "plan"


def test_the_same_talk_is_scored_in_the_same_way() -> None:
    assert np.array_equal(section_weights().scores(seen(VISIT)), section_weights().scores(seen(VISIT)))


@pytest.mark.parametrize("items", [[], talk("P: I have a cough."), talk("P: zxqv grblf mnop")])
def test_little_or_unknown_talk_can_be_scored(items: list[Utterance]) -> None:
    found = seen(items)
    assert section_weights().scores(found).shape == (len(found), len(SECTIONS))


def test_the_weights_are_numbers_and_fit_each_other() -> None:
    weights = section_weights()
    count = len(weights.terms)
    assert weights.idf.shape == (count,)
    assert weights.own.shape == (count, len(SECTIONS))
    assert weights.snippet_said.shape == weights.snippet_doctors.shape == (count, len(weights.snippet_bias))
    assert all(np.isfinite(array).all() for array in (weights.own, weights.signs, weights.second, weights.idf))


# What the weights may not decide


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("P: My chest x-ray last year showed pneumonia.", "IMAGING_RESULTS"),
        ("P: My lungs are clear and there is no wheezing on exam.", "PHYSICAL_EXAM"),
        ("P: I think I have pneumonia.", "ASSESSMENT"),
        ("P: I'm going to take ibuprofen every six hours.", "PRESCRIPTION"),
    ],
)
def test_what_a_patient_says_is_no_finding_and_no_plan(line: str, key: str) -> None:
    without, added = texts(general(visit()), key), texts(general(visit(line)), key)
    assert added == without


def test_what_may_happen_is_no_history() -> None:
    for key in ("HISTORY_OF_PRESENT_ILLNESS", "ASSESSMENT", "PHYSICAL_EXAM"):
        assert texts(general(visit("D: If you develop a fever or vomiting, call me.")), key) == texts(
            general(visit()), key
        )


def test_a_medicine_is_noted_whatever_the_weights_say() -> None:
    note = general(visit("D: Nurse, please give him norflex sixty milligrams."))
    assert any("norflex 60 mg" in text.lower() for text in texts(note))


def test_what_a_machine_is_told_is_not_noted() -> None:
    note = general(visit("D: Hey, dragon, show me the chest x-ray.", "D: Show me the labs, please."))
    assert not any("show" in text.lower() for text in texts(note))


def test_without_roles_a_talk_is_written_much_as_with_them() -> None:
    items = visit("D: Do you have any chest pain?", "P: No.", "D: Your lungs are clear.", "P: My knee hurts, too.")
    assert "Denies chest pain." in texts(general(without_roles(items)))
    assert any("knee hurts" in text for text in texts(general(without_roles(items))))
