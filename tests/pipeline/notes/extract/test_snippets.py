"""Headers of short pieces of talk."""

import pytest

from pipeline.notes.extract.snippets import HEADERS, header_of
from tests.pipeline.notes.talk import talk, unmarked


@pytest.mark.parametrize(
    ("lines", "header"),
    [
        (("D: Do you have any allergies?", "P: Yes, I am allergic to penicillin."), "ALLERGY"),
        (("D: What medications do you take?", "P: I take lisinopril and metformin every day."), "MEDICATIONS"),
        (("D: Do you smoke or drink?", "P: I smoke a pack a day, and I live with my wife."), "FAM/SOCHX"),
        (("D: Have you had any surgeries?", "P: I had my gallbladder removed in 2010."), "PASTSURGICAL"),
        (("D: Are your vaccines up to date?", "P: Yes, all my immunizations are up to date."), "IMMUNIZATIONS"),
    ],
)
def test_a_snippet_is_noted_below_its_header(lines: tuple[str, ...], header: str) -> None:
    items = talk(*lines)
    assert header_of(items) == header_of(unmarked(items)) == header


def test_nothing_said_has_a_header_too() -> None:
    assert header_of([]) in HEADERS
