from typing import Any
from uuid import UUID

import msgspec
import pytest

from pipeline.errors import AuscultError, TranscriptTooShort
from pipeline.notes.note import Note, NoteSection, NoteSentence, Style
from pipeline.transcript import item_id
from pipeline.types import Role, StreamOptions, Utterance
from server.domain import EncounterRow, EncounterView, Failure, Stage, State, StoredNote
from server.errors import BadRequest, NotFound, RateLimited, TokenExpired, Unauthorized
from server.facades.nabla import convert, rest_b, rest_c
from server.facades.nabla import schema_rest as wire
from server.facades.nabla.asked import API, Asked, Kind, Wanted, asked_of, callback, encounter_of, request_id
from server.facades.nabla.callbacks import NablaDialect

ENCOUNTER = "98fcdba41ef8bc74d1621ac0"
TOO_SHORT = Failure(code="transcript_too_short", message=str(TranscriptTooShort()))
DIGEST: dict[str, Any] = {
    "output_objects": ["note"],
    "language": "en-US",
    "transcript_items": [{"text": " "}, {"text": "My head hurts.", "speaker": "patient"}],
}
LISTEN: dict[str, Any] = {"output_objects": ["transcript_item", "note"], "language": "en-US"}
LISTEN_LATER = LISTEN | {"callback_url": "https://emr.example.org/done", "client_request_id": "mine"}
DIALECT = NablaDialect()


def listened(**more: Any) -> Wanted:
    return rest_b.listening(msgspec.convert(LISTEN | more, wire.ListenParameters), Kind.LISTEN, 10)


def test_a_job_s_output_is_the_note_also_where_it_is_null() -> None:
    asked = msgspec.convert(DIGEST | {"output_objects": None}, wire.NoteAsyncRequest)
    assert rest_b.digest(asked, Kind.NOTE_ASYNC).options == digested().options


def digested(**more: Any) -> Wanted:
    return rest_b.digest(msgspec.convert(DIGEST | more, wire.DigestRequest), Kind.DIGEST)


def generated(kind: Kind = Kind.NOTE, **more: Any) -> Wanted:
    items = [{"text": "My head hurts.", "speaker_type": "PATIENT"}]
    return rest_c.generating(msgspec.convert({"transcript_items": items} | more, wire.GenerateNoteRequest), kind)


def section(key: str, style: Style = Style.PARAGRAPHS) -> NoteSection:
    evidence = item_id(StreamOptions(encounter=ENCOUNTER, stream="text"), 0)
    sentence = NoteSentence(text="Reports that the head hurts.", items=(evidence,))
    return NoteSection(key=key, title="Title", sentences=(sentence,), style=style)


def view(wanted: Wanted, note: StoredNote | None = None, failure: Failure | None = None) -> EncounterView:
    said = Utterance(
        id=item_id(StreamOptions(encounter=ENCOUNTER, stream="text"), 0),
        stream="text",
        role=Role.PATIENT,
        start=16_000,
        end=32_000,
        text="My head hurts.",
    )
    row = EncounterRow(
        id=ENCOUNTER,
        tenant_id="t",
        key_id="k",
        token_id="",
        options=wanted.options,
        state=State.DONE if failure is None else State.FAILED,
        stages={Stage.CREATED: 0.0},
        percentage=100,
        failure=failure,
        warnings=(),
        epoch=1,
        owner="",
        data_key=None,
        last_key=None,
        resumptions=0,
        created_at=0.0,
        active_at=0.0,
        completed_at=1.5,
        fetched_at=None,
    )
    return EncounterView(row=row, items=(said,), note=note, intake=wanted.intake)


def written(*keys: str, template: str = "GENERAL_MEDICINE") -> StoredNote:
    sections = tuple(section(key) for key in keys)
    return StoredNote(note=Note(template=template, title="Headache", language="en-US", sections=sections))


# What is asked for


def test_a_file_s_wishes_become_options() -> None:
    options = listened(
        split_by_sentence=True, split_by_problem=True, section_style="bullet_points", note_template="SOAP"
    ).options
    assert options.recording
    assert options.note
    assert options.split_by_sentence
    assert options.split_by_problem
    assert (options.template, options.style, options.max_minutes) == ("SOAP", "bullet_points", 10)
    assert (listened().options.template, listened().options.style) == ("GENERAL_MEDICINE", "auto")
    assert listened(section_style=None, note_template=None).options == listened().options


@pytest.mark.parametrize(
    ("name", "language"), [("en", "en-US"), ("fr", "fr-FR"), ("en-GB", "en-GB"), ("es-MX", "es-MX")]
)
def test_old_names_of_languages_stand_for_new_ones(name: str, language: str) -> None:
    assert listened(language=name).options.language == language


def test_a_file_elsewhere_is_named_once() -> None:
    for name in ("file_url", "audio_url", "url"):
        request = msgspec.convert(LISTEN_LATER | {name: "https://a.example/v.mp3"}, wire.ListenAsyncRequest)
        asked, url = rest_b.listening_later(request)
        assert url == "https://a.example/v.mp3"
        assert asked.options.max_minutes == 60
    for names in ({}, {"url": "https://a.example/1", "file_url": "https://a.example/2"}):
        with pytest.raises(BadRequest, match="file_url"):
            rest_b.listening_later(msgspec.convert(LISTEN_LATER | names, wire.ListenAsyncRequest))


def test_a_client_s_own_id_is_not_what_is_stored_in_the_clear() -> None:
    ids = ["Mrs Miller", "Mr Miller"]
    asked = [rest_b.digest(msgspec.convert(DIGEST, wire.DigestRequest), Kind.DIGEST_ASYNC, own) for own in ids]
    later = rest_b.digest(msgspec.convert(DIGEST, wire.DigestRequest), Kind.NOTE_ASYNC, ids[0])
    keys = {each.client_key for each in (*asked, later)}
    assert len(keys) == 3
    assert all(key is not None and "Miller" not in key and len(key) <= 200 for key in keys)
    assert digested().client_key is None
    nameless = rest_b.digest(msgspec.convert(DIGEST, wire.DigestRequest), Kind.DIGEST_ASYNC, "")
    assert nameless.client_key is None


@pytest.mark.parametrize("items", [[], [{"text": ""}], [{"text": " \n", "speaker": "doctor"}]])
def test_a_text_that_says_nothing_is_too_short(items: list[dict[str, str]]) -> None:
    with pytest.raises(TranscriptTooShort):
        digested(transcript_items=items)


@pytest.mark.parametrize("kind", ["", "audio/webm", "audio/x-wav", "application/octet-stream"])
def test_a_file_may_say_that_it_is_audio_or_nothing(kind: str) -> None:
    rest_b.audio_type(kind)


@pytest.mark.parametrize("kind", ["video/webm", "text/plain", "application/json", "audiology/webm"])
def test_a_file_that_says_it_is_something_else_is_refused(kind: str) -> None:
    with pytest.raises(BadRequest, match=r"audio/\*"):
        rest_b.audio_type(kind)


def test_null_is_as_good_as_absent_where_a_field_may_be() -> None:
    assert (
        listened(expected_speakers=None, split_by_sentence=None, note_template=None, section_style=None) == listened()
    )
    said = "My head hurts."
    (turn,) = digested(transcript_items=[{"text": said, "speaker": None}], patient_context=None).turns
    assert turn.role is Role.UNSPECIFIED
    (turn,) = generated(transcript_items=[{"text": said, "speaker_type": None}], note_locale=None).turns
    assert turn.role is Role.UNSPECIFIED


def test_assessment_and_plan_are_merged_in_english_alone() -> None:
    merged = {"note_template": "GENERAL_MEDICINE_AP_MERGED"}
    assert digested(**merged, language="en-GB").options.template == "GENERAL_MEDICINE_AP_MERGED"
    assert not listened(**merged, language="fr", output_objects=["transcript_item"]).options.note
    for language in ("fr", "fr-FR", "es-ES"):
        with pytest.raises(BadRequest, match="English"):
            digested(**merged, language=language)


@pytest.mark.parametrize("ours", rest_c.TEMPLATES.values())
def test_generation_c_names_every_template(ours: str) -> None:
    name = next(name for name, meant in rest_c.TEMPLATES.items() if meant == ours)
    locale = "ENGLISH_UK"
    asked = generated(note_template=name, note_locale=locale)
    assert (asked.options.template, asked.options.language) == (ours, "en-GB")
    assert generated(note_template_key=name).options.template == ours


def test_what_generation_c_s_client_knows_is_kept() -> None:
    patient = {"name": "Mrs Miller", "birth_date": "1970-01-31", "gender": "FEMALE"}
    asked = generated(structured_context={"patient_demographics": patient}, unstructured_context="Second visit.")
    assert (asked.intake.patient.name, asked.intake.patient.birth_date) == ("Mrs Miller", "1970-01-31")
    assert asked.intake.context == "Second visit."
    assert "Miller" not in repr(asked.options)


# Ids


@pytest.mark.parametrize("encounter", [ENCOUNTER, "0" * 24, "f" * 24])
def test_a_request_s_id_is_a_uuid_that_names_its_encounter(encounter: str) -> None:
    named = UUID(request_id(encounter))
    assert (named.version, named.variant) == (8, "specified in RFC 4122")
    for form in (str(named), str(named).upper()):
        assert encounter_of(form) == encounter


@pytest.mark.parametrize("name", ["", "x", ENCOUNTER, "98FCE1EF-DBCA-41EF-8BC7-4D1621AC07C6", "0" * 32])
def test_what_names_no_encounter_is_not_found(name: str) -> None:
    with pytest.raises(NotFound):
        encounter_of(name)


# What is answered


def test_a_note_and_its_transcript_are_answered() -> None:
    asked = listened()
    status, body = rest_b.answer(view(asked, written("CHIEF_COMPLAINT")), asked.asked)
    shown = msgspec.to_builtins(body)
    assert status == 200
    assert set(shown) == {"transcript", "note"}
    (item,) = shown["transcript"]
    assert (item["start_offset_ms"], item["start_time_ms"], item["end_offset_ms"], item["end_time_ms"]) == (
        1000, 1000, 2000, 2000,
    )  # fmt: skip
    assert shown["note"]["sections"][0]["sentences"][0]["transcript_item_ids"] == [item["id"]]


def test_what_could_not_be_recognised_is_said_of_files_alone() -> None:
    for asked, told in ((listened(), ["A stretch is missing."]), (digested(), None)):
        over = view(asked, written("CHIEF_COMPLAINT"))
        over = msgspec.structs.replace(over, row=msgspec.structs.replace(over.row, warnings=("A stretch is missing.",)))
        _, body = rest_b.answer(over, asked.asked)
        assert isinstance(body, wire.Outcome)
        assert body.warnings == told


def test_a_note_that_is_nowhere_is_an_error() -> None:
    for asked in (digested(), listened(output_objects=["note"])):
        status, body = rest_b.answer(view(asked), asked.asked)
        assert (status, msgspec.to_builtins(body)["name"]) == (500, "NOTE_FAILED")


def test_a_note_of_a_text_rests_on_places_in_the_request() -> None:
    asked = digested()
    _, body = rest_b.answer(view(asked, written("CHIEF_COMPLAINT")), asked.asked)
    (sentence,) = msgspec.to_builtins(body)["note"]["sections"][0]["sentences"]
    assert sentence == {"text": "Reports that the head hurts.", "transcript_items": [1]}  # behind an empty one


def test_a_note_alone_that_failed_is_an_error() -> None:
    asked = listened(output_objects=["note"])
    status, body = rest_b.answer(view(asked, StoredNote(absence=TOO_SHORT)), asked.asked)
    assert status == 422
    assert msgspec.to_builtins(body) == {
        "message": "We can't generate the note when the transcript is too short.",
        "code": 83005,
        "name": "NOTE_GENERATION_TRANSCRIPT_TOO_SHORT",
    }


def test_a_note_that_failed_leaves_the_transcript() -> None:
    asked = listened()
    status, body = rest_b.answer(view(asked, StoredNote(absence=TOO_SHORT)), asked.asked)
    assert status == 200
    assert isinstance(body, wire.Outcome)
    assert body.transcript
    assert body.code == 83005


def test_an_error_told_has_the_page_s_code() -> None:
    request = msgspec.convert(LISTEN_LATER | {"url": "https://a.example/v"}, wire.ListenAsyncRequest)
    asked, _ = rest_b.listening_later(request)
    told = DIALECT.completed(view(asked, StoredNote(absence=TOO_SHORT)), {"kind": "listen_async"})
    assert told is not None
    assert told.event == "listen_async.failed"
    body = msgspec.json.decode(told.body)
    assert (body["code"], body["message"]) == (422, TOO_SHORT.message)
    assert (body["request_id"], body["client_request_id"]) == (request_id(ENCOUNTER), "mine")
    assert body["transcript"]
    failed = DIALECT.completed(view(asked, failure=Failure(code="fetch_failed", message="gone")), {"kind": "x"})
    assert failed is not None
    assert msgspec.json.decode(failed.body)["code"] == 422
    assert b"transcript" not in failed.body


def test_only_what_came_over_rest_is_told() -> None:
    socket = msgspec.structs.replace(view(digested(), written("PLAN")), intake=type(digested().intake)())
    assert DIALECT.completed(socket, {}) is None
    assert DIALECT.completed(view(digested(), written("PLAN")), {}) is None  # nobody waits for it
    other = view(digested(), written("PLAN"))
    other = msgspec.structs.replace(
        other, row=msgspec.structs.replace(other.row, options=msgspec.structs.replace(other.row.options, api="auscult"))
    )
    assert asked_of(other) is None


def test_a_job_is_shown_and_told_in_its_generation_s_words() -> None:
    asked = generated(Kind.NOTE_ASYNC)
    over = view(asked, written("CHIEF_COMPLAINT"))
    told = DIALECT.completed(over, {})
    assert told is not None
    event = msgspec.json.decode(told.body)
    assert (event["type"], event["created_at"]) == ("generate_note_async.succeeded", "1970-01-01T00:00:01.500Z")
    assert event["data"] == msgspec.to_builtins(rest_c.job(over, asked.asked))
    assert event["data"]["status"] == "SUCCEEDED"
    assert rest_b.job(over, asked.asked).status == "succeeded"
    failed = view(asked, StoredNote(absence=TOO_SHORT))
    told = DIALECT.completed(failed, {})
    assert told is not None
    assert told.event == "generate_note_async.failed"
    going = msgspec.structs.replace(failed, row=msgspec.structs.replace(failed.row, state=State.CLOSING))
    assert msgspec.to_builtins(rest_b.job(going, Asked(kind=Kind.NOTE_ASYNC))) == {
        "id": request_id(ENCOUNTER), "status": "ongoing",
    }  # fmt: skip


def test_generation_c_has_its_own_keys_and_layouts() -> None:
    styles = [{"section_key": "SUBJECTIVE", "style": "BULLET_POINTS"}, {"section_key": "PLAN"}]
    asked = generated(note_template="GENERIC_SOAP", note_sections_customization=styles)
    _, body = rest_c.answer(view(asked, written("SOAP_SUBJECTIVE", "SOAP_PLAN", template="SOAP")), asked.asked)
    assert isinstance(body, wire.NoteAnswerC)
    texts = {section.key: section.text for section in body.note.sections}
    assert texts == {"SUBJECTIVE": "- Reports that the head hurts.", "PLAN": "Reports that the head hurts."}
    assert (body.note.template, body.note.template_key, body.note.locale) == (
        "GENERIC_SOAP",
        "GENERIC_SOAP",
        "ENGLISH_US",
    )


EARLIER = {"title": "Headache", "sections": [{"key": "PLAN", "title": "Plan", "text": "Rest."}, {"title": None}]}


def test_what_is_known_and_wished_reaches_who_writes_the_note() -> None:
    b = digested(patient_context="Diabetic.", note=EARLIER).intake
    assert (b.context, b.earlier_note) == ("Diabetic.", "Headache\n\nPlan:\nRest.")
    sections = [
        {"section_key": "SUBJECTIVE", "custom_instruction": "In her words.", "split_by_problem": True},
        {"section_key": "PLAN", "level_of_detail": "HIGH", "split_by_problem": False},
        {"section_key": "OBJECTIVE", "style": "PARAGRAPH"},
    ]
    structured = {
        "active_encounter_diagnoses_coding": [{"code": "I10", "display": "Hypertension"}, {"display": "Asthma"}],
        "encounter_date": "2026-11-26",
    }
    c = generated(
        note_template="GENERIC_SOAP",
        note_sections_customization=sections,
        previous_note=EARLIER,
        unstructured_context="Diabetic.",
        structured_context=structured,
    )
    assert c.options.split_by_problem
    assert c.intake.earlier_note == b.earlier_note
    assert c.intake.context.splitlines() == [
        "Diabetic.", "Date of the visit: 2026-11-26", "Diagnoses on record for the visit: Hypertension (I10); Asthma",
    ]  # fmt: skip
    wishes = {"SOAP_SUBJECTIVE": "In her words.", "SOAP_PLAN": "Level of detail: HIGH."}
    assert wishes.items() <= c.intake.sections.items()
    plan = [{"section_key": "PLAN", "split_by_problem": True}]
    assert not generated(note_sections_customization=plan).options.split_by_problem  # only what the patient tells is


def test_callbacks_are_signed_where_there_are_secrets_alone() -> None:
    assert DIALECT.headers([], "d", 0.0, b"{}") == {"Idempotency-Key": "d"}
    signed = DIALECT.headers(["new", "old"], "d", 0.0, b"{}")
    assert signed["X-Nabla-Webhook-Timestamp"] == "1970-01-01T00:00:00.000Z"
    assert len(signed["X-Nabla-Webhook-Signature"].split(",")) == 2
    assert msgspec.json.decode(DIALECT.test(0.0).body)["type"] == "test"
    assert callback("https://emr.example.org", Kind.DIGEST_ASYNC).extra


# Errors


@pytest.mark.parametrize(
    ("error", "status", "code", "name"),
    [
        (BadRequest(), 400, 400, "BAD_REQUEST"),
        (Unauthorized(), 401, 401, "UNAUTHORIZED"),
        (TokenExpired(), 401, 50025, "TOKEN_EXPIRED"),
        (NotFound(), 404, 404, "NOT_FOUND"),
        (TranscriptTooShort(), 422, 83005, "NOTE_GENERATION_TRANSCRIPT_TOO_SHORT"),
        (RateLimited(1, retry_after_s=1), 429, 429, "RATE_LIMITED"),
        (Failure(code="note_failed", message="The note could not be written."), 500, 500, "NOTE_FAILED"),
    ],
)
def test_errors_have_the_vendor_s_numbers_where_they_are_known(
    error: AuscultError | Failure, status: int, code: int, name: str
) -> None:
    answered, body = convert.http_error(error)
    assert (answered, body.code, body.name) == (status, code, name)
    assert body.message


def test_the_api_s_name_is_the_dialect_s() -> None:  # callbacks are told in the dialect of their encounter's API
    assert DIALECT.name == API == digested().options.api
