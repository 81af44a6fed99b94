"""Codes of a consultation: spoken, suggested and proposed, each checked."""

from dataclasses import replace

import pytest

from pipeline.notes.beside.coding import (
    SUGGESTED,
    UNLICENSED,
    Coding,
    Origin,
    Proposal,
    System,
    code_visit,
    read_procedures,
)
from pipeline.notes.beside.icd10 import Standing, shipped_catalogue
from pipeline.notes.note import Note, NoteSection, NoteSentence, Topic
from tests.pipeline.notes.talk import talk

CATALOGUE = shipped_catalogue()
ASSESSED = Note(
    template="SOAP",
    title="",
    language="en",
    sections=(
        NoteSection(
            key="A",
            title="A",
            sentences=(NoteSentence(text="Patient has acute bronchitis.", items=("0",)),),
            topics=(Topic.ASSESSMENT,),
        ),
    ),
)
SAID = talk("D: You have acute bronchitis.", "D: ICD-10 code is I10, E11 and Z99.99.", "D: Bill CPT code 99213.")
LICENSED = {"99213": "A visit"}


def rows(coding: Coding) -> list[tuple[str, Origin, Standing, tuple[str, ...]]]:
    return [(each.code, each.origin, each.standing, each.items) for each in (*coding.icd10, *coding.cpt)]


def test_spoken_codes_come_first_and_are_checked() -> None:
    assert rows(code_visit(ASSESSED, SAID, CATALOGUE)) == [
        ("I10", Origin.SPOKEN, Standing.BILLABLE, ("1",)),
        ("E11", Origin.SPOKEN, Standing.INCOMPLETE, ("1",)),
        ("Z99.99", Origin.SPOKEN, Standing.UNKNOWN, ("1",)),
        ("J20.9", Origin.SUGGESTED, Standing.BILLABLE, ("0",)),
        ("99213", Origin.SPOKEN, Standing.UNKNOWN, ("2",)),
    ]


def test_a_known_code_has_the_catalogue_s_description_and_an_unknown_one_its_sentence() -> None:
    known, _, unknown, suggested = code_visit(ASSESSED, SAID, CATALOGUE).icd10
    assert (known.description, unknown.description) == ("Essential (primary) hypertension", SAID[1].text)
    assert (suggested.score, suggested.problem, suggested.sentence) == (
        1.0,
        "acute bronchitis",
        "Patient has acute bronchitis.",
    )


def test_cpt_is_verified_only_by_an_operator_s_file_and_it_is_said_so() -> None:
    without, with_file = code_visit(None, SAID, CATALOGUE), code_visit(None, SAID, CATALOGUE, LICENSED)
    assert [each.verified for each in without.cpt] == [False]
    assert without.notices == (SUGGESTED, UNLICENSED)
    assert [(each.verified, each.description) for each in with_file.cpt] == [(True, "A visit")]
    assert with_file.notices == (SUGGESTED,)


def test_what_a_model_proposes_is_checked_and_names_only_items_that_there_are() -> None:
    proposed = [
        Proposal(system=System.ICD10CM, code="j209", description="Bronchitis", items=("0", "nobody's")),
        Proposal(system=System.ICD10CM, code="X99.9999", description="Made up"),
        Proposal(system=System.CPT, code="99213", items=("0",)),
    ]
    coding = code_visit(None, SAID[:1], CATALOGUE, proposed=proposed)
    assert rows(coding) == [
        ("J20.9", Origin.PROPOSED, Standing.BILLABLE, ("0",)),
        ("X99.9999", Origin.PROPOSED, Standing.UNKNOWN, ()),
        ("99213", Origin.PROPOSED, Standing.UNKNOWN, ("0",)),
    ]
    assert [each.description for each in coding.icd10] == ["Acute bronchitis, unspecified", "Made up"]


def test_without_a_note_and_without_words_there_is_no_code() -> None:
    coding = code_visit(None, (), CATALOGUE)
    assert (coding.icd10, coding.cpt, coding.abstentions) == ((), (), ())
    assert coding.release == "ICD-10-CM April 2026"


def test_an_operator_s_file_is_a_table_of_codes_and_descriptions() -> None:
    read = {"99213": "A visit, established", "0001F": "Measured"}
    assert read_procedures('99213,"A visit, established"\n0001f,Measured,2026\n\n') == read
    assert read_procedures('code,description\n99213,"A visit, established"\n0001f,Measured\n') == read


@pytest.mark.parametrize(
    "text", ["99213,A visit\n9921,Too short\n", "99213,A visit\n99214\n", "99213,A visit\nvisit,99214\n"]
)
def test_a_wrong_line_of_the_file_is_named_by_its_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"^line 2: a line must have"):
        read_procedures(text)


def test_codes_that_came_with_a_note_are_proposals() -> None:
    note = replace(ASSESSED, proposals=(Proposal(system=System.CPT, code="99214", items=("0",)),))
    (code,) = [one for one in code_visit(note, SAID, CATALOGUE).cpt if one.code == "99214"]
    assert code.origin is Origin.PROPOSED
    assert not code.verified
