"""SOAPNoteAPI's clients, written as the vendor's pages have them in Python, and the shapes of the pages' examples."""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import requests

Json: TypeAlias = dict[str, Any]

POLL_S = 0.1
PATIENCE_S = 90
CONSULTATION = (
    "Doctor: What brings you in today?\n"
    "Patient: I've had a cough and a fever for three days.\n"
    "Doctor: Any chest pain?\n"
    "Patient: No.\n"
    "Doctor: Your lungs are clear and your temperature is 38.2. I think you have acute bronchitis, ICD-10 code J20.9."
    " I'd like you to rest and drink plenty of fluids. Come back in one week if it is not better."
    " The visit is CPT code 99213."
)
DICTATED = (  # the transcript of the page's cURL example
    "Patient is a 52-year-old male presenting with lower back pain for the past 3 weeks. Pain is rated 6/10, worsens "
    "with sitting, improves with walking. No radiculopathy. No bowel or bladder changes. Taking ibuprofen 400mg PRN "
    "with partial relief."
)
UPLOADED: Json = {
    "noteId": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
    "status": "processing",
    "status_url": "/v1/audio/status/a1b2c3d4-e5f6-7890-abcd-ef1234567890",
}
IN_WORK: Json = {"noteId": "a1b2c3d4-e5f6-7890-abcd-ef1234567890", "status": "processing"}
CODES: Json = {
    "icd10": [{"code": "I10", "description": "Essential hypertension"}],
    "cpt": [{"code": "99214", "description": "Office visit, established patient"}],
}
FINISHED: Json = {
    "noteId": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
    "status": "completed",
    "note": {
        "noteId": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
        "subjective": "Patient presents for follow-up...",
        "objective": "Vital signs: BP 130/84...",
        "assessment": "Hypertension, improving...",
        "plan": "1. Continue current medication...",
        "transcript": "The transcribed audio content...",
        "billing_codes": CODES,
        "expires_at": "2026-03-20T15:30:00.000Z",
    },
}
WEBHOOK: Json = {
    "event": "note.generated",
    "note_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
    "status": "completed",
    "created_at": "2026-03-19T15:30:00.000Z",
    "data": FINISHED["note"] | {"patient_summary": "You visited your doctor today for cold symptoms..."},
}
TIMES = ("expires_at", "created_at")


def check_like(example: Any, answer: Any, at: str = "") -> None:
    """Everything of the example is in the answer, of the same type and, for times, in the same form."""
    assert type(answer) is type(example), at
    if isinstance(example, dict):
        for name, value in example.items():
            assert name in answer, f"{at}.{name}"
            check_like(value, answer[name], f"{at}.{name}")
            if name in TIMES:
                assert len(answer[name]) == len(value)
                assert datetime.fromisoformat(answer[name]).utcoffset() == timedelta(0)
    if isinstance(example, list):
        for each in answer:
            check_like(example[0], each, f"{at}[]")


def put_audio(url: str, key: str, octets: bytes, metadata: Mapping[str, Any], name: str = "visit.mp3") -> Any:
    """The page's upload."""
    files: Json = {
        "audio": (name, octets, "audio/mpeg"),
        "metadata": (None, json.dumps(metadata), "application/json"),
    }
    return requests.put(f"{url}/v1/note/audio", headers={"Authorization": f"Bearer {key}"}, files=files, timeout=30)


def wait_for_note(url: str, key: str, note_id: str) -> Json:
    """The page's polling, a little more often; raises as it does."""
    elapsed = 0.0
    while elapsed < PATIENCE_S:
        response = requests.get(
            f"{url}/v1/audio/status/{note_id}", headers={"Authorization": f"Bearer {key}"}, timeout=30
        )
        data: Json = response.json()
        if data["status"] == "completed":
            note: Json = data["note"]
            return note
        if data["status"] == "failed":
            raise AudioProcessingFailed(data)
        check_like(IN_WORK, data)
        time.sleep(POLL_S)
        elapsed += POLL_S
    raise TimeoutError


class AudioProcessingFailed(Exception):
    """The page's exception, with what was answered."""

    def __init__(self, answer: Json) -> None:
        super().__init__("Audio processing failed")
        self.answer = answer


def streamed(url: str, key: str, body: Json) -> str:
    """The page's SSE client: the whole note, out of `content` alone."""
    response = requests.post(
        f"{url}/v1/stream/note",
        headers={
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
        },
        json=body,
        stream=True,
        timeout=30,
    )
    full_note = ""
    lines: Iterator[Any] = response.iter_lines(decode_unicode=True)
    for line in lines:
        if line.startswith("data: "):
            data = line[6:]
            if data == "[DONE]":
                break
            try:
                parsed = json.loads(data)
                full_note += parsed["content"]
            except json.JSONDecodeError:
                pass
    return full_note
