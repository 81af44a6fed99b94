"""Billing codes: those that were spoken, and nothing that only looks like one."""

import pytest

from pipeline.notes.beside.codes import spoken_codes


@pytest.mark.parametrize(
    ("sentence", "icd10", "cpt"),
    [
        ("The diagnosis is J20.9.", ["J20.9"], []),
        ("ICD-10 codes I10, E11.9 and Z79.4.", ["I10", "E11.9", "Z79.4"], []),
        ("icd 10 code i10", ["I10"], []),
        ("The diagnosis code is M54.50 today.", ["M54.50"], []),
        ("CPT 99213", [], ["99213"]),
        ("The billing codes are 99213 and 36415.", [], ["99213", "36415"]),
        ("T12 and L4 are fractured, take vitamin B12.", [], []),
        ("Her zip code is 99213 and his is 10115.", [], []),
        ("Call 99213 about A10.", [], []),
        ("BP 120/80, 37.5 degrees, 1.5 mg.", [], []),
    ],
)
def test_only_what_was_said_to_be_a_code_is_one(sentence: str, icd10: list[str], cpt: list[str]) -> None:
    found = spoken_codes([sentence])
    assert [each.code for each in found.icd10] == icd10
    assert [each.code for each in found.cpt] == cpt
    assert all(each.sentence == sentence for each in (*found.icd10, *found.cpt))


def test_each_code_is_there_once_with_the_sentence_that_said_it_first() -> None:
    (code,) = spoken_codes(["It is J20.9.", "As I said, j20.9."]).icd10
    assert code.sentence == "It is J20.9."
