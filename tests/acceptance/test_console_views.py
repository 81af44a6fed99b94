"""Files and typed transcripts, corrections, past consultations, another language, signing out: one provider's round."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Route, expect

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.browser import PATIENCE_MS, write_wav
from tests.acceptance.console import NETWORK, Console, text, texts, using
from tests.acceptance.leaks import nothing_left_in
from tests.acceptance.live import END, HELLO, dialled, hear, rest, say
from tests.acceptance.spoken import assert_heard_once, said_before

pytestmark = pytest.mark.slow

SECONDS = 9.7
A_PAGE = 30  # consultations that are listed at once
SLOW = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 120_000}  # bytes a second
FAST = SLOW | {"uploadThroughput": -1}
TYPED = """Doctor: What brings you in today?
Patient: I have had a bad cough for two weeks.
Doctor: Do you take any medication?
Patient: I take ibuprofen every morning.
"""


@pytest.fixture(autouse=True)
def nothing_stays(chromium: Path, sphinx_server: RunningServer) -> Iterator[None]:
    with nothing_left_in(sphinx_server):
        yield


async def test_files_typed_words_corrections_and_what_is_past(
    chromium: Path, sphinx_server: RunningServer, headache: Recording, tmp_path: Path
) -> None:
    visit = write_wav(tmp_path / "visit.wav", [headache.mono()[: int(SECONDS * 16_000)]])
    async with using(chromium, sphinx_server) as console:
        await console.sign_in(sphinx_server.key)
        recorded = await a_file_is_sent(console, visit)
        assert_heard_once(await console.said(), said_before(headache, SECONDS))
        await speakers_are_corrected(console, recorded)
        await words_are_found(console)
        await the_note_is_taken_along(console, tmp_path)
        await the_page_speaks_german(console)
        await without_the_server_the_page_keeps_its_language(console)
        typed = await words_are_typed(console)
        await edits_are_not_left_unasked(console, typed)
        await edits_are_made_with_the_keyboard_and_saved_once(console, typed)
        await the_past_is_as_it_is_by_now(console, typed)
        await the_past_is_listed_and_erased(console, recorded, typed)
        await another_can_be_typed_while_files_are_sent(console, visit)
        await a_long_list_is_come_back_to(console)
        await signed_out(console, sphinx_server.key)


async def a_file_is_sent(console: Console, visit: Path) -> str:
    """Slowly enough to see how far it is; the encounter, once its note is there."""
    network = await console.page.context.new_cdp_session(console.page)
    await network.send("Network.enable")
    await network.send("Network.emulateNetworkConditions", SLOW)
    await console.page.get_by_role("radio", name=text("start.file")).check()
    await console.page.locator("[name=files]").set_input_files(visit)
    await console.button("start.go.file").click()  # nobody has agreed to it yet
    given = console.choice("consent.who")
    await expect(given).to_have_js_property("validationMessage", text("start.no_consent"))
    await console.consent("other", "signed form")
    await console.page.locator("[name=given_by_other]").fill("the patient's mother")
    await console.button("start.go.file").click()
    await expect(console.page.locator("#upload-bar")).to_be_in_viewport(ratio=1)
    shares: list[float] = []
    while await console.page.locator("#start").is_visible():
        shares.append(await console.page.locator("#upload-bar").evaluate("(bar) => bar.value"))
    assert any(0 < share < 1 for share in shares), shares
    assert shares == sorted(shares)
    await network.send("Network.emulateNetworkConditions", FAST)
    encounter = await console.opened()
    await console.note()
    consent = (await console.told(encounter, "/consent"))["consent"]
    assert (consent["given_by"], consent["method"]) == ("the patient's mother", "signed form")
    return encounter


async def speakers_are_corrected(console: Console, encounter: str) -> None:
    """Behind the end: one of them is set, then both are swapped; it holds for all that they said."""
    before = [item["speaker"] for item in await console.said()]
    wanted = "patient" if before[0] == "doctor" else "doctor"
    await console.calls(0, wanted)
    await expect(console.page.locator("#items > li").first).to_have_class(f"item {wanted}")
    set_ = [item["speaker"] for item in await console.said()]
    assert all(now == wanted for now, former in zip(set_, before, strict=True) if former == before[0])
    swapped = {"doctor": "patient", "patient": "doctor"}
    await console.button("transcript.swap").click()
    await expect(console.page.locator("#items > li").first).to_have_class(f"item {swapped[wanted]}")
    shown = [item["speaker"] for item in await console.said()]
    assert shown == [swapped.get(role, role) for role in set_]
    stored = sorted((await console.told(encounter))["items"], key=lambda item: int(item["start_ms"]))
    assert [item["speaker"] for item in stored] == shown


async def words_are_found(console: Console) -> None:
    search = console.page.get_by_role("searchbox")
    await search.fill("HEAD")
    said = " ".join(item["text"] for item in await console.said())
    count = said.lower().count("head")
    assert count > 0
    await expect(console.page.locator("#found")).to_have_text(f"1 of {count}")
    await search.press("Enter")
    await expect(console.page.locator("#found")).to_have_text(f"{1 % count + 1} of {count}")
    await expect(console.page.locator("#items .current")).to_have_count(1)
    await search.press("Escape")
    await expect(console.page.locator("#items .found")).to_have_count(0)


async def the_note_is_taken_along(console: Console, folder: Path) -> None:
    """To the clipboard, and into a file."""
    await console.button("copy").click()
    await console.sees("note.copied")
    copied = await console.page.evaluate("navigator.clipboard.readText()")
    taken: list[str] = []
    console.page.on("download", lambda each: taken.append(each.suggested_filename))
    await console.button("download").press("Enter")
    for form in ("text", "markdown", "fhir", "json"):  # arrow keys lead to each, and take none
        await expect(console.page.get_by_role("menuitem", name=text(f"format.{form}"), exact=True)).to_be_focused()
        await console.page.keyboard.press("ArrowDown")
    async with console.page.expect_download() as started:
        await console.page.keyboard.press("Enter")
    await (await started.value).save_as(folder / "note.txt")
    assert taken == [(await started.value).suggested_filename]
    await expect(console.button("download")).to_be_focused()
    assert (folder / "note.txt").read_text() == copied
    assert await console.page.locator("#note-body .sentence").first.inner_text() in copied


async def the_page_speaks_german(console: Console) -> None:
    await console.choice("nav.language").select_option("de")
    german = texts("de")
    await expect(console.page.get_by_role("heading", name=german["transcript"], exact=True)).to_be_visible()
    await expect(console.page.locator("html")).to_have_attribute("lang", "de")
    await expect(console.page.locator("#approve")).to_have_text(german["approve"])
    await console.page.locator("#language").select_option("en")
    await expect(console.page.locator("#approve")).to_have_text(text("approve"))


async def without_the_server_the_page_keeps_its_language(console: Console) -> None:
    """And says why. Once it is there, what was chosen for the next consultation stays in the other language."""
    page, language = console.page, console.page.locator("#language")
    console.provoked.append(NETWORK)
    await page.context.set_offline(True)
    await language.select_option("fr")
    await console.sees("error.offline")
    await expect(language).to_have_value("en")
    await page.context.set_offline(False)
    await console.follows("nav.new")
    template, style = page.locator("#template"), page.locator("#start-form [name=style]")
    await template.select_option("GENERAL_MEDICINE")
    await page.get_by_text(text("start.more")).click()
    await style.select_option("bullet_points")
    kinds = await template.locator("option").all_inner_texts()
    assert len(kinds) == len(set(kinds))
    await language.select_option("fr")
    await expect(page.locator("#start h1")).to_have_text(texts("fr")["start.title"])
    await expect(template.locator("option:checked")).to_contain_text("médecine")
    await expect(template).to_have_value("GENERAL_MEDICINE")
    await expect(style).to_have_value("bullet_points")
    await language.select_option("en")
    await expect(page.locator("#start h1")).to_have_text(text("start.title"))


async def words_are_typed(console: Console) -> str:
    """A note without a recording, and without consent to one."""
    await console.follows("nav.new")
    await console.page.get_by_role("radio", name=text("start.typed")).check()
    await expect(console.choice("consent.who")).to_be_hidden()
    await console.page.locator("[name=typed]").fill(TYPED)
    await console.button("start.go.typed").click()
    await expect(console.page.locator("#items > li")).to_have_count(4, timeout=PATIENCE_MS)
    await console.note()
    encounter = await console.opened()
    assert [item["speaker"] for item in await console.said()] == ["doctor", "patient"] * 2
    assert (await console.told(encounter, "/consent"))["consent"] is None
    return encounter


async def edits_are_not_left_unasked(console: Console, encounter: str) -> None:
    await console.button("edit").click()
    first = console.page.locator("#note-edit textarea").first
    await first.fill("Something else.")
    await console.button("edit.cancel").click()
    await console.answers("ask.no")
    await expect(first).to_have_value("Something else.")
    await console.follows("nav.past")
    await console.answers("ask.no")
    await expect(console.page.locator("#note-edit")).to_be_visible()
    await console.until(f"location.hash === '#c/{encounter}'")
    await console.follows("nav.past")
    await console.answers("unsaved.yes")
    await expect(console.page.locator("#past")).to_be_visible()
    assert len((await console.told(encounter, "/notes"))["versions"]) == 1


async def edits_are_made_with_the_keyboard_and_saved_once(console: Console, encounter: str) -> None:
    """What has the focus is never gone; what is typed while an edit is on its way would be in no version."""
    page, edit = console.page, console.button("edit")
    await page.locator(f'#past-list a[href="#c/{encounter}"]').click()
    await edit.press("Enter")
    first = page.locator("#note-edit textarea").first
    await expect(first).to_be_focused()
    await console.button("edit.cancel").press("Enter")
    await expect(edit).to_be_focused()
    sent: list[str] = []
    asked, answered = asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        if route.request.method == "PUT":
            sent.append(route.request.url)
            asked.set()
            await answered.wait()
        await route.continue_()

    await page.route("**/notes/1", late)
    await edit.press("Enter")
    await first.fill("Cough.")
    await first.press("Control+Enter")
    await asked.wait()
    await first.press("Control+Enter")
    await expect(console.button("edit.saving")).to_be_disabled()
    await first.press_sequentially(" Fever.")
    answered.set()
    await expect(edit).to_be_focused()
    assert len(sent) == 1
    saved = (await console.told(encounter, "/notes/2"))["sections"][0]["sentences"]
    assert [sentence["text"] for sentence in saved] == ["Cough."]
    await page.unroute("**/notes/1")
    await console.follows("nav.past")


async def the_past_is_as_it_is_by_now(console: Console, typed: str) -> None:
    """What came since is there when the link is pressed again, or later; only what was typed is said to be typed."""
    page, rows = console.page, console.page.locator("#past-list li")
    await page.clock.install()
    async with dialled(console.server) as socket:
        await say(socket, HELLO)
        live = (await hear(socket, "session"))["encounter_id"]
        await console.follows("nav.past")
        row, title = page.locator(f'#past-list a[href="#c/{live}"]'), page.locator("#template option[value=SOAP]")
        facts = row.locator(".quiet")
        kind = await title.inner_text()
        await expect(facts).to_have_text(f"{text('status.live')} · English · {kind}")
        await expect(page.locator(f'#past-list a[href="#c/{typed}"]')).to_contain_text(text("past.typed"))
        await say(socket, END)
        await rest(socket)
    await page.clock.fast_forward(20_000)
    await expect(facts).to_contain_text(text("status.failed"))  # without any sound
    await expect(facts).not_to_contain_text(text("past.typed"))
    await row.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
    await page.go_back()
    await expect(row).to_be_focused()
    count = await rows.count()
    await page.locator(f'#past-list li:has(a[href="#c/{live}"]) .erase').press("Enter")
    await console.answers("erase.yes")
    await expect(rows).to_have_count(count - 1)
    await expect(rows.first.locator(".open")).to_be_focused()


async def the_past_is_listed_and_erased(console: Console, recorded: str, typed: str) -> None:
    rows = {each: console.page.locator(f'#past-list a[href="#c/{each}"]') for each in (recorded, typed)}
    await expect(rows[recorded]).to_be_visible()
    await console.choice("past.status").select_option(label=text("status.failed"))
    await expect(rows[recorded]).to_be_hidden()
    await console.choice("past.status").select_option(label=text("status.done"))
    await expect(rows[recorded]).to_be_visible()
    await console.page.locator("[name=from]").fill(str((datetime.now(UTC) + timedelta(days=2)).date()))
    await console.sees("past.none")
    await console.page.locator("[name=from]").fill("")
    await rows[recorded].click()
    assert await console.opened() == recorded
    await console.note()
    await console.page.locator(".skip").press("Enter")
    await expect(console.page.locator("#main")).to_be_focused()
    assert await console.opened() == recorded
    await console.page.locator("#erase").click()
    await console.sees("erase.text")
    await expect(console.page.get_by_role("dialog").get_by_role("button", name=text("ask.no"))).to_be_focused()
    await console.answers("erase.yes")
    await expect(rows[typed]).to_be_visible()
    await expect(rows[recorded]).to_be_hidden()
    erase = console.page.locator(f'#past-list li:has(a[href="#c/{typed}"]) .erase')
    await erase.click()
    await console.answers("ask.no")
    assert (await console.api.get(f"/api/encounters/{typed}")).status_code == 200
    await erase.click()
    await console.answers("erase.yes")
    await expect(rows[typed]).to_be_hidden()
    assert [(await console.api.get(f"/api/encounters/{each}")).status_code for each in rows] == [404, 404]


async def another_can_be_typed_while_files_are_sent(console: Console, visit: Path) -> None:
    network = await console.page.context.new_cdp_session(console.page)
    await network.send("Network.enable")
    await network.send("Network.emulateNetworkConditions", SLOW)
    await console.follows("nav.new")
    await console.page.get_by_role("radio", name=text("start.file")).check()
    await console.page.locator("[name=files]").set_input_files(visit)
    await console.consent()
    await console.button("start.go.file").click()
    await expect(console.button("start.go.file")).to_be_disabled()
    await console.page.get_by_role("radio", name=text("start.typed")).check()
    await console.page.locator("[name=typed]").fill(TYPED)
    await expect(console.button("start.go.typed")).to_be_enabled()
    await console.sees("upload.done")
    await expect(console.page.locator("[name=typed]")).to_have_value(TYPED)
    await network.send("Network.emulateNetworkConditions", FAST)
    await console.page.locator("[name=typed]").fill("")
    assert await console.page.locator("[name=files]").evaluate("(input) => input.files.length") == 0


async def a_long_list_is_come_back_to(console: Console) -> None:
    """Also to what stands on its second page."""
    page, rows = console.page, console.page.locator("#past-list li")
    there = (await console.api.get("/api/encounters")).json()["encounters"]
    for _ in range(A_PAGE + 1 - len(there)):
        (await console.api.post("/api/encounters", json={"transcript": "Doctor: Hello."})).raise_for_status()
    await console.follows("nav.past")
    await console.choice("past.status").select_option(label=text("past.all"))
    await expect(rows).to_have_count(A_PAGE)
    await console.button("past.more").click()
    await expect(rows).not_to_have_count(A_PAGE)
    count = await rows.count()
    await rows.last.locator(".open").press("Enter")
    await console.opened()
    await page.go_back()
    await expect(rows).to_have_count(count)
    await expect(rows.last.locator(".open")).to_be_focused()


async def signed_out(console: Console, key: str) -> None:
    """The key was nowhere, and now the pass is nowhere either."""
    assert key not in json.dumps(await console.storages())
    await console.button("nav.out").click()
    await expect(console.label("sign_in.key")).to_be_visible()
    session, local = await console.storages()
    assert session == {}
    assert set(local) <= {"auscult.language", "auscult.webrtc_blocked"}
    assert await console.page.context.cookies() == []
