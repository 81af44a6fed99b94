import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.engines.ge2e_weights import INSTALL
from pipeline.errors import VoicesUnavailable
from server.doctor import Finding, examine
from server.engines import find_embedder, make_embedder
from server.settings import load_settings


def voices(embedder: str, data: Path) -> Finding:
    environment = {"AUSCULT_SPEAKERS_EMBEDDER": embedder, "AUSCULT_SERVER_DATA_DIR": str(data)}
    (found,) = [one for one in examine(load_settings(environment=environment)) if one.what == "voices"]
    return found


def test_it_says_what_tells_voices_apart_or_which_command_gets_it(tmp_path: Path) -> None:
    automatic, wanted = voices("auto", tmp_path), voices("ge2e", tmp_path)
    try:
        find_embedder(load_settings(environment={}))
    except VoicesUnavailable:
        assert not automatic.ok
        assert INSTALL in automatic.detail
        assert not automatic.needed  # all else works without
        assert wanted.needed
        assert make_embedder(load_settings(environment={})) is None
    else:
        assert automatic.ok
        assert automatic.detail.startswith("ge2e")


def test_voices_that_nobody_wants_to_be_told_apart_are_no_fault(tmp_path: Path) -> None:
    assert voices("none", tmp_path).ok
    assert make_embedder(load_settings(environment={"AUSCULT_SPEAKERS_EMBEDDER": "none"})) is None


def test_a_pyannote_pipeline_that_cannot_run_is_named_with_what_mends_it(tmp_path: Path) -> None:
    environment = {
        "AUSCULT_SPEAKERS_PYANNOTE_MODEL": str(tmp_path / "nowhere"),
        "AUSCULT_SERVER_DATA_DIR": str(tmp_path / "data"),
    }
    (found,) = [one for one in examine(load_settings(environment=environment)) if one.what == "review of labels"]
    assert not found.ok
    assert not found.needed
    assert "pip install" in found.detail or "nowhere" in found.detail


class ModelList(BaseHTTPRequestHandler):
    """A language model's server as far as it is asked for its models."""

    def do_GET(self) -> None:
        status = 200 if self.headers.get("Authorization") == "Bearer sk-secret" else 401
        body = json.dumps({"object": "list", "data": [{"id": "llama3.1:8b", "object": "model"}]}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def model_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), ModelList) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def note_writer(data: Path, **environment: str) -> list[Finding]:
    given = {"AUSCULT_SERVER_DATA_DIR": str(data), **{f"AUSCULT_{name}": text for name, text in environment.items()}}
    return [one for one in examine(load_settings(environment=given)) if one.what.startswith("note ")]


def test_without_a_model_it_says_that_notes_are_extracts_and_how_to_get_more(tmp_path: Path) -> None:
    found = note_writer(tmp_path)[-1]
    assert found.ok
    assert found.detail.startswith("embedded")
    assert "note_model.url" in found.detail


def test_a_model_that_answers_is_named(tmp_path: Path, model_url: str) -> None:
    key = "sk-secret"
    found = note_writer(tmp_path, NOTE_MODEL_URL=model_url, NOTE_MODEL_NAME="llama3.1:8b", NOTE_MODEL_KEY=key)[-1]
    assert found.ok
    assert "llama3.1:8b" in found.detail
    assert key not in found.detail


def test_what_keeps_a_model_from_writing_is_said_with_what_mends_it(tmp_path: Path, model_url: str) -> None:
    key = {"NOTE_MODEL_KEY": "sk-secret"}
    other = note_writer(tmp_path, NOTE_MODEL_URL=model_url, NOTE_MODEL_NAME="qwen3", **key)[-1]
    assert "ollama pull qwen3" in other.detail
    assert "it has llama3.1:8b" in other.detail
    unauthorised = note_writer(tmp_path, NOTE_MODEL_URL=model_url, NOTE_MODEL_NAME="llama3.1:8b")[-1]
    assert "note_model.key" in unauthorised.detail
    away = {"NOTE_MODEL_URL": "http://127.0.0.1:9/v1", "NOTE_MODEL_NAME": "llama3.1:8b"}
    unreachable = note_writer(tmp_path, **away)[-1]
    assert "ollama serve" in unreachable.detail
    assert not any(one.ok or one.needed for one in (other, unauthorised, unreachable))
    assert note_writer(tmp_path, **away, NOTES_FALLBACK="false")[-1].needed
    wrong = note_writer(tmp_path, **away, NOTE_MODEL_PROMPT_FILE=str(tmp_path / "mine.toml"))
    assert any(not one.ok and "mine.toml" in one.detail for one in wrong)
