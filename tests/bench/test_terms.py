"""Medical terms, and how many of them were understood."""

import pytest

from bench.terms import Recall, glossary, our_glossary, recall, terms
from bench.words import medical_form

medical = medical_form("en")


def found(text: str, *entries: str) -> list[str]:
    words = medical(text).split()
    return [" ".join(words[term.begin : term.end]) for term in terms(words, glossary(entries))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Do you have any chest pain?", ["chest", "pain"]),
        ("Are you short of breath?", ["short of breath"]),
        ("I take eighty milligrams of aspirin.", ["80 mg", "aspirin"]),
        ("Your blood pressure was 120 over 70.", ["blood pressure"]),
        ("We will order an X-ray.", ["xray"]),
        ("I live with my husband.", []),
        ("", []),
    ],
)
def test_terms_are_what_the_note_writer_looks_for(text: str, expected: list[str]) -> None:
    assert found(text) == expected


def test_a_medicine_is_known_by_its_ending_too() -> None:
    (term,) = terms(["azilsartan"], glossary([]))
    assert term.drug


def test_a_glossary_s_entry_is_one_term_and_the_longest_counts() -> None:
    assert found("It is atrial fibrillation", "fibrillation", "atrial fibrillation") == ["atrial fibrillation"]
    assert found("Paroxysmal nocturnal dyspnoea", "paroxysmal nocturnal dyspnea") == ["paroxysmal nocturnal dyspnea"]


def test_our_glossaries_are_looked_up() -> None:
    words = medical("She has otitis media").split()
    assert [(term.begin, term.end) for term in terms(words, our_glossary())] == [(2, 4)]


def test_a_term_counts_as_often_as_it_is_said() -> None:
    said = "the cough and the fever and the cough took 80 mg of aspirin"
    heard = "the cough and the fever and the coffee took 18 mg of aspirin"
    # terms: cough, fever, cough, 80 mg, aspirin; the second cough and the dose are wrong
    figures = recall(said, heard, glossary([]))
    assert figures.terms == Recall(said=5, heard=3)
    assert figures.drugs == Recall(said=1, heard=1)


def test_a_term_elsewhere_does_not_help() -> None:
    figures = recall("fever since monday and now a rash", "rash since monday and now a fever", glossary([]))
    assert figures.terms == Recall(said=2, heard=0)


def test_where_no_term_is_said_there_is_no_share() -> None:
    figures = recall("hello there", "hello", glossary([]))
    assert figures.terms.share is None
    assert (figures + recall("a rash", "a rash", glossary([]))).terms.share == 1.0
