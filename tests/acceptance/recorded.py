"""A client that sends whole recordings, written from the README."""

import json
import time
from typing import Any

import httpx

POLL_S = 0.1
PATIENCE_S = 90

Encounter = dict[str, Any]


def sent(api: httpx.Client, *files: bytes, key: str = "", **options: Any) -> str:
    """Upload files that are one recording; the id of its encounter."""
    answer = upload(api, *files, key=key, **options)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["encounter_id"])


def upload(api: httpx.Client, *files: bytes, key: str = "", **options: Any) -> httpx.Response:
    """The server's answer."""
    parts: list[tuple[str, Any]] = [("options", (None, json.dumps(options)))] if options else []
    parts += [("audio", ("visit", octets)) for octets in files]
    return api.post("/api/recordings", files=parts, headers={"Idempotency-Key": key} if key else {})


def finished(api: httpx.Client, encounter: str) -> Encounter:
    """An encounter when it is over."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        shown: Encounter = api.get(f"/api/encounters/{encounter}").raise_for_status().json()
        if shown["status"] in ("done", "failed"):
            return shown
        time.sleep(POLL_S)
    raise TimeoutError


def said(encounter: Encounter) -> list[tuple[Any, ...]]:
    """What was said, without ids, which belong to one recording."""
    return [(item["start_ms"], item["end_ms"], item["text"], item["speaker"]) for item in encounter.get("items", [])]
