"""Haidy's live chunks against the real server, with real words."""

import re
import wave
from dataclasses import replace
from io import BytesIO
from uuid import uuid4

import httpx
import numpy as np
import pytest

from bench.recordings import Recording
from tests.acceptance.haidy import STATUSES, chunk, pieces, poll, post, send, wait
from tests.acceptance.spoken import said_before
from tests.audio import RECIPES, encode


def wav(recording: Recording, seconds: float | None = None) -> bytes:
    pcm = recording.mono()[: None if seconds is None else int(seconds * 16000)]
    file = BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 16000, 0, "NONE", ""))
        writer.writeframes((pcm * 32767).astype("<i2").tobytes())
    return file.getvalue()


def encoded(recording: Recording, kind: str, seconds: float | None = None) -> bytes:
    """A recording in a container of `tests.audio.RECIPES`, or in WAV."""
    if kind == "wav":
        return wav(recording, seconds)
    pcm = recording.mono()[: None if seconds is None else int(seconds * 16000)]
    return encode(pcm, replace(RECIPES[kind], rate=16000))


WORD = re.compile(r"[a-z']+")
SECONDS = 24  # of the consultation: nobody speaks just then


@pytest.fixture(scope="module")
def webm(headache: Recording) -> bytes:
    return encoded(headache, "webm", SECONDS)


@pytest.mark.slow
def test_a_recorder_that_streams_webm_gets_bubbles_while_it_talks_and_a_note_at_the_end(
    whisper_api: httpx.Client, webm: bytes, headache: Recording
) -> None:
    first = post(whisper_api, chunk(webm[:9000])).json()
    assert first["status"] == "QUEUED"
    assert first["percentage"] == 0
    assert first["completed_at"] is None
    live = []
    for piece in pieces(webm[9000:], 7001):
        assert post(whisper_api, chunk(piece, first["task_id"])).status_code == 200
        live.append(poll(whisper_api, first["task_id"]).json())
    post(whisper_api, chunk(b"", first["task_id"], final=True))
    seen = live + wait(whisper_api, first["task_id"])
    done = seen[-1]

    assert done["status"] == "DONE"
    assert list(done["status_changes_at"]) == list(STATUSES)
    assert list(done["status_changes_at"].values()) == sorted(done["status_changes_at"].values())
    percentages = [task["percentage"] for task in seen]
    assert percentages == sorted(percentages)
    assert done["completed_at"] >= done["started_at"]
    bubbles = done["result"]["bubbles"]
    said = set(WORD.findall(" ".join(bubble["text"] for bubble in bubbles).lower()))
    meant = set(WORD.findall(" ".join(item.text for item in said_before(headache, SECONDS)).lower()))
    assert len(said & meant) > 0.8 * len(meant)
    assert [bubble["start"] for bubble in bubbles] == sorted(bubble["start"] for bubble in bubbles)
    assert all(bubble["start_ms"] == round(bubble["start"] * 1000) for bubble in bubbles)
    ids = {bubble["id"] for bubble in bubbles}
    for section in done["result"]["note"]["sections"]:
        for sentence in section["sentences"]:
            assert 1 <= len(sentence["bubble_ids"]) <= 4
            assert set(sentence["bubble_ids"]) <= ids


def test_a_task_that_was_fetched_is_gone(api: httpx.Client, headache: Recording) -> None:
    task_id = send(api, [wav(headache, 3)])
    wait(api, task_id)
    again = poll(api, task_id)
    assert (again.status_code, again.json()) == (404, "Task not found")


def test_the_pages_german_snippet_is_accepted_and_fails_with_the_command_that_mends_it(
    sphinx_api: httpx.Client, webm: bytes
) -> None:
    german = {"template": "de-internal-medicine", "language": "de-CH", "glossary": ["medical-terms", "cardiology"]}
    task_id = send(sphinx_api, pieces(webm[:30_000], 10_000), parameters=german)
    failed = wait(sphinx_api, task_id)[-1]
    assert failed["status"] == "FAILED"
    assert "sphinx" in failed["additional_info"]["message"]
    assert "auscult models fetch" in failed["additional_info"]["message"]


def test_an_unknown_glossary_and_template_are_warnings(api: httpx.Client, headache: Recording) -> None:
    odd = {"template": "nobody-knows", "language": "en", "glossary": '["nowhere"]'}
    task = wait(api, send(api, [wav(headache, 3)], parameters=odd))[-1]
    assert task["status"] == "DONE"
    assert len(task["additional_info"]["warnings"]) == 2


def test_too_little_said_says_so_and_delivers_the_transcript(api: httpx.Client, headache: Recording) -> None:
    task = wait(api, send(api, [wav(headache, 3)]))[-1]
    assert task["status"] == "DONE"
    assert task["result"]["bubbles"]
    assert "note" not in task["result"]
    assert "too short" in task["additional_info"]["note"]


def test_silence_is_done_without_bubbles(api: httpx.Client) -> None:
    silence = np.zeros(16000 * 3, "<i2").tobytes()
    task = wait(api, send(api, [silence], file_format="pcm"))[-1]
    assert task["status"] == "DONE"
    assert task["result"]["bubbles"] == []
    assert "note" not in task["result"]
    assert "too short" in task["additional_info"]["note"]


def test_a_chunk_with_a_number_may_be_sent_again(api: httpx.Client, headache: Recording) -> None:
    pcm = (headache.mono()[: 16000 * 6] * 32767).astype("<i2").tobytes()
    once = wait(api, send(api, [pcm], file_format="pcm"))[-1]["result"]["bubbles"]
    first, second = pcm[: len(pcm) // 2], pcm[len(pcm) // 2 :]
    task_id = post(api, chunk(first, file_format="pcm", chunk_index=0)).json()["task_id"]
    for _ in range(3):
        assert post(api, chunk(second, task_id, file_format="pcm", chunk_index=1)).status_code == 200
    post(api, chunk(b"", task_id, final=True, file_format="pcm", chunk_index=2))
    assert post(api, chunk(b"", task_id, final=True, file_format="pcm", chunk_index=1)).status_code == 200
    twice = wait(api, task_id)[-1]["result"]["bubbles"]
    assert [(b["start_ms"], b["end_ms"]) for b in twice] == [(b["start_ms"], b["end_ms"]) for b in once]


def test_a_new_session_with_an_idempotency_key_is_opened_once(api: httpx.Client, headache: Recording) -> None:
    header = {"Idempotency-Key": str(uuid4())}
    body = chunk(wav(headache, 3))
    first, again = (post(api, body, headers=header).json()["task_id"] for _ in range(2))
    assert first == again
    post(api, chunk(b"", first, final=True))
    wait(api, first)


def test_raw_pcm_at_eight_kilohertz_keeps_its_times(api: httpx.Client, headache: Recording) -> None:
    full = headache.mono()[: 16000 * 10]
    telephone = (full[::2] * 32767).astype("<i2").tobytes()
    wide = (full * 32767).astype("<i2").tobytes()
    ends = [
        wait(api, send(api, pieces(pcm, 3001), file_format="pcm_s16le", sample_rate=rate))[-1]["result"]["bubbles"][-1]
        for pcm, rate in ((telephone, 8000), (wide, 16000))
    ]
    assert abs(ends[0]["end_ms"] - ends[1]["end_ms"]) < 200


@pytest.mark.parametrize("container", ["webm", "fragmented mp4", "ogg", "mp3", "wav"])
@pytest.mark.parametrize("size", [997, 20_000])
def test_every_container_is_heard_however_it_is_cut(
    api: httpx.Client, headache: Recording, container: str, size: int
) -> None:
    data = encoded(headache, container, seconds=8)
    # the bytes decide: the declared format is wrong on purpose
    task = wait(api, send(api, pieces(data, size), file_format="mp3"))[-1]
    assert task["status"] == "DONE", task
    (last,) = task["result"]["bubbles"][-1:]
    assert 4000 < last["end_ms"] <= 8200


def test_complete_files_as_chunks_are_joined(api: httpx.Client, headache: Recording) -> None:
    file = wav(headache, 5)
    task = wait(api, send(api, [file, file]))[-1]
    assert task["result"]["bubbles"][-1]["end_ms"] > 6000
