"""A note template of the operator's own, asked for in every API that names templates."""

from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx
import pytest

from bench.server import running_server
from tests.acceptance.conftest import client
from tests.acceptance.nabla_rest import DIGEST, VISIT, Customer
from tests.acceptance.recorded import finished
from tests.server.test_templates import TRIAGE

pytestmark = pytest.mark.slow

SAID = "\n".join(f"{speaker.capitalize()}: {text}" for speaker, text in VISIT)


def written(api: httpx.Client, style: str) -> dict[str, Any]:
    """Our own API's note."""
    answer = api.post("/api/encounters", json={"transcript": SAID, "template": "triage", "style": style})
    note: dict[str, Any] = finished(api, answer.raise_for_status().json()["encounter_id"])["note"]
    return note


async def test_it_is_used_whatever_the_api_and_the_style(tmp_path: Path) -> None:
    own, run = tmp_path / "templates", anyio.to_thread.run_sync
    own.mkdir()
    (own / "triage.toml").write_text(TRIAGE, encoding="utf-8")
    environment = {"AUSCULT_NOTES_TEMPLATES_DIR": str(own)}
    async with running_server(recogniser="scripted", data_dir=tmp_path / "data", environment=environment) as server:
        digest = DIGEST | {"note_template": "triage", "section_style": "bullet_points"}
        answer = await run(partial(Customer(server).post, "digest", digest))
        with client(server.base_url, server.key) as api:
            prose, points = [await run(written, api, style) for style in ("paragraphs", "bullet_points")]
            wanted = {"transcript": SAID, "specialty": "physician", "template": "triage"}
            soap = (await run(partial(api.post, "/v1/note", json=wanted))).raise_for_status().json()
    notes = [answer.json()["note"], prose, points]
    assert [[(section["key"], section["title"]) for section in note["sections"]] for note in notes] == [
        [("NEED", "Need")]
    ] * 3
    texts = [note["sections"][0]["text"] for note in notes]
    assert [text.startswith("- ") for text in texts] == [True, False, True]
    assert texts[0] == texts[2]
    assert soap["subjective"].startswith("Need:\n")
    assert (soap["objective"], soap["assessment"], soap["plan"]) == ("", "", "")
