"""How recordings on the console end that do not end as they should: nothing said is lost, no microphone stays open."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Route, expect

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.browser import write_wav
from tests.acceptance.conftest import LOOPBACK, start
from tests.acceptance.console import NETWORK, Console, text, using
from tests.acceptance.leaks import nothing_left_in
from tests.acceptance.proxy import proxied
from tests.acceptance.udp_relay import relayed

pytestmark = pytest.mark.slow

REFUSED = "Failed to load resource|status of 4"
TIMEOUT_S = 2  # for which the server waits for a page that went away
OVERLAP_S = 6  # at most: a peer's last seconds are sent twice rather than never
MICROPHONE = "window.microphone?.getTracks().some((track) => track.readyState === 'live') ?? false"
# The browser asks for the microphone once, and somebody takes their time to allow it.
ASKED = """
const ask = navigator.mediaDevices.getUserMedia;
navigator.mediaDevices.getUserMedia = async (wanted) => {
  navigator.mediaDevices.getUserMedia = ask;
  await new Promise((resolve) => (window.allow = resolve));
  window.allowed = await ask.call(navigator.mediaDevices, wanted);
  return window.allowed;
};
"""


# As a second window would, that was opened with what the first one keeps.
ENDED_ELSEWHERE = """
async () => {
  const { Api } = await import("/console/api.js");
  const { endKept } = await import("/console/recording.js");
  await endKept(new Api(new URL("/", location)), JSON.parse(sessionStorage.getItem("auscult.recording")));
}
"""


@pytest.fixture(scope="module")
def impatient() -> Iterator[RunningServer]:
    yield from start(
        "scripted",
        LOOPBACK | {"AUSCULT_LIMITS_RECONNECT_TIMEOUT_S": str(TIMEOUT_S), "AUSCULT_WEBRTC_SILENCE_TIMEOUT_S": "1"},
    )


@pytest.fixture(autouse=True)
def nothing_stays(chromium: Path, impatient: RunningServer) -> Iterator[None]:
    with nothing_left_in(impatient):
        yield


@pytest.fixture
def microphone(headache: Recording, tmp_path: Path) -> Path:
    return write_wav(tmp_path / "microphone.wav", [headache.mono()])


@pytest.mark.parametrize("way", ["webrtc", "recorder"])
async def test_what_is_said_while_the_server_gives_a_recording_up_goes_into_another_one(
    chromium: Path, impatient: RunningServer, microphone: Path, way: str
) -> None:
    async with (
        proxied(impatient.base_url) as tcp,
        relayed() as udp,
        using(chromium, impatient, microphone=microphone, url=tcp.base_url, relays=udp) as console,
    ):
        console.provoked += [NETWORK, REFUSED]
        await console.sign_in(impatient.key)
        first = await console.start(way)
        await console.play(2)
        tcp.cut()
        udp.cut()
        await console.is_recording("recording_offline")
        await console.ended(first)
        tcp.mend()
        await console.sees("recording.went_on")
        await console.is_recording()
        second = await console.opened()
        await console.play(await console.page.evaluate("(performance.now() - played) / 1000") + 1)
        said_s = await console.page.evaluate("(performance.now() - played) / 1000")
        await console.finish()
        heard_s = [(await console.told(each))["audio_ms"] / 1000 for each in (first, second)]
        consent = await console.told(second, "/consent")
    assert second != first
    assert consent["consent"]["given_by"] == "patient"
    if way == "recorder":  # whose file has its own times, with silence where the first consultation has the words
        assert abs(heard_s[1] - said_s) < 1, (heard_s, said_s)
    else:
        assert -1 < sum(heard_s) - said_s < OVERLAP_S, (heard_s, said_s)


@pytest.mark.parametrize("way", ["webrtc", "recorder"])
async def test_a_page_that_is_loaded_again_while_it_finishes_opens_no_microphone(
    chromium: Path, impatient: RunningServer, microphone: Path, way: str
) -> None:
    async with using(chromium, impatient, microphone=microphone) as console:
        console.provoked += [NETWORK, REFUSED, "failed: DELETE"]
        await console.sign_in(impatient.key)
        encounter = await console.start(way)
        await console.play(2)
        if way == "webrtc":
            await console.page.route("**/whip/*", held)
            await console.button("recording.finish").click()
            await expect(console.page.locator("#recording-state")).to_have_text(text("recording.ending"))
        else:  # as it is kept between the press and the end
            await console.page.evaluate("""() => {
              const kept = JSON.parse(sessionStorage.getItem("auscult.recording"));
              addEventListener("pagehide", () => {
                sessionStorage.setItem("auscult.recording", JSON.stringify({ ...kept, ending: true }));
              });
            }""")
        await console.reload()
        assert await console.opened() == encounter
        await console.done()
        assert not await console.page.evaluate(MICROPHONE)
        await expect(console.page.locator("#recording")).to_be_hidden()


async def held(route: Route) -> None:
    """The server's answer does not come."""
    if route.request.method != "DELETE":
        await route.continue_()


async def test_one_that_was_paused_comes_back_paused_and_one_that_is_not_waited_for_records_nothing(
    chromium: Path, impatient: RunningServer, microphone: Path
) -> None:
    async with using(chromium, impatient, microphone=microphone) as console:
        console.provoked += [NETWORK, REFUSED]
        page, state = console.page, console.page.locator("#recording-state")
        await console.sign_in(impatient.key)
        encounter = await console.start("webrtc")
        await console.play(1)
        await console.button("recording.pause").click()
        recorded_s = await clock_s(console)
        await console.play(recorded_s + 4)
        assert await clock_s(console) == recorded_s
        await page.route("**/whip?*", (slow := Slow()).route)
        await console.reload()
        await expect(state).to_have_text(text("recording.connecting"))
        await expect(page.locator("#pause")).to_be_hidden()
        await page.locator("#finish").click()
        await expect(state).to_have_text(text("back.interrupted"))
        slow.over.set()
        await console.ended(encounter)
        assert not await page.evaluate(MICROPHONE)
        await console.button("recording.finish").click()
        await expect(page.locator("#recording")).to_be_hidden()


async def test_one_that_is_begun_while_another_waits_for_its_microphone_goes_on_alone(
    chromium: Path, impatient: RunningServer, microphone: Path
) -> None:
    async with using(chromium, impatient, microphone=microphone) as console:
        console.provoked += [NETWORK, REFUSED]
        page = console.page
        await console.sign_in(impatient.key)
        first = await console.start("webrtc")
        await console.play(1)
        await page.add_init_script(ASKED)
        await console.reload()
        await console.until("'allow' in window")
        await console.follows("nav.new")
        second = await console.start("recorder")
        await page.evaluate("allow()")
        await console.until("window.allowed?.getTracks().every((track) => track.readyState === 'ended')")
        await console.ended(first)
        await console.is_recording()
        assert await console.opened() == second
        await console.finish()


async def test_one_that_is_ended_elsewhere_is_not_gone_on_with(
    chromium: Path, impatient: RunningServer, microphone: Path
) -> None:
    async with using(chromium, impatient, microphone=microphone) as console:
        console.provoked.append(REFUSED)
        await console.sign_in(impatient.key)
        known = await console.listed()
        await console.start("webrtc")
        await console.play(1)
        await console.page.evaluate(ENDED_ELSEWHERE)
        await console.sees("error.ended_elsewhere")
        await console.done()
        await expect(console.page.locator("#recording")).to_be_hidden()
        assert len(await console.listed()) == len(known) + 1


async def test_a_pause_lasts_over_a_reload_and_is_not_counted(
    chromium: Path, impatient: RunningServer, microphone: Path
) -> None:
    async with using(chromium, impatient, microphone=microphone) as console:
        await console.sign_in(impatient.key)
        await console.start("recorder")
        await console.play(1)
        await console.button("recording.pause").click()
        recorded_s = await clock_s(console)
        await console.play(recorded_s + 4)
        await console.reload()
        await console.is_recording("paused")
        assert abs(await clock_s(console) - recorded_s) <= 1
        await console.button("recording.finish").click()
        await console.sees("note.none")
        await expect(console.page.locator(".notice.problem")).to_have_count(0)  # it says so itself


async def test_a_start_that_is_cancelled_opens_nothing(
    chromium: Path, impatient: RunningServer, microphone: Path
) -> None:
    async with using(chromium, impatient, microphone=microphone) as console:
        page = console.page
        await console.sign_in(impatient.key)
        await console.consent()
        await by_way("webrtc", console)
        known = await console.listed()
        await page.route("**/api/tokens", (slow := Slow()).route)
        await console.button("start.go.microphone").click()
        await expect(page.locator("#recording-state")).to_have_text(text("recording.connecting"))
        await page.locator("#finish").click()
        await expect(page.locator("#recording")).to_be_hidden()
        async with page.expect_response("**/api/tokens"):
            slow.over.set()
        await expect(console.button("start.go.microphone")).to_be_enabled()
        assert not await page.evaluate(MICROPHONE)
        await console.button("start.go.microphone").click()  # and a second start is the first one that opens something
        await console.is_recording()
        await console.button("recording.finish").dblclick()  # what moves into its place is not pressed
        await console.done()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        assert len(await console.listed()) == len(known) + 1


class Slow:
    """A server that answers only when this is over."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def route(self, route: Route) -> None:
        await self.over.wait()
        await route.continue_()


async def clock_s(console: Console) -> int:
    """What the bar's clock shows."""
    minutes, seconds = (await console.page.locator("#recording-clock").inner_text()).split(":")
    return int(minutes) * 60 + int(seconds)


async def test_a_start_that_is_refused_can_be_tried_again(
    chromium: Path, impatient: RunningServer, microphone: Path
) -> None:
    async with using(chromium, impatient, microphone=microphone) as console:
        console.provoked += [NETWORK, REFUSED]
        await console.sign_in(impatient.key)
        for way in ("recorder", "webrtc"):
            await wanting("nothing like it", console)
            await console.consent()
            await by_way(way, console)
            await console.button("start.go.microphone").click()
            await expect(console.page.locator(".notice.problem").first).to_be_visible()
            await expect(console.page.locator("#recording")).to_be_hidden()
            await expect(console.button("start.go.microphone")).to_be_enabled()
            assert not await console.page.evaluate(MICROPHONE)
            await console.page.locator(".notice button").first.click()
        await wanting("SOAP", console)
        await console.button("start.go.microphone").click()
        await console.is_recording()
        await console.reads(1)
        await console.finish()


async def by_way(way: str, console: Console) -> None:
    await console.page.locator("details:has([name=way])").evaluate("(more) => { more.open = true; }")
    await console.choice("start.way").select_option(value=way)


async def wanting(template: str, console: Console) -> None:
    """Choose a kind of note, whether there is such a one or not."""
    await console.page.locator("#template").evaluate(
        "(select, name) => { select.add(new Option(name, name)); select.value = name; }", template
    )
