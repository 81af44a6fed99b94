"""From the first click to an approved note, with a real browser and real words."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.browser import write_wav
from tests.acceptance.console import Console, text, using
from tests.acceptance.leaks import nothing_left_in
from tests.acceptance.spoken import assert_heard_once, assert_times_hold, with_pauses

pytestmark = pytest.mark.slow

STILL_S = 3  # at the beginning: the microphone plays while a call is set up
SECONDS = 9.7
PASTED = "<img src=x onerror=alert(1)><b>Headache</b> & <i>nausea</i>."


@pytest.fixture(autouse=True)
def nothing_stays(chromium: Path, whisper_server: RunningServer) -> Iterator[None]:
    with nothing_left_in(whisper_server):
        yield


@pytest.mark.parametrize("way", ["webrtc", "recorder"])
async def test_a_consultation_from_the_first_click_to_an_approved_note(
    chromium: Path, whisper_server: RunningServer, headache: Recording, tmp_path: Path, way: str
) -> None:
    still_s = STILL_S if way == "webrtc" else 0
    channels, said = with_pauses(headache, {0.0: still_s}, SECONDS)
    microphone = write_wav(tmp_path / "microphone.wav", [channels[0] + channels[1]])
    async with using(chromium, whisper_server, microphone=microphone) as console:
        await console.sign_in(whisper_server.key)
        encounter = await console.start(way)
        await console.is_recording()
        await console.reads(1)
        assert await console.page.evaluate("provisional")
        await speakers_are_corrected_meanwhile(console, encounter)
        await console.play(still_s + SECONDS)
        consent = (await console.told(encounter, "/consent"))["consent"]
        assert (consent["given_by"], consent["method"]) == ("patient", "spoken")
        await console.finish()
        await console.note()
        finals = await console.said()
        assert_heard_once(finals, said)
        assert_times_hold(finals, said, still_s=still_s)
        await evidence_is_lit_and_played(console)
        await an_edit_is_a_version_of_text(console, encounter)
        await approved(console, encounter)


async def speakers_are_corrected_meanwhile(console: Console, encounter: str) -> None:
    """The first one is set, and swapped again."""
    first = console.page.locator("#items > li").first
    await console.calls(0, "patient")
    await expect(first).to_have_class("item patient")
    await console.button("transcript.swap").click()
    await expect(first).to_have_class("item doctor")
    assert "doctor" in [each["speaker"] for each in (await console.told(encounter, "/speakers"))["speakers"]]


async def evidence_is_lit_and_played(console: Console) -> None:
    """A click on a sentence of the note shows the words that it rests on, and plays them."""
    sentence = console.page.locator("#note-body .sentence").first
    items = (await sentence.get_attribute("data-items") or "").split(",")
    async with console.page.expect_response(lambda answer: "/audio?" in answer.url) as answered:
        await sentence.click()
    assert (await answered.value).status == 200
    lit = await console.page.locator("#items .evidence").evaluate_all("all => all.map((each) => each.dataset.id)")
    assert sorted(lit) == sorted(items)
    await expect(console.page.locator("#items .playing")).to_have_count(1)  # and it goes when the sound is over
    await expect(console.page.locator("#items .playing")).to_have_count(0, timeout=30_000)


async def an_edit_is_a_version_of_text(console: Console, encounter: str) -> None:
    await console.button("edit").click()
    first = console.page.locator("#note-edit textarea").first
    before = await first.input_value()
    await first.fill(f"{before}\n{PASTED}")
    await console.button("edit.save").click()
    await expect(console.choice("note.versions")).to_have_value("2")
    await expect(console.page.locator("#note-body")).to_contain_text(PASTED)
    assert await console.page.locator("#note-body img, #note-body b").count() == 0
    version = await console.told(encounter, "/notes/2")
    assert PASTED in [sentence["text"] for section in version["sections"] for sentence in section["sentences"]]


async def approved(console: Console, encounter: str) -> None:
    await console.button("approve").click()
    await console.sees("approve.text")
    await console.answers("approve.yes")
    await expect(console.page.locator("#note-state")).to_contain_text(text("review.approved"))
    assert (await console.told(encounter, "/notes/2"))["review_status"] == "approved"
