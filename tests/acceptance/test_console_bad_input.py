"""What goes wrong in front of the console, and around it: a plain sentence says what to do, and nothing is lost."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import FilePayload, Page, expect

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from tests.acceptance.browser import write_wav
from tests.acceptance.conftest import make_key
from tests.acceptance.console import NETWORK, UNPLUGGED, Console, browsing, page_of, text, texts, using
from tests.acceptance.leaks import nothing_left_in

pytestmark = pytest.mark.slow

EXPIRES_S = 8
REFUSED = r"status of 4\d\d"  # what a browser says when the server refuses


@pytest.fixture
def nothing_stays(chromium: Path, whip_server: RunningServer) -> Iterator[None]:
    with nothing_left_in(whip_server):
        yield


@pytest.mark.usefixtures("nothing_stays")
async def test_a_wrong_key_a_refused_microphone_and_a_file_that_is_no_audio_are_explained(
    chromium: Path, whip_server: RunningServer
) -> None:
    async with browsing(chromium, allowed=False) as context, page_of(context, whip_server) as console:
        console.provoked.append(REFUSED)
        await console.label("sign_in.key").fill("no-such-key")
        await console.button("sign_in.go").click()
        await console.sees("sign_in.wrong")
        await console.sign_in(whip_server.key)
        await console.consent()
        await console.button("start.go.microphone").click()
        await console.sees("error.NotAllowedError")
        await expect(console.page.locator("#recording")).to_be_hidden()
        await console.page.get_by_role("radio", name=text("start.file")).check()
        await console.button("start.go.file").click()
        await expect(console.page.locator("[name=files]")).to_have_js_property(
            "validationMessage", text("start.no_file")
        )
        letter = FilePayload(name="letter.wav", mimeType="audio/wav", buffer=b"Dear Sir or Madam, " * 400)
        await console.page.locator("[name=files]").set_input_files(letter)
        await console.button("start.go.file").click()
        await console.sees("error.unsupported_audio")


@pytest.mark.usefixtures("nothing_stays")
async def test_silence_an_unplugged_microphone_another_window_and_an_erased_consultation_are_told(
    chromium: Path, whip_server: RunningServer, tmp_path: Path
) -> None:
    microphone = write_wav(tmp_path / "silence.wav", [np.zeros(16_000, np.float32)])
    async with browsing(chromium, microphone=microphone) as context, page_of(context, whip_server) as console:
        console.provoked.append(REFUSED)
        page = console.page
        problem = page.locator("#recording-problem")
        await page.clock.install()
        await console.sign_in(whip_server.key)
        encounter = await console.start("recorder")
        await expect(problem).to_be_hidden()
        await page.clock.fast_forward(21_000)
        await expect(problem).to_have_text(text("recording.silent.microphone"))
        await page.evaluate(UNPLUGGED)
        await expect(problem).to_have_text(text("recording.gone.microphone"))
        await console.button("recording.other_microphone").click()
        await expect(problem).to_be_hidden()
        await console.is_recording()
        other = await another_window(console)
        await console.sees("error.displaced")
        await expect(page.locator("#recording")).to_be_hidden()
        await expect(other.locator("#recording-state")).to_have_text(text("recording.recording"))
        (await console.api.delete(f"/api/encounters/{encounter}")).raise_for_status()
        await expect(other.locator("#recording")).to_be_hidden()
        await expect(other.locator("#notices")).to_contain_text("erased")
        await expect(page.locator("#notices")).to_contain_text("erased")


async def another_window(console: Console) -> Page:
    """The same page, with what the first one keeps over a reload."""
    async with console.page.expect_popup() as opened:
        await console.page.evaluate("() => void open(location.href)")
    return await opened.value


async def test_a_server_that_restarts_and_a_pass_that_expires_lose_nothing(
    chromium: Path, headache: Recording, tmp_path: Path
) -> None:
    microphone = write_wav(tmp_path / "microphone.wav", [headache.mono()])
    environment = {f"AUSCULT_TOKENS_{name}": str(EXPIRES_S) for name in ("EXPIRES_S", "MAX_EXPIRES_S")}
    async with (
        running_server(recogniser="scripted", environment=environment) as server,
        using(chromium, server, microphone=microphone) as console,
    ):
        console.provoked += [NETWORK, REFUSED]
        await console.sign_in(server.key)
        encounter = await console.start("recorder")
        await console.play(2)
        await server.kill()
        await console.is_recording("recording_offline")
        await server.start()
        await console.is_recording()
        await console.play(EXPIRES_S + 1)  # longer than a pass holds: it was renewed
        first_s = await console.page.evaluate("(performance.now() - played) / 1000")
        await console.reload()
        await console.is_recording()
        await console.sees("sign_in.expired")
        await console.label("sign_in.key").fill(make_key(server, "default"))
        await console.button("sign_in.go").click()
        await console.sees("sign_in.other_key")
        await console.label("sign_in.key").fill(server.key)
        await console.button("sign_in.go").dblclick()
        await expect(console.page.locator("#again")).to_be_hidden()
        await console.play(EXPIRES_S + 2)
        await server.kill()
        await console.is_recording("recording_offline")
        second_s = await console.page.evaluate("(performance.now() - played) / 1000")
        await console.button("recording.finish").click()
        await console.is_recording("ending_offline")
        await server.start()
        await console.done()
        heard_s = (await console.told(encounter))["audio_ms"] / 1000
        await console.follows("nav.new")
        await expect(console.page.locator("#foot-connection")).to_have_text(text("foot.online"))
        await server.kill()
        await console.page.evaluate("dispatchEvent(new Event('online'))")  # as it looks by itself every 20 seconds
        await expect(console.page.locator("#foot-connection")).to_have_text(text("foot.offline"))
    assert abs(heard_s - first_s - second_s) < 1


async def test_a_recording_that_ended_while_the_page_was_away_is_shown_and_not_gone_on_with(
    chromium: Path, whip_server: RunningServer
) -> None:
    async with using(chromium, whip_server) as console:
        console.provoked.append(REFUSED)
        await console.sign_in(whip_server.key)
        encounter = await console.start("recorder")
        await console.play(1)
        await console.page.goto(f"{whip_server.base_url}/console/icon.svg")
        (await console.api.delete(f"/api/encounters/{encounter}")).raise_for_status()
        await console.page.goto(f"{whip_server.base_url}/console/")
        await console.sees("consultation.gone")
        await expect(console.page.locator("#recording")).to_be_hidden()


# No answer of the server's sockets arrives, so a recording that is to go on behind a reload is still connecting.
UNANSWERED = """
window.WebSocket = class extends WebSocket {
  set onmessage(hear) {
    super.onmessage = (event) => window.answered && hear?.(event);
  }
};
"""
ANSWERED = "window.answered = true"


async def test_a_recording_that_is_not_taken_up_again_can_be_or_is_over_and_one_that_was_erased_meanwhile_is_gone(
    chromium: Path, whip_server: RunningServer
) -> None:
    async with using(chromium, whip_server) as console:
        console.provoked.append(REFUSED)
        page, cancel = console.page, console.page.locator("#finish")
        await console.sign_in(whip_server.key)
        encounter = await console.start("recorder")
        await console.play(1)
        await page.add_init_script(UNANSWERED)
        await console.reload()
        await expect(cancel).to_have_text(text("ask.no"))
        await cancel.click()
        state = page.locator("#recording-state")
        await expect(state).to_have_text(text("back.interrupted"))
        await console.button("nav.out").click()
        await console.answers("ask.no")  # it is not forgotten unasked
        await page.locator("#language").select_option("de")
        await expect(state).to_have_text(texts("de")["back.interrupted"].partition(" {")[0])
        await page.locator("#language").select_option("en")
        await console.button("recording.continue").click()
        await expect(cancel).to_have_text(text("ask.no"))
        (await console.api.delete(f"/api/encounters/{encounter}")).raise_for_status()
        await console.sees("consultation.gone")
        await expect(page.locator("#recording")).to_be_hidden()
        await page.evaluate(ANSWERED)
        await console.follows("nav.new")
        left = await console.start("recorder")
        await console.play(1)
        await console.reload()
        await cancel.click()
        await page.evaluate(ANSWERED)
        await console.button("recording.finish").click()
        await console.ended(left)  # at once, not when nobody came back
