"""The console in a real browser, used as a person would: by labels, buttons and what can be read.

async with using(chromium, server, microphone=wav) as console:
    await console.sign_in(server.key)
    await console.start("webrtc")
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.async_api import (
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Locator,
    Page,
    Request,
    async_playwright,
    expect,
)

import server.console
from bench.server import RunningServer
from tests.acceptance.browser import FLAGS, PATIENCE_MS, RELAYED
from tests.acceptance.spoken import Event
from tests.acceptance.udp_relay import Relays

WIDE = {"width": 1280, "height": 800}
POLL_S = 0.1
ACTION_MS = 30_000  # a browser on a busy machine
expect.set_options(timeout=ACTION_MS)
LEFT = "net::ERR_ABORTED"  # a request that the page itself gave up: nobody looks at what it follows any more
TEXTS = Path(server.console.__file__).parent
TEXT = re.compile(r'^\s*(?:"([^"]+)"|(\w+)): ("(?:[^"\\]|\\.)*"),$', re.MULTILINE)
NETWORK = r"net::ERR_|WebSocket connection to"  # what a browser says of a network that is cut
# When the microphone began to play: as soon as it was given. And whether anything was ever shown while it was said.
OPENED = """
const look = () => (window.provisional ||= document.querySelector("#partials > li") !== null);
new MutationObserver(look).observe(document, { childList: true, subtree: true });
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  const microphone = await open(wanted);
  window.played = performance.now();
  window.microphone = microphone;
  return microphone;
};
"""
LEFT_S = f"(seconds) => window.played === undefined ? {POLL_S} : seconds - (performance.now() - played) / 1000"
UNPLUGGED = """
for (const track of microphone.getTracks()) {
  track.stop();
  track.dispatchEvent(new Event("ended"));
}
"""
SAID = """
() => [...document.querySelectorAll("#items > li")].map((item) => ({
  id: item.dataset.id,
  type: "final",
  speaker: ["doctor", "patient", "unspecified"].find((role) => item.classList.contains(role)),
  text: item.querySelector(".words").textContent,
  start_ms: Math.round(1000 * Number(item.querySelector("time")?.dateTime.slice(2, -1) ?? 0)),
}))
"""


@cache
def texts(language: str = "en") -> Mapping[str, str]:
    """The page's words, by their keys: what they say may change, what they are for does not."""
    return {
        quoted or bare: json.loads(text)
        for quoted, bare, text in TEXT.findall((TEXTS / f"texts.{language}.js").read_text())
    }


def text(key: str) -> str:
    """What the page says there, up to the first of what is filled in."""
    return texts()[key].partition("{")[0].strip()


class Console:
    """The page in a tab."""

    def __init__(self, page: Page, server: RunningServer) -> None:
        self.page = page
        self.server = server
        self.api = httpx.AsyncClient(
            base_url=server.base_url, headers={"Authorization": f"Bearer {server.key}"}, trust_env=False, timeout=30
        )
        self.provoked: list[str] = []  # patterns of complaints that a test brings about
        self.asked: list[str] = []  # kinds of dialogs that the browser itself showed
        self._complaints: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self._complaints.append(f"thrown: {error}"))
        page.on("requestfailed", self._failed)
        page.on("request", self._requested)
        page.on("dialog", self._answer)
        self._origins: set[str] = set()

    def complaints(self) -> list[str]:
        """What the page or the browser complained of, and nobody provoked."""
        return [each for each in self._complaints if not any(re.search(known, each) for known in self.provoked)]

    def foreign(self) -> set[str]:
        """Origins beside the page's own that it spoke to."""
        return self._origins - {_origin(self.page.url)}

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complaints.append(f"{message.type}: {message.text}")

    def _failed(self, request: Request) -> None:
        if request.failure != LEFT:
            self._complaints.append(f"failed: {request.method} {request.url} {request.failure}")

    def _requested(self, request: Request) -> None:
        if not request.url.startswith(("blob:", "data:")):
            self._origins.add(_origin(request.url))

    async def _answer(self, dialog: Dialog) -> None:
        self.asked.append(dialog.type)
        await dialog.accept()

    # Finding things

    def button(self, key: str) -> Locator:
        return self.page.get_by_role("button", name=text(key), exact=True)

    def label(self, key: str) -> Locator:
        return self.page.get_by_label(text(key), exact=True)

    def choice(self, key: str) -> Locator:
        return self.page.get_by_role("combobox", name=text(key), exact=True)

    async def sees(self, key: str) -> None:
        """Wait until this can be read somewhere."""
        await expect(self.page.get_by_text(text(key)).filter(visible=True).first).to_be_visible(timeout=ACTION_MS)

    async def is_recording(self, state: str = "recording") -> None:
        """Wait until the bar says that it is: "recording", "paused", "ending_offline"."""
        at = self.page.locator("#recording-state")
        await expect(at).to_have_text(text(f"recording.{state}"), timeout=ACTION_MS)

    async def until(self, condition: str, timeout_ms: float = PATIENCE_MS) -> None:
        """Wait until this JavaScript is true. Asked from here: the page's policy lets nothing evaluate text in it."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while not await self.page.evaluate(condition):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise AssertionError(f"never: {condition}; the page says {await self.page.inner_text('body')!r}") from None

    async def follows(self, key: str) -> None:
        """Press a link."""
        await self.page.get_by_role("link", name=text(key), exact=True).click()

    async def answers(self, key: str) -> None:
        """Press this in the dialog that the page shows."""
        await self.page.get_by_role("dialog").get_by_role("button", name=text(key), exact=True).click()

    async def calls(self, speaker: int, role: str) -> None:
        """Say of the one who speaks in an item, counted from 0, who that is."""
        await self.page.locator("#items .who").nth(speaker).click()
        await self.page.get_by_role("menuitemradio", name=text(f"role.{role}"), exact=True).click()

    async def storages(self) -> list[dict[str, str]]:
        """The session's and the local one, as they are."""
        kept: list[dict[str, str]] = await self.page.evaluate("[{ ...sessionStorage }, { ...localStorage }]")
        return kept

    # Signing in

    async def open(self) -> None:
        await self.page.wait_for_selector("html[data-ready]")

    async def sign_in(self, key: str) -> None:
        await self.label("sign_in.key").fill(key)
        await self.button("sign_in.go").click()
        await expect(self.label("sign_in.key")).to_be_hidden()

    # A consultation

    async def consent(self, given_by: str = "patient", how: str = "spoken") -> None:
        await self.choice("consent.who").select_option(value=given_by)
        await self.choice("consent.how").select_option(value=how)

    async def start(self, way: str | None = None) -> str:
        """Begin to record the microphone; the encounter."""
        await self.consent()
        if way is not None:
            await self.page.get_by_text(text("start.more")).click()
            await self.choice("start.way").select_option(value=way)
        await self.button("start.go.microphone").click()
        return await self.opened()

    async def opened(self) -> str:
        """Wait until a consultation is shown; its id."""
        await self.until("/^#c\\/[0-9a-f]+$/.test(location.hash)")
        return self.page.url.rpartition("/")[2]

    async def play(self, seconds: float) -> None:
        """Wait until the microphone that was opened last has played so much."""
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while (left_s := await self.page.evaluate(LEFT_S, seconds)) > 0:  # noqa: ASYNC110 - another process
                await asyncio.sleep(left_s)

    async def reads(self, count: int) -> None:
        """Wait until so many utterances are there for good."""
        await self.until(f"document.querySelectorAll('#items > li').length >= {count}")

    async def finish(self) -> None:
        """Stop recording, and wait until all is told."""
        await self.button("recording.finish").click()
        await expect(self.page.locator("#recording")).to_be_hidden(timeout=PATIENCE_MS)
        await self.done()

    async def done(self) -> None:
        """Wait until the consultation that is shown is over."""
        state = self.page.locator("#consultation-state")
        await expect(state).to_contain_text(text("status.done"), timeout=PATIENCE_MS)

    async def note(self) -> None:
        """Wait until there is a note that can be approved of."""
        await expect(self.button("approve")).to_be_visible(timeout=PATIENCE_MS)

    async def said(self) -> list[Event]:
        """The transcript, as it is shown."""
        shown: list[Event] = await self.page.evaluate(SAID)
        return shown

    async def told(self, encounter: str, what: str = "") -> Any:
        """What the server says of it."""
        answer = await self.api.get(f"/api/encounters/{encounter}{what}")
        return answer.raise_for_status().json()

    async def listed(self) -> list[Any]:
        """The consultations that the server knows of this key."""
        answer = await self.api.get("/api/encounters")
        return list(answer.raise_for_status().json()["encounters"])

    async def ended(self, encounter: str) -> Any:
        """What the server says of it, once that is done with it."""
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while (told := await self.told(encounter))["status"] != "done":  # noqa: ASYNC110 - another process
                await asyncio.sleep(POLL_S)
        return told

    async def reload(self) -> None:
        await self.page.reload()
        await self.open()


@asynccontextmanager
async def browsing(
    chromium: Path, *, microphone: Path | None = None, allowed: bool = True, dark: bool = False
) -> AsyncIterator[BrowserContext]:
    """A browser in English whose microphone plays a WAV file once; `allowed`: whether pages may have the microphone."""
    flags = [each for each in FLAGS if allowed or not each.endswith("fake-ui-for-media-stream")]
    if microphone is not None:
        flags.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=flags)
        try:
            context = await launched.new_context(
                permissions=["microphone", "clipboard-read", "clipboard-write"] if allowed else [],
                viewport=WIDE,  # type: ignore[arg-type]
                locale="en-GB",
                color_scheme="dark" if dark else "light",
            )
            context.set_default_timeout(ACTION_MS)
            yield context
        finally:
            await launched.close()


@asynccontextmanager
async def page_of(
    context: BrowserContext, server: RunningServer, *, url: str = "", relays: Relays | None = None
) -> AsyncIterator[Console]:
    """The console in a tab of its own, over the network at `url`. Nothing may go wrong in it that is not provoked."""
    console = Console(page := await context.new_page(), server)
    await page.add_init_script(OPENED)
    if relays is not None:
        await page.expose_function("outward", relays.outward)
        await page.expose_function("inward", relays.inward)
        await page.add_init_script(RELAYED)
    async with console.api:
        await page.goto(f"{url or server.base_url}/console/")
        await console.open()
        yield console
        assert not console.complaints(), console.complaints()
        assert not console.foreign(), console.foreign()


@asynccontextmanager
async def using(
    chromium: Path,
    server: RunningServer,
    *,
    microphone: Path | None = None,
    url: str = "",
    relays: Relays | None = None,
) -> AsyncIterator[Console]:
    """A browser with the console in its only tab."""
    async with (
        browsing(chromium, microphone=microphone) as context,
        page_of(context, server, url=url, relays=relays) as console,
    ):
        yield console


def _origin(url: str) -> str:
    split = urlsplit(url)
    return f"{split.scheme}://{split.netloc}"
