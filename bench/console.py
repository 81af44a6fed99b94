"""`auscult-bench console`: what the page costs a provider who keeps it open all day, in Debian's Chromium, on loopback.

Its size, its first paint, how soon what is said stands on it, its memory over a long session, and how it scrolls then.
A long consultation is fed faster than it is spoken, and followed by the page and, as a measure, by the socket that
feeds it: a final is told to both at once.
"""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Any

import anyio
import msgspec
from playwright.async_api import CDPSession, Page, async_playwright
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect

from bench.clients import Pace, to_s16le
from bench.recordings import Recording
from bench.score import Spread
from bench.server import RunningServer, running_server
from bench.tables import number
from pipeline.errors import AuscultError
from pipeline.types import SAMPLE_RATE
from server.console.serving import read_files

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server", "--no-first-run"]
SOURCE = "headache"
PIECE_S = 1.0  # of audio, in one message
SPEED = 20.0  # times as fast as it is spoken
PAINTS = 5
SETTLED_MINUTES = 5.0  # of the session, from which on memory is to stay flat
SCROLLED_S = 3.0
MANY_ITEMS = 1000

SENT_BYTES = 120_000  # all files together
PAINT_MS = 500.0
SHOWN_MS = 50.0
GROWN_BYTES = 8_000_000  # by what was said meanwhile, which the page shows
FRAME_MS = 34.0  # p95: one frame of 60 Hz left out

# In the page: when which final stood on it, by its clock.
WATCH = """
window.shown = {};
new MutationObserver((changes) => {
  for (const { addedNodes } of changes) for (const { dataset } of addedNodes) shown[dataset.id] = Date.now();
}).observe(document.querySelector("#items"), { childList: true });
"""
# As fast as a thumb flicks: pixels a millisecond, up and down.
SCROLL = """(seconds) => new Promise((resolve) => {
  const view = document.querySelector("#transcript-view");
  const begun = performance.now();
  const frames = [begun];
  let speed = -4;
  const step = (now) => {
    frames.push(now);
    if (now - begun > seconds * 1000) return resolve(frames.slice(2).map((each, at) => each - frames[at + 1]));
    const former = view.scrollTop;
    view.scrollTop += speed * (now - frames.at(-2));
    if (Math.abs(view.scrollTop - former) < 1) speed = -speed;
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""


class BrowserMissing(AuscultError):
    """There is no browser: apt-get install chromium."""

    code = "browser_missing"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured in one run."""

    file_bytes: int
    sent_bytes: int  # compressed, as browsers get them
    first_paint_ms: Spread | None
    final_shown_ms: Spread | None  # the socket is told → it stands on the page
    recogniser: str
    minutes: float
    items: int
    heap_settled_bytes: int  # after the first minutes
    heap_bytes: int  # at the end
    frame_ms: Spread | None  # between two frames while 1,000 items or more are scrolled
    faults: list[str]  # what the page threw or its console showed as an error

    @property
    def held(self) -> bool:
        """Whether everything is as it should be."""
        return all(kept for _, _, _, kept in rows(self)) and not self.faults


@dataclass(slots=True, kw_only=True, eq=False)
class _Told:
    """What the socket that feeds the session was told, and when."""

    finals: dict[str, float] = field(default_factory=dict)  # epoch in ms, by id
    acknowledged: int = 0
    news: anyio.Event = field(default_factory=anyio.Event)  # more is acknowledged
    over: anyio.Event = field(default_factory=anyio.Event)

    async def until_taken(self, chunks: int) -> None:
        """Audio is fed no faster than it is taken."""
        while self.acknowledged < chunks:
            await self.news.wait()


async def measure(*, minutes: float, recogniser: str, model: str) -> Report:
    """Run everything. Raises `BrowserMissing`."""
    async with running_server(recogniser=recogniser, model=model) as server, _browser() as browser:
        paints = [await browser.first_paint(server) for _ in range(PAINTS)]
        page = await browser.sign_in(server)
        told, heaps = await _session(server, page, minutes)
        heap_settled, heap = heaps
        shown = await page.page.evaluate("shown")
        await _fill(page.page)
        frames = await page.page.evaluate(SCROLL, SCROLLED_S)
        delays = [shown[each] - at for each, at in told.finals.items() if each in shown]
        files = read_files().values()
        return Report(
            file_bytes=sum(len(each.octets) for each in files),
            sent_bytes=sum(len(each.compressed or each.octets) for each in files),
            first_paint_ms=Spread.of(paints),
            final_shown_ms=Spread.of([max(0.0, delay) for delay in delays]),
            recogniser=recogniser,
            minutes=minutes,
            items=len(shown),
            heap_settled_bytes=heap_settled,
            heap_bytes=heap,
            frame_ms=Spread.of(frames),
            faults=browser.faults,
        )


def show(report: Report, out: Console) -> None:
    """The figures beside what is to be reached."""
    table = Table("", "measured", "at most", "", box=None, pad_edge=False)
    for what, measured, most, kept in rows(report):
        table.add_row(what, measured, most, "[green]ok[/green]" if kept else "[red]no[/red]")
    out.print(table)
    for fault in report.faults:
        out.print(f"[red]{fault}[/red]", markup=True)


def rows(report: Report) -> list[tuple[str, str, str, bool]]:
    """What was measured, and what is to be reached."""
    paint, final, frame = report.first_paint_ms, report.final_shown_ms, report.frame_ms
    grown = report.heap_bytes - report.heap_settled_bytes
    return [
        (
            f"all files as sent ({number(report.file_bytes / 1000)} kB as they lie)",
            f"{number(report.sent_bytes / 1000)} kB",
            f"{number(SENT_BYTES / 1000)} kB",
            report.sent_bytes <= SENT_BYTES,
        ),
        ("first paint, median", *_under(None if paint is None else paint.median, PAINT_MS)),
        ("a final told → on the page, p95", *_under(None if final is None else final.p95, SHOWN_MS)),
        (
            f"memory grown from minute {number(min(SETTLED_MINUTES, report.minutes))} to {number(report.minutes)}"
            f" ({report.items} items)",
            f"{number(grown / 1e6, 1)} MB",
            f"{number(GROWN_BYTES / 1e6)} MB",
            grown <= GROWN_BYTES,
        ),
        (f"a frame while {MANY_ITEMS} items scroll, p95", *_under(None if frame is None else frame.p95, FRAME_MS)),
    ]


def _under(measured: float | None, most: float) -> tuple[str, str, bool]:
    return f"{number(measured)} ms", f"{number(most)} ms", measured is not None and measured <= most


# The browser


@dataclass(slots=True, kw_only=True, eq=False)
class _Page:
    page: Page
    devtools: CDPSession

    async def heap_bytes(self) -> int:
        """What JavaScript holds when everything that can go is gone."""
        await self.devtools.send("HeapProfiler.collectGarbage")
        used: int = (await self.devtools.send("Runtime.getHeapUsage"))["usedSize"]
        return used


class _Browser:
    def __init__(self, launched: Any) -> None:
        self._launched = launched
        self.faults: list[str] = []

    async def first_paint(self, server: RunningServer) -> float:
        """Milliseconds, in a browser that has nothing of it yet."""
        context = await self._launched.new_context()
        try:
            page = await context.new_page()
            await page.goto(f"{server.base_url}/console/")
            found = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
            await page.wait_for_function(found)
            paint: float = await page.evaluate(found)
            return paint
        finally:
            await context.close()

    async def sign_in(self, server: RunningServer) -> _Page:
        context = await self._launched.new_context(viewport={"width": 1280, "height": 800})
        page = await context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda line: self.faults.extend([line.text] if line.type == "error" else []))
        await page.goto(f"{server.base_url}/console/")
        await page.fill("#key", server.key)
        await page.click("#sign-in-form [type=submit]")
        await page.wait_for_selector("#start:not([hidden])")
        return _Page(page=page, devtools=await context.new_cdp_session(page))


@asynccontextmanager
async def _browser() -> AsyncIterator[_Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise BrowserMissing
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=Path(chromium), args=FLAGS)
        try:
            yield _Browser(launched)
        finally:
            await launched.close()


# A long session


async def _session(server: RunningServer, page: _Page, minutes: float) -> tuple[_Told, tuple[int, int]]:
    """Play it to the server quickly, before the page's eyes; the page's memory early and at the end."""
    audio = to_s16le(Recording.load(SOURCE).mono())
    size = int(PIECE_S * SAMPLE_RATE) * 2
    pieces, settled = int(minutes * 60 / PIECE_S), int(min(SETTLED_MINUTES, minutes) * 60 / PIECE_S)
    told, heap_settled = _Told(), 0
    headers = {"Authorization": f"Bearer {server.key}"}
    url = f"{server.base_url.replace('http', 'ws', 1)}/api/live"
    async with connect(url, additional_headers=headers, max_size=None) as socket, anyio.create_task_group() as tasks:
        hello = {"type": "hello", "encoding": "pcm_s16le", "sample_rate": SAMPLE_RATE}
        await socket.send(json.dumps(hello))
        session = json.loads(await socket.recv())
        await page.page.evaluate("(where) => { location.hash = where; }", f"c/{session['encounter_id']}")
        await page.page.wait_for_selector("#session:not([hidden])")
        await page.page.evaluate(WATCH)
        tasks.start_soon(_hear, socket, told)
        pace = Pace(PIECE_S / SPEED)
        for piece in range(pieces):
            await pace.step()
            at = piece * size % (len(audio) // size * size)
            await socket.send(audio[at : at + size])
            await told.until_taken(piece - 2)
            if piece + 1 == settled:
                heap_settled = await page.heap_bytes()
        await socket.send('{"type": "end"}')
        await told.over.wait()
        await page.page.wait_for_function("(count) => Object.keys(shown).length >= count", arg=len(told.finals))
    return told, (heap_settled, await page.heap_bytes())


async def _hear(socket: ClientConnection, told: _Told) -> None:
    async for message in socket:
        event: dict[str, Any] = json.loads(message)
        if event["type"] == "final":
            told.finals[event["id"]] = time() * 1000
        elif event["type"] == "ack":
            told.acknowledged, news = event["chunks"], told.news
            told.news = anyio.Event()
            news.set()
        elif event["type"] == "done":
            break
    told.over.set()


async def _fill(page: Page) -> None:
    """At least so many items, also where the session was short: those there are, over and over."""
    await page.evaluate(
        """(many) => {
          const items = document.querySelector("#items");
          const there = [...items.children];
          const again = (at) => there[at % there.length].cloneNode(true);
          for (let at = there.length; at < many; at++) items.append(again(at));
        }""",
        MANY_ITEMS,
    )
