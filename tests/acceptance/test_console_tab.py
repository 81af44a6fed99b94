"""A call in another tab: its sound is the consultation's."""

import base64
from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.browser import FLAGS, PATIENCE_MS, write_wav
from tests.acceptance.console import page_of
from tests.acceptance.leaks import nothing_left_in

pytestmark = pytest.mark.slow

SECONDS = 6
CALL = "Call"


async def test_a_call_in_another_tab_is_heard(
    chromium: Path, whisper_server: RunningServer, headache: Recording, tmp_path: Path
) -> None:
    recording = write_wav(tmp_path / "call.wav", [headache.mono()[: SECONDS * 16000]])
    sound = f"data:audio/wav;base64,{base64.b64encode(recording.read_bytes()).decode()}"
    flags = [
        *(flag for flag in FLAGS if "fake" not in flag),
        f"--auto-select-tab-capture-source-by-title={CALL}",
        "--autoplay-policy=no-user-gesture-required",
    ]
    with nothing_left_in(whisper_server):
        async with async_playwright() as playwright:
            launched = await playwright.chromium.launch(
                executable_path=chromium, args=flags, ignore_default_args=["--mute-audio"]
            )
            try:
                context = await launched.new_context(locale="en-GB")
                call = await context.new_page()
                await call.set_content(f"<title>{CALL}</title>")
                async with page_of(context, whisper_server) as console:
                    await console.sign_in(whisper_server.key)
                    await console.page.locator("[name=source][value=tab]").check()
                    await console.page.locator("[name=own]").uncheck()
                    await console.consent()
                    await console.button("start.go.tab").click()
                    await console.opened()
                    await console.is_recording()
                    await call.evaluate("(sound) => { window.call = new Audio(sound); call.play(); }", sound)
                    said = console.page.locator("#items")
                    await expect(said).to_contain_text("headache", timeout=PATIENCE_MS)
                    await console.finish()
            finally:
                await launched.close()
