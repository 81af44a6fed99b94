"""A real browser whose microphone plays a recording, on a page of ours (tests/acceptance/pages).

async with listening(chromium, wav) as browser:
    page = await browser.open(f"{pages}/whip.html", server=…, token=…)
"""

import json
import shutil
import threading
import wave
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from playwright.async_api import BrowserContext, Page, TimeoutError, async_playwright

from pipeline.types import SAMPLE_RATE, Pcm
from tests.acceptance.udp_relay import Relays

Event = dict[str, Any]

PAGES = Path(__file__).parent / "pages"
PATIENCE_MS = 90_000  # two shared cores, a recogniser and a browser that encodes
# A window's own address bar prepares three pages that nobody sees, which costs more than the page that a test opens.
ADDRESS_BAR = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup")
# What Playwright turns off: of two such lists Chromium reads the last. Source: chromiumSwitches.ts of version 1.65.
PLAYWRIGHTS = (
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
    "PreconnectToSearch",
)
FLAGS = [
    f"--disable-features={','.join(PLAYWRIGHTS + ADDRESS_BAR)}",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
]
# Puts a relay between the page and the server: each hears of the relay's addresses only.
RELAYED = """
const direct = window.fetch;
const sdp = /^application\\/(sdp|trickle-ice-sdpfrag)/;
window.fetch = async (url, options = {}) => {
  const { headers = {}, body } = options;
  if (sdp.test(headers["Content-Type"] ?? "")) options = { ...options, body: await window.outward(body) };
  const answer = await direct(url, options);
  if (answer.status !== 201 || !sdp.test(answer.headers.get("Content-Type"))) return answer;
  return new Response(await window.inward(await answer.text()), { status: 201, headers: answer.headers });
};
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Client:
    """One of our pages, used as a person would."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []  # what the page threw and did not handle
        page.on("pageerror", lambda error: self.faults.append(str(error)))

    async def start(self, server: str, token: str) -> None:
        """Fill in the form and press Start; the microphone begins to play."""
        await self.page.fill("[name=server]", server)
        await self.page.fill("[name=token]", token)
        await self.page.click("[name=start]")
        await self.page.wait_for_function("document.querySelector('#state').textContent")
        state = await self.page.text_content("#state")
        assert state == "started"

    async def until(self, condition: str, timeout_ms: float = PATIENCE_MS) -> None:
        """Wait until this JavaScript, in which `events` is everything told so far, is true."""
        try:
            await self.page.wait_for_function(condition, timeout=timeout_ms, polling=50)
        except TimeoutError:
            state = await self.page.text_content("#state")
            told = [event for event in await self.events() if event["type"] != "partial"]
            raise AssertionError(f"never: {condition}; the page says {state!r} and was told {told}") from None

    async def play(self, seconds: float) -> None:
        """Wait until the microphone has played so much."""
        await self.until(f"performance.now() - begun >= {seconds * 1000}")

    async def stop(self) -> list[Event]:
        """Press Stop, wait until everything is transcribed; every event."""
        await self.page.click("[name=stop]")
        await self.until("events.some((event) => event.type === 'done')")
        return await self.events()

    async def events(self) -> list[Event]:
        told: list[Event] = await self.page.evaluate("events")
        return told


class Browser:
    """A browser with a microphone."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self._clients: list[Client] = []

    async def open(self, url: str, options: Event | None = None, relays: Relays | None = None) -> Client:
        """A page in a tab of its own; its WebRTC goes through a relay where one is given."""
        page = await self._context.new_page()
        self._clients.append(client := Client(page))
        if relays is not None:
            await page.expose_function("outward", relays.outward)
            await page.expose_function("inward", relays.inward)
            await page.add_init_script(RELAYED)
        await page.goto(f"{url}?{quote(json.dumps(options or {}))}")
        return client

    def faults(self) -> list[str]:
        return [fault for client in self._clients for fault in client.faults]


@asynccontextmanager
async def listening(chromium: Path, recording: Path) -> AsyncIterator[Browser]:
    """A browser whose microphone plays the WAV file once, from the moment that a page asks for it."""
    assert recording.is_absolute()
    flags = [*FLAGS, f"--use-file-for-fake-audio-capture={recording}%noloop"]
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=flags)
        try:
            context = await launched.new_context(permissions=["microphone"])
            browser = Browser(context)
            yield browser
            assert browser.faults() == []
        finally:
            await launched.close()


def found_chromium() -> Path:
    """Debian's browser; a test that needs it is skipped where it is missing."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no browser: apt-get install chromium (`make setup` does, as root)")
    return Path(path)


@contextmanager
def serving_pages() -> Iterator[str]:
    """The pages on loopback, which is a secure context; yields their origin."""
    handler = partial(Quiet, directory=str(PAGES))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="pages", kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def write_wav(path: Path, channels: Sequence[Pcm]) -> Path:
    """16 kHz PCM of one voice, or of one in each channel."""
    interleaved = (np.stack(channels, axis=1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((len(channels), 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(interleaved.tobytes())
    return path
