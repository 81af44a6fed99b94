"""Bad input over HTTP: the page's clear error, never a 5xx, and what was stored stays."""

import random
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.conftest import client, make_key
from tests.acceptance.haidy import chunk, poll, post, wait
from tests.acceptance.test_haidy import encoded, wav
from tests.audio import video
from tests.audio import wav as float_wav

GARBAGE = bytes(range(256)) * 40


@pytest.fixture
def stranger(scripted_server: RunningServer) -> Iterator[httpx.Client]:
    """Another tenant."""
    with client(scripted_server.base_url, make_key(scripted_server, "another clinic")) as made:
        yield made


def without(field: str) -> dict[str, Any]:
    body = chunk(b"\x00" * 100)
    del body[field]
    return body


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (chunk(b"") | {"audio_base64": "not base64 at all!"}, 400, "Invalid base64 audio file"),
        (chunk(b"") | {"audio_base64": "AAAAA"}, 400, "Could not decode base64 audio file"),
        (chunk(b""), 400, "No audio file provided"),
        (chunk(b"") | {"audio_base64": None}, 400, "No audio file provided"),
        (chunk(GARBAGE), 400, "no audio"),
        *((without(field), 400, field) for field in ("sample_rate", "file_format", "task_id", "final", "parameters")),
        (chunk(b"x", parameters={"template": "SOAP"}), 400, "language"),
        (chunk(b"x", parameters={"language": "klingon"}), 400, "de-CH"),
        (chunk(b"x", sample_rate="fast"), 400, "sample_rate"),
        (chunk(b"x", sample_rate=7, file_format="pcm"), 400, "8000 and 48000"),
        (chunk(b"x", final="maybe"), 400, "final"),
        (chunk(b"x", "no-such-task"), 404, "Task not found"),
    ],
)
def test_a_wrong_request_gets_a_clear_error(api: httpx.Client, body: dict[str, Any], status: int, says: str) -> None:
    answer = post(api, body)
    assert answer.status_code == status
    assert isinstance(answer.json(), str)
    assert says in answer.json()


@pytest.mark.parametrize("raw", [b"", b"not json", b"[1, 2", b'{"a": ' * 10_000, b"[" * 10_000, b'"text"', b"\xff\xfe"])
@pytest.mark.parametrize("path", ["/v2/audio/audio_chunk", "/v2/tasks"])
def test_what_is_no_json_is_a_bad_request(api: httpx.Client, raw: bytes, path: str) -> None:
    answer = api.post(path, content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert isinstance(answer.json(), str)


def test_json_that_is_nested_deep_in_an_unknown_field_is_a_bad_request_or_ignored(api: httpx.Client) -> None:
    deep = b'{"task_id": "x", "unknown": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    assert api.post("/v2/tasks", content=deep).status_code in (400, 404)


def test_a_chunk_over_the_limit_is_refused_and_the_session_goes_on(api: httpx.Client, headache: Recording) -> None:
    file = wav(headache, 5)
    task_id = post(api, chunk(file)).json()["task_id"]
    answer = post(api, chunk(bytes(9_000_000), task_id))
    assert answer.status_code == 413
    assert "larger" in answer.json()
    assert post(api, chunk(b"", task_id, final=True)).status_code == 200
    assert wait(api, task_id)[-1]["result"]["bubbles"]


def test_a_chunk_after_the_final_one_is_refused(api: httpx.Client, headache: Recording) -> None:
    task_id = post(api, chunk(wav(headache, 5), final=True)).json()["task_id"]
    answer = post(api, chunk(b"more", task_id))
    assert answer.status_code == 400
    assert "final" in answer.json()
    assert post(api, chunk(b"", task_id, final=True)).status_code == 200  # says nothing new: an answer may be lost
    assert wait(api, task_id)[-1]["status"] == "DONE"


def test_a_video_without_sound_fails_with_the_reason(api: httpx.Client) -> None:
    task_id = post(api, chunk(video("mp4", audio=False), final=True, file_format="mp4")).json()["task_id"]
    failed = wait(api, task_id)[-1]
    assert failed["status"] == "FAILED"
    assert "no audio track" in failed["additional_info"]["message"]


def test_a_damaged_recording_keeps_what_was_heard_before(api: httpx.Client, headache: Recording) -> None:
    good = encoded(headache, "webm", seconds=10)
    task_id = post(api, chunk(good)).json()["task_id"]
    post(api, chunk(GARBAGE, task_id))
    post(api, chunk(b"", task_id, final=True))
    task = wait(api, task_id)[-1]
    assert task["status"] == "DONE"
    assert task["result"]["bubbles"]
    assert task["additional_info"]["warnings"] == ["A part of audio made no sense as audio and was skipped."]


def test_a_recording_that_is_nearly_all_junk_is_refused_before_it_fills_the_disk(
    api: httpx.Client, headache: Recording
) -> None:
    junk, good = random.Random(1), encoded(headache, "webm", seconds=10)
    task_id = post(api, chunk(good)).json()["task_id"]
    for _ in range(60):  # the decoder is at most sixteen chunks behind
        refused = post(api, chunk(junk.randbytes(1 << 20), task_id))
        if refused.status_code != 200:
            break
    assert refused.status_code == 400
    assert "from the first byte" in refused.json()
    assert post(api, chunk(b"", task_id, final=True)).status_code == 200
    task = wait(api, task_id)[-1]
    assert task["result"]["bubbles"]
    assert task["additional_info"]["warnings"] == ["A part of audio made no sense as audio and was skipped."]


def nonfinite(api: httpx.Client) -> float:
    lines = api.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("auscult_nonfinite_samples_total "))


def test_samples_that_are_no_numbers_become_silence_and_are_counted(api: httpx.Client, headache: Recording) -> None:
    before = nonfinite(api)
    samples = headache.mono()[: 16000 * 5].copy()
    samples[1000:1100], samples[2000:2010] = np.nan, np.inf
    header = float_wav(np.zeros_like(samples), 16000, encoding="pcm_f32le")[: -samples.nbytes]
    file = header + samples.astype("<f4").tobytes()  # the helper would clip infinity
    task = wait(api, post(api, chunk(file, final=True, file_format="wav")).json()["task_id"])[-1]
    assert task["status"] == "DONE"
    assert task["result"]["bubbles"]
    assert nonfinite(api) == before + 110


@pytest.mark.parametrize("key", [None, "wrong", "auscult_sk_" + "x" * 43])
def test_no_key_no_answer(scripted_server: RunningServer, key: str | None) -> None:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    for path in ("/v2/audio/audio_chunk", "/v2/tasks"):
        answer = httpx.post(scripted_server.base_url + path, json={"task_id": "x"}, headers=headers)
        assert answer.status_code == 401
        assert isinstance(answer.json(), str)


def test_another_tenants_task_does_not_exist(api: httpx.Client, stranger: httpx.Client, headache: Recording) -> None:
    task_id = post(api, chunk(wav(headache, 3))).json()["task_id"]
    assert poll(stranger, task_id).status_code == 404
    assert post(stranger, chunk(b"x", task_id)).status_code == 404
    post(api, chunk(b"", task_id, final=True))
    assert wait(api, task_id)[-1]["status"] == "DONE"


def test_a_wrong_method_and_a_wrong_path_are_no_server_errors(api: httpx.Client) -> None:
    assert api.get("/v2/tasks").status_code == 405
    assert api.post("/v2/nowhere").status_code == 404
