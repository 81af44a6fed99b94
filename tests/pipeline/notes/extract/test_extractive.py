"""The embedded writer as a whole."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import NoteLanguageUnsupported, TranscriptTooShort
from pipeline.notes.english.wording import clean, numbers, words
from pipeline.notes.evidence.grounding import grounded, support
from pipeline.notes.extract.extractive import write_note
from pipeline.notes.note import NoteSection, NoteSentence, Style
from pipeline.types import Role, Utterance
from tests.pipeline.notes.talk import (
    GENERAL,
    SOAP,
    TEMPLATES,
    general,
    sentences,
    talk,
    texts,
    unmarked,
    visit,
    without_roles,
)

COUGH = (
    "D: Good morning. What brings you in today?",
    "P: I have had a bad cough for two weeks.",
    "P: The cough is worse at night, and it keeps me awake.",
    "D: Have you had a fever?",
    "P: Yes, I had a fever for the first three days.",
    "D: Do you have any chest pain?",
    "P: No, not at all.",
    "D: Have you ever had any problems with your lungs before?",
    "P: I had asthma as a child.",
    "P: I had my appendix out in 2010.",
    "D: Do you take any medication?",
    "P: I take one hundred milligrams of aspirin once a day.",
    "D: Are you allergic to anything?",
    "P: Yes, I am allergic to penicillin. It gave me a rash.",
    "D: Do you smoke?",
    "P: No, I stopped smoking ten years ago.",
    "D: Does anyone in your family have heart disease?",
    "P: My father died of a heart attack, and my mother has diabetes.",
    "D: Your blood pressure is one hundred thirty over eighty, and your oxygen level is ninety six percent.",
    "D: On exam your lungs are clear, and I don't hear any wheezing.",
    "D: The chest x-ray shows no pneumonia.",
    "D: I think you have bronchitis.",
    "D: I want you to rest and drink plenty of water.",
    "D: For the fever, take five hundred milligrams of tylenol every six hours.",
    "D: If you have trouble breathing, go to the hospital right away.",
    "D: I would like to see you again in one week.",
)
LINES = (
    *COUGH,
    "P: um yeah i mean it it hurts",
    "P: no",
    "P: yes",
    "D: any nausea any vomiting",
    "D: your",
    "P: my left knee hurts when i walk more than 200 meters",
    "P: i don't know maybe 3 or 4 days",
    "D: we will order an mri of your left knee",
    "P: my wife has had the flu",
    "D: okay",
    "P: i've been taking ibuprofen 400 milligrams but it does not help",
)


def section_keys(items: list[Utterance]) -> list[str]:
    return [section.key for section in general(items).sections]


def test_a_visit_becomes_a_note_with_its_sections_in_order() -> None:
    assert section_keys(talk(*COUGH)) == [
        "CHIEF_COMPLAINT", "HISTORY_OF_PRESENT_ILLNESS", "PAST_MEDICAL_HISTORY", "PAST_SURGICAL_HISTORY",
        "FAMILY_HISTORY", "SOCIAL_HISTORY", "ALLERGIES", "CURRENT_MEDICATIONS", "VITALS", "IMAGING_RESULTS",
        "PHYSICAL_EXAM", "ASSESSMENT", "PLAN", "PRESCRIPTION", "APPOINTMENTS",
    ]  # fmt: skip


def test_each_sentence_says_what_was_said_and_where() -> None:
    note = general(talk(*COUGH))
    assert note.title == "Cough"
    assert note.generator == "embedded-extractive"
    assert sentences(note, "CHIEF_COMPLAINT") == [NoteSentence(text="Reports a bad cough for 2 weeks.", items=("1",))]
    assert NoteSentence(text="Denies chest pain.", items=("5", "6")) in sentences(note, "HISTORY_OF_PRESENT_ILLNESS")
    assert texts(note, "CURRENT_MEDICATIONS") == ["Aspirin 100 mg once a day."]
    assert texts(note, "ALLERGIES") == ["Patient is allergic to penicillin.", "It gave them a rash."]
    assert texts(note, "VITALS") == ["Blood pressure is 130/80.", "Oxygen level is 96%."]
    assert texts(note, "PHYSICAL_EXAM") == ["On exam the lungs are clear, no wheezing heard."]
    assert texts(note, "PRESCRIPTION") == ["For the fever, take 500 mg of tylenol every 6 hours."]
    assert texts(note, "APPOINTMENTS") == ["Plan to see them again in one week."]


def test_marks_and_capitals_are_not_needed() -> None:
    keys = section_keys(unmarked(talk(*COUGH)))
    assert keys == section_keys(talk(*COUGH))


def test_a_medicine_said_with_a_reason_keeps_it() -> None:
    note = general(visit("P: I take five milligrams of eliquis twice a day for my heart."))
    assert texts(note, "CURRENT_MEDICATIONS") == ["Patient takes 5 mg of eliquis twice a day for their heart."]


def test_several_medicines_are_listed_with_their_doses() -> None:
    note = general(visit("P: I take lisinopril 20 mg once a day and metformin 500 mg twice a day."))
    assert texts(note, "CURRENT_MEDICATIONS") == ["Lisinopril 20 mg once a day.", "Metformin 500 mg twice a day."]


def test_the_soap_note_puts_everything_into_four_sections() -> None:
    note = write_note(talk(*COUGH), SOAP, language="en")
    assert [section.key for section in note.sections] == [section.key for section in SOAP.sections]
    assert sorted(texts(note)) == sorted(texts(general(talk(*COUGH))))


def test_the_german_template_titles_an_english_note_in_german() -> None:
    note = write_note(talk(*COUGH), TEMPLATES["de-internal-medicine"], language="en")
    assert "Aktuelle Anamnese" in [section.title for section in note.sections]


def test_a_style_overrides_what_the_template_says() -> None:
    for style in (Style.PARAGRAPHS, Style.BULLET_POINTS):
        note = write_note(talk(*COUGH), GENERAL, language="en", style=style)
        assert {section.style for section in note.sections} == {style}
    assert {section.style for section in general(talk(*COUGH)).sections} == {Style.PARAGRAPHS, Style.BULLET_POINTS}


def test_a_section_is_laid_out_by_its_style() -> None:
    said = (NoteSentence(text="Rest.", items=("1",)), NoteSentence(text="Drink.", items=("2",)))
    section = NoteSection(key="PLAN", title="Plan", sentences=said)
    assert section.text == "Rest. Drink."
    assert replace(section, style=Style.BULLET_POINTS).text == "- Rest.\n- Drink."


# Transcripts that are short, odd or long


@pytest.mark.parametrize(
    "items",
    [
        [],
        talk("D: Hello.", "P: Hello."),
        talk("P: I have a cough."),
        talk(*["D: okay great the weather is nice and we went to the lake with our friends on sunday"] * 5),
        talk(*["P: "] * 30),
    ],
)
def test_a_talk_with_nothing_to_note_is_too_short(items: list[Utterance]) -> None:
    with pytest.raises(TranscriptTooShort):
        general(items)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    "text",
    [
        "la " * 30,
        "Well I went to the shop and bought some bread, and then it rained, so we stayed at home and saw the match.",
        "Echo one two three four five. Echo one two three four five. Echo one two three four five six seven eight.",
    ],
)
def test_what_is_not_about_health_is_no_note(text: str, role: Role) -> None:
    said = [Utterance(id="i", stream="s", role=role, start=0, end=1, text=text)]
    with pytest.raises(TranscriptTooShort):
        write_note(said, SOAP, language="en")


@pytest.mark.parametrize("language", ["de", "fr-FR", "es_MX", "de-CH"])
def test_another_language_is_refused_by_its_code(language: str) -> None:
    with pytest.raises(NoteLanguageUnsupported, match=language):
        write_note(talk(*COUGH), SOAP, language=language)


def test_what_is_no_language_code_is_not_repeated() -> None:
    with pytest.raises(NoteLanguageUnsupported) as raised:
        write_note(talk(*COUGH), SOAP, language="Mrs Miller has a cough")
    assert "Miller" not in str(raised.value)


@pytest.mark.parametrize("language", ["en", "en-US", "en_GB", "EN"])
def test_english_of_any_country_is_written(language: str) -> None:
    assert write_note(talk(*COUGH), SOAP, language=language).language == language


def test_one_patient_alone_gets_a_note() -> None:
    items = talk(*(line for line in COUGH if line.startswith("P")))
    assert "Reports a bad cough for 2 weeks." in texts(general(items))


def test_a_doctor_who_dictates_gets_a_note() -> None:
    items = talk(
        "D: This is a 54 year old man with a history of asthma who presents with a cough for two weeks.",
        "D: He denies chest pain.",
        "D: Lungs are clear to auscultation bilaterally.",
        "D: I will prescribe prednisone 40 mg once a day for five days.",
    )
    said = texts(general(items))
    assert "He denies chest pain." in said
    assert "Will prescribe prednisone 40 mg once a day for 5 days." in said


def test_a_transcript_without_roles_gets_the_same_kind_of_note() -> None:
    note = general(without_roles(unmarked(talk(*COUGH))))
    assert "Reports a bad cough for 2 weeks." in texts(note, "CHIEF_COMPLAINT")
    assert "Patient is allergic to penicillin it gave them a rash." in texts(note, "ALLERGIES")
    assert "Denies chest pain." in texts(note, "HISTORY_OF_PRESENT_ILLNESS")


def test_the_order_in_which_items_arrive_changes_nothing() -> None:
    items = talk(*COUGH)
    assert general(items[::-1]) == general(items)


def test_the_same_talk_gives_the_same_note() -> None:
    assert general(talk(*COUGH)) == general(talk(*COUGH))


def test_a_repetition_is_noted_once() -> None:
    note = general(visit("P: My throat hurts a lot.", "P: My throat hurts a lot."))
    assert [text for text in texts(note) if "throat" in text] == ["Patient's throat hurts a lot."]


def test_an_hour_of_talk_is_still_a_note() -> None:
    note = general(talk(*(LINES[index % len(LINES)] + f" Day {index}." for index in range(600))))
    assert sum(len(text.split(" ")) for text in texts(note)) < 3000


def test_two_thousand_items_are_written() -> None:
    items = talk(*(LINES[(index * 7) % len(LINES)] + f" Day {index}." for index in range(2000)))
    assert general(items).sections


@pytest.mark.parametrize(
    "line",
    [
        "thousand ",
        "if any ",
        "no ",
        "do you have a cough and ",
        "i have a cough and i ",
        "one two hundred ",
        "m. ",
        "blood pressure ",
        "a b b a b ",
        "-.,'",
    ],
)
@pytest.mark.parametrize("role", "DPU")
def test_a_line_that_never_ends_is_read_to_its_end(line: str, role: str) -> None:
    """In quadratic time this would take many minutes, so that nobody could miss it."""
    assert general(talk(*COUGH, f"{role}: {line * 5000}")).sections


# What holds for every transcript

TALK = st.lists(st.sampled_from(LINES), max_size=40).map(lambda lines: talk(*lines))
TRANSCRIPTS = st.one_of(TALK, TALK.map(unmarked), TALK.map(unmarked).map(without_roles))


@settings(max_examples=25, deadline=None)
@given(TRANSCRIPTS)
def test_every_sentence_rests_on_one_to_four_items_that_hold_it(items: list[Utterance]) -> None:
    try:
        note = general(items)
    except TranscriptTooShort:
        return
    by_id = {item.id: item for item in items}
    for one in sentences(note):
        cited = [by_id[item] for item in one.items]
        assert 1 <= len(cited) <= 4
        assert [item.start for item in cited] == sorted(item.start for item in cited)
        assert grounded(one.text, cited)
        assert support(one.text, cited) >= 0.6


@settings(max_examples=25, deadline=None)
@given(TRANSCRIPTS)
def test_every_number_in_a_note_was_said(items: list[Utterance]) -> None:
    try:
        note = general(items)
    except TranscriptTooShort:
        return
    said = {number for item in items for number in numbers(words(clean(item.text)))}
    assert {number for text in texts(note) for number in numbers(words(clean(text)))} <= said


@settings(max_examples=25, deadline=None)
@given(TRANSCRIPTS)
def test_only_sections_with_sentences_are_written_and_none_twice(items: list[Utterance]) -> None:
    try:
        note = general(items)
    except TranscriptTooShort:
        return
    order = [section.key for section in GENERAL.sections]
    keys = [section.key for section in note.sections]
    assert keys == [key for key in order if key in keys]
    assert all(section.sentences for section in note.sections)
    assert all(text[0] == text[0].upper() and text.endswith(".") for text in texts(note))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(Role)), st.text(max_size=120)), max_size=12))
def test_any_text_at_all_gives_a_note_or_a_clear_error(lines: list[tuple[Role, str]]) -> None:
    items = [
        Utterance(id=str(index), stream="s", role=role, start=0, end=0, text=text)
        for index, (role, text) in enumerate(lines)
    ]
    with suppress(TranscriptTooShort):
        assert general(items).sections
