"""Pages of another origin call every API from a real browser, which asks first whether they may (CORS)."""

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.browser import FLAGS
from tests.acceptance.conftest import start
from tests.acceptance.soapnote import CONSULTATION
from tests.acceptance.test_haidy import encoded

pytestmark = pytest.mark.slow

# What a customer's page would have of its own.
CLIENT = """
window.call = async (method, path, { json, form, headers = {} } = {}) => {
  const answer = await fetch(server + path, {
    method,
    headers: { Authorization: `Bearer ${key}`, ...(json ? { "Content-Type": "application/json" } : {}), ...headers },
    body: json ? JSON.stringify(json) : form,
  });
  const text = await answer.text();
  const isJson = answer.headers.get("Content-Type")?.includes("json");
  return { status: answer.status, body: isJson ? JSON.parse(text) : text, etag: answer.headers.get("ETag") };
};
window.recording = (fields, name) => {
  const form = new FormData();
  for (const [field, value] of Object.entries(fields)) form.append(field, value);
  const octets = Uint8Array.from(atob(visit), (character) => character.charCodeAt(0));
  form.append(name, new Blob([octets], { type: "audio/webm" }), "visit.webm");
  return form;
};
window.until = async (look, over) => {
  let answer;
  for (let looked = 0; looked < 600; looked += 1) {
    answer = await look();
    if (answer.status >= 400) break;
    if (over(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`never over: ${JSON.stringify(answer)}`);
};
"""


@pytest.fixture(scope="module")
def server(pages: str) -> Iterator[RunningServer]:
    yield from start("scripted", {"AUSCULT_SERVER_CORS_ORIGINS": pages})


@pytest.fixture
async def page(chromium: Path, pages: str, server: RunningServer, headache: Recording) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            opened = await browser.new_page()
            visit = base64.b64encode(encoded(headache, "webm")).decode()
            known = f'window.server = "{server.base_url}"; window.key = "{server.key}"; window.visit = "{visit}";'
            await opened.add_init_script(known + CLIENT)
            await opened.goto(pages)
            yield opened
        finally:
            await browser.close()


async def test_a_page_uses_every_api(page: Page) -> None:
    async def run(script: str, given: Any = None) -> Any:
        return await page.evaluate(f"async (given) => {{ {script} }}", given)

    # SOAPNoteAPI: PUT of a form, polls, the note; then a text's note as it is written
    note = await run("""
        const metadata = JSON.stringify({ specialty: "physician" });
        const taken = await call("PUT", "/v1/note/audio", { form: recording({ metadata }, "audio") });
        const look = () => call("GET", taken.body.status_url);
        return (await until(look, ({ body }) => body.status !== "processing")).body;
    """)
    assert note["status"] == "completed"
    assert note["note"]["transcript"]
    streamed = await run(
        """
        const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
        const body = JSON.stringify({ specialty: "physician", transcript: given });
        const answer = await fetch(server + "/v1/stream/note", { method: "POST", headers, body });
        let told = "";
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) told += value;
        return told;
        """,
        CONSULTATION,
    )
    assert "cough" in streamed
    assert streamed.endswith("data: [DONE]\n\n")

    # Nabla, with the header that names a version
    written = await run("""
        const text = "I have had a bad cough and a fever for two weeks. ".repeat(4);
        const items = [{ speaker_type: "patient", text }];
        const headers = { "X-Nabla-Api-Version": "2024-10-01" };
        const json = { transcript_items: items, note_locale: "ENGLISH_US" };
        return await call("POST", "/v1/core/server/generate-note", { json, headers });
    """)
    assert written["status"] == 200
    assert written["body"]["note"]["sections"]

    # Haidy
    task = await run("""
        const form = recording({ language: "en" }, "audio_files");
        const { body } = await call("POST", "/v2/audio/transcribe_file", { form });
        const look = () => call("POST", "/v2/tasks", { json: { task_id: body.task_id } });
        return (await until(look, (answer) => answer.body.status === "DONE" || answer.body.status === "FAILED")).body;
    """)
    assert task["status"] == "DONE"
    assert task["result"]

    # OpenAI
    heard = await run("""
        const form = recording({ model: "whisper-1" }, "file");
        return await call("POST", "/openai/v1/audio/transcriptions", { form });
    """)
    assert heard["body"]["text"]

    # Our own: an ETag is read and sent back, events are followed by a token, and an encounter is erased
    own = await run("""
        const options = JSON.stringify({ language: "en" });
        const { body } = await call("POST", "/api/recordings", { form: recording({ options }, "audio") });
        const json = { scope: "follow", encounter_id: body.encounter_id };
        const { token } = (await call("POST", "/api/tokens", { json })).body;
        const events = new EventSource(`${server}/api/encounters/${body.encounter_id}/events?token=${token}`);
        const finals = await new Promise((resolve, reject) => {
          events.onerror = ({ data }) => data || reject(new Error("broke off"));  // with data: the server's own event
          let counted = 0;
          events.addEventListener("final", () => (counted += 1));
          events.addEventListener("done", () => resolve(counted));
        });
        events.close();
        const at = `/api/encounters/${body.encounter_id}`;
        const consent = { given_by: "patient", at: "2026-01-01T09:00:00Z", method: "spoken" };
        const told = await call("PUT", `${at}/consent`, { json: consent });
        const headers = { "If-Match": told.etag };
        const again = await call("PUT", `${at}/consent`, { json: { ...consent, method: "form" }, headers });
        const late = await call("PUT", `${at}/consent`, { json: consent, headers });
        const erased = await call("DELETE", at);
        return { finals, told: told.status, again: again.status, late: late.status, erased: erased.status };
    """)
    assert own["finals"] > 3
    assert (own["told"], own["again"], own["late"], own["erased"]) == (200, 200, 412, 204)


async def test_a_page_of_an_origin_that_is_not_named_gets_nothing(page: Page, pages: str) -> None:
    await page.goto(pages.replace("127.0.0.1", "localhost"))
    for method, path in (("PUT", "/v1/note/audio"), ("POST", "/v2/tasks"), ("GET", "/api/encounters")):
        refused = await page.evaluate(
            "([method, path]) => call(method, path).then(() => '', (error) => error.name)", [method, path]
        )
        assert refused == "TypeError", path
