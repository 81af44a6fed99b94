"""Nabla's REST API against the real server: what its customers send, and what they get."""

import hashlib
import hmac
import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
import requests
from anyio.to_thread import run_sync

from bench.receiver import Got, answering, receiving
from bench.recordings import Recording
from bench.server import RunningServer
from pipeline.types import SAMPLE_RATE
from tests.acceptance.conftest import client, make_key, start
from tests.acceptance.nabla_rest import (
    ACCEPTED,
    BASES,
    CALLBACK_ERROR,
    CORE,
    DIGEST,
    HTTP_ERROR,
    ITEM,
    LISTENED,
    NOTE,
    NOTE_C,
    PARAMETERS,
    SPOKEN,
    SPOKEN_C,
    TOO_SHORT,
    Customer,
    Json,
    has_shape,
)
from tests.acceptance.test_haidy import encoded
from tests.audio import Recipe, encode
from tests.preforked import auscult

pytestmark = pytest.mark.slow

LISTEN: Json = {"output_objects": ["transcript_item"], "language": "en-US"}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    yield from start("scripted", {"AUSCULT_OUTGOING_ALLOW_HOSTS": "127.0.0.1"})


@pytest.fixture(scope="module")
def customer(server: RunningServer) -> Customer:
    return Customer(server)


@pytest.fixture(scope="module")
def webm(headache: Recording) -> bytes:
    return encoded(headache, "webm", 12)


# listen


@pytest.mark.parametrize("base", BASES)
def test_a_file_is_heard_at_every_path(server: RunningServer, webm: bytes, base: str) -> None:
    answer = Customer(server, base=base).listen(webm)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert has_shape(body, {"transcript": [ITEM]})
    assert set(body) == {"transcript"}
    starts = [item["start_offset_ms"] for item in body["transcript"]]
    assert starts == sorted(starts)
    for item in body["transcript"]:
        assert (item["start_time_ms"], item["end_time_ms"]) == (item["start_offset_ms"], item["end_offset_ms"])
        assert 0 <= item["start_time_ms"] < item["end_time_ms"] <= 12_500


def test_a_visit_becomes_a_transcript_and_a_note(whisper_server: RunningServer, headache: Recording) -> None:
    wanted = {"output_objects": ["transcript_item", "note"], "note_template": "SOAP", "section_style": "bullet_points"}
    answer = Customer(whisper_server).listen(encoded(headache, "wav", 30), "audio/wav", **wanted)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert has_shape(body, LISTENED)
    keys = [section["key"] for section in body["note"]["sections"]]
    assert set(keys) <= {"SOAP_SUBJECTIVE", "SOAP_OBJECTIVE", "SOAP_ASSESSMENT", "SOAP_PLAN"}
    assert all(section["text"].startswith("- ") for section in body["note"]["sections"])
    ids = {item["id"] for item in body["transcript"]}
    cited = [sentence for section in body["note"]["sections"] for sentence in section["sentences"]]
    assert all(sentence["transcript_item_ids"] and set(sentence["transcript_item_ids"]) <= ids for sentence in cited)


def test_a_note_that_failed_does_not_take_the_transcript_with_it(customer: Customer, webm: bytes) -> None:
    both = customer.listen(webm, output_objects=["transcript_item", "note"])
    assert both.status_code == 200, both.text
    assert has_shape(both.json(), {"transcript": [ITEM]} | HTTP_ERROR)
    assert (both.json()["code"], both.json()["message"]) == (83005, TOO_SHORT)
    assert "note" not in both.json()
    alone = customer.listen(webm, output_objects=["note"])
    assert (alone.status_code, alone.json()) == (422, HTTP_ERROR)


@pytest.mark.parametrize("language", ["es-ES", "es-MX"])
def test_spanish_is_transcribed_and_has_no_notes(customer: Customer, webm: bytes, language: str) -> None:
    body = customer.listen(webm, output_objects=["transcript_item", "note"], language=language).json()
    assert body["transcript"]
    assert (body["code"], body["name"]) == (422, "NOTE_LANGUAGE_UNSUPPORTED")
    answer = customer.post("digest", DIGEST | {"language": language})
    assert answer.status_code == 422
    assert answer.json()["name"] == "NOTE_LANGUAGE_UNSUPPORTED"


def test_a_file_of_more_than_ten_minutes_is_refused(customer: Customer) -> None:
    silence = np.zeros(SAMPLE_RATE * 601, np.float32)
    answer = customer.listen(
        encode(silence, Recipe(container="mp4", codec="aac", rate=16_000, live=False)), "audio/mp4"
    )
    assert answer.status_code == 422, answer.text
    assert answer.json()["name"] == "RECORDING_TOO_LONG"
    assert "10 minutes" in answer.json()["message"]


def test_a_form_as_browsers_and_httpx_make_it_is_understood(server: RunningServer, headache: Recording) -> None:
    parameters = ("blob", json.dumps(PARAMETERS), "application/json")  # of `new Blob([…], {type: …})`
    form: dict[str, Any] = {"request_parameters": parameters, "file": ("visit.wav", encoded(headache, "wav", 4))}
    with client(server.base_url, server.key) as api:
        answer = api.post(f"{BASES[1]}/listen", files=form)
    assert answer.status_code == 200, answer.text
    assert has_shape(answer.json(), {"transcript": [ITEM]})


def test_a_customer_in_javascript_hears_a_file_and_writes_a_note(
    server: RunningServer, webm: bytes, tmp_path: Path
) -> None:
    if shutil.which("node") is None:
        pytest.skip("Node is not installed")
    (tmp_path / "visit.webm").write_bytes(webm)
    script = Path(__file__).with_name("nabla_customer.mjs")
    arguments = [server.base_url + BASES[0], server.key, str(tmp_path / "visit.webm"), json.dumps(SPOKEN)]
    done = subprocess.run(["node", script, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert has_shape(said["transcript"], [ITEM])
    assert said["ofSpeech"] == TOO_SHORT
    assert [line.partition(":")[0] for line in said["ofText"]] == ["Subjective", "Assessment", "Plan"]


def test_silence_has_an_empty_transcript_and_no_note(customer: Customer) -> None:
    silence = encode(
        np.zeros(SAMPLE_RATE * 3, np.float32), Recipe(container="mp4", codec="aac", rate=16_000, live=False)
    )
    answer = customer.listen(silence, "audio/mp4")
    assert (answer.status_code, answer.json()) == (200, {"transcript": []})
    both = customer.listen(silence, "audio/mp4", output_objects=["note", "transcript_item"])
    assert (both.status_code, both.json()) == (200, {"transcript": []} | HTTP_ERROR)


# listen_async


async def test_a_file_elsewhere_is_fetched_and_its_result_posted_once(customer: Customer, webm: bytes) -> None:
    own = str(uuid4())
    async with receiving(answering(200, webm, Content_Type="audio/webm")) as files, receiving() as receiver:
        body = LISTEN | {"file_url": files.url, "callback_url": receiver.url, "client_request_id": own}
        first = await run_sync(customer.post, "listen_async", body)
        (got,) = await receiver.until(1)
        again = await run_sync(customer.post, "listen_async", body)
        other = await run_sync(customer.post, "listen_async", body | {"client_request_id": None})
        await receiver.until(2)
    assert first.status_code == again.status_code == 200
    assert has_shape(first.json(), ACCEPTED)
    assert first.json() == again.json()
    assert UUID(first.json()["request_id"])
    assert other.json()["request_id"] != first.json()["request_id"]
    assert set(other.json()) == {"request_id"}
    told = json.loads(got.body)
    assert has_shape(told, ACCEPTED | {"transcript": [ITEM]})
    assert (told["request_id"], told["client_request_id"]) == (first.json()["request_id"], own)
    assert "code" not in told
    assert got.headers["content-type"] == "application/json"
    assert not [name for name in got.headers if name.startswith("x-nabla")]
    assert [json.loads(each.body)["request_id"] for each in receiver.got].count(first.json()["request_id"]) == 1


@pytest.mark.parametrize("field", ["audio_url", "url"])
async def test_an_error_is_told_in_the_page_s_words(customer: Customer, webm: bytes, field: str) -> None:
    async with receiving(answering(200, webm)) as files, receiving() as receiver:
        body = LISTEN | {field: files.url, "callback_url": receiver.url, "client_request_id": "mine"}
        body |= {"output_objects": ["note"], "client_request_id": str(uuid4())}
        assert (await run_sync(customer.post, "listen_async", body)).status_code == 200
        (got,) = await receiver.until(1)
        told = json.loads(got.body)
        assert has_shape(told, CALLBACK_ERROR)
        assert (told["code"], told["message"]) == (422, TOO_SHORT)
        assert set(told) == {"request_id", "client_request_id", "code", "message", "name"}
        both = {"output_objects": ["transcript_item", "note"], "client_request_id": str(uuid4())}
        await run_sync(customer.post, "listen_async", body | both)
        told = json.loads((await receiver.until(2))[1].body)
        assert told["code"] == 422
        assert has_shape(told, CALLBACK_ERROR | {"transcript": [ITEM]})


async def test_what_is_no_audio_or_not_there_is_told_too(customer: Customer) -> None:
    page = answering(200, b"<html>this is no audio at all</html>" * 100)
    async with receiving(page) as pages, receiving(answering(404)) as nothing, receiving() as receiver:
        for where in (pages, nothing):
            body = LISTEN | {"file_url": where.url, "callback_url": receiver.url}
            assert (await run_sync(customer.post, "listen_async", body)).status_code == 200
        told = [json.loads(got.body) for got in await receiver.until(2)]
    assert {(each["code"], each["name"]) for each in told} == {(400, "UNSUPPORTED_AUDIO"), (422, "FETCH_FAILED")}
    assert all("transcript" not in each for each in told)


# Notes of texts


@pytest.mark.parametrize("base", BASES)
def test_a_transcript_becomes_a_note(server: RunningServer, base: str) -> None:
    answer = Customer(server, base=base).post("digest", DIGEST | {"patient_context": "Mrs Miller, 52"})
    assert answer.status_code == 200, answer.text
    assert has_shape(answer.json(), {"note": NOTE})
    sections = {section["key"]: section for section in answer.json()["note"]["sections"]}
    assert sections["CHIEF_COMPLAINT"]["title"] == "Chief complaint"
    assert "penicillin" in sections["ALLERGIES"]["text"]
    assert 5 in sections["ALLERGIES"]["sentences"][0]["transcript_items"]
    assert "Miller" not in answer.text


def test_items_without_text_do_not_shift_what_a_sentence_rests_on(customer: Customer) -> None:
    items = [{"text": " ", "speaker": "doctor"}, *DIGEST["transcript_items"]]
    note = customer.post("digest", DIGEST | {"transcript_items": items}).json()["note"]
    (allergies,) = [section for section in note["sections"] if section["key"] == "ALLERGIES"]
    assert 6 in allergies["sentences"][0]["transcript_items"]


@pytest.mark.parametrize(
    ("template", "keys"),
    [
        ("GENERAL_MEDICINE_AP_MERGED", {"ASSESSMENT_AND_PLAN"}),
        ("CARDIOLOGY", {"ALLERGIES", "ASSESSMENT"}),
        ("PSYCHIATRY", {"CHIEF_COMPLAINT", "SOCIAL_HISTORY"}),
        ("DIET", {"DIET_CHIEF_COMPLAINT", "DIET_MEDICAL_HISTORY", "DIET_APPOINTMENTS"}),
        ("PSYCHOLOGY", {"PSYCHOLOGY_HISTORY_OF_COMPLAINT"}),
        ("SOAP", {"SOAP_SUBJECTIVE", "SOAP_PLAN"}),
        ("GENERAL_MEDICINE_WCC", {"ALLERGIES"}),
        ("SOAP_WCC", {"SOAP_SUBJECTIVE"}),
        ("GENERAL_MEDICINE_EMERGENCY", {"ALLERGIES"}),
        ("SOAP_EMERGENCY", {"SOAP_ASSESSMENT"}),
    ],
)
def test_every_template_of_the_page_has_its_own_keys(customer: Customer, template: str, keys: set[str]) -> None:
    answer = customer.post("digest", DIGEST | {"note_template": template, "split_by_problem": True})
    assert answer.status_code == 200, answer.text
    assert keys <= {section["key"] for section in answer.json()["note"]["sections"]}


def test_too_little_said_is_the_vendor_s_own_error(customer: Customer) -> None:
    for items in ([], [{"text": "Hello.", "speaker": "doctor"}], [{"text": " ", "speaker": "patient"}]):
        answer = customer.post("digest", DIGEST | {"transcript_items": items})
        assert (answer.status_code, answer.json()) == (422, HTTP_ERROR)


async def test_a_note_is_posted_when_it_is_written(customer: Customer) -> None:
    async with receiving() as receiver:
        body = DIGEST | {"callback_url": receiver.url, "client_request_id": str(uuid4())}
        accepted = (await run_sync(customer.post, "digest_async", body)).json()
        (got,) = await receiver.until(1)
        assert (await run_sync(customer.post, "digest_async", body)).json() == accepted
        assert (await run_sync(customer.job, accepted["request_id"])).status_code == 404  # it is none of those
    told = json.loads(got.body)
    assert has_shape(told, accepted | {"note": NOTE})
    assert told["request_id"] == accepted["request_id"]
    assert "transcript" not in told


def test_a_note_can_be_looked_for(server: RunningServer, customer: Customer, webm: bytes) -> None:
    asked = DIGEST | {"client_request_id": str(uuid4())}
    begun = customer.post("generate-note-async", asked).json()
    assert begun["status"] in ("ongoing", "succeeded")
    over = customer.finished(begun["id"])
    assert over["status"] == "succeeded"
    assert has_shape(over, {"id": "", "client_request_id": "", "payload": {"note": NOTE}})
    assert customer.post("generate-note-async", asked).json() == over
    short = customer.post("generate-note-async", DIGEST | {"transcript_items": [{"text": "Hello there."}]}).json()
    failed = customer.finished(short["id"])
    assert (failed["status"], failed["error"]) == ("failed", HTTP_ERROR)
    stranger = Customer(server, make_key(server, f"tenant{uuid4().hex}"))
    for who, job in ((stranger, begun["id"]), (customer, str(uuid4())), (customer, "nothing"), (customer, "0" * 24)):
        answer = who.job(job)
        assert (answer.status_code, answer.json()["name"]) == (404, "NOT_FOUND")


# Generation C


@pytest.mark.parametrize("base", CORE)
def test_generation_c_writes_notes_in_its_own_words(server: RunningServer, base: str) -> None:
    core = Customer(server, base=base)
    asked: Json = {"note_locale": "ENGLISH_US", "transcript_items": SPOKEN_C}
    answer = core.post("generate-note", asked)
    assert answer.status_code == 200, answer.text
    assert has_shape(answer.json(), NOTE_C)
    soap: Json = {
        "note_template_key": "GENERIC_SOAP",
        "note_sections_customization": [
            {"section_key": "SUBJECTIVE", "style": "BULLET_POINTS", "level_of_detail": "X"}
        ],
        "structured_context": {"patient_demographics": {"name": "Mrs Miller", "gender": "FEMALE"}},
    }
    note = core.post("generate-note", asked | soap).json()["note"]
    texts = {section["key"]: section["text"] for section in note["sections"]}
    assert set(texts) <= {"SUBJECTIVE", "OBJECTIVE", "ASSESSMENT", "PLAN"}
    assert texts["SUBJECTIVE"].startswith("- ")
    assert not texts["ASSESSMENT"].startswith("- ")
    assert (note["template"], note["locale"]) == ("GENERIC_SOAP", "ENGLISH_US")


async def test_generation_c_tells_webhooks_and_signs(server: RunningServer) -> None:
    tenant = f"tenant{uuid4().hex}"
    core = Customer(server, make_key(server, tenant), CORE[0])
    options = ("--dialect", "nabla", "--data-dir", str(server.data_dir))
    async with receiving() as receiver:
        made = await run_sync(
            partial(auscult, "webhooks", "set", tenant, receiver.url, *options, environment=server.environment)
        )
        secret = made.stdout.split()[-1]
        asked = {"transcript_items": SPOKEN_C, "client_request_id": str(uuid4())}
        begun = (await run_sync(core.post, "generate-note-async", asked)).json()
        (got,) = await receiver.until(1)
        over = await run_sync(core.finished, begun["id"])
        await run_sync(core.post, "generate-note", {"transcript_items": SPOKEN_C})  # tells nobody
    event = json.loads(got.body)
    assert_signed(got, secret)
    assert event["type"] == "generate_note_async.succeeded"
    assert UUID(event["id"])
    assert datetime.fromisoformat(event["created_at"])
    assert event["data"] == over
    assert over["status"] == "SUCCEEDED"
    assert has_shape(over["payload"], NOTE_C)
    assert len(receiver.got) == 1


def assert_signed(got: Got, secret: str) -> None:
    """As the vendor's page on webhooks has it: the timestamp, immediately followed by the raw body."""
    stamp = got.headers["x-nabla-webhook-timestamp"]
    assert datetime.fromisoformat(stamp)
    expected = hmac.new(secret.encode(), stamp.encode() + got.body, hashlib.sha256).hexdigest()
    assert expected in got.headers["x-nabla-webhook-signature"].split(",")


def test_a_browser_s_token_writes_notes_on_the_users_path(server: RunningServer) -> None:
    with client(server.base_url, server.key) as api:
        made = api.post("/api/tokens", json={"scope": "stream"})
        token = made.json()["token"]
        user = Customer(server, token, BASES[1])
        job = user.post("generate-note-async", DIGEST).json()["id"]
        assert user.finished(job)["status"] == "succeeded"
        assert Customer(server).job(job).status_code == 200
        other = api.post("/api/tokens", json={"scope": "stream"}).json()["token"]
    assert Customer(server, other, BASES[1]).job(job).status_code == 404


# Bad input


def refused(answer: requests.Response, status: int, name: str) -> bool:
    body = answer.json()
    return (answer.status_code, body["name"], type(body["message"]), type(body["code"])) == (status, name, str, int)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"output_objects": []}, "BAD_REQUEST"),
        ({"output_objects": ["summary"]}, "BAD_REQUEST"),
        ({"language": "de-DE"}, "BAD_REQUEST"),
        ({"language": None}, "BAD_REQUEST"),
        ({"section_style": "poem"}, "BAD_REQUEST"),
        ({"output_objects": ["note"], "note_template": "DERMATOLOGY"}, "UNKNOWN_TEMPLATE"),
        ({"output_objects": ["note"], "note_template": "GENERAL_MEDICINE_AP_MERGED", "language": "fr"}, "BAD_REQUEST"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(customer: Customer, webm: bytes, parameters: Json, name: str) -> None:
    assert refused(customer.listen(webm, **parameters), 400, name)


def test_what_is_no_audio_is_refused(customer: Customer, webm: bytes) -> None:
    assert refused(customer.listen(webm, "video/webm"), 400, "BAD_REQUEST")
    assert refused(customer.listen(webm, "text/plain"), 400, "BAD_REQUEST")
    assert refused(customer.listen(b"<html>this is no audio at all</html>"), 400, "UNSUPPORTED_AUDIO")
    assert refused(customer.listen(b""), 400, "BAD_REQUEST")
    assert refused(customer.listen(b"OggS\0" + bytes(5000)), 422, "UNDECODABLE_AUDIO")
    assert customer.listen(webm, "application/octet-stream").status_code == 200


@pytest.mark.parametrize(
    "parts",
    [
        [("request_parameters", (None, json.dumps(PARAMETERS)))],
        [("file", ("a.webm", b"\x1aE\xdf\xa3" + bytes(500), "audio/webm"))],
        [("file", ("a.wav", b"RIFF" + bytes(500), "audio/wav"))] * 2,
        [("request_parameters", (None, json.dumps(PARAMETERS)))] * 2,
        [("request_parameters", (None, "no json"))],
        [("request_parameters", (None, "[" * 10_000))],
        [("request_parameters", (None, '{"language": "en-US"}'))],
    ],
)
def test_a_form_that_is_not_as_it_should_be_is_refused(server: RunningServer, parts: list[tuple[str, Any]]) -> None:
    headers = {"Authorization": f"Bearer {server.key}"}
    answer = requests.post(f"{server.base_url}{BASES[0]}/listen", files=parts, headers=headers, timeout=30)
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"message", "code", "name"}


@pytest.mark.parametrize(
    ("name", "change", "status", "error"),
    [
        ("listen_async", {"callback_url": None}, 400, "BAD_REQUEST"),
        ("listen_async", {"callback_url": "http://10.0.0.1/x"}, 400, "ADDRESS_REFUSED"),
        ("listen_async", {"callback_url": "file:///etc/passwd"}, 400, "ADDRESS_REFUSED"),
        ("listen_async", {"callback_url": ""}, 400, "BAD_REQUEST"),
        ("listen_async", {"file_url": "http://169.254.169.254/latest"}, 400, "ADDRESS_REFUSED"),
        ("listen_async", {"file_url": None}, 400, "BAD_REQUEST"),
        ("listen_async", {"url": "https://files.example.org/other.mp3"}, 400, "BAD_REQUEST"),
        ("listen_async", {"client_request_id": "x" * 129}, 400, "BAD_REQUEST"),
        ("listen_async", {"split_by_sentence": "yes"}, 400, "BAD_REQUEST"),
        ("digest", {"output_objects": ["transcript_item"]}, 400, "BAD_REQUEST"),
        ("digest", {"transcript_items": [{"text": "Hello.", "speaker": "nurse"}]}, 400, "BAD_REQUEST"),
        ("digest", {"transcript_items": None}, 400, "BAD_REQUEST"),
        ("digest", {"note_template": "DERMATOLOGY"}, 400, "UNKNOWN_TEMPLATE"),
        ("digest", {"note_template": "GENERAL_MEDICINE_AP_MERGED", "language": "fr-FR"}, 400, "BAD_REQUEST"),
        ("digest", {"language": "fr-FR"}, 422, "NOTE_LANGUAGE_UNSUPPORTED"),
        ("digest_async", {"callback_url": "http://10.0.0.1/x"}, 400, "ADDRESS_REFUSED"),
    ],
)
def test_bodies_that_mean_nothing_are_refused(
    customer: Customer, name: str, change: Json, status: int, error: str
) -> None:
    urls = {"file_url": "https://files.example.org/visit.mp3", "callback_url": "https://emr.example.org/done"}
    good = DIGEST if name.startswith("digest") else LISTEN
    answer = customer.post(name, good | urls | change)
    assert refused(answer, status, error), answer.text


def test_a_customer_of_generation_c_is_told_what_is_wrong(server: RunningServer) -> None:
    core = Customer(server, base=CORE[0])
    good: Json = {"transcript_items": SPOKEN_C}
    for change in ({"note_locale": "GERMAN_DE"}, {"note_template": "SOAP"}, {"transcript_items": "all"}):
        assert refused(core.post("generate-note", good | change), 400, "BAD_REQUEST")
    customised = good | {"note_sections_customization": [{"section_key": "PLAN", "style": "POEM"}]}
    assert refused(core.post("generate-note", customised), 400, "BAD_REQUEST")
    assert core.post("generate-note", {"transcript_items": []}).json() == HTTP_ERROR


def test_who_may_not_and_how_it_may_not_be_called(server: RunningServer) -> None:
    stranger = Customer(server, "no-key")
    for answer in (stranger.post("digest", DIGEST), stranger.listen(b""), stranger.job("x")):
        assert refused(answer, 401, "UNAUTHORIZED")
        assert answer.json()["code"] == 401
    headers = {"Authorization": f"Bearer {server.key}"}
    answer = requests.put(f"{server.base_url}{BASES[0]}/digest", headers=headers, timeout=30)
    assert refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "POST"
    for body, kind in ((b"no json", "application/json"), (b"[" * 10_000, "text/plain"), (b"\xff\xfe", "")):
        url, typed = f"{server.base_url}{BASES[0]}/digest", headers | {"Content-Type": kind}
        assert refused(requests.post(url, body, headers=typed, timeout=30), 400, "BAD_REQUEST")
    answer = requests.post(f"{server.base_url}{BASES[0]}/listen", json=PARAMETERS, headers=headers, timeout=30)
    assert refused(answer, 400, "BAD_REQUEST")
    large = json.dumps(DIGEST | {"patient_context": "x" * (2 << 20)})
    assert refused(requests.post(url, large, headers=headers, timeout=30), 413, "TOO_LARGE")
