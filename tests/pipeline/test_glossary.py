"""Glossaries as files."""

from pathlib import Path

import pytest

from pipeline.errors import InvalidGlossary
from pipeline.glossary import parse_glossary, read_glossaries

SHIPPED = Path(__file__).parents[2] / "config" / "glossaries"


def test_terms_are_read_in_order_and_once() -> None:
    assert parse_glossary("# hearts\nangina\n\nCABG | cabbage\n  TAVI\nangina\n") == ("angina", "CABG", "TAVI")


def test_a_text_without_terms_is_an_empty_glossary() -> None:
    assert parse_glossary("") == parse_glossary("# nothing\n  \n | sound\n") == ()


def test_the_shipped_glossaries_have_terms_in_both_languages() -> None:
    glossaries = read_glossaries(SHIPPED)
    assert {"dyspnea", "Atemnot"} <= set(glossaries["medical-terms"])
    assert {"atrial fibrillation", "Vorhofflimmern"} <= set(glossaries["cardiology"])


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InvalidGlossary, match=r"bad\.txt"):
        read_glossaries(tmp_path)
