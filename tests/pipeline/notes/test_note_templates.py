"""Templates as files."""

from pathlib import Path

import pytest

from pipeline.errors import InvalidTemplate, UnknownTemplate
from pipeline.notes.extract.extractive import write_note
from pipeline.notes.note import Topic
from pipeline.notes.templates import choose_template, parse_template, read_templates
from tests.pipeline.notes.talk import TEMPLATES, visit

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


def test_a_title_for_a_country_comes_before_that_of_its_language() -> None:
    template = parse_template(
        "SHORT", GOOD.replace('en = "All"', 'en = "All", en-GB = "Everything", en-nz = "The lot"')
    )
    shown = [
        template.in_language(template.sections[0].title, tag)
        for tag in ("en", "en-US", "en-GB", "en_gb", "EN-GB-oxendict", "en-NZ", "de-CH", "fr", "")
    ]
    assert shown == ["All", "All", *["Everything"] * 3, "The lot", "Alles", "All", "All"]
    assert template.in_language(template.title, "en-GB") == "Short note"


def test_british_titles_are_spelt_in_the_british_way() -> None:
    titles = {section.key: section.title for section in TEMPLATES["GENERAL_MEDICINE"].sections}
    template = TEMPLATES["GENERAL_MEDICINE"]
    shown = [template.in_language(titles["IMMUNIZATIONS"], tag) for tag in ("en-US", "en-GB", "en-AU", "fr-FR", "es")]
    assert shown == ["Immunizations", "Immunisations", "Immunizations", "Vaccinations", "Immunizations"]


def test_a_note_has_the_titles_of_the_country_that_it_is_written_for() -> None:
    said = visit("D: Are your vaccines up to date?", "P: I had my flu vaccine in October.")
    titles = {
        language: [
            section.title for section in write_note(said, TEMPLATES["GENERAL_MEDICINE"], language=language).sections
        ]
        for language in ("en-US", "en-GB")
    }
    assert "Immunizations" in titles["en-US"]
    assert "Immunisations" in titles["en-GB"]


def test_one_key_has_one_title_a_language_in_all_shipped_templates() -> None:
    titles: dict[tuple[str, str], set[str]] = {}
    for template in TEMPLATES.values():
        for section in template.sections:
            for tag, title in section.title.items():
                titles.setdefault((section.key, tag), set()).add(title)
    assert [place for place, shown in titles.items() if len(shown) > 1] == []


def test_every_shipped_section_says_what_belongs_there() -> None:
    sections = [section for template in TEMPLATES.values() for section in template.sections]
    assert all(section.guidance.endswith(".") for section in sections)


def test_guidance_over_several_lines_is_one_line() -> None:
    guidance = 'key = "ALL"\nguidance = """What the patient\n  wants."""'
    assert (
        parse_template("SHORT", GOOD.replace('key = "ALL"', guidance)).sections[0].guidance == "What the patient wants."
    )


SECTION = """
[[sections]]
key = "ALL"
title = { en = "All", de = "Alles" }
"""


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (('key = "ALL"', 'key = "ALL"\nstile = "paragraphs"'), "section 1: there is an unknown field `stile`; known"),
        (('key = "ALL"', 'key = "ALL"\norder = 3'), "section 1: there is no `order`: sections come in the order"),
        (('name = "SHORT"', 'nam = "SHORT"'), "unknown field `nam`; known ones: name, title, languages, sections"),
        (('key = "ALL"', ""), "section 1: it lacks the required field `key`"),
        (('key = "ALL"', "key = 3"), "section 1 key: expected text, got a number"),
        (
            ('"history", "plan"', '"history", "plans"'),
            "section 1 topics: there is no 'plans'; known ones: complaint, hist",
        ),
        (('"history", "plan"', '"history", "history"'), 'topic "history" is there twice'),
        (('name = "SHORT"', 'name = "LONG"'), 'name of the file: write name = "SHORT"'),
        (('en = "All", de', "de"), 'section 1 ("ALL"): there is no title in "en"'),
        (('en = "Short note"', 'en = "Short note", fr = "Note"'), 'the note: there is a title in "fr"'),
        (('en = "All"', 'en = "All", en-GB = "A", en_gb = "B"'), 'section 1 ("ALL"): there are two titles in "en-gb"'),
        (('en = "All"', f'en = "{"a" * 101}"'), 'the title in "en" must be one line of 1 to 100 characters'),
        (('en = "All"', r'en = "All\nof it"'), 'the title in "en" must be one line'),
        (('en = "All"', 'en = ""'), 'the title in "en" must be one line'),
        (('["en", "de"]', "[]"), "`languages` has 0 entries"),
        (('["en", "de"]', '["en-GB", "de"]'), '`languages` has "en-GB", which must be a code of two or three'),
        (('["en", "de"]', '["en", "de", "en"]'), '`languages` has "en" twice'),
        (('key = "ALL"', 'key = "ALL"\nstyle = "auto"'), "style must be one of paragraphs, bullet_points"),
        (('key = "ALL"', 'key = "ALL"\nstyle = "prose"'), "section 1 style: there is no 'prose'; known ones: paragr"),
        (('key = "ALL"', 'key = "1 ALL"'), "the key must have 1 to 64 letters"),
        (('key = "ALL"', f'key = "ALL"\nguidance = "{"a" * 401}"'), "the guidance has 401 characters, at most 400"),
        (('key = "ALL"', 'key = "ALL"\nguidance = "\\u001b[2J"'), "the guidance has a control character"),
        (("[[sections]]", SECTION + "[[sections]]"), 'section "ALL" is there twice'),
        (("[[sections]]", SECTION * 40 + "[[sections]]"), "it has 41 sections, which must be 1 to 40"),
        (("[[sections]]", "[sections]"), "write [[sections]] above each one"),
        (("[[sections]]", "[[sections"), "it is not TOML: Expected ']]' at the end of an array declaration (at line 5"),
        (("[[sections]]", "# " + "a" * 70_000 + "\n[[sections]]"), "larger than 64 KiB"),
    ],
)
def test_a_wrong_template_file_is_named_with_its_fault(change: tuple[str, str], fault: str) -> None:
    with pytest.raises(InvalidTemplate, match=r"^Template file SHORT\.toml: ") as raised:
        parse_template("SHORT", GOOD.replace(*change))
    assert fault in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "BAD.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidTemplate, match=r"BAD\.toml: it is not UTF-8 text \(at byte 0\)"):
        read_templates(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "BAD.toml").mkdir()
    with pytest.raises(InvalidTemplate, match=r"BAD\.toml: it cannot be read \(Is a directory\)"):
        read_templates(tmp_path)


def test_of_a_large_file_only_as_much_is_read_as_it_may_have(tmp_path: Path) -> None:
    (tmp_path / "BAD.toml").write_text(GOOD + "# " + "ü" * 70_000, encoding="utf-8")
    with pytest.raises(InvalidTemplate, match=r"BAD\.toml: it is larger than 64 KiB"):
        read_templates(tmp_path)


def test_a_byte_order_mark_and_files_of_an_editor_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "SHORT.toml").write_text(GOOD, encoding="utf-8-sig")
    (tmp_path / ".#SHORT.toml").symlink_to("nobody@nowhere")
    (tmp_path / "SHORT.toml~").write_text("", encoding="utf-8")
    assert set(read_templates(tmp_path)) == {"SHORT"}


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidTemplate, match=r"There is no directory .*nowhere"):
        read_templates(tmp_path / "nowhere")


def test_an_unknown_template_names_those_there_are() -> None:
    with pytest.raises(UnknownTemplate, match=r"CARDIOLOGY, DIET, .*, de-internal-medicine"):
        choose_template(TEMPLATES, "DERMATOLOGY")
