"""SOAPNoteAPI's bytes ⇄ domain values."""

import hmac
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.errors import InvalidTemplate, LanguageUnsupported, NoteLanguageUnsupported, Overloaded
from pipeline.notes.beside.coding import code_visit
from pipeline.notes.beside.icd10 import shipped_catalogue
from pipeline.notes.note import Note, NoteSection, NoteSentence, Style, Topic
from pipeline.notes.templates import read_templates
from pipeline.types import Role, Utterance
from server.domain import EncounterOptions, EncounterRow, EncounterView, Failure, Review, Stage, State, StoredNote
from server.errors import (
    BadRequest,
    Forbidden,
    MethodNotAllowed,
    MinutesExceeded,
    NotFound,
    RateLimited,
    StoreUnavailable,
    TokenExpired,
    TooLarge,
    Unauthorized,
)
from server.facades.soapnoteapi import convert, schema
from server.facades.soapnoteapi.callbacks import SoapNoteDialect
from server.facades.soapnoteapi.specialties import Specialties, Specialty, SubTemplate, read_specialties
from server.intake import ChatMessage, Intake, Patient

CONFIG = Path(__file__).parents[3] / "config"
TEMPLATES = read_templates(CONFIG / "templates")
SPECIALTIES = read_specialties(CONFIG / "specialties.toml", TEMPLATES)
CONTEXT = {  # of the pages
    "patient_info": {
        "name": "Jane Doe",
        "age": 34,
        "gender": "female",
        "medical_history": "Generalized anxiety disorder, PTSD",
        "medications": "sertraline",
        "allergies": ["latex"],
    },
    "patient_history": "Prior session focused on CBT techniques for anxiety management.",
    "custom_instructions": "Be brief.",
    "chat_messages": ["hello", {"role": "patient", "content": "I cannot hear you"}],
}


def metadata(**fields: Any) -> schema.Metadata:
    return convert.metadata(json.dumps({"specialty": "psychotherapist"} | fields).encode())


def sentence(text: str) -> NoteSentence:
    return NoteSentence(text=text, items=("a",))


def section(key: str, *texts: str, topics: tuple[Topic, ...], style: Style = Style.PARAGRAPHS) -> NoteSection:
    sentences = tuple(map(sentence, texts))
    title = key.removeprefix("SOAP_").replace("_", " ").capitalize()
    return NoteSection(key=key, title=title, sentences=sentences, style=style, topics=topics)


NOTE = Note(
    template="SOAP",
    title="Cough",
    language="en",
    sections=(
        section("SOAP_SUBJECTIVE", "Reports a cough.", "Denies pain.", topics=(Topic.COMPLAINT, Topic.HISTORY)),
        section("SOAP_ASSESSMENT", "Bronchitis.", topics=(Topic.ASSESSMENT,)),
        section("SOAP_PLAN", "Rest.", "Drink.", topics=(Topic.PLAN,), style=Style.BULLET_POINTS),
    ),
)


WRITTEN = StoredNote(note=NOTE)


def item(text: str, role: Role = Role.UNSPECIFIED, start_s: float = 0) -> Utterance:
    start = int(start_s * 16_000)
    return Utterance(id=text, stream="stream0", role=role, speaker="", start=start, end=start + 8_000, text=text)


def view(
    state: State = State.DONE,
    *,
    note: StoredNote | None = WRITTEN,
    failure: Failure | None = None,
    recording: bool = True,
    api: str = convert.API,
    items: tuple[Utterance, ...] = (),
    **extra: bool,
) -> EncounterView:
    row = EncounterRow(
        id="e",
        tenant_id="t",
        key_id="k",
        token_id="",
        options=EncounterOptions(api=api, streams=(), recording=recording),
        state=state,
        stages={Stage.CREATED: 0.0},
        percentage=20,
        failure=failure,
        warnings=(),
        epoch=1,
        owner="",
        data_key=None,
        last_key=None,
        resumptions=0,
        created_at=0,
        active_at=0,
        completed_at=0.5,
        fetched_at=None,
    )
    return EncounterView(row=row, items=items, note=note, intake=Intake(extra=extra), expires_at=86_400.0)


# Requests


def test_all_of_a_context_reaches_the_intake() -> None:
    asked = convert.audio(metadata(context=CONTEXT, include_billing_codes=True), SPECIALTIES)
    assert asked.intake == Intake(
        patient=Patient(
            name="Jane Doe",
            age=34,
            gender="female",
            medical_history="Generalized anxiety disorder, PTSD",
            medications=("sertraline",),
            allergies=("latex",),
        ),
        history="Prior session focused on CBT techniques for anxiety management.",
        instructions="Be brief.",
        chat=(ChatMessage(text="hello"), ChatMessage(text="I cannot hear you", sender="patient")),
        extra={
            "specialty": "psychotherapist", "billing_codes": True, "patient_summary": False, "transcript": False,
        },
    )  # fmt: skip
    assert asked.options.recording
    assert asked.options.least_audio_ms == 5_000


def test_consent_was_given_at_a_time() -> None:
    consent = {"given_by": "patient", "at": "yesterday", "method": "spoken"}
    with pytest.raises(convert.Invalid) as refused:
        convert.audio(metadata(consent=consent), SPECIALTIES)
    assert [field for field, _ in refused.value.details] == ["consent.at"]
    assert convert.audio(metadata(consent=consent | {"at": "2026-03-19T15:30:00Z"}), SPECIALTIES).intake.consent


def test_what_a_patient_s_record_lacks_may_be_null() -> None:
    nothing = {"patient_info": {"name": None, "age": None, "medications": None}, "chat_messages": None}
    assert convert.audio(metadata(context=nothing), SPECIALTIES).intake.patient == Patient()


def test_form_fields_of_an_older_guide_do_not_overrule_metadata() -> None:
    fields = {"specialty": " dentist ", "template": "detailed"}
    assert convert.with_fields(schema.Metadata(), fields).specialty == "dentist"
    assert convert.with_fields(metadata(), fields).specialty == "psychotherapist"


@pytest.mark.parametrize("name", ["physician", "Physician", "primary_care_physician", "Primary care physician"])
def test_a_specialty_is_found_by_its_names(name: str) -> None:
    assert convert.audio(metadata(specialty=name), SPECIALTIES).options.template == "SOAP"


def test_a_template_is_standard_one_of_the_specialty_s_or_one_of_ours() -> None:
    chosen = [
        convert.audio(metadata(specialty="physician", template=template), SPECIALTIES).options.template
        for template in ("", "standard", "detailed", "GENERAL_MEDICINE")
    ]
    assert chosen == ["SOAP", "SOAP", "GENERAL_MEDICINE", "GENERAL_MEDICINE"]


def test_every_field_that_is_wrong_is_named() -> None:
    with pytest.raises(convert.Invalid) as wrong:
        convert.text(schema.NoteRequest(transcript=" " * 60, specialty="barber", language="<de>"), SPECIALTIES)
    assert [field for field, _ in wrong.value.details] == ["transcript", "language", "specialty"]


def test_there_are_the_vendor_s_24_specialties_each_with_a_standard_template() -> None:
    listed = convert.specialties(SPECIALTIES).specialties
    assert len(listed) == 24
    assert all(specialty.templates[0].id == "standard" for specialty in listed)


def test_a_profession_has_a_template_that_suits_it_and_four_parts_in_each_of_them() -> None:
    named = SPECIALTIES.named
    assert named["psychiatrist"].template == "soap-psychiatry"
    assert SPECIALTIES.template(named["psychiatrist"], "detailed") == "PSYCHIATRY"
    assert SPECIALTIES.template(named["ems"], "detailed") == "GENERAL_MEDICINE_EMERGENCY"
    for specialty in named.values():
        keys = [section.key for section in TEMPLATES[specialty.template].sections]
        assert keys == ["SOAP_SUBJECTIVE", "SOAP_OBJECTIVE", "SOAP_ASSESSMENT", "SOAP_PLAN"]


@pytest.mark.parametrize(
    "specialty",
    [
        Specialty(name="Barber", template="SONNET"),
        Specialty(name="Barber", templates={"short": SubTemplate(name="Short", template="SONNET")}),
    ],
)
def test_a_specialty_with_a_template_that_is_not_there_is_an_error(specialty: Specialty) -> None:
    with pytest.raises(InvalidTemplate, match="SONNET"):
        Specialties({"barber": specialty}, TEMPLATES)


@pytest.mark.parametrize("given", ["", "x", "0" * 23, "A" * 24, "0" * 24 + "\n", "\0" * 24])
def test_what_is_no_id_is_not_found(given: str) -> None:
    assert convert.note_id("0" * 24) == "0" * 24
    with pytest.raises(NotFound):
        convert.note_id(given)


# Answers


def test_a_section_without_topics_goes_where_its_key_belongs() -> None:
    sections = (
        section("MENTAL_HEALTH_HISTORY", "Depression in 2019.", topics=()),
        section("MENTAL_HEALTH_EXAM", "Alert and oriented.", topics=()),
    )
    parts = convert.parts(replace(NOTE, sections=sections))
    assert parts["subjective"] == "Mental health history:\nDepression in 2019."
    assert parts["objective"] == "Mental health exam:\nAlert and oriented."


def test_the_four_parts_are_always_there() -> None:
    note = convert.note(view())
    assert (note.subjective, note.objective) == ("Reports a cough. Denies pain.", "")
    assert (note.assessment, note.plan) == ("Bronchitis.", "- Rest.\n- Drink.")
    assert note.expires_at == "1970-01-02T00:00:00.000Z"
    assert note.review_status == "draft"


def test_a_note_that_a_provider_approved_of_says_so() -> None:
    approved = StoredNote(note=NOTE, review=Review.APPROVED)
    assert convert.note(view(note=approved)).review_status == "approved"


def test_sections_of_another_template_go_where_their_topics_belong_under_headings() -> None:
    sections = (
        section("CHIEF_COMPLAINT", "Cough.", topics=(Topic.COMPLAINT,)),
        section("ALLERGIES", "Latex.", topics=(Topic.ALLERGIES,)),
        section("VITALS", "BP 120/80.", topics=(Topic.VITALS,)),
        section("ASSESSMENT", "Bronchitis.", topics=(Topic.ASSESSMENT,)),
        section("APPOINTMENTS", "In a week.", topics=(Topic.APPOINTMENTS,)),
        section("BY_A_MODEL", "Well.", topics=()),
    )
    assert convert.parts(replace(NOTE, sections=sections)) == {
        "subjective": "Chief complaint:\nCough.\n\nAllergies:\nLatex.\n\nBy a model:\nWell.",
        "objective": "Vitals:\nBP 120/80.",
        "assessment": "Bronchitis.",
        "plan": "Appointments:\nIn a week.",
    }


@pytest.mark.parametrize("written", [NOTE, replace(NOTE, sections=NOTE.sections[:1])])
def test_all_content_of_a_stream_together_is_the_note(written: Note) -> None:
    streamed = convert.Streamed()
    one_by_one = [streamed.more(written.sections[: at + 1]) for at in range(len(written.sections))]
    events = [event for each in one_by_one for event in each]
    headed = [f"{part.capitalize()}:\n{text}" for part, text in convert.parts(written).items() if text]
    assert "".join(event.content for event in events) == "\n\n".join(headed)
    assert convert.frame(events[0]) == b'data: {"section":"subjective","content":"Subjective:\\n"}\n\n'


def test_a_recording_s_note_has_its_transcript_and_what_was_asked_for() -> None:
    items = (
        item("It hurts.", Role.PATIENT, 2),
        item("What is it?", Role.DOCTOR, 0),
        item("Here.", Role.PATIENT, 3),
        item("Well.", Role.UNSPECIFIED, 4),
    )
    plain = convert.note(view(items=items))
    assert plain.transcript == "Doctor: What is it?\nPatient: It hurts. Here.\nWell."
    assert msgspec.UNSET == plain.diarized_transcript == plain.billing_codes == plain.patient_summary
    full = convert.note(view(items=items, billing_codes=True, patient_summary=True, transcript=True))
    assert isinstance(full.billing_codes, schema.BillingCodes)
    assert [each.code for each in full.billing_codes.icd10] == ["J40"]  # of its "Bronchitis"
    assert full.billing_codes.cpt == []
    assert full.patient_summary == (
        "Why you came: You told us about a cough.\n"
        "What was said about it: Bronchitis (sore airways in the lungs).\n"
        "What comes next: Rest. Drink."
    )
    assert isinstance(full.diarized_transcript, list)
    assert full.diarized_transcript[1] == schema.Said(speaker="patient", start=2.0, end=2.5, text="It hurts.")
    assert convert.note(view(items=items, recording=False, transcript=True)).transcript is msgspec.UNSET


def test_codes_are_those_that_were_spoken_and_those_suggested_for_what_the_note_names() -> None:
    items = (item("That is J20.9, ICD-10 code Z99.99."), item("Bill CPT 99213 please."), item("Again j20.9."))
    assessed = NoteSection(
        key="A",
        title="A",
        sentences=(NoteSentence(text="Hypertension. Right ankle sprain.", items=()),),
        topics=(Topic.ASSESSMENT,),
    )
    codes = convert.billing_codes(code_visit(replace(NOTE, sections=(assessed,)), items, shipped_catalogue()))
    assert [(each.code, each.description, each.origin, each.verified) for each in codes.icd10] == [
        ("J20.9", "Acute bronchitis, unspecified", "spoken", True),
        ("Z99.99", "That is J20.9, ICD-10 code Z99.99.", "spoken", False),
        ("I10", "Essential (primary) hypertension", "suggested", True),
    ]  # and not S93.401, which no claim can carry yet
    assert (codes.icd10[2].score, codes.icd10[2].problem) == (1.0, "Hypertension")
    assert [(each.code, each.verified) for each in codes.cpt] == [("99213", False)]
    assert "unverified" in codes.notices[-1]
    licensed = convert.billing_codes(code_visit(None, items, shipped_catalogue(), {"99213": "A visit"}))
    assert [(each.description, each.verified) for each in licensed.cpt] == [("A visit", True)]
    assert not any("unverified" in notice for notice in licensed.notices)


def absence(code: str) -> StoredNote:
    return StoredNote(absence=Failure(code=code, message=f"Because of {code}."))


@pytest.mark.parametrize("state", [State.QUEUED, State.WORKING, State.CLOSING])
def test_what_is_not_over_is_processing(state: State) -> None:
    unfinished = view(state, note=None)
    assert msgspec.to_builtins(convert.status(unfinished)) == {
        "noteId": "e",
        "status": "processing",
        "percentage": 20,
    }
    assert convert.note(unfinished).status == "processing"


def test_what_failed_says_why() -> None:
    failed = convert.status(view(State.FAILED, failure=Failure(code="no_speech", message="Nobody speaks.")))
    assert (failed.status, failed.message, failed.note) == ("failed", "Nobody speaks.", msgspec.UNSET)
    unwritten = convert.status(view(note=absence("note_failed")))
    assert (unwritten.status, unwritten.message) == ("failed", "Because of note_failed.")


def test_a_talk_too_short_for_a_note_is_an_empty_note_that_says_so() -> None:
    short = convert.status(view(note=absence("transcript_too_short"), items=(item("Hello."),)))
    assert short.status == "completed"
    assert isinstance(short.note, schema.Note)
    assert (short.note.subjective, short.note.transcript) == ("", "Hello.")
    assert short.note.message == "Because of transcript_too_short."


@pytest.mark.parametrize(
    ("exc", "status", "code"),
    [
        (BadRequest(), 400, "VALIDATION_ERROR"),
        (LanguageUnsupported(), 400, "VALIDATION_ERROR"),
        (NoteLanguageUnsupported(), 400, "VALIDATION_ERROR"),
        (Unauthorized(), 401, "AUTHENTICATION_ERROR"),
        (TokenExpired(), 401, "AUTHENTICATION_ERROR"),
        (Forbidden(), 403, "AUTHORIZATION_ERROR"),
        (NotFound(), 404, "NOT_FOUND"),
        (MethodNotAllowed(), 405, "METHOD_NOT_ALLOWED"),
        (TooLarge(), 413, "PAYLOAD_TOO_LARGE"),
        (MinutesExceeded(), 429, "INSUFFICIENT_BALANCE"),
        (RateLimited(5, retry_after_s=1), 429, "RATE_LIMITED"),
        (Overloaded(), 503, "SERVICE_UNAVAILABLE"),
        (StoreUnavailable(), 503, "SERVICE_UNAVAILABLE"),
        (InvalidTemplate(), 500, "INTERNAL_ERROR"),
    ],
)
def test_errors_have_the_page_s_codes(exc: Exception, status: int, code: str) -> None:
    answered, body = convert.error(exc)  # type: ignore[arg-type]
    assert (answered, body.error.code) == (status, code)
    assert body.error.message


def test_a_validation_error_names_the_field() -> None:
    with pytest.raises(BadRequest) as wrong:
        metadata(context={"patient_info": {"age": "old"}})
    _, body = convert.error(wrong.value)
    assert isinstance(body.error.details, list)
    assert [detail.field for detail in body.error.details] == ["metadata.context.patient_info.age"]
    assert "old" not in body.error.message


# Webhooks


def test_a_webhook_tells_of_recordings_of_this_api_alone() -> None:
    dialect = SoapNoteDialect()
    assert dialect.completed(view(recording=False), {}) is None
    assert dialect.completed(view(api="auscult"), {}) is None
    message = dialect.completed(view(), {})
    assert message is not None
    told = json.loads(message.body)
    assert told["data"] == json.loads(msgspec.json.encode(convert.note(view())))
    assert (told["event"], told["created_at"]) == ("note.generated", "1970-01-01T00:00:00.500Z")


def test_what_was_foreseen_is_told_and_not_worked_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    dialect, plain = SoapNoteDialect(), view(billing_codes=True, patient_summary=True)
    foreseen = dialect.foreseen(plain)
    expected = dialect.completed(plain, {})
    assert expected is not None
    assert "billing_codes" in json.loads(expected.body)["data"]
    monkeypatch.delattr("pipeline.notes.beside.coding.code_visit")
    monkeypatch.delattr(convert, "patient_summary")
    assert dialect.completed(foreseen, {}) == expected


def test_nothing_is_foreseen_that_is_not_told() -> None:
    dialect = SoapNoteDialect()
    for untold in (view(), view(recording=False, billing_codes=True, patient_summary=True)):
        assert dialect.foreseen(untold) == untold


def test_a_failed_note_is_told_without_data() -> None:
    message = SoapNoteDialect().completed(view(State.FAILED, failure=Failure(code="x", message="Because.")), {})
    assert message is not None
    assert json.loads(message.body) == {
        "event": "note.failed",
        "note_id": "e",
        "status": "failed",
        "created_at": "1970-01-01T00:00:00.500Z",
        "message": "Because.",
    }


def test_what_is_sent_is_signed_with_every_secret_in_force() -> None:
    headers = SoapNoteDialect().headers(["new", "old"], "d", 12.7, b"{}")
    signed = {name: hmac.new(name.encode(), b"12.{}", "sha256").hexdigest() for name in ("new", "old")}
    assert headers == {
        "X-SoapNoteAPI-Timestamp": "12",
        "Idempotency-Key": "d",
        "X-SoapNoteAPI-Signature": signed["new"],
        "X-SoapNoteAPI-Previous-Signature": signed["old"],
    }
    assert "X-SoapNoteAPI-Signature" not in SoapNoteDialect().headers([], "d", 12.7, b"{}")
