import base64
import re
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import LanguageUnsupported, Overloaded, UnsupportedAudio
from pipeline.notes.note import Note
from pipeline.types import Role, Utterance
from server.domain import EncounterOptions, EncounterRow, EncounterView, Failure, Stage, State, StoredNote, StreamSpec
from server.errors import BadRequest, NotFound, StorageFull, Unauthorized
from server.facades.haidy import convert, schema
from server.ingest.multipart import UploadStalled
from server.intake import Intake, Patient
from server.patients import UNKNOWN, PatientUnknown, StoredContext

BODY: dict[str, Any] = {
    "audio_base64": "AAAA",
    "sample_rate": 16000,
    "file_format": "webm",
    "task_id": "NEW",
    "final": False,
    "parameters": {"template": "de-internal-medicine", "language": "de-CH", "glossary": ["medical-terms"]},
}


def request(**more: Any) -> schema.ChunkRequest:
    return msgspec.convert(BODY | more, schema.ChunkRequest)


def row(**more: Any) -> EncounterRow:
    values: dict[str, Any] = {
        "id": "e1",
        "tenant_id": "t1",
        "key_id": "k1",
        "token_id": "",
        "resumptions": 0,
        "options": EncounterOptions(api="haidy", streams=(StreamSpec(name="audio"),)),
        "state": State.LIVE,
        "stages": {Stage.CREATED: 0.0, Stage.QUEUED: 0.5, Stage.STARTED: 1.0},
        "percentage": 5,
        "failure": None,
        "warnings": (),
        "epoch": 1,
        "owner": "me",
        "data_key": b"",
        "last_key": None,
        "created_at": 0.0,
        "active_at": 1.0,
        "completed_at": None,
        "fetched_at": None,
    }
    return EncounterRow(**values | more)


def test_the_pages_own_request_is_understood() -> None:
    chunk = convert.chunk(request(), None)
    assert chunk.task_id is None
    assert chunk.options.language == "de-CH"
    assert chunk.options.base_language == "de"
    assert chunk.options.template == "de-internal-medicine"
    assert chunk.options.glossaries == ("medical-terms",)
    assert chunk.options.streams[0].encoding == "container"


def test_the_pages_own_form_is_understood() -> None:
    upload = convert.form(
        {
            "language": ["de-CH"],
            "glossary": ['["medical-terms", "cardiology"]'],
            "patient_context_id": ["patient-123"],
        }
    )
    assert upload.patient_context_id == "patient-123"
    options = upload.options
    assert (options.language, options.glossaries) == ("de-CH", ("medical-terms", "cardiology"))
    assert options.recording
    assert not options.note
    assert not options.resumable


def test_a_form_may_repeat_glossaries_in_any_form_and_nothing_else() -> None:
    upload = convert.form({"language": ["de"], "glossary": ["a", '["b", "c"]', '"d"', ""], "template": ["SOAP"]})
    assert upload.options.glossaries == ("a", "b", "c", "d")
    assert (upload.options.template, upload.options.note) == ("SOAP", True)
    assert upload.patient_context_id is None
    with pytest.raises(BadRequest, match="'language' is given more than once"):
        convert.form({"language": ["de", "fr"]})
    with pytest.raises(BadRequest, match="'language' is required"):
        convert.form({})


def test_the_pages_own_base64_request_is_understood() -> None:
    body = {
        "file_base64": "",
        "file_name": "recording.m4a",
        "language": "de-CH",
        "glossary": ["medical-terms"],
        "additional_audio_base64": [""],
        "patient_context_id": "patient-123",
    }
    upload = convert.base64_request(msgspec.convert(body, schema.Base64Request))
    assert upload.patient_context_id == "patient-123"
    assert (upload.options.language, upload.options.glossaries) == ("de-CH", ("medical-terms",))
    for missing in ({"file_name": None}, {"file_name": ""}):
        with pytest.raises(BadRequest, match=r"^File name is required$"):
            convert.base64_request(msgspec.convert(body | missing, schema.Base64Request))
    with pytest.raises(BadRequest, match="'language' is required"):
        convert.base64_request(msgspec.convert(body | {"language": ""}, schema.Base64Request))


def test_the_key_of_an_upload_is_none_of_a_chunk() -> None:
    assert convert.upload_key(None) is None
    key = convert.upload_key("a patient's name")
    assert key != convert.chunk(request(), "a patient's name").session_key
    assert "patient" not in str(key)
    assert len(str(key)) < 200


def test_a_patient_is_shown_as_it_was_said() -> None:
    body = {"external_id": "42", "patient_group": "7", "name": "A", "birth_date": "1970-12-31", "gender": "male"}
    context = convert.patient_context(msgspec.convert(body, schema.PatientRequest))
    assert context.patient == Patient(name="A", birth_date="1970-12-31", gender="male")
    stored = StoredContext(id="ctx_1", context=msgspec.structs.replace(context, changed_at=1.0), created_at=0.0)
    shown = msgspec.to_builtins(convert.shown_context(stored))
    assert body.items() <= shown.items()
    assert (shown["id"], shown["created"], shown["updated"]) == (
        "ctx_1",
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:01.000Z",
    )


@given(st.binary(min_size=1, max_size=500))
def test_audio_survives_base64_and_a_browsers_data_url(audio: bytes) -> None:
    encoded = base64.b64encode(audio).decode()
    assert convert.audio(encoded) == audio
    assert convert.audio("data:audio/webm;codecs=opus;base64," + encoded) == audio


@given(st.text(max_size=100))
def test_text_that_is_no_base64_is_a_bad_request_in_the_pages_words(text: str) -> None:
    if re.fullmatch(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", text):
        assert isinstance(convert.audio(text), bytes)
    else:
        with pytest.raises(BadRequest, match=r"^(Invalid|Could not decode) base64 audio file$"):
            convert.audio(text)


@pytest.mark.parametrize("declared", ["pcm", "raw", "pcm_s16le", "PCM", ".pcm"])
def test_raw_audio_must_be_declared(declared: str) -> None:
    spec = convert.stream(declared, 8000.0)
    assert (spec.encoding, spec.sample_rate) == ("pcm_s16le", 8000)


@pytest.mark.parametrize("declared", ["webm", "mp3", "wav", "mp4", "m4a", "anything"])
def test_for_everything_else_the_bytes_decide(declared: str) -> None:
    assert convert.stream(declared, 44100.0).encoding == "container"


@pytest.mark.parametrize("rate", [0.0, -1.0, 16000.5])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(BadRequest, match="sample_rate"):
        convert.stream("webm", rate)


@pytest.mark.parametrize("code", ["de", "fr", "it", "en", "es", "de-CH", "en-GB", "es-419"])
def test_the_pages_languages_and_their_regions_are_known(code: str) -> None:
    assert convert.language(code) == code


def test_a_language_may_be_in_either_case() -> None:
    assert (convert.language("EN"), convert.language("de-ch")) == ("en", "de-CH")


@pytest.mark.parametrize("code", ["", "xx", "klingon", "de-", "de-CH-1901-x", "english"])
def test_other_languages_are_refused_with_the_list(code: str) -> None:
    with pytest.raises(BadRequest, match="de-CH"):
        convert.language(code)


@pytest.mark.parametrize(
    ("given_as", "names"),
    [
        (["a", "b"], ("a", "b")),
        ('["a", "b"]', ("a", "b")),
        ("a", ("a",)),
        ('"a"', ("a",)),
        ("null", ()),
        ("", ()),
        (None, ()),
        ("[" * 5000, ("[" * 5000,)),
    ],
)
def test_glossaries_come_as_list_as_json_in_a_string_or_as_one_name(given_as: Any, names: tuple[str, ...]) -> None:
    assert convert.glossaries(given_as) == names


def test_more_glossaries_than_there_can_be_are_refused() -> None:
    with pytest.raises(BadRequest, match="glossaries"):
        convert.glossaries(["cardiology"] * 1000)


@pytest.mark.parametrize(
    ("more", "header", "key"),
    [
        ({}, None, None),
        ({}, "abc", sha256(b"abc").hexdigest()),
        ({"chunk_index": 3}, None, "index:3"),
        ({"chunk_index": 3}, "abc", "index:3"),
    ],
)
def test_a_chunk_number_or_a_header_makes_a_retry_safe(more: dict[str, Any], header: str | None, key: str) -> None:
    assert convert.chunk(request(**more), header).client_key == key


def test_a_template_may_be_null() -> None:
    assert convert.chunk(request(parameters={"language": "en", "template": None}), None).options.template == ""


def test_an_empty_header_is_no_key() -> None:
    with pytest.raises(BadRequest):
        convert.chunk(request(), "")
    with pytest.raises(BadRequest):
        convert.upload_key("")


def test_a_first_answer_looks_like_the_pages() -> None:
    answer = msgspec.to_builtins(convert.started(row()))
    over = row(stages={Stage.CREATED: 0.0, Stage.QUEUED: 0.5, Stage.DONE: 9.0}, completed_at=9.0)
    assert msgspec.to_builtins(convert.started(over)) == answer
    assert answer == {
        "task_id": "e1",
        "status": "QUEUED",
        "percentage": 0,
        "started_at": "1970-01-01T00:00:00.000Z",
        "completed_at": None,
        "status_changes_at": {"CREATED": "1970-01-01T00:00:00.000Z", "QUEUED": "1970-01-01T00:00:00.500Z"},
    }


def test_bubbles_are_in_spoken_order_in_seconds() -> None:
    items = tuple(
        Utterance(id=str(n), stream="audio", role=Role.DOCTOR, start=start, end=start + 8000, text=f"said {n}")
        for n, start in enumerate((32000, 0))
    )
    answer = msgspec.to_builtins(convert.full_task(EncounterView(row=row(), items=items)))
    assert [(b["text"], b["start"], b["end"]) for b in answer["result"]["bubbles"]] == [
        ("said 1", 0.0, 0.5),
        ("said 0", 2.0, 2.5),
    ]
    assert "note" not in answer["result"]
    assert "additional_info" not in answer


def test_a_failure_says_why_and_an_absent_note_says_why() -> None:
    failed = row(
        state=State.FAILED,
        stages={Stage.CREATED: 0.0, Stage.FAILED: 1.0},
        failure=Failure(code="language_unsupported", message="no German here"),
    )
    told = convert.full_task(EncounterView(row=failed)).additional_info
    assert isinstance(told, schema.AdditionalInfo)
    assert told.message == "no German here"
    absent = StoredNote(absence=Failure(code="transcript_too_short", message="too short"))
    told = convert.full_task(EncounterView(row=row(), note=absent)).additional_info
    assert isinstance(told, schema.AdditionalInfo)
    assert (told.message, told.note) == (None, "too short")


def test_a_patient_that_is_not_known_is_a_warning() -> None:
    view = EncounterView(row=row(warnings=("a",)), intake=Intake(extra={UNKNOWN: True}))
    told = convert.full_task(view).additional_info
    assert isinstance(told, schema.AdditionalInfo)
    assert told.warnings == ["a", convert.NO_CONTEXT]


def test_an_empty_note_is_still_a_note() -> None:
    note = Note(template="SOAP", title="Consultation", language="en", sections=())
    answer = convert.full_task(EncounterView(row=row(), note=StoredNote(note=note)))
    assert isinstance(answer.result, schema.Result)
    assert answer.result.note == schema.Note(title="Consultation", sections=[], generator="embedded-extractive")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadRequest("x"), 400),
        (UnsupportedAudio(), 400),
        (Unauthorized(), 401),
        (NotFound(), 404),
        (Overloaded(), 503),
        (LanguageUnsupported(), 500),
        (UploadStalled(), 408),
        (StorageFull(), 503),
    ],
)
def test_each_error_has_its_status(error: Exception, status: int) -> None:
    assert convert.error(error)[0] == status  # type: ignore[arg-type]


def test_what_is_not_found_is_a_task_or_says_what_it_is() -> None:
    assert convert.error(NotFound()) == (404, "Task not found")
    assert convert.error(PatientUnknown()) == (404, "Patient context not found")
