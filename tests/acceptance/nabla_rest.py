"""Nabla's REST API as its customers call it, and the vendor's examples as shapes that our answers must have."""

import json
import time
from typing import Any

import requests

from bench.server import RunningServer

Json = dict[str, Any]

BASES = ("/v1/copilot-api/server", "/v1/copilot-api/user", "/v1/server/copilot")
CORE = ("/v1/core/server", "/v1/core/user")
PATIENCE_S = 180  # real words on a busy machine

# The page of listen_async: names and values of its examples. It names no field for the offsets: both names are here.
ACCEPTED: Json = {"request_id": "98FCE1EF-DBCA-41EF-8BC7-4D1621AC07C6", "client_request_id": "string"}
ITEM: Json = {
    "text": "Also, I’m allergic to peanuts.",
    "speaker": "doctor",
    "start_offset_ms": 65100,
    "end_offset_ms": 69300,
    "start_time_ms": 65100,
    "end_time_ms": 69300,
}
SECTION: Json = {"key": "CHIEF_COMPLAINT", "title": "Chief complaint", "text": "Sleep disorder"}
NOTE: Json = {"title": "Fever and strong headache", "sections": [SECTION]}
LISTENED: Json = {"transcript": [ITEM], "note": NOTE}
CALLBACK: Json = ACCEPTED | LISTENED
TOO_SHORT = "We can't generate the note when the transcript is too short."
CALLBACK_ERROR: Json = ACCEPTED | {"code": 422, "message": TOO_SHORT}
HTTP_ERROR: Json = {"code": 83005, "message": TOO_SHORT, "name": "NOTE_GENERATION_TRANSCRIPT_TOO_SHORT"}
NOTE_C: Json = {"note": NOTE | {"locale": "ENGLISH_US", "template": "GENERIC_MULTIPLE_SECTIONS"}}

VISIT = [
    ("doctor", "Good morning. What brings you in today?"),
    ("patient", "I have had a bad cough for two weeks."),
    ("doctor", "Have you had a fever?"),
    ("patient", "Yes, I had a fever for the first three days."),
    ("doctor", "Are you allergic to anything?"),
    ("patient", "Yes, I am allergic to penicillin. It gave me a rash."),
    ("doctor", "Do you smoke?"),
    ("patient", "I used to smoke, but I quit ten years ago."),
    ("doctor", "I think this is a bronchitis."),
    ("doctor", "Please drink plenty of water, and come back in one week."),
]
SPOKEN = [{"text": text, "speaker": speaker} for speaker, text in VISIT]
SPOKEN_C = [{"text": text, "speaker_type": speaker.upper()} for speaker, text in VISIT]
DIGEST: Json = {"output_objects": ["note"], "language": "en-US", "transcript_items": SPOKEN}
PARAMETERS: Json = {"output_objects": ["transcript_item"], "language": "en-US", "split_by_sentence": True}


def has_shape(value: Any, example: Any) -> bool:
    """Whether a value has all the names of an example, and its types; a list is not empty, and each element is so."""
    if isinstance(example, dict):
        return isinstance(value, dict) and all(
            name in value and has_shape(value[name], example[name]) for name in example
        )
    if isinstance(example, list):
        return isinstance(value, list) and bool(value) and all(has_shape(each, example[0]) for each in value)
    return type(value) is type(example)


class Customer:
    """One of Nabla's, with another base URL and key."""

    def __init__(self, server: RunningServer, key: str = "", base: str = BASES[0]) -> None:
        self._root = server.base_url
        self._base = base
        self._headers = {"Authorization": f"Bearer {key or server.key}"}

    def listen(self, audio: bytes, content_type: str = "audio/webm", **more: Any) -> requests.Response:
        """`POST …/listen`."""
        form: dict[str, Any] = {
            "file": ("visit.webm", audio, content_type),
            "request_parameters": (None, json.dumps(PARAMETERS | more), "application/json"),
        }
        return requests.post(f"{self._root}{self._base}/listen", files=form, headers=self._headers, timeout=PATIENCE_S)

    def post(self, name: str, body: Any) -> requests.Response:
        """One of the endpoints that take JSON."""
        url = f"{self._root}{self._base}/{name}"
        return requests.post(url, json=body, headers=self._headers, timeout=PATIENCE_S)

    def job(self, job: str) -> requests.Response:
        """`GET …/generate-note-async/{id}`."""
        url = f"{self._root}{self._base}/generate-note-async/{job}"
        return requests.get(url, headers=self._headers, timeout=PATIENCE_S)

    def finished(self, job: str) -> Json:
        """The job when it is over."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            shown: Json = self.job(job).json()
            if shown["status"].lower() != "ongoing":
                return shown
            time.sleep(0.1)
        raise TimeoutError
