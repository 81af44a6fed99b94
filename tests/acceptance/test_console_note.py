"""The note in the console: what comes late, what cannot be read at once, what is copied and printed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Route, expect

from bench.server import RunningServer
from tests.acceptance.browser import PATIENCE_MS
from tests.acceptance.console import Console, text, using
from tests.acceptance.leaks import nothing_left_in
from tests.acceptance.live import END, HELLO, dialled, hear, recorded, rest, say

pytestmark = pytest.mark.slow

COUGH = """Doctor: Good morning, what brings you in today?
Patient: I have had a bad cough and a fever for two weeks. I take lisinopril 10 mg daily.
Doctor: Your lungs sound clear. You have bronchitis. Take doxycycline 100 mg twice a day for seven days."""
KNEE = """Doctor: What can I do for you?
Patient: My left knee has hurt for three days, since I fell. I am allergic to penicillin.
Doctor: The knee is swollen. You have a sprained knee. Take ibuprofen 400 mg three times a day with food."""
SECONDS = 40  # where words are real: the doctor alone has said enough for a note
MOVES = """
() => {
  window.moves = 0;
  new MutationObserver((changes) => {
    for (const { removedNodes } of changes) window.moves += [...removedNodes].filter((each) => each.isConnected).length;
  }).observe(document.querySelector("#note-body"), { childList: true });
}
"""
NARROW = {"width": 360, "height": 740}


@pytest.fixture
async def console(
    chromium: Path, scripted_server: RunningServer, scripted_keeps_nothing: None
) -> AsyncIterator[Console]:
    async with using(chromium, scripted_server) as opened:
        await opened.sign_in(scripted_server.key)
        yield opened


async def typed(console: Console, talk: str) -> str:
    """Have a note written of this; the encounter."""
    await go(console, "new")
    await console.page.locator("[name=source][value=typed]").check()
    await console.page.get_by_role("textbox", name=text("start.text")).fill(talk)
    await console.button("start.go.typed").click()
    encounter = await console.opened()
    await console.note()
    return encounter


async def go(console: Console, where: str) -> None:
    await console.page.evaluate("where => { location.hash = where; }", where)


async def status(console: Console, encounter: str) -> str:
    return str((await console.told(encounter, "/notes/1"))["review_status"])


async def test_what_comes_late_of_another_consultation_is_not_shown(console: Console) -> None:
    cough = await typed(console, COUGH)
    knee = await typed(console, KNEE)
    body, state = console.page.locator("#note-body"), console.page.locator("#note-state")

    await console.button("approve").click()
    await go(console, f"c/{cough}")  # as who presses Back beneath the question
    await expect(body).to_contain_text("cough")
    if await (yes := console.button("approve.yes")).is_visible():
        await yes.click()
    assert [await status(console, each) for each in (cough, knee)] == ["draft", "draft"]

    await go(console, f"c/{knee}")
    await expect(body).to_contain_text("knee")
    asked, answered = asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        answer = await route.fetch()
        if route.request.method == "PATCH":
            asked.set()
            await answered.wait()
        await route.fulfill(response=answer)

    await console.page.route("**/notes/1", late)
    await console.button("approve").click()
    await console.button("approve.yes").click()
    await asked.wait()
    await go(console, f"c/{cough}")
    await expect(body).to_contain_text("cough")
    async with console.page.expect_request_finished(lambda request: request.method == "PATCH"):
        answered.set()
    await console.button("edit").click()
    await console.button("edit.cancel").click()
    await expect(body).to_contain_text("cough")
    await expect(body).not_to_contain_text("knee")
    await expect(state).to_contain_text("Draft")
    assert [await status(console, each) for each in (cough, knee)] == ["draft", "approved"]


async def test_a_note_that_cannot_be_read_yet_is_asked_for_again_then_copied_and_printed(console: Console) -> None:
    asked, asked_again = asyncio.Event(), asyncio.Event()

    async def refuse(route: Route) -> None:
        (asked_again if asked.is_set() else asked).set()
        await route.fulfill(status=503, json={"code": "store_unavailable"})

    console.provoked.append("503")
    encounter = await typed(console, COUGH)
    await go(console, "past")
    await console.page.route("**/notes", refuse)
    await go(console, f"c/{encounter}")
    await console.sees("note.loading")
    await asked_again.wait()
    await console.page.unroute("**/notes")
    await console.note()
    await copied(console, encounter)
    await somebody_else_works_at_it(console, encounter)
    await what_stays_is_not_touched(console, encounter)
    await a_version_is_written_while_somebody_reads_elsewhere(console, encounter)
    await printed(console)


async def copied(console: Console, encounter: str) -> None:
    await console.button("copy").click()
    await console.sees("note.copied")
    copy = (await console.api.get(f"/api/encounters/{encounter}/notes/1/document?format=text")).text
    assert await console.page.evaluate("navigator.clipboard.readText()") == copy


async def somebody_else_works_at_it(console: Console, encounter: str) -> None:
    """It is shown as it is by now, with what to do; neither their words are lost, nor what is being written."""
    console.provoked += [r"status of 4(09|12)"]
    await asked_of_a_version(console, encounter, 1, "PATCH", {"review_status": "approved"})
    await console.button("approve").click()
    await console.answers("approve.yes")
    await console.sees("error.precondition_failed")
    await expect(console.page.locator("#note-state")).to_contain_text(text("review.approved"))
    await console.button("unapprove").click()
    await expect(console.page.locator("#note-state")).to_contain_text(text("review.draft"))
    await console.button("edit").click()
    first, problem = console.page.locator("#note-edit textarea").first, console.page.locator("#note-edit .problem")
    for each in await console.page.locator("#note-edit textarea").all():
        await each.fill(" ")
    await console.button("edit.save").click()
    await expect(problem).to_have_text(text("error.nothing_written"))
    sentences = [{"text": "Theirs.", "items": []}]
    section = {"key": "SUBJECTIVE", "title": "Subjective", "sentences": sentences}
    await asked_of_a_version(console, encounter, 1, "PUT", {"title": "Theirs", "sections": [section]})
    await first.fill("Mine.")
    await console.button("edit.save").click()
    await expect(problem).to_contain_text(text("error.edited_meanwhile"))
    await expect(problem).to_contain_text("2")
    await console.button("edit.save").click()
    await expect(console.choice("note.versions")).to_have_value("3")
    await expect(console.page.locator("#note-body")).to_contain_text("Mine.")
    await console.choice("note.versions").select_option("1")
    await expect(console.page.locator("#note-body")).to_contain_text("cough")


async def what_stays_is_not_touched(console: Console, encounter: str) -> None:
    """Who reads a sentence, or has selected it, goes on where they were when there is more of the note."""
    page = console.page
    await console.choice("note.versions").select_option("3")
    await expect(page.locator("#note-body")).to_contain_text("Mine.")
    item = (await console.told(encounter))["items"][0]["id"]
    sections = [
        {"key": key, "title": title, "sentences": [{"text": each, "items": [item]} for each in said]}
        for key, title, said in [("SUBJECTIVE", "Subjective", ["Mine.", "More."]), ("PLAN", "Plan", ["Rest."])]
    ]
    await asked_of_a_version(console, encounter, 3, "PUT", {"title": "Cough", "sections": sections})
    await looks_again(console)
    await expect(console.choice("note.versions")).to_have_value("4")
    plan, mine = page.locator(".sentence", has_text="Rest."), page.locator(".sentence", has_text="Mine.")
    await mine.focus()
    await page.evaluate(MOVES)
    sections[0]["sentences"] = [*sections[0]["sentences"], {"text": "Still more.", "items": [item]}]
    await asked_of_a_version(console, encounter, 4, "PUT", {"title": "Cough", "sections": sections})
    await looks_again(console)
    await expect(page.locator("#note-body")).to_contain_text("Still more.")
    await expect(mine).to_be_focused()
    await expect(plan).to_be_visible()
    assert await page.evaluate("moves") == 0


async def looks_again(console: Console) -> None:
    """As who comes back from another window."""
    await console.page.evaluate("() => void document.dispatchEvent(new Event('visibilitychange'))")


async def a_version_is_written_while_somebody_reads_elsewhere(console: Console, encounter: str) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        if route.request.method == "POST":
            asked.set()
            await answered.wait()
        await route.continue_()

    await console.page.route("**/notes", late)
    await console.page.get_by_text(text("note.other")).click()
    await console.button("note.again").click()
    await asked.wait()
    await go(console, "past")
    await expect(console.page.locator("#past-list li").first).to_be_visible()
    assert await console.page.locator("#note-body").text_content() == ""
    assert await console.page.locator("#items > li").count() == 0
    await go(console, f"c/{encounter}")
    await console.note()
    await expect(console.page.locator("#note-state")).to_have_text(text("note.writing"))
    answered.set()
    await expect(console.choice("note.versions")).to_have_value("6")
    await console.page.unroute("**/notes")


async def asked_of_a_version(
    console: Console, encounter: str, version: int, method: str, wanted: dict[str, object]
) -> None:
    path = f"/api/encounters/{encounter}/notes/{version}"
    tag = (await console.api.get(path)).headers["etag"]
    (await console.api.request(method, path, json=wanted, headers={"If-Match": tag})).raise_for_status()


async def printed(console: Console) -> None:
    """The note and nothing else, also where the transcript stands in its place."""
    page = console.page
    await page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    await page.get_by_role("button", name=text("transcript"), exact=True).click()
    await expect(page.locator("#note-body")).to_be_hidden()
    await page.emulate_media(media="print", color_scheme="dark")
    await expect(page.locator("#note-body .sentence").first).to_be_visible()
    assert "what brings you in" not in (shown := await page.inner_text("body"))
    assert shown.splitlines()[0].startswith("Draft, to be reviewed")
    assert await page.evaluate("getComputedStyle(document.querySelector('#note-body')).color") == "rgb(27, 35, 38)"
    beyond = "({ scrollHeight, clientHeight }) => scrollHeight - clientHeight"
    assert await page.locator("#note-body").evaluate(beyond) <= 1


async def test_the_kind_of_note_that_is_chosen_while_people_talk_is_written_in_the_end(
    chromium: Path, whisper_server: RunningServer
) -> None:
    """Also where it is chosen before anything was said: nothing is asked for then that the server would refuse."""
    chunks = recorded("headache", SECONDS)
    with nothing_left_in(whisper_server):
        async with dialled(whisper_server) as socket, using(chromium, whisper_server) as console:
            await console.sign_in(whisper_server.key)
            await say(socket, HELLO | {"template": "SOAP", "role": "doctor"})
            encounter = (await hear(socket, "session"))["encounter_id"]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(rest(socket))
                await go(console, f"c/{encounter}")
                await console.sees("note.later")
                await console.page.get_by_text(text("note.other")).click()
                await console.choice("start.template").filter(visible=True).select_option("GENERAL_MEDICINE")
                await console.choice("start.style").filter(visible=True).select_option("bullet_points")
                for chunk in chunks[: round(len(chunks) * 0.8)]:
                    await socket.send(chunk)
                title = console.page.locator("#note-body .note-title")
                await expect(title).to_have_text("General medicine note", timeout=PATIENCE_MS)
                await console.page.get_by_role("searchbox", name=text("search")).fill("You")
                for chunk in chunks[round(len(chunks) * 0.8) :]:
                    await socket.send(chunk)
                await say(socket, END)
            await expect(console.choice("note.versions")).to_have_value("2", timeout=PATIENCE_MS)
            said = " ".join(each["text"] for each in await console.said()).lower()
            found = console.page.locator("#found")
            await expect(found).to_have_text(f"1 of {said.count('you')}")  # the place stays, and what came since counts
            written = await console.told(encounter, "/notes/2")
            assert (written["template"], written["style"]) == ("GENERAL_MEDICINE", "bullet_points")
