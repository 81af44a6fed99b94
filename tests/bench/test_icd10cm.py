"""The table of ICD-10-CM, and the catalogue that it is made of."""

import zlib
from importlib.resources import files

import pytest

from bench.icd10cm import Source, table, terms
from pipeline.notes.beside.icd10 import FILE, Standing, shipped_catalogue


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("Essential (primary) hypertension", {"essential hypertension", "htn"}),
        ("Pneumonia, unspecified organism", {"pneumonia"}),
        ("Otitis media, unspecified, left ear", {"ear left media otitis", "left media otitis"}),
        ("Sprain of unspecified ligament of right ankle", {"ankle right sprain"}),
        ("Acute nasopharyngitis [common cold]", {"acute nasopharyngitis", "cold common"}),
        ("Other asthma", set()),  # what the catalogue has no code for is no asthma
        ("Malaria NEC", set()),
    ],
)
def test_a_term_leads_by_its_words_without_what_only_says_that_no_more_is_known(text: str, keys: set[str]) -> None:
    assert {term.key for term in terms(text)} == keys


@pytest.mark.slow
def test_the_shipped_table_is_what_the_catalogue_makes_and_knows_all_its_codes() -> None:
    package = pytest.importorskip("simple_icd_10_cm", reason="pip install '.[bench]'")
    shipped = zlib.decompress(files("pipeline.notes.beside").joinpath(FILE).read_bytes())
    assert table(Source()) == shipped
    catalogue = shipped_catalogue()
    listed = [code for code in package.get_all_codes() if len(code) > 2 and code[1].isdigit() and "-" not in code]
    assert len(listed) > 98_000
    for code in listed:
        entry = catalogue.entry(code)
        assert entry is not None
        assert entry.description == package.get_description(code)
        assert catalogue.standing(code) is (Standing.BILLABLE if package.is_leaf(code) else Standing.INCOMPLETE)
