"""Haidy's uploads against the real server, sent as the vendor's page sends them."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from bench.recordings import Recording
from bench.server import RunningServer
from tests import audio
from tests.acceptance.conftest import client, make_key
from tests.acceptance.haidy import STATUSES, chunk, poll, post, wait
from tests.acceptance.test_haidy import encoded, wav

FINISHED = {
    "mp4": audio.Recipe(container="mp4", codec="aac", rate=16_000, live=False),
    "m4a": audio.Recipe(container="ipod", codec="aac", rate=16_000, live=False),
}
GARBAGE = bytes(range(256)) * 40
FILE, BASE64 = "/v2/audio/transcribe_file", "/v2/audio/transcribe_base64"


@pytest.fixture
def stranger(scripted_server: RunningServer) -> Iterator[httpx.Client]:
    """Another tenant."""
    with client(scripted_server.base_url, make_key(scripted_server, "another clinic")) as made:
        yield made


@pytest.fixture(scope="module")
def short(headache: Recording) -> bytes:
    return wav(headache, 6)


def upload(api: httpx.Client, *files: bytes, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    """The page's form: the files, then `language` and whatever else."""
    parts: list[tuple[str, Any]] = [("audio_files", ("recording.m4a", octets)) for octets in files]
    for name, value in ({"language": "de-CH"} | fields).items():
        parts += [(name, (None, each)) for each in (value if isinstance(value, list) else [value])]
    return api.post(FILE, files=parts, headers=headers)


def encode(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def request(encoded_audio: str, **more: Any) -> dict[str, Any]:
    """The page's request body."""
    return {
        "file_base64": encoded_audio,
        "file_name": "recording.m4a",
        "language": "de-CH",
        "glossary": ["medical-terms"],
    } | more


def done(api: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return wait(api, answer.json()["task_id"])[-1]


def test_an_upload_is_queued_as_the_page_says_and_given_out_once(api: httpx.Client, short: bytes) -> None:
    answer = upload(api, short, glossary='["medical-terms", "cardiology"]')
    assert answer.status_code == 200, answer.text
    queued = answer.json()
    assert queued.keys() == {"task_id", "status", "percentage", "started_at", "completed_at", "status_changes_at"}
    assert (queued["status"], queued["percentage"], queued["completed_at"]) == ("QUEUED", 0, None)
    assert "CREATED" in queued["status_changes_at"]
    seen = wait(api, queued["task_id"])
    task = seen[-1]
    assert task["status"] == "DONE"
    assert task["percentage"] == 100
    assert list(task["status_changes_at"]) == list(STATUSES)
    assert [each["percentage"] for each in seen] == sorted(each["percentage"] for each in seen)
    assert task["result"].keys() == {"bubbles"}
    for bubble in task["result"]["bubbles"]:
        assert isinstance(bubble["text"], str)
        assert isinstance(bubble["start"], float)
        assert isinstance(bubble["end"], float)
    assert "additional_info" not in task
    again = poll(api, queued["task_id"])
    assert (again.status_code, again.json()) == (404, "Task not found")


def test_files_are_joined_in_their_order(api: httpx.Client, headache: Recording) -> None:
    three, six = wav(headache, 3), wav(headache, 6)
    ends = []
    for files in ((three,), (six,), (three, six), (six, three)):
        ends.append(done(api, upload(api, *files, language="en"))["result"]["bubbles"][-1]["end"])
        first, *more = map(encode, files)
        task = done(api, api.post(BASE64, json=request(first, additional_audio_base64=more)))
        assert task["result"]["bubbles"][-1]["end"] == ends[-1]
    assert ends[2] > 3 + ends[0]
    assert ends[3] > 6


def test_base64_is_joined_behind_the_first_file_however_the_fields_are_sorted(
    api: httpx.Client, headache: Recording
) -> None:
    three, six = encode(wav(headache, 3)), encode(wav(headache, 6))
    body = request(six, additional_audio_base64=[three])
    sorted_other = dict(reversed(body.items()))
    told = [done(api, api.post(BASE64, json=each))["result"]["bubbles"] for each in (body, sorted_other)]
    assert [(b["start"], b["end"], b["text"]) for b in told[0]] == [(b["start"], b["end"], b["text"]) for b in told[1]]


@pytest.mark.parametrize("kind", ["mp3", "wav", "webm", "mp4", "m4a"])
def test_every_format_of_the_page_is_heard(api: httpx.Client, headache: Recording, kind: str) -> None:
    if kind in FINISHED:
        data = audio.encode(headache.mono()[: 16000 * 6], FINISHED[kind])
    else:
        data = encoded(headache, kind, seconds=6)
    assert done(api, upload(api, data))["result"]["bubbles"][-1]["end"] > 4
    data_url = f"data:audio/{kind};codecs=opus;base64,{encode(data)}"
    assert done(api, api.post(BASE64, json=request(data_url)))["result"]["bubbles"][-1]["end"] > 4


@pytest.mark.parametrize(
    ("glossary", "warnings"),
    [
        ('["medical-terms", "cardiology"]', 0),
        (["medical-terms", "cardiology"], 0),
        ("cardiology", 0),
        ('"cardiology"', 0),
        ("null", 0),
        ("", 0),
        (["cardiology", '["nowhere"]'], 1),
        ('["nowhere"', 1),
    ],
)
def test_a_glossary_comes_in_every_form(api: httpx.Client, short: bytes, glossary: Any, warnings: int) -> None:
    for answer in (
        upload(api, short, glossary=glossary),
        api.post(BASE64, json=request(encode(short), glossary=glossary)),
    ):
        told = done(api, answer).get("additional_info", {}).get("warnings", [])
        assert len(told) == warnings or (isinstance(glossary, list) and len(told) == 1)


@pytest.mark.parametrize("language", ["de", "fr", "it", "en", "es", "de-CH"])
def test_every_language_of_the_page_is_accepted(api: httpx.Client, short: bytes, language: str) -> None:
    assert done(api, upload(api, short, language=language))["status"] == "DONE"


def test_a_language_that_the_recogniser_lacks_fails_with_the_command_that_mends_it(
    sphinx_api: httpx.Client, short: bytes
) -> None:
    for answer in (upload(sphinx_api, short), sphinx_api.post(BASE64, json=request(encode(short)))):
        task = done(sphinx_api, answer)
        assert task["status"] == "FAILED"
        assert "auscult models fetch" in task["additional_info"]["message"]


def test_a_template_asks_for_a_note(api: httpx.Client, headache: Recording) -> None:
    task = done(api, upload(api, wav(headache, 6), language="en", template="SOAP"))
    assert "note" in task["result"] or "note" in task["additional_info"]


def test_a_repeat_with_its_key_is_the_same_task(api: httpx.Client, short: bytes) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    first = upload(api, short, headers=key).json()["task_id"]
    assert upload(api, short, headers=key).json()["task_id"] == first
    live = post(api, chunk(short, final=True), headers=key).json()["task_id"]
    assert live != first
    for each in (first, live):
        wait(api, each)


GOOD = "a recording"  # in its place


def without(field: str) -> dict[str, Any]:
    body = request(GOOD)
    del body[field]
    return body


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (without("file_base64"), "No audio file provided"),
        (request(""), "No audio file provided"),
        (request("data:audio/mp4;base64,"), "No audio file provided"),
        (without("file_name"), "File name is required"),
        (request(GOOD, file_name=" "), "File name is required"),
        (request(GOOD, file_name=None), "File name is required"),
        (request("not base64 at all!"), "Invalid base64 audio file"),
        (request("data:audio/mp4,plain"), "Invalid base64 audio file"),
        (request("AAAAA"), "Could not decode base64 audio file"),
        (request("AA==AAAA"), "Could not decode base64 audio file"),
        (without("language"), "language"),
        (request(GOOD, language="klingon"), "de-CH"),
        (request(GOOD, language=3), "language"),
        (request(encode(GARBAGE)), "no audio"),
        (request(None), "file_base64"),  # type: ignore[arg-type]
        (request(17), "file_base64"),  # type: ignore[arg-type]
        (request(GOOD, additional_audio_base64=[""]), "No audio file provided"),
        (request(GOOD, additional_audio_base64=[GOOD, "AAAAA"]), "Could not decode base64 audio file"),
        (request(GOOD, additional_audio_base64=GOOD), "additional_audio_base64"),
        (request(GOOD, additional_audio_base64=[17]), "additional_audio_base64"),
        (request(GOOD, glossary={"a": 1}), "glossary"),
    ],
)
def test_a_wrong_base64_request_gets_the_pages_error(
    api: httpx.Client, short: bytes, body: dict[str, Any], says: str
) -> None:
    answer = api.post(BASE64, content=json.dumps(body).replace(GOOD, encode(short)))
    assert answer.status_code == 400
    assert isinstance(answer.json(), str)
    assert says in answer.json()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"language": "klingon"}, "de-CH"),
        ({"language": ""}, "'language' is required"),
        ({"language": ["de", "fr"]}, "'language' is given more than once"),
        ({"expected_speakers": "many"}, "expected_speakers"),
        ({"expected_speakers": "7"}, "expected_speakers"),
        ({"glossary": json.dumps(["x"] * 33)}, "glossaries"),
    ],
)
def test_a_wrong_field_is_named(api: httpx.Client, short: bytes, fields: dict[str, Any], says: str) -> None:
    answer = upload(api, short, **fields)
    assert (answer.status_code, says in answer.json()) == (400, True), answer.text


def test_a_form_without_audio_or_with_something_else_gets_the_pages_error(api: httpx.Client, short: bytes) -> None:
    for answer in (upload(api), upload(api, b""), upload(api, short, b"")):
        assert (answer.status_code, answer.json()) == (400, "No audio file provided")
    for answer in (upload(api, GARBAGE), upload(api, b"x"), api.post(FILE, json={"language": "de"}), api.post(FILE)):
        assert answer.status_code == 400
        assert isinstance(answer.json(), str)
    unknown = upload(api, short, favourite_colour="blue", language="en")
    assert done(api, unknown)["status"] == "DONE"


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"not json", b"[1, 2", b'{"a": ' * 10_000, b"[" * 10_000, b'"text"', b"\xff\xfe",
        b'{"file_base64": "AAAA', b'{"file_base64": "AAAA", "file_base64": "AAAA"}', b'{"file_base64": "\\ud800"}',
        b'{"file_name": "a", "file_base64": "' + b"\x00" * 50,
    ],
)  # fmt: skip
def test_what_is_no_json_is_a_bad_request(api: httpx.Client, raw: bytes) -> None:
    answer = api.post(BASE64, content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert isinstance(answer.json(), str)


def test_more_than_the_envelope_or_more_files_than_there_may_be_is_too_large(api: httpx.Client, short: bytes) -> None:
    assert api.post(BASE64, json=request(encode(short), file_name="x" * 100_000)).status_code == 413
    assert upload(api, *[short] * 17).status_code == 413
    assert upload(api, short, language="x" * 100_000).status_code == 413


def test_a_video_without_sound_fails_with_the_reason(api: httpx.Client) -> None:
    task = done(api, upload(api, audio.video("mp4", audio=False)))
    assert task["status"] == "FAILED"
    assert "no audio track" in task["additional_info"]["message"]


def test_a_task_of_files_takes_no_chunks_and_is_nobody_else_s(
    api: httpx.Client, stranger: httpx.Client, short: bytes
) -> None:
    task_id = upload(api, short).json()["task_id"]
    for answer in (
        post(api, chunk(short, task_id)),
        post(api, chunk(b"", task_id, final=True)),
        post(stranger, chunk(short, task_id)),
        poll(stranger, task_id),
    ):
        assert (answer.status_code, answer.json()) == (404, "Task not found")
    assert wait(api, task_id)[-1]["status"] == "DONE"


def test_no_key_no_answer_and_other_methods_are_none(scripted_server: RunningServer, short: bytes) -> None:
    with client(scripted_server.base_url, "wrong") as nobody:
        for answer in (upload(nobody, short), nobody.post(BASE64, json=request(encode(short)))):
            assert answer.status_code == 401
            assert isinstance(answer.json(), str)
    for path in (FILE, BASE64):
        answer = httpx.get(scripted_server.base_url + path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
