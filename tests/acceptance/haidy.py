"""A Haidy client as a customer would write it, and what tests say about tasks."""

import base64
import time
from collections.abc import Iterable
from typing import Any

import httpx

Task = dict[str, Any]

STATUSES = (
    "CREATED", "QUEUED", "STARTED", "AUDIO_PREPROCESSING", "AUDIO_PROCESSING", "TRANSCRIPTION_DONE", "DONE",
)  # fmt: skip
POLL_S = 0.1
PATIENCE_S = 90


def chunk(audio: bytes, task_id: str = "NEW", *, final: Any = False, **more: Any) -> dict[str, Any]:
    """The page's request body."""
    return {
        "audio_base64": base64.b64encode(audio).decode(),
        "sample_rate": 16000,
        "file_format": "webm",
        "task_id": task_id,
        "final": final,
        "parameters": {"template": "SOAP", "language": "en", "glossary": ["medical-terms"]},
    } | more


def post(api: httpx.Client, body: dict[str, Any], **more: Any) -> httpx.Response:
    return api.post("/v2/audio/audio_chunk", json=body, **more)


def send(api: httpx.Client, pieces: Iterable[bytes], **more: Any) -> str:
    """A whole live session; returns its task id."""
    task_id = "NEW"
    for piece in pieces:
        answer = post(api, chunk(piece, task_id, **more))
        assert answer.status_code == 200, answer.text
        task_id = answer.json()["task_id"]
    answer = post(api, chunk(b"", task_id, final=True, **more))
    assert answer.status_code == 200, answer.text
    return task_id


def poll(api: httpx.Client, task_id: str) -> httpx.Response:
    return api.post("/v2/tasks", json={"task_id": task_id})


def wait(api: httpx.Client, task_id: str) -> list[Task]:
    """Poll as the page does until the task is done or failed; every answer."""
    seen: list[Task] = []
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        answer = poll(api, task_id)
        assert answer.status_code == 200, answer.text
        seen.append(answer.json())
        if seen[-1]["status"] in ("DONE", "FAILED"):
            return seen
        time.sleep(POLL_S)
    raise AssertionError(f"not done after {PATIENCE_S} s: {seen[-1]['status']}")


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
