"""SOAPNoteAPI's API against a real server, with the clients of the vendor's pages."""

import hmac
import io
import json
import wave
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import anyio.to_thread
import httpx
import pytest
from sqlalchemy import update

from bench.receiver import receiving
from bench.recordings import Recording
from bench.server import RunningServer
from server.store import tables as t
from server.store.database import database_url, open_engine
from tests.acceptance.conftest import client, make_key, start
from tests.acceptance.soapnote import (
    CODES,
    CONSULTATION,
    DICTATED,
    FINISHED,
    UPLOADED,
    WEBHOOK,
    AudioProcessingFailed,
    check_like,
    put_audio,
    streamed,
    wait_for_note,
)
from tests.acceptance.test_haidy import encoded, wav
from tests.acceptance.test_tenants import api_of
from tests.preforked import auscult

pytestmark = pytest.mark.slow

NURSE = {"specialty": "nurse_practitioner"}
WITH_ALL = {
    "specialty": "nurse_practitioner",
    "include_billing_codes": True,
    "include_patient_summary": True,
    "include_transcript": True,
    "context": {
        "patient_info": {
            "name": "Maria Santos",
            "age": 62,
            "gender": "female",
            "medical_history": "Generalized anxiety disorder, PTSD",
            "medications": ["lisinopril"],
            "allergies": None,
        },
        "patient_history": "Prior session focused on CBT techniques for anxiety management.",
        "custom_instructions": "Be brief.",
        "chat_messages": ["hello", {"sender": "patient", "text": "I cannot hear you"}],
    },
    "something_new": {"which": "is ignored"},
}


def error(answer: Any) -> tuple[int, str]:
    """Status and code, of a body in the page's envelope."""
    told = answer.json()["error"]
    assert set(told) <= {"code", "message", "details"}
    assert told["message"]
    assert all(set(detail) == {"field", "message"} for detail in told.get("details", []))
    return answer.status_code, told["code"]


def fields(answer: Any) -> list[str]:
    return [detail["field"] for detail in answer.json()["error"]["details"]]


@pytest.fixture(scope="module")
def telling_server() -> Iterator[RunningServer]:
    """May call receivers on this machine, often looks after what was left alone, and takes no long recordings."""
    settings = {
        "AUSCULT_OUTGOING_ALLOW_HOSTS": "127.0.0.1",
        "AUSCULT_TASKS_TEND_S": "0.2",
        "AUSCULT_LIMITS_MAX_RECORDING_BYTES": "3000000",
        "AUSCULT_LIMITS_MAX_RECORDING_MINUTES": "1",
    }
    yield from start("scripted", settings)


# Recordings


def test_the_page_s_python_client_uploads_polls_and_gets_its_note(
    whisper_server: RunningServer, headache: Recording
) -> None:
    url, key = whisper_server.base_url, whisper_server.key
    answer = put_audio(url, key, encoded(headache, "finished mp3", 24), WITH_ALL)
    assert answer.status_code == 202
    check_like(UPLOADED, answer.json())
    note_id = answer.json()["noteId"]
    assert answer.json()["status_url"] == f"/v1/audio/status/{note_id}"
    note = wait_for_note(url, key, note_id)
    check_like(FINISHED["note"], note)
    assert note["noteId"] == note_id
    assert "headache" in note["subjective"].lower()
    assert "headache" in note["transcript"].lower()
    assert {code["origin"] for code in note["billing_codes"]["icd10"]} <= {"suggested"}  # nobody spoke one
    assert note["billing_codes"]["cpt"] == []
    assert note["patient_summary"]
    assert {"speaker", "start", "end", "text"} == set(note["diarized_transcript"][0])
    assert note["review_status"] == "draft"
    with client(url, key) as api:
        assert api.get(f"/v1/note/{note_id}").json() == note


@pytest.mark.parametrize("kind", ["webm", "ogg", "flac", "wav", "fragmented mp4"])
def test_every_format_of_the_page_is_taken(scripted_server: RunningServer, headache: Recording, kind: str) -> None:
    url, key = scripted_server.base_url, scripted_server.key
    answer = put_audio(url, key, encoded(headache, kind, 8), NURSE)
    note = wait_for_note(url, key, answer.json()["noteId"])
    assert note["transcript"]
    assert [note[part] for part in ("subjective", "objective", "assessment", "plan")] == [""] * 4  # only numbers
    assert note["message"]
    assert not {"billing_codes", "patient_summary", "diarized_transcript"} & set(note)


def test_an_older_guide_s_form_is_taken_and_content_types_are_not_needed(
    api: httpx.Client, headache: Recording
) -> None:
    audio = ("visit", encoded(headache, "webm", 6))
    older = api.post("/v1/note/audio", files={"audio": audio}, data={"specialty": "physician"})
    assert older.status_code == 202
    boundary = "b0undary"
    metadata = f'--{boundary}\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{json.dumps(NURSE)}\r\n'
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="audio"; filename="a"\r\n\r\n'
    body = metadata.encode() + head.encode() + audio[1] + f"\r\n--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    assert api.put("/v1/note/audio", content=body, headers={"Content-Type": kind}).status_code == 202


@pytest.mark.parametrize("what", ["short", "silent", "corrupt", "no audio at all"])
def test_what_cannot_become_a_note_is_accepted_and_fails_with_a_message(
    scripted_server: RunningServer, headache: Recording, what: str
) -> None:
    octets = {
        "short": encoded(headache, "webm", 4.5),
        "silent": silence(),
        "corrupt": encoded(headache, "flac", 8)[:60] + bytes(50_000),
        "no audio at all": b"<html>this is no audio</html>",
    }[what]
    url, key = scripted_server.base_url, scripted_server.key
    answer = put_audio(url, key, octets, NURSE)
    assert answer.status_code == 202
    with pytest.raises(AudioProcessingFailed) as failed:
        wait_for_note(url, key, answer.json()["noteId"])
    assert failed.value.answer["message"]
    with client(url, key) as api:
        note = api.get(f"/v1/note/{answer.json()['noteId']}").json()
    assert note["status"] == "failed"
    assert note["message"] == failed.value.answer["message"]


def test_what_is_too_large_is_refused_and_what_is_too_long_fails(
    telling_server: RunningServer, headache: Recording
) -> None:
    url, key = telling_server.base_url, telling_server.key
    large = put_audio(url, key, wav(headache, 6) + bytes(3_000_000), NURSE)
    assert error(large) == (413, "PAYLOAD_TOO_LARGE")
    long = put_audio(url, key, silence(70), NURSE)
    with pytest.raises(AudioProcessingFailed) as failed:
        wait_for_note(url, key, long.json()["noteId"])
    assert "longer" in failed.value.answer["message"]


def silence(seconds: int = 8) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16_000 * seconds))
    return held.getvalue()


def test_an_idempotency_key_makes_a_repeat_the_same_note(api: httpx.Client, headache: Recording) -> None:
    parts: Any = {"audio": ("a", encoded(headache, "webm", 6)), "metadata": (None, json.dumps(NURSE))}
    twice = [
        api.put("/v1/note/audio", files=parts, headers={"Idempotency-Key": "k"}).json()["noteId"] for _ in range(2)
    ]
    assert twice[0] == twice[1]


# Segments of one consultation


def put_segment(api: httpx.Client, octets: bytes, consultation: str, number: int, **more: Any) -> httpx.Response:
    metadata = {**NURSE, "encounter_id": consultation, "segment": number, "include_transcript": True, **more}
    parts: list[tuple[str, Any]] = [("metadata", (None, json.dumps(metadata))), ("audio", ("a", octets))]
    return api.put("/v1/note/audio", files=parts)


def test_segments_in_any_order_become_one_note(
    scripted_server: RunningServer, api: httpx.Client, headache: Recording
) -> None:
    consultation = f"Maria Santos {uuid4().hex}"
    first, last = wav(headache, 30), encoded(headache, "webm", 12)
    note_id = put_segment(api, last, consultation, 2, final_segment=True).json()["noteId"]
    assert put_segment(api, last, consultation, 2, final_segment=True).json()["noteId"] == note_id
    assert api.get(f"/v1/audio/status/{note_id}").json()["status"] == "processing"
    with client(scripted_server.base_url, make_key(scripted_server, f"other{uuid4().hex}")) as other:
        assert put_segment(other, last, consultation, 1).json()["noteId"] != note_id
    assert put_segment(api, first, consultation, 1).json()["noteId"] == note_id
    note = wait_for_note(scripted_server.base_url, scripted_server.key, note_id)
    ends = [said["end"] for said in note["diarized_transcript"]]
    assert 30 < ends[-1] < 42
    assert any(end < 30 for end in ends)
    assert put_segment(api, first, consultation, 1).json()["noteId"] == note_id  # a repeat
    assert error(put_segment(api, first, consultation, 3)) == (409, "CONFLICT")


def test_a_note_is_made_of_the_segments_there_are_when_no_other_comes(
    telling_server: RunningServer, headache: Recording
) -> None:
    with client(telling_server.base_url, telling_server.key) as api:
        octets, consultation = encoded(headache, "webm", 8), uuid4().hex
        note_id = put_segment(api, octets, consultation, 1).json()["noteId"]
        put_segment(api, octets, consultation, 3, final_segment=True).raise_for_status()
        time_passes(telling_server, note_id)
        note = wait_for_note(telling_server.base_url, telling_server.key, note_id)
        late = put_segment(api, octets, consultation, 2)
    assert late.status_code == 409, "it is not thrown away in silence"
    assert note["transcript"]
    assert note["warnings"] == ["Not all segments of the recording came."]


def time_passes(server: RunningServer, encounter: str) -> None:
    """It was long ago that something came of it."""
    engine = open_engine(database_url("", server.data_dir))
    with engine.begin() as connection:
        connection.execute(update(t.encounters).where(t.encounters.c.id == encounter).values(active_at=0.0))
    engine.dispose()


def test_segments_that_contradict_each_other_are_refused(api: httpx.Client, headache: Recording) -> None:
    octets, consultation = encoded(headache, "webm", 6), uuid4().hex
    assert put_segment(api, octets, consultation, 2).status_code == 202
    contradicting = put_segment(api, octets, consultation, 1, final_segment=True)
    assert (error(contradicting), fields(contradicting)) == ((400, "VALIDATION_ERROR"), ["final_segment"])
    assert error(put_segment(api, octets, consultation, 17)) == (413, "PAYLOAD_TOO_LARGE")
    nameless = put_segment(api, octets, "", 1)
    assert (error(nameless), fields(nameless)) == ((400, "VALIDATION_ERROR"), ["metadata.segment"])
    late = {**NURSE, "encounter_id": consultation, "segment": 1}
    parts = [("audio", ("a", octets)), ("metadata", (None, json.dumps(late)))]
    turned = api.put("/v1/note/audio", files=parts)  # type: ignore[arg-type]
    assert (error(turned), fields(turned)) == ((400, "VALIDATION_ERROR"), ["metadata"])


# Text


def test_a_note_of_text_comes_at_once_and_can_be_read_again(api: httpx.Client) -> None:
    answer = api.post("/v1/note", json={"transcript": CONSULTATION, **WITH_ALL})
    assert answer.status_code == 200, answer.text
    note = answer.json()
    check_like({**FINISHED["note"], "billing_codes": CODES} | {"transcript": ""}, note | {"transcript": ""})
    assert "transcript" not in note
    assert "cough" in note["subjective"]
    assert "38.2" in note["objective"]
    assert "bronchitis" in note["assessment"]
    assert "fluids" in note["plan"]
    assert [code["code"] for code in note["billing_codes"]["icd10"]] == ["J20.9"]
    assert [code["code"] for code in note["billing_codes"]["cpt"]] == ["99213"]
    assert "fluids" in note["patient_summary"]
    assert api.get(f"/v1/note/{note['noteId']}").json() == note


def test_older_names_of_the_fields_and_an_alias_of_a_specialty_are_taken(api: httpx.Client) -> None:
    older = {"shorthand_notes": DICTATED, "provider_type": "primary_care_physician"}
    note = api.post("/v1/note", json=older).json()
    assert "lower back pain" in note["subjective"]
    assert note["assessment"] == ""


def test_a_sub_template_writes_the_parts_under_headings(api: httpx.Client) -> None:
    detailed = {"transcript": CONSULTATION, "specialty": "physician", "template": "detailed"}
    note = api.post("/v1/note", json=detailed).json()
    assert note["subjective"].startswith("Chief complaint:\n")
    assert note["objective"].startswith("Vitals:\n")


def test_the_page_s_python_client_streams_a_note(scripted_server: RunningServer) -> None:
    body = {"transcript": DICTATED, "specialty": "primary_care_physician"}
    note = streamed(scripted_server.base_url, scripted_server.key, body)
    assert note.startswith("Subjective:\n")
    assert "lower back pain" in note
    assert "No radiculopathy." in note
    assert (
        "Taking ibuprofen 400mg PRN with partial relief." in note.partition("Plan:")[0]
    )  # it is what the patient does


def test_each_event_has_section_and_content_in_one_piece_and_all_content_is_the_note(api: httpx.Client) -> None:
    body = {"transcript": CONSULTATION, "specialty": "physician"}
    with api.stream("POST", "/v1/stream/note", json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        pieces = list(answer.iter_raw())
    assert all(piece.startswith(b"data: ") and piece.endswith(b"\n\n") for piece in pieces)
    *events, done = b"".join(pieces).decode().removesuffix("\n\n").split("\n\ndata: ")
    assert done == "[DONE]"
    told = [json.loads(event.removeprefix("data: ")) for event in events]
    assert all(list(event) == ["section", "content"] for event in told)
    assert list(dict.fromkeys(event["section"] for event in told)) == ["subjective", "objective", "assessment", "plan"]
    note = api.post("/v1/note", json=body).json()
    parts = [f"{part.capitalize()}:\n{note[part]}" for part in ("subjective", "objective", "assessment", "plan")]
    assert "".join(event["content"] for event in told) == "\n\n".join(parts)


def test_a_stream_whose_note_cannot_be_written_ends_with_an_error_event(api: httpx.Client) -> None:
    nothing = {"transcript": "la " * 30, "specialty": "physician"}
    with api.stream("POST", "/v1/stream/note", json=nothing) as answer:
        (event,) = answer.read().decode().split("\n\n")[:-1]
    assert list(json.loads(event.removeprefix("data: "))) == ["error"]


def test_visits_are_summed_up(api: httpx.Client) -> None:
    visits = [
        {
            "visit_date": "2026-03-02",
            "provider": "Dr. Lee",
            "soap_note": {
                "subjective": "Cough for two weeks.",
                "objective": "BP 130/84. Lungs clear.",
                "assessment": "Hypertension, improving. Bronchitis.",
                "plan": "1. Continue lisinopril.\n2. Come back in a month.",
            },
        },
        {"visit_date": "2026-01-05T09:00:00Z", "summary": "Blood pressure was high. Lisinopril was started."},
    ]
    answer = api.post("/v1/visit-summary", json={"visits": visits})
    assert answer.status_code == 200
    summed = answer.json()
    assert summed["summary"].splitlines()[0].startswith("2026-01-05T09:00:00Z: Blood pressure was high.")
    assert summed["summary"].splitlines()[1].startswith("2026-03-02 (Dr. Lee): Cough for two weeks.")
    assert summed["key_findings"] == ["BP 130/84.", "Lungs clear."]
    assert summed["active_diagnoses"] == ["Hypertension, improving.", "Bronchitis."]
    focused = api.post("/v1/visit-summary", json={"visits": visits, "focus": "lisinopril"}).json()
    assert "ough" not in focused["summary"]
    assert "Continue lisinopril." in focused["summary"]


def test_the_specialties_are_public(scripted_server: RunningServer) -> None:
    answer = httpx.get(f"{scripted_server.base_url}/v1/specialties")
    assert answer.status_code == 200
    listed = answer.json()["specialties"]
    assert len(listed) == 24
    assert all(each["templates"][0]["id"] == "standard" for each in listed)


# Webhooks


async def test_a_webhook_tells_of_recordings_alone_and_is_signed(
    headache: Recording, telling_server: RunningServer
) -> None:
    tenant = f"tenant{uuid4().hex}"
    key = make_key(telling_server, tenant)
    url = telling_server.base_url

    def send() -> tuple[str, str]:
        with client(url, key) as api:
            api.post("/v1/note", json={"transcript": CONSULTATION, **NURSE}).raise_for_status()
        good = put_audio(url, key, encoded(headache, "webm", 8), WITH_ALL).json()["noteId"]
        wait_for_note(url, key, good)
        return good, put_audio(url, key, encoded(headache, "webm", 2), NURSE).json()["noteId"]

    async with receiving() as receiver:
        secret = webhooks(telling_server, "set", tenant, receiver.url).split()[-1]
        assert "200" in await anyio.to_thread.run_sync(webhooks, telling_server, "test", tenant)
        generated, failed = await anyio.to_thread.run_sync(send)
        test, first, second = await receiver.until(3)
    assert json.loads(test.body)["event"] == "test"
    told = json.loads(first.body)
    check_like(WEBHOOK, told | {"data": told["data"]})
    assert told["note_id"] == generated
    failure = json.loads(second.body)
    assert (failure["event"], failure["note_id"], failure["status"]) == ("note.failed", failed, "failed")
    assert "data" not in failure
    for got in (test, first, second):
        stamp = got.headers["x-soapnoteapi-timestamp"]
        expected = hmac.new(secret.encode(), f"{stamp}.".encode() + got.body, "sha256").hexdigest()
        assert hmac.compare_digest(expected, got.headers["x-soapnoteapi-signature"])


def webhooks(server: RunningServer, verb: str, *arguments: str) -> str:
    options = ("--dialect", "soapnoteapi", "--data-dir", str(server.data_dir))
    done = auscult("webhooks", verb, *arguments, *options, environment=server.environment)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout + done.stderr


# Bad input


def upload(api: httpx.Client, octets: bytes, metadata: bytes | str | None, **form: str) -> httpx.Response:
    parts: list[tuple[str, Any]] = [("audio", ("a", octets))]
    if metadata is not None:
        parts.append(("metadata", (None, metadata)))
    return api.put("/v1/note/audio", files=parts, data=form)


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        (None, "specialty"),
        ("{}", "specialty"),
        ("no json", "metadata"),
        ("[" * 10_000 + "]" * 10_000, "metadata"),
        ('{"specialty": "barber"}', "specialty"),
        ('{"specialty": "physician", "template": "sonnet"}', "template"),
        ('{"specialty": "physician", "language": "<English>"}', "language"),
        ('{"specialty": "physician", "context": {"patient_info": {"age": -1}}}', "metadata.context.patient_info.age"),
        ('{"specialty": 5}', "metadata.specialty"),
    ],
)
def test_metadata_that_is_wrong_is_named(api: httpx.Client, metadata: str | None, field: str) -> None:
    answer = upload(api, b"x" * 100, metadata)
    assert error(answer) == (400, "VALIDATION_ERROR")
    assert fields(answer) == [field]


def test_forms_that_are_wrong_are_refused(api: httpx.Client) -> None:
    empty = upload(api, b"", json.dumps(NURSE))
    assert (error(empty), fields(empty)) == ((400, "VALIDATION_ERROR"), ["audio"])
    missing = api.put("/v1/note/audio", files={"metadata": (None, json.dumps(NURSE))})
    assert (error(missing), fields(missing)) == ((400, "VALIDATION_ERROR"), ["audio"])
    twice = api.put("/v1/note/audio", files=[("audio", b"x" * 100), ("audio", b"x" * 100)])
    assert (error(twice), fields(twice)) == ((400, "VALIDATION_ERROR"), ["audio"])
    assert error(api.put("/v1/note/audio", json=NURSE)) == (400, "VALIDATION_ERROR")
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert error(api.put("/v1/note/audio", content=b"--y\r\n", headers=kind)) == (400, "VALIDATION_ERROR")


def test_text_that_is_too_short_and_specialties_that_are_missing_are_both_named(api: httpx.Client) -> None:
    for path in ("/v1/note", "/v1/stream/note"):
        answer = api.post(path, json={"transcript": "too short"})
        assert error(answer) == (400, "VALIDATION_ERROR")
        assert fields(answer) == ["transcript", "specialty"]
        assert error(api.post(path, content=b"\xff")) == (400, "VALIDATION_ERROR")


def test_fifty_characters_are_enough_for_a_note(api: httpx.Client) -> None:
    short = {"shorthand_notes": "Patient has a bad cough and a fever for three days.", "specialty": "physician"}
    note = api.post("/v1/note", json=short).raise_for_status().json()
    assert note["status"] == "completed"
    assert "cough" in note["subjective"]
    assert "cough" in api.post("/v1/stream/note", json=short).text


def test_text_of_more_sentences_than_a_day_has_is_refused(api: httpx.Client) -> None:
    endless = {"transcript": "Ok. It hurts.\n" * 10_001, "specialty": "physician"}
    for path in ("/v1/note", "/v1/stream/note"):
        answer = api.post(path, json=endless)
        assert error(answer) == (413, "PAYLOAD_TOO_LARGE")


def test_a_name_of_a_field_that_is_no_text_is_no_fault_of_the_server(api: httpx.Client) -> None:
    body = json.dumps({"transcript": CONSULTATION, "specialty": "physician"}).encode()
    assert error(api.post("/v1/note", content=b'{"\xff": 1, ' + body[1:])) == (400, "VALIDATION_ERROR")


def test_a_token_of_one_session_sums_up_no_visits(api: httpx.Client) -> None:
    encounter = api.post("/v1/note", json={"transcript": CONSULTATION, "specialty": "physician"}).json()["noteId"]
    token = api.post("/api/tokens", json={"scope": "follow", "encounter_id": encounter}).json()["token"]
    visits = {"visits": [{"visit_date": "2026-01-01", "summary": "A cough."}]}
    assert api.post("/v1/visit-summary", json=visits).status_code == 200
    answer = api.post("/v1/visit-summary", json=visits, headers={"Authorization": f"Bearer {token}"})
    assert error(answer) == (403, "AUTHORIZATION_ERROR")


def test_a_language_in_which_no_note_is_written_is_refused_at_once(api: httpx.Client) -> None:
    german = {"transcript": CONSULTATION, "specialty": "physician", "language": "de"}
    before = api.get("/api/encounters?limit=1").json()
    for path in ("/v1/note", "/v1/stream/note"):
        answer = api.post(path, json=german)
        assert error(answer) == (400, "VALIDATION_ERROR")
        assert fields(answer) == ["language"]
    assert api.get("/api/encounters?limit=1").json() == before  # nothing is stored of it


def test_visits_that_are_wrong_are_named(api: httpx.Client) -> None:
    assert fields(api.post("/v1/visit-summary", json={"visits": []})) == ["visits"]
    wrong = {"visits": [{"visit_date": "yesterday", "summary": "x"}, {"visit_date": "2026-01-01"}]}
    assert fields(api.post("/v1/visit-summary", json=wrong)) == ["visits[0].visit_date", "visits[1]"]


def test_errors_have_the_page_s_codes(scripted_server: RunningServer, api: httpx.Client) -> None:
    with client(scripted_server.base_url, "nobody") as stranger:
        assert error(stranger.get("/v1/note/x")) == (401, "AUTHENTICATION_ERROR")
        assert error(stranger.put("/v1/note/audio")) == (401, "AUTHENTICATION_ERROR")
    assert error(api.get("/v1/note/x")) == (404, "NOT_FOUND")
    assert error(api.get("/v1/audio/status/x")) == (404, "NOT_FOUND")
    assert error(api.get(f"/v1/audio/status/{'0' * 24}")) == (404, "NOT_FOUND")
    wrong = api.delete("/v1/note/audio")
    assert error(wrong) == (405, "METHOD_NOT_ALLOWED")
    assert wrong.headers["allow"] == "POST, PUT"
    too_large = json.dumps({"transcript": "x " * (1 << 20), "specialty": "physician"})
    assert error(api.post("/v1/note", content=too_large)) == (413, "PAYLOAD_TOO_LARGE")


def test_what_another_account_has_is_not_found(scripted_server: RunningServer, api: httpx.Client) -> None:
    note = api.post("/v1/note", json={"transcript": CONSULTATION, **NURSE}).json()["noteId"]
    with client(scripted_server.base_url, make_key(scripted_server, f"other{uuid4().hex}")) as other:
        for path in ("/v1/note", "/v1/audio/status"):
            assert error(other.get(f"{path}/{note}")) == (404, "NOT_FOUND")
    ours = api.post("/api/encounters", json={"transcript": CONSULTATION}).json()["encounter_id"]
    assert error(api.get(f"/v1/note/{ours}")) == (404, "NOT_FOUND")  # of another API


def test_a_month_s_minutes_that_are_used_are_a_balance_and_a_busy_minute_is_not(
    scripted_server: RunningServer, headache: Recording
) -> None:
    url = scripted_server.base_url
    note = {"transcript": CONSULTATION, **NURSE}
    with api_of(scripted_server, f"minutes{uuid4().hex}", "minutes_per_month=1") as practice:
        key = practice.headers["Authorization"].removeprefix("Bearer ")
        for seconds in (40, 30):
            wait_for_note(url, key, put_audio(url, key, wav(headache, seconds), NURSE).json()["noteId"])
        for answer in (
            put_audio(url, key, wav(headache, 6), NURSE),
            practice.post("/v1/note", json=note),
            practice.post("/v1/stream/note", json=note),
        ):
            assert error(answer) == (429, "INSUFFICIENT_BALANCE")
            assert "retry-after" not in answer.headers
    with api_of(scripted_server, f"requests{uuid4().hex}", "requests_per_minute=1") as practice:
        practice.post("/v1/note", json=note).raise_for_status()
        answer = practice.post("/v1/note", json=note)
        assert error(answer) == (429, "RATE_LIMITED")
        assert int(answer.headers["retry-after"]) > 0
