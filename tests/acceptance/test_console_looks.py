"""How the console looks, light, dark and narrow: screenshots to be looked at (`artefacts/console`), judged by axe-core.

Nothing may be of serious or critical impact (https://github.com/dequelabs/axe-core), nothing may reach beyond the
screen's width, or beyond what scrolls upwards only.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.browser import listening, write_wav

pytestmark = pytest.mark.slow

ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "console"
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
ENLARGED = {"width": 640, "height": 400}  # WIDE at 200 %
TOO_WIDE = """
() => [document.documentElement, ...document.querySelectorAll(".scroll, .card")].some(
  ({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
"""
COLOURS = "all => all.map((each) => getComputedStyle(each).backgroundColor)"
SERIOUS = {"serious", "critical"}
BESIDE = {"landmark-unique", "region"}  # where a screen reader's user jumps to
TALK = f"""Doctor: Good morning, what brings you in today?
Patient: I have had a bad cough and a fever for two weeks. I take lisinopril 10 mg daily, and {"so" * 99}.
Doctor: Do you have any allergies?
Patient: I am allergic to penicillin.
Doctor: Your lungs sound clear. You have bronchitis. Take doxycycline 100 mg twice a day for seven days."""


class Looks:
    """A page that is looked at as it goes."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.findings: list[str] = []

    async def at(self, name: str) -> None:
        """Take pictures of what is shown, and judge it."""
        page = self.page
        for look, colours, size in (("light", "light", WIDE), ("dark", "dark", WIDE), ("narrow", "light", NARROW)):
            await page.emulate_media(color_scheme=colours, reduced_motion="reduce")  # type: ignore[arg-type]
            await page.set_viewport_size(size)  # type: ignore[arg-type]
            await page.screenshot(path=ARTEFACTS / f"{name}-{look}.png")
            if size == WIDE:
                await self._judge(f"{name}, {look}")
            if await page.evaluate(TOO_WIDE):
                self.findings.append(f"{name}, {look}: wider than the screen")
        await page.set_viewport_size(WIDE)  # type: ignore[arg-type]

    async def marks(self, name: str, *pairs: tuple[str, str]) -> None:
        """What is marked can be told from what is not where the system decides on colours."""
        await self.page.emulate_media(forced_colors="active", reduced_motion="reduce")
        await self.page.screenshot(path=ARTEFACTS / f"{name}-forced.png")
        for marked, others in pairs:
            marks, colours = [await self.page.locator(each).evaluate_all(COLOURS) for each in (marked, others)]
            if not marks or not colours or set(marks) & set(colours):
                self.findings.append(f"{name}: {marked} looks like {others} in forced colours")
        await self.page.emulate_media(forced_colors="none")

    async def enlarged(self, what: str) -> None:
        """At 200 % there is room to read, and what tells of a recording stays."""
        page = self.page
        await page.set_viewport_size(ENLARGED)  # type: ignore[arg-type]
        await page.evaluate(f"document.querySelector('{what}').scrollIntoView({{ block: 'end' }})")
        await page.screenshot(path=ARTEFACTS / "8-recording-enlarged.png")
        box, bar = await page.locator(what).bounding_box(), await page.locator("#recording").bounding_box()
        assert box is not None
        assert bar is not None
        bottom = min(box["y"] + box["height"], ENLARGED["height"])
        seen = bottom - max(box["y"], bar["y"] + bar["height"])
        if seen < ENLARGED["height"] / 2:
            self.findings.append(f"{what}: {seen} px to read at 200 %")
        await expect(page.locator("#recording")).to_be_in_viewport(ratio=1)
        await page.set_viewport_size(WIDE)  # type: ignore[arg-type]

    async def _judge(self, what: str) -> None:
        found = await Axe().run(self.page)
        for violation in found.response["violations"]:
            if violation["impact"] in SERIOUS or violation["id"] in BESIDE:
                nodes = [node["html"][:120] for node in violation["nodes"][:3]]
                self.findings.append(f"{what}: {violation['id']}: {violation['help']} {nodes}")


@pytest.fixture
async def looks(
    chromium: Path, scripted_server: RunningServer, headache: Recording, tmp_path: Path
) -> AsyncIterator[Looks]:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    microphone = write_wav(tmp_path / "microphone.wav", [headache.mono()[: 16000 * 12]])
    async with listening(chromium, microphone) as browser:
        client = await browser.open(f"{scripted_server.base_url}/console/")
        await client.page.wait_for_selector("html[data-ready]")
        yield Looks(client.page)


@pytest.mark.usefixtures("scripted_keeps_nothing")
async def test_every_view_can_be_read_by_everybody(looks: Looks, scripted_server: RunningServer) -> None:
    page = looks.page
    await looks.at("1-sign-in")
    await page.get_by_label("Your key").fill(scripted_server.key)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_text("More choices").click()
    await looks.at("2-start")

    await page.locator("[name=source][value=typed]").check()
    await page.get_by_role("textbox", name="What was said").fill(TALK)
    await page.get_by_role("button", name="Write the note").click()
    await expect(page.get_by_role("button", name="Approve")).to_be_visible(timeout=30_000)
    await looks.at("3-note")
    await page.locator(".sentence").first.click()
    await looks.at("3-evidence")
    await looks.marks(
        "3-evidence",
        (".sentence.lit", ".sentence:not(.lit)"),
        (".item.evidence", ".item:not(.evidence)"),
        (".tabs [aria-pressed=true]", ".tabs [aria-pressed=false]"),
    )
    await page.get_by_role("button", name="Edit").click()
    await looks.at("4-edit")
    await page.get_by_role("button", name="Cancel").click()
    await page.locator(".who").first.click()
    await looks.at("5-whose-voice")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Approve").click()
    await looks.at("6-approve")
    await page.keyboard.press("Escape")

    await page.get_by_role("link", name="Past consultations").click()
    await expect(page.locator(".encounter").first).to_be_visible()
    await looks.at("7-past")

    await page.get_by_role("link", name="New consultation").click()
    await page.locator("[name=source][value=microphone]").check()
    await page.locator("[name=given_by]").select_option("patient")
    await page.locator("[name=method]").select_option("spoken")
    await page.locator("[name=way]").select_option("recorder")
    await page.get_by_role("button", name="Start recording").click()
    await expect(page.locator("#items > li").first).to_be_visible(timeout=30_000)
    await looks.at("8-recording")
    await looks.enlarged("#transcript-view")
    await page.get_by_role("button", name="Pause").click()
    await looks.at("9-paused")
    await page.get_by_role("button", name="Finish").click()
    await expect(page.locator("#recording")).to_be_hidden(timeout=30_000)
    await expect(page.locator("#consultation-title")).to_be_focused()  # the button that had the focus is gone
    assert looks.findings == []
