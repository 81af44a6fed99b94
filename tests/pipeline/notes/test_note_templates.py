"""Templates as files."""

from pathlib import Path

import pytest

from pipeline.errors import InvalidTemplate, UnknownTemplate
from pipeline.notes.note import Topic
from pipeline.notes.templates import choose_template, parse_template, read_templates
from tests.pipeline.notes.talk import TEMPLATES

GOOD = """
name = "SHORT"
languages = ["en", "de"]
title = { en = "Short note", de = "Kurzbericht" }
[[sections]]
key = "ALL"
title = { en = "All", de = "Alles" }
topics = ["history", "plan"]
"""

PAGE_KEYS = """
ALLERGIES APPOINTMENTS ASSESSMENT ASSESSMENT_AND_PLAN CARDIOVASCULAR_RISKS CHIEF_COMPLAINT CURRENT_MEDICATIONS
DIET_APPOINTMENTS DIET_CHIEF_COMPLAINT DIET_HABITS DIET_LIFESTYLE DIET_MEDICAL_HISTORY DIET_OBJECTIVES DIET_VITALS
FAMILY_HISTORY HISTORY_OF_PRESENT_ILLNESS IMAGING_RESULTS IMMUNIZATIONS LAB_RESULTS MENTAL_HEALTH_EXAM
MENTAL_HEALTH_HISTORY PAST_MEDICAL_HISTORY PAST_OBSTETRIC_HISTORY PAST_SURGICAL_HISTORY PHYSICAL_EXAM PLAN PRESCRIPTION
PSYCHOLOGY_HISTORY_OF_COMPLAINT SOAP_ASSESSMENT SOAP_OBJECTIVE SOAP_PLAN SOAP_SUBJECTIVE SOCIAL_HISTORY VITALS
WELL_CHILD_CARE
"""  # of Nabla's page of listen_async


def test_nablas_general_medicine_note_has_its_18_sections_in_order() -> None:
    assert [section.key for section in TEMPLATES["GENERAL_MEDICINE"].sections] == [
        "CHIEF_COMPLAINT", "HISTORY_OF_PRESENT_ILLNESS", "PAST_MEDICAL_HISTORY", "PAST_SURGICAL_HISTORY",
        "PAST_OBSTETRIC_HISTORY", "FAMILY_HISTORY", "SOCIAL_HISTORY", "ALLERGIES", "CURRENT_MEDICATIONS",
        "IMMUNIZATIONS", "VITALS", "LAB_RESULTS", "IMAGING_RESULTS", "PHYSICAL_EXAM", "ASSESSMENT", "PLAN",
        "PRESCRIPTION", "APPOINTMENTS",
    ]  # fmt: skip
    assert TEMPLATES["GENERAL_MEDICINE"].sections[0].title["en"] == "Chief complaint"


def test_nablas_eleven_templates_are_there_with_keys_of_the_vendors_page() -> None:
    assert set(TEMPLATES) >= {
        "GENERAL_MEDICINE", "GENERAL_MEDICINE_AP_MERGED", "CARDIOLOGY", "PSYCHIATRY", "DIET", "PSYCHOLOGY", "SOAP",
        "GENERAL_MEDICINE_WCC", "SOAP_WCC", "GENERAL_MEDICINE_EMERGENCY", "SOAP_EMERGENCY",
    }  # fmt: skip
    ours = {section.key for template in TEMPLATES.values() for section in template.sections}
    assert ours == set(PAGE_KEYS.split())


def test_nablas_cardiology_note_has_its_19_sections_in_order() -> None:
    assert [section.key for section in TEMPLATES["CARDIOLOGY"].sections] == [
        "CHIEF_COMPLAINT", "HISTORY_OF_PRESENT_ILLNESS", "CARDIOVASCULAR_RISKS", "FAMILY_HISTORY", "ALLERGIES",
        "PAST_OBSTETRIC_HISTORY", "PAST_SURGICAL_HISTORY", "PAST_MEDICAL_HISTORY", "SOCIAL_HISTORY",
        "CURRENT_MEDICATIONS", "VITALS", "IMMUNIZATIONS", "PHYSICAL_EXAM", "LAB_RESULTS", "IMAGING_RESULTS",
        "ASSESSMENT", "PLAN", "PRESCRIPTION", "APPOINTMENTS",
    ]  # fmt: skip


def test_assessment_and_plan_are_merged_in_english_alone() -> None:
    merged, general = TEMPLATES["GENERAL_MEDICINE_AP_MERGED"], TEMPLATES["GENERAL_MEDICINE"]
    keys = [section.key for section in general.sections if section.key != "ASSESSMENT"]
    assert [section.key for section in merged.sections] == [
        "ASSESSMENT_AND_PLAN" if key == "PLAN" else key for key in keys
    ]
    assert merged.languages == ("en",)
    assert {TEMPLATES[name].languages for name in ("DIET", "PSYCHIATRY", "SOAP_WCC")} == {("en", "fr")}


def test_the_soap_note_has_nablas_four_keys() -> None:
    keys = [section.key for section in TEMPLATES["SOAP"].sections]
    assert keys == ["SOAP_SUBJECTIVE", "SOAP_OBJECTIVE", "SOAP_ASSESSMENT", "SOAP_PLAN"]


def test_the_german_template_has_german_titles_in_any_language() -> None:
    template = TEMPLATES["de-internal-medicine"]
    titles = [
        template.in_language(section.title, language) for section in template.sections for language in ("de", "en")
    ]
    assert "Aktuelle Anamnese" in titles
    assert len(set(titles)) == len(template.sections)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_every_topic_has_a_place_in_every_shipped_template(name: str) -> None:
    placed = [topic for section in TEMPLATES[name].sections for topic in section.topics]
    assert sorted(placed) == sorted(Topic)


def test_a_title_is_chosen_by_the_language_without_its_country() -> None:
    template = parse_template("SHORT", GOOD)
    assert template.in_language(template.title, "de-CH") == "Kurzbericht"
    assert template.in_language(template.title, "fr") == "Short note"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (('key = "ALL"', 'key = "ALL"\nstile = "paragraphs"'), "unknown field `stile`"),
        (('"history", "plan"', '"history", "plans"'), "plans"),
        (('"history", "plan"', '"history", "history"'), 'topic "history"'),
        (('name = "SHORT"', 'name = "LONG"'), "name of the file"),
        (('en = "All", de', "de"), "languages"),
        (('["en", "de"]', "[]"), "languages"),
        (('key = "ALL"', 'key = "ALL"\nstyle = "auto"'), "style"),
        (("[[sections]]", "[[sections"), "SHORT.toml"),
    ],
)
def test_a_wrong_template_file_is_named_with_its_fault(change: tuple[str, str], fault: str) -> None:
    with pytest.raises(InvalidTemplate, match=r"SHORT\.toml") as raised:
        parse_template("SHORT", GOOD.replace(*change))
    assert fault in str(raised.value)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "BAD.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidTemplate, match=r"BAD\.toml"):
        read_templates(tmp_path)


def test_an_unknown_template_names_those_there_are() -> None:
    with pytest.raises(UnknownTemplate, match=r"CARDIOLOGY, DIET, .*, de-internal-medicine"):
        choose_template(TEMPLATES, "DERMATOLOGY")
