"""The server describes itself, and what it says is so: schemathesis drives it from its own document."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from playwright.async_api import Page, async_playwright

from bench.server import RunningServer
from tests.acceptance.browser import FLAGS
from tests.acceptance.conftest import client, start, start_on

pytestmark = pytest.mark.slow

HOOKS = Path(__file__).with_name("generated_requests.py")
SEED = 7
EXAMPLES = 4  # of each endpoint, beside those at the bounds of every parameter
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,allow_header_conformance,ignored_auth"
)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    yield from start("scripted")


@pytest.fixture(scope="module")
def document(server: RunningServer) -> dict[str, Any]:
    made: dict[str, Any] = httpx.get(f"{server.base_url}/openapi.json").raise_for_status().json()
    return made


@pytest.fixture(scope="module")
def messages(server: RunningServer) -> dict[str, Any]:
    made: dict[str, Any] = httpx.get(f"{server.base_url}/sockets.json").raise_for_status().json()
    return made


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_the_document_is_openapi(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1")
    for name in ("/openapi/v1", "/v2/tasks", "/api/recordings", "/healthz", "/openai/v1/audio/transcriptions"):
        assert (name in document["paths"]) == (name != "/openapi/v1")


def test_everything_has_a_name_and_says_what_it_is(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for method, path, operation in operations(document):
        assert operation["summary"], (method, path)
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (method, path)
    for name, schema in document["components"]["schemas"].items():
        assert re.fullmatch(r"[A-Za-z0-9]+", name), "two structs of one API have the same name"
        assert not schema.get("description", "").startswith(name), f"{name} has no docstring"


def test_what_is_documented_is_there_and_refuses_in_its_own_words(
    server: RunningServer, document: dict[str, Any]
) -> None:
    with client(server.base_url, "no key") as stranger:
        for method, path, operation in operations(document):
            answer = stranger.request(method, re.sub(r"{\w+}", "0" * 24, path))
            assert (answer.status_code == 401) == bool(operation["security"]), (method, path, answer.status_code)
            if operation["security"]:
                assert answer.headers["WWW-Authenticate"].startswith("Bearer"), (method, path)
            other = stranger.request("TRACE", re.sub(r"{\w+}", "0" * 24, path))
            assert other.status_code == 405, path
            assert method in other.headers["Allow"], path


def test_messages_of_sockets_are_described(messages: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(messages)
    sockets = {path: socket for socket in messages["x-sockets"] for path in socket["paths"]}

    def takes(path: str, side: str, message: dict[str, Any]) -> bool:
        return bool(Draft202012Validator(messages | sockets[path][side]).is_valid(message))

    assert takes("/api/live", "receives", {"type": "hello", "language": "en"})
    assert not takes("/api/live", "receives", {"type": "goodbye"})
    assert takes("/api/live", "sends", {"type": "ack", "chunks": 3})
    stream = {"id": "d", "speaker_type": "doctor"}
    config = {"object": "listen_config", "streams": [stream], "encoding": "pcm_s16le", "sample_rate": 16_000}
    for path in ("/v1/copilot-api/server/listen-ws", "/v1/copilot-api/user/listen-ws"):
        assert takes(path, "receives", config)
        assert takes(path, "sends", {"object": "audio_chunk_ack", "ack_id": 1})
    assert takes("/v1/core/server/transcribe-ws", "receives", {"type": "END"})
    assert not takes("/v1/core/server/transcribe-ws", "receives", {"object": "end"})
    assert takes("/whip", "sends", {"type": "done", "outcome": "done"})


@asynccontextmanager
async def opened(chromium: Path, url: str, asked: list[str], said: list[str]) -> AsyncIterator[Page]:
    """A page in the browser; whatever it asks for, and whatever the browser says of it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            page = await browser.new_page()
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            await page.goto(url)
            yield page
        finally:
            await browser.close()


async def test_the_page_for_people_needs_nothing_else(
    chromium: Path, server: RunningServer, document: dict[str, Any], messages: dict[str, Any]
) -> None:
    asked: list[str] = []
    said: list[str] = []
    url = f"{server.base_url}/docs"
    async with opened(chromium, url, asked, said) as page:
        assert await page.locator("summary .method").count() == len(list(operations(document)))
        operation = page.locator("#post_api_recordings")
        assert not await operation.get_by_text("multipart/form-data", exact=True).is_visible()
        await operation.locator("summary").click()
        assert await operation.get_by_text("multipart/form-data", exact=True).is_visible()
        colour = await operation.locator(".method").evaluate("(element) => getComputedStyle(element).fontWeight")
        assert colour == "600"  # its style is let in
        anchors = await page.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].map((a) => a.hash.slice(1))")
        ids = await page.evaluate("[...document.querySelectorAll('[id]')].map((element) => element.id)")
        await page.evaluate("document.body.append(document.createElement('script'))")
        await page.evaluate("document.body.lastChild.textContent = 'window.ran = true'")
        assert await page.evaluate("window.ran") is None
    assert set(anchors) <= set(ids)
    assert len(ids) == len(set(ids))
    assert [each for each in asked if not each.endswith("/favicon.ico")] == [url]
    assert all("script" in each or "favicon" in each for each in said), said  # the one that was refused


@pytest.fixture
def strict_server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """On PostgreSQL, which takes fewer texts and numbers than SQLite."""
    yield from start_on(request, {})


@pytest.mark.parametrize("strict_server", ["postgresql"], indirect=True)
def test_no_generated_request_finds_a_fault_or_an_undocumented_answer(
    strict_server: RunningServer, tmp_path: Path
) -> None:
    server = strict_server
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), "--no-color", "run", f"{server.base_url}/openapi.json",
            "--header", f"Authorization: Bearer {server.key}", "--checks", CHECKS, "--seed", str(SEED),
            "--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--no-shrink", "--warnings", "off",
            "--generation-deterministic", "--suppress-health-check", "all",
            "--request-timeout", "20", "--continue-on-failure",
        ],
        capture_output=True, text=True, timeout=240, cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
    log = server.log()
    assert '"level": "error"' not in log
    assert "Traceback" not in log
