"""What the native API has beside the vendors': lists, transcripts, corrections, consent, notes; on both databases."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import uuid4

import anyio.to_thread
import httpx
import pytest

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.conftest import client, make_key, start_on
from tests.acceptance.following import all_of
from tests.acceptance.live import END, HELLO, dialled, hear, of, recorded, rest, say
from tests.acceptance.recorded import finished, sent
from tests.acceptance.test_haidy import encoded
from tests.acceptance.test_operations import actions

pytestmark = pytest.mark.slow

VISIT = """Doctor: Hello, what brings you in today?
Patient: I have had a bad headache for three days, and bright light makes it worse.
Doctor: Do you take any medication?
Patient: I take four hundred milligrams of ibuprofen every morning.
Doctor: I think this is a migraine. Please rest in a dark room, and drink plenty of water."""
CONSENT = {"given_by": "patient", "at": "2026-11-26T10:00:00Z", "method": "spoken"}
UNKNOWN = "0" * 24
WRITTEN = [{"key": "PLAN", "title": "Plan", "text": "Rest.\nCome again in two days."}]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    yield from start_on(request, {})


@pytest.fixture
def api(server: RunningServer) -> Iterator[httpx.Client]:
    """A client of a tenant that has nothing yet."""
    with client(server.base_url, make_key(server, uuid4().hex)) as made:
        yield made


@pytest.fixture
def stranger(server: RunningServer) -> Iterator[httpx.Client]:
    """A client of the tenant that is always there."""
    with client(server.base_url, server.key) as made:
        yield made


def typed(api: httpx.Client, transcript: str = VISIT, **more: Any) -> str:
    """A visit that came as text, when its note is written."""
    made = api.post("/api/encounters", json={"transcript": transcript, "template": "SOAP", **more})
    encounter = str(made.raise_for_status().json()["encounter_id"])
    finished(api, encounter)
    return encounter


def listed(api: httpx.Client, /, **query: Any) -> list[str]:
    """Ids, over all pages."""
    found: list[str] = []
    while True:
        page = api.get("/api/encounters", params=query).raise_for_status().json()
        found += [each["encounter_id"] for each in page["encounters"]]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def token(api: httpx.Client, **asked: str) -> str:
    return str(api.post("/api/tokens", json=asked).raise_for_status().json()["token"])


def refused(answer: httpx.Response, status: int, code: str) -> str:
    """Problem details as RFC 9457 has them; what they say."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    problem = answer.json()
    assert problem.keys() == {"type", "title", "status", "detail", "code"}
    assert (problem["type"], problem["status"], problem["code"]) == ("about:blank", status, code)
    return str(problem["detail"])


# Lists


def test_a_list_is_newest_first_and_its_pages_stay_where_they_are_while_others_come(api: httpx.Client) -> None:
    made = [typed(api) for _ in range(5)][::-1]
    first = api.get("/api/encounters", params={"limit": 2}).json()
    assert [each["encounter_id"] for each in first["encounters"]] == made[:2]
    newer = typed(api)
    second = api.get("/api/encounters", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [each["encounter_id"] for each in second["encounters"]] == made[2:4]
    assert listed(api, limit=1) == listed(api) == [newer, *made]
    (shown,) = api.get("/api/encounters", params={"limit": 1}).json()["encounters"]
    assert (shown["api"], shown["status"], shown["language"], shown["template"]) == ("auscult", "done", "en", "SOAP")
    assert "headache" not in api.get("/api/encounters").text
    single = api.get(f"/api/encounters/{newer}").json()
    assert shown == {name: single[name] for name in shown}
    assert datetime.fromisoformat(single["expires_at"]) > datetime.fromisoformat(single["completed_at"])


def test_a_list_is_filtered(api: httpx.Client) -> None:
    english, swiss = typed(api), typed(api, language="de-CH")
    assert listed(api, language="en") == [english]
    assert listed(api, language="de") == listed(api, language="DE-ch") == [swiss]
    assert listed(api, status="done") == listed(api, status="done,failed") == [swiss, english]
    assert listed(api, status="live") == []
    assert listed(api, api="auscult") == [swiss, english]
    assert listed(api, api="aus") == listed(api, api="auscul_") == []
    at = api.get(f"/api/encounters/{english}").json()["created_at"]
    assert listed(api, created_from=at) == [swiss, english]
    assert listed(api, created_before=at) == []
    assert listed(api, created_from="2100-01-01") == []


def test_a_list_holds_what_the_caller_may_reach(
    server: RunningServer, api: httpx.Client, stranger: httpx.Client
) -> None:
    first, second = typed(api), typed(api)
    assert not {first, second} & set(listed(stranger))
    for scope in ("encounter", "follow"):
        with client(server.base_url, token(api, scope=scope, encounter_id=first)) as page:
            assert listed(page) == [first]
    with client(server.base_url, token(api, scope="stream")) as page:
        assert listed(page) == []
        own = typed(page)
        assert listed(page) == [own]


def test_a_console_lists_the_encounters_of_its_key_page_by_page_and_filtered(
    server: RunningServer, api: httpx.Client
) -> None:
    made = [typed(api), typed(api, language="de-CH")]
    with client(server.base_url, token(api, scope="stream")) as page:
        made.append(typed(page))
    with client(server.base_url, token(api, scope="console")) as console:
        made.append(typed(console))
        assert listed(console) == listed(console, limit=1) == listed(console, limit=3) == made[::-1]
        assert listed(console, language="de", limit=1) == [made[1]]
        assert listed(console, status="live,gathering,queued,working,closing,failed") == []
        assert listed(console, status="done", api="auscult", created_from="2026-01-01", limit=2) == made[::-1]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"limit": "-1"}, {"limit": "1e9"},
        {"cursor": "x"}, {"cursor": ""}, {"cursor": "AAAA"}, {"cursor": "ä"}, {"cursor": "A" * 5000},
        {"cursor": "eyJjcmVhdGVkX2F0IjoxLjAsImVuY291bnRlciI6IlwwIn0"},  # a NUL within it
        {"status": "over"}, {"status": "done,over"}, {"api": "a\0b"}, {"api": "%"}, {"language": "x\0"},
        {"language": "%"}, {"created_from": "yesterday"}, {"created_before": "9999999999999"},
    ],
)  # fmt: skip
def test_a_query_that_cannot_be_is_refused(stranger: httpx.Client, query: dict[str, str]) -> None:
    refused(stranger.get("/api/encounters", params=query), 400, "bad_request")


# Transcripts


def test_a_transcript_is_given_as_json_text_and_captions(api: httpx.Client) -> None:
    said = [
        {"text": "How <b>bad</b> is it?", "speaker": "doctor", "start_ms": 500, "end_ms": 1500},
        {"text": "Very\n\nbad -->", "speaker": "patient", "start_ms": 3_601_000, "end_ms": 3_602_250},
        {"text": "Oh.", "start_ms": 3_603_000, "end_ms": 3_603_000},
    ]
    encounter = typed(api, "", items=said)
    path = f"/api/encounters/{encounter}/transcript"
    told = api.get(path).json()
    assert (told["encounter_id"], told["status"], told["language"]) == (encounter, "done", "en")
    assert [item["speaker"] for item in told["items"]] == ["doctor", "patient", "unspecified"]
    text = api.get(path, params={"format": "text"})
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text == "Doctor: How <b>bad</b> is it?\nPatient: Very bad ->\nOh.\n"
    vtt = api.get(path, params={"format": "vtt"})
    assert vtt.headers["content-type"] == "text/vtt; charset=utf-8"
    assert vtt.text.split("\n\n") == [
        "WEBVTT",
        "00:00:00.500 --> 00:00:01.500\n<v Doctor>How &lt;b&gt;bad&lt;/b&gt; is it?",
        "01:00:01.000 --> 01:00:02.250\n<v Patient>Very bad --&gt;",
        "01:00:03.000 --> 01:00:03.001\nOh.",
        "",
    ]
    srt = api.get(path, params={"format": "srt"}).text
    assert srt.startswith("1\n00:00:00,500 --> 00:00:01,500\nDoctor: How <b>bad</b> is it?\n\n2\n")
    refused(api.get(path, params={"format": "docx"}), 400, "bad_request")


def test_text_without_times_is_no_captions(api: httpx.Client) -> None:
    path = f"/api/encounters/{typed(api)}/transcript"
    for name in ("srt", "vtt"):
        refused(api.get(path, params={"format": name}), 409, "conflict")
    assert api.get(path, params={"format": "text"}).status_code == 200


def test_a_page_may_read_a_transcript_with_its_token_in_the_address(server: RunningServer, api: httpx.Client) -> None:
    encounter = typed(api)
    made = token(api, scope="follow", encounter_id=encounter)
    path = f"{server.base_url}/api/encounters/{encounter}/transcript"
    assert "headache" in httpx.get(path, params={"format": "text", "token": made}).text
    assert httpx.get(path, params={"token": api.headers["authorization"].split()[1]}).status_code == 401


# Who speaks


def test_speakers_are_swapped_and_named_and_the_note_can_be_written_again(
    server: RunningServer, api: httpx.Client
) -> None:
    encounter = typed(api)
    path = f"/api/encounters/{encounter}"
    seen = api.get(f"{path}/speakers")
    swapped = api.patch(f"{path}/speakers", json={"swap": True}, headers={"If-Match": seen.headers["etag"]})
    assert swapped.status_code == 200
    roles = {each["speaker_id"]: each["speaker"] for each in swapped.json()["speakers"]}
    assert roles == {"doctor": "patient", "patient": "doctor"}
    assert swapped.headers["etag"] == api.get(f"{path}/speakers").headers["etag"] != seen.headers["etag"]
    assert [item["speaker"] for item in api.get(f"{path}/transcript").json()["items"]][:2] == ["patient", "doctor"]
    late = api.patch(f"{path}/speakers", json={"swap": True}, headers={"If-Match": seen.headers["etag"]})
    refused(late, 412, "precondition_failed")
    correction = {"speakers": [{"speaker_id": "doctor", "speaker": "unspecified"}]}
    api.patch(f"{path}/speakers", json=correction).raise_for_status()
    assert [item["speaker"] for item in api.get(path).json()["items"]][:2] == ["unspecified", "doctor"]
    again = api.post(f"{path}/notes", json={})
    assert (again.status_code, again.json()["version"]) == (201, 2)


async def test_who_knows_finals_by_old_labels_is_told_the_new_ones(server: RunningServer) -> None:
    with client(server.base_url, server.key) as api:
        encounter = await anyio.to_thread.run_sync(typed, api)
        await anyio.to_thread.run_sync(
            lambda: api.patch(f"/api/encounters/{encounter}/speakers", json={"swap": True}).raise_for_status()
        )
    seen = await all_of(server, encounter, last_id="2")
    renames = {each.data["speaker_id"]: each.data["speaker"] for each in seen if each.kind == "speaker_renamed"}
    assert renames == {"doctor": "patient", "patient": "doctor"}


async def test_a_correction_in_the_middle_of_a_session_is_told_and_stands(server: RunningServer) -> None:
    chunks = recorded("headache", 40)
    with client(server.base_url, server.key) as api:
        async with dialled(server) as socket:
            await say(socket, HELLO | {"role": "doctor"})
            encounter = (await hear(socket, "session"))["encounter_id"]
            for chunk in chunks[: len(chunks) // 2]:
                await socket.send(chunk)
            final = await hear(socket, "final")
            assert (final["speaker"], final["speaker_id"]) == ("doctor", "s1")
            wanted = {"speakers": [{"speaker_id": "s1", "speaker": "patient"}]}
            path = f"/api/encounters/{encounter}/speakers"
            answer = await anyio.to_thread.run_sync(lambda: api.patch(path, json=wanted))
            assert answer.status_code == 200, answer.text
            renamed = await hear(socket, "speaker_renamed")
            assert (renamed["speaker_id"], renamed["speaker"]) == ("s1", "patient")
            assert final["id"] in renamed["items"]
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(rest(socket))
                for chunk in chunks[len(chunks) // 2 :]:
                    await socket.send(chunk)
                await say(socket, END)
        told = await anyio.to_thread.run_sync(finished, api, encounter)
    assert {item["speaker"] for item in of(reading.result(), "final")} == {"patient"}
    assert {item["speaker"] for item in told["items"]} == {"patient"}


@pytest.mark.parametrize(
    "wanted",
    [
        b"", b"{}", b"no json", b"[" * 10_000, b'{"swap": "yes"}', b'{"swap": false}',
        b'{"swap": true, "speakers": [{"speaker_id": "doctor", "speaker": "patient"}]}',
        b'{"speakers": [{"speaker_id": "doctor", "speaker": "nurse"}]}',
        b'{"speakers": [{"speaker_id": "s9", "speaker": "doctor"}]}',
        b'{"speakers": [{"speaker_id": "doctor", "speaker": "patient"},'
        b' {"speaker_id": "doctor", "speaker": "doctor"}]}',
    ],
)  # fmt: skip
def test_corrections_that_cannot_be_change_nothing(stranger: httpx.Client, wanted: bytes) -> None:
    encounter = typed(stranger)
    before = stranger.get(f"/api/encounters/{encounter}").json()["items"]
    refused(stranger.patch(f"/api/encounters/{encounter}/speakers", content=wanted), 400, "bad_request")
    assert stranger.get(f"/api/encounters/{encounter}").json()["items"] == before


# Consent


def test_consent_is_told_read_and_replaced_only_by_who_has_seen_it(api: httpx.Client) -> None:
    encounter = typed(api)
    path = f"/api/encounters/{encounter}/consent"
    none = api.get(path)
    assert none.json() == {"consent": None}
    stale = {"If-Match": '"0000000000000000"'}
    refused(api.put(path, json=CONSENT, headers=stale), 412, "precondition_failed")
    first = api.put(path, json=CONSENT)
    assert first.json() == {"consent": CONSENT} == api.get(path).json()
    form = CONSENT | {"method": "form"}
    refused(api.put(path, json=form), 428, "precondition_required")
    refused(api.put(path, json=form, headers={"If-Match": none.headers["etag"]}), 412, "precondition_failed")
    second = api.put(path, json=form, headers={"If-Match": f'"other", {first.headers["etag"]}'})
    assert second.json() == {"consent": form}
    for wrong in ({}, CONSENT | {"at": "today"}, CONSENT | {"given_by": ""}, CONSENT | {"method": "x" * 501}):
        refused(api.put(path, json=wrong, headers={"If-Match": "*"}), 400, "bad_request")
    assert api.get(path).json() == {"consent": form}


def test_what_is_known_of_a_recording_comes_with_it(api: httpx.Client, headache: Recording) -> None:
    known: dict[str, Any] = {"patient": {"name": "Ada", "age": 40}, "context": "third visit", "consent": CONSENT}
    encounter = sent(api, encoded(headache, "webm", 3), **known)
    assert api.get(f"/api/encounters/{encounter}/consent").json() == {"consent": CONSENT}
    wrong = api.post("/api/recordings", json={"urls": ["https://example.org/a"], "consent": CONSENT | {"at": "x"}})
    refused(wrong, 400, "bad_request")


async def test_consent_comes_with_the_hello_of_a_live_session(server: RunningServer) -> None:
    async with dialled(server) as socket:
        await say(socket, HELLO | {"note": False, "consent": CONSENT})
        encounter = (await hear(socket, "session"))["encounter_id"]
        with client(server.base_url, server.key) as own:
            path = f"/api/encounters/{encounter}/consent"
            live = own.get(path)
            assert live.json() == {"consent": CONSENT}
            written = CONSENT | {"method": "form"}
            assert own.put(path, json=written, headers={"If-Match": live.headers["etag"]}).json() == {
                "consent": written
            }
            await say(socket, END)
            await rest(socket)
            assert own.get(path).json() == {"consent": written}


async def test_a_hello_whose_consent_says_nothing_opens_no_session(
    server: RunningServer, stranger: httpx.Client
) -> None:
    known = listed(stranger)
    async with dialled(server) as socket:
        await say(socket, HELLO | {"consent": CONSENT | {"given_by": ""}})
        (refusal,) = await rest(socket)
    assert (refusal["code"], socket.close_code) == ("bad_request", 1008)
    assert listed(stranger) == known


# Notes


def test_a_note_is_written_again_and_every_version_stays(api: httpx.Client) -> None:
    encounter = typed(api)
    path = f"/api/encounters/{encounter}/notes"
    again = api.post(path, json={"template": "GENERAL_MEDICINE", "style": "bullet_points"})
    assert again.status_code == 201
    assert again.headers["location"] == f"{path}/2"
    first, second = api.get(path).json()["versions"]
    assert (first["template"], second["template"]) == ("SOAP", "GENERAL_MEDICINE")
    assert second == again.json() == api.get(f"{path}/2").json()
    assert second["style"] == "bullet_points"
    assert all(section["text"].startswith("- ") for section in second["sections"])
    assert first["review_status"] == second["review_status"] == "draft"
    assert api.get(f"/api/encounters/{encounter}").json()["note"]["sections"] == second["sections"]
    refused(api.post(path, json={"template": "NONE"}), 400, "unknown_template")
    refused(api.post(path, json={"style": "verse"}), 400, "bad_request")
    refused(api.post(path, json={"writer": "nobody"}), 400, "bad_request")
    refused(api.post(path, json={"writer": "model"}), 400, "bad_request")  # none is set up here
    draft = api.get(f"{path}/draft?template=GENERAL_MEDICINE&style=bullet_points").json()
    assert draft["sections"] == second["sections"]
    assert api.get(f"{path}/draft").json()["sections"] == first["sections"]
    refused(api.get(f"{path}/draft?template=NONE"), 400, "unknown_template")
    refused(api.get(f"{path}/draft?style=verse"), 400, "bad_request")
    refused(api.post(path, content=b"{"), 400, "bad_request")
    assert len(api.get(path).json()["versions"]) == 2


def test_a_note_that_cannot_be_written_says_why_and_is_no_version(api: httpx.Client) -> None:
    encounter = typed(api, "Doctor: Hello.")
    path = f"/api/encounters/{encounter}/notes"
    refused(api.post(path), 422, "transcript_too_short")
    refused(api.get(f"{path}/draft"), 422, "transcript_too_short")
    (only,) = api.get(path).json()["versions"]
    assert only["note_absence"]["code"] == "transcript_too_short"
    by_hand = api.put(
        f"{path}/1",
        json={"title": "By hand", "sections": WRITTEN},
        headers={"If-Match": api.get(f"{path}/1").headers["etag"]},
    )
    assert (by_hand.status_code, by_hand.json()["version"], by_hand.json()["edited_from"]) == (201, 2, 1)
    assert by_hand.json()["title"] == "By hand"
    assert "note_absence" not in by_hand.json()


def test_a_provider_edits_a_note_and_approves_of_it(api: httpx.Client) -> None:
    encounter = typed(api)
    path = f"/api/encounters/{encounter}/notes/1"
    seen = api.get(path)
    approved = api.patch(path, json={"review_status": "approved"}, headers={"If-Match": seen.headers["etag"]})
    assert approved.json() == seen.json() | {"review_status": "approved"}
    refused(api.patch(path, json={"title": "x"}), 428, "precondition_required")
    refused(
        api.patch(path, json={"title": "x"}, headers={"If-Match": seen.headers["etag"]}), 412, "precondition_failed"
    )
    weak = {"If-Match": "W/" + approved.headers["etag"]}
    refused(api.patch(path, json={"title": "x"}, headers=weak), 412, "precondition_failed")
    item = api.get(f"/api/encounters/{encounter}").json()["items"][1]["id"]
    sections = [*WRITTEN, {"key": "S", "title": "S", "sentences": [{"text": "It aches.", "items": [item]}]}]
    answer = api.put(
        path, json={"title": "Migraine", "sections": sections}, headers={"If-Match": approved.headers["etag"]}
    )
    edited, second = answer.json(), path.replace("notes/1", "notes/2")
    assert (answer.status_code, answer.headers["location"]) == (201, second)
    assert (edited["title"], edited["review_status"], edited["generator"]) == ("Migraine", "draft", "provider")
    assert (edited["version"], edited["edited_from"]) == (2, 1)
    assert edited["edited_at"]
    assert [section["text"] for section in edited["sections"]] == ["Rest.\nCome again in two days.", "It aches."]
    assert edited["sections"][1]["sentences"] == [{"text": "It aches.", "items": [item]}]
    assert api.get(f"/api/encounters/{encounter}").json()["note"]["title"] == "Migraine"
    assert api.get(path).json() == approved.json()  # what was approved of says what it said
    again = {"If-Match": approved.headers["etag"]}
    refused(api.put(path, json={"title": "Mine", "sections": sections}, headers=again), 409, "conflict")
    third = api.patch(second, json={"title": "M.", "review_status": "approved"}, headers={"If-Match": "*"})
    assert (third.status_code, third.json()["version"], third.json()["review_status"]) == (201, 3, "approved")
    assert third.json()["sections"] == edited["sections"]
    withdrawn = api.patch(path, json={"review_status": "draft"}, headers={"If-Match": "*"})
    assert (withdrawn.status_code, withdrawn.json()["version"]) == (200, 1)


@pytest.mark.parametrize(
    "edit",
    [
        {}, {"title": 3}, {"title": "x" * 1001}, {"review_status": "signed"}, {"sections": [{"key": "a"}]},
        {"sections": [{"key": "", "text": "x"}]}, {"sections": [{"key": "a", "text": "x"}] * 2},
        {"sections": [{"key": "a", "text": "x", "sentences": [{"text": "y"}]}]},
        {"sections": [{"key": "a", "sentences": [{"text": ""}]}]},
        {"sections": [{"key": "a", "sentences": [{"text": "x", "items": ["nothing said"]}]}]},
        {"sections": [{"key": str(n), "text": "x"} for n in range(101)]},
    ],
)  # fmt: skip
def test_an_edit_that_cannot_be_changes_nothing(stranger: httpx.Client, edit: dict[str, Any]) -> None:
    path = f"/api/encounters/{typed(stranger)}/notes/1"
    before = stranger.get(path)
    refused(stranger.patch(path, json=edit, headers={"If-Match": "*"}), 400, "bad_request")
    assert stranger.get(path).headers["etag"] == before.headers["etag"]


async def test_a_note_of_a_session_that_goes_on_is_neither_written_nor_edited(server: RunningServer) -> None:
    with client(server.base_url, server.key) as api:
        async with dialled(server) as socket:
            await say(socket, HELLO)
            encounter = (await hear(socket, "session"))["encounter_id"]
            path = f"/api/encounters/{encounter}/notes"
            early = await anyio.to_thread.run_sync(lambda: api.post(path))
            refused(early, 409, "conflict")
            await say(socket, END)
            await rest(socket)


# Everything


async def test_a_console_does_all_that_a_page_needs_with_its_token(
    server: RunningServer, api: httpx.Client, stranger: httpx.Client
) -> None:
    encounter, made = typed(api), token(api, scope="console")
    path = f"/api/encounters/{encounter}"
    requests: list[tuple[str, str, Any]] = [
        ("GET", "", None), ("GET", "/transcript", None), ("GET", "/speakers", None), ("GET", "/notes", None),
        ("PATCH", "/speakers", {"swap": True}), ("PUT", "/consent", CONSENT),
        ("POST", "/notes", {"template": "GENERAL_MEDICINE"}), ("GET", "/notes/2/document?format=text", None),
        ("DELETE", "", None),
    ]  # fmt: skip
    with client(server.base_url, made) as console:
        seen = console.get(f"{path}/notes/1")
        assert console.head(f"{path}/notes/1").headers["etag"] == seen.headers["etag"]
        approved = console.patch(
            f"{path}/notes/1", json={"review_status": "approved"}, headers={"If-Match": seen.headers["etag"]}
        )
        assert approved.json()["review_status"] == "approved"
        foreign = path.replace(encounter, typed(stranger))
        for method, place, sent_json in requests:
            body = {} if sent_json is None else {"json": sent_json}
            refused(console.request(method, foreign + place, **body), 404, "not_found")
            assert console.request(method, path + place, **body).is_success, place
        async with dialled(server, subprotocols=["auscult-live", f"jwt-{made}"]) as socket:
            await say(socket, HELLO | {"note": False})
            encounter = (await hear(socket, "session"))["encounter_id"]
            for part in recorded("headache", 5):
                await socket.send(part)
            await say(socket, END)
            await rest(socket)
        heard = console.get(f"/api/encounters/{encounter}/audio", params={"from_ms": 500, "to_ms": 1500})
        assert (heard.status_code, heard.headers["content-type"]) == (200, "audio/ogg; codecs=opus")
        assert console.head(f"/api/encounters/{encounter}/audio").status_code == 200


async def test_a_console_erases_a_session_while_somebody_talks(server: RunningServer, api: httpx.Client) -> None:
    made = token(api, scope="console")
    async with dialled(server, subprotocols=["auscult-live", f"jwt-{made}"]) as socket:
        await say(socket, HELLO | {"note": False})
        path = f"/api/encounters/{(await hear(socket, 'session'))['encounter_id']}"
        with client(server.base_url, made) as console:
            assert console.delete(path).status_code == 204
            refused(console.get(path), 404, "not_found")
        events = await rest(socket)
    assert [event["code"] for event in of(events, "error")] == ["erased"]


def test_another_tenant_finds_nothing_and_a_follower_changes_nothing(
    server: RunningServer, api: httpx.Client, stranger: httpx.Client
) -> None:
    encounter = typed(api)
    requests: list[tuple[str, str, Any]] = [
        ("GET", "transcript", None), ("GET", "speakers", None), ("GET", "consent", None), ("GET", "notes", None),
        ("GET", "notes/1", None), ("GET", "audio", None),
        ("PATCH", "speakers", {"swap": True}), ("PUT", "consent", CONSENT), ("POST", "notes", {}),
        ("PUT", "notes/1", {"title": "x", "sections": WRITTEN}), ("PATCH", "notes/1", {"title": "x"}),
    ]  # fmt: skip
    with client(server.base_url, token(api, scope="follow", encounter_id=encounter)) as reader:
        for method, path, sent_json in requests:
            body = {} if sent_json is None else {"json": sent_json}
            headers = {} if sent_json is None else {"If-Match": "*"}
            address = f"/api/encounters/{encounter}/{path}"
            refused(stranger.request(method, address, headers=headers, **body), 404, "not_found")
            nowhere = address.replace(encounter, UNKNOWN)
            refused(api.request(method, nowhere, headers=headers, **body), 404, "not_found")
            nul = address.replace(encounter, "x%00")
            refused(api.request(method, nul, headers=headers, **body), 404, "not_found")
            answer = reader.request(method, address, headers=headers, **body)
            if sent_json is not None:
                refused(answer, 403, "forbidden")
            elif path != "audio":
                assert answer.status_code == 200, path
    for number in ("2", "0", "-1", "x", "1" * 30):
        refused(api.get(f"/api/encounters/{encounter}/notes/{number}"), 404, "not_found")


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)  # the database does not matter here
def test_the_access_log_says_who_read_and_changed_what(server: RunningServer, api: httpx.Client) -> None:
    encounter = typed(api)
    path = f"/api/encounters/{encounter}"
    for read in ("transcript", "speakers", "consent", "notes", "notes/1"):
        api.get(f"{path}/{read}").raise_for_status()
    api.patch(f"{path}/speakers", json={"swap": True}).raise_for_status()
    api.put(f"{path}/consent", json=CONSENT).raise_for_status()
    api.post(f"{path}/notes").raise_for_status()
    api.patch(f"{path}/notes/1", json={"title": "x"}, headers={"If-Match": "*"}).raise_for_status()
    api.patch(f"{path}/notes/1", json={"title": "y"}, headers={"If-Match": '"x"'})
    assert actions(server, encounter) == ["encounter.open", *["encounter.read"] * 5, *["encounter.edit"] * 4]


def test_errors_are_problem_details_wherever_nothing_of_a_vendor_is_asked_for(
    server: RunningServer, api: httpx.Client
) -> None:
    refused(api.get("/api/nothing"), 404, "not_found")
    wrong = api.delete("/api/encounters")
    refused(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == "GET, HEAD, POST"
    refused(httpx.get(f"{server.base_url}/api/encounters"), 401, "unauthorized")
