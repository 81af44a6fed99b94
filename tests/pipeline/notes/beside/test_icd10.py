"""ICD-10-CM: what codes mean, and which code words lead to."""

import pytest

from pipeline.notes.beside.icd10 import Standing, folded, key, shipped_catalogue

CATALOGUE = shipped_catalogue()


def code_of(said: str) -> str | None:
    lead = CATALOGUE.lead(key(folded(said)))
    return None if lead is None else lead.entry.code


@pytest.mark.parametrize(
    ("written", "standing"),
    [
        ("I10", Standing.BILLABLE),
        ("i10", Standing.BILLABLE),
        ("E119", Standing.BILLABLE),  # without its point
        ("E11", Standing.INCOMPLETE),  # a category
        ("S93.401", Standing.INCOMPLETE),  # no seventh character
        ("S93.401A", Standing.BILLABLE),
        ("S00.03XA", Standing.BILLABLE),  # filled up
        ("S00.03A", Standing.UNKNOWN),  # not filled up
        ("S93.401Z", Standing.UNKNOWN),
        ("H35.3111", Standing.BILLABLE),
        ("Z99.99", Standing.UNKNOWN),
        ("99213", Standing.UNKNOWN),
        ("", Standing.UNKNOWN),
        ("I10\n", Standing.BILLABLE),
        ("I1 0", Standing.UNKNOWN),
        ("É11", Standing.UNKNOWN),
        ("I" * 10_000, Standing.UNKNOWN),
    ],
)
def test_what_the_catalogue_says_of_a_proposed_code(written: str, standing: Standing) -> None:
    assert CATALOGUE.standing(written) is standing


def test_a_seventh_character_is_part_of_the_description() -> None:
    entry = CATALOGUE.entry("s93401d")
    assert entry is not None
    assert (entry.code, entry.billable) == ("S93.401D", True)
    assert entry.description == "Sprain of unspecified ligament of right ankle, subsequent encounter"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("hypertension", "I10"),
        ("high blood pressure", "I10"),
        ("Type II diabetes mellitus", "E11.9"),
        ("diabetes", "E11.9"),
        ("acute bronchitis", "J20.9"),
        ("GERD", "K21.9"),
        ("oesophagitis", "K20.90"),  # British
        ("pain in the right knee", "M25.561"),
        ("right-sided knee pain", "M25.561"),
        ("knee pain", "M25.569"),  # of an unspecified one
        ("right carpal tunnel syndrome", "G56.01"),
        ("left otitis media", "H66.92"),
        ("migraine", "G43.909"),
        ("kidney stones", "N20.0"),
        ("pneumonia", "J18.9"),
        ("right medial epicondylitis", "M77.01"),  # whose elbow goes without saying
        ("lower back pain", "M54.50"),
    ],
)
def test_words_lead_to_the_code_that_says_the_same(said: str, code: str) -> None:
    assert code_of(said) == code


@pytest.mark.parametrize(
    "said",
    [
        "lung nodule",  # not cancer
        "lumbar strain",
        "sinusitis",  # the only unspecified one is chronic: nobody said so
        "sore throat",  # acute pharyngitis, if it is acute
        "inguinal hernia",  # unilateral, if it is
        "breast cancer",  # asks for the sex
        "pregnancy",
        "cold",
        "pain",  # somewhere
        "contusion",  # not of an ear
        "wound",
        "CA-125",  # elevated, if it is
        "Wells",  # who described cellulitis
        "",
        "the",
        "a\tb",
    ],
)
def test_words_that_say_less_than_any_code_lead_to_none(said: str) -> None:
    assert code_of(said) is None
