"""`/api/live` against the real server: what a recorder sends, and what comes back."""

import asyncio
import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.conftest import client
from tests.acceptance.following import all_of, followed
from tests.acceptance.live import END, HELLO, Event, dialled, drafted, hear, of, recorded, rest, say, told, until, words

pytestmark = pytest.mark.usefixtures("scripted_keeps_nothing")

SECONDS = 40  # of the consultation, where words are real: the doctor alone has said enough for a note


@pytest.mark.slow
async def test_a_recorder_gets_its_words_a_note_with_evidence_and_done(whisper_server: RunningServer) -> None:
    chunks = recorded("headache", SECONDS)
    async with dialled(whisper_server) as socket:
        await say(socket, HELLO | {"template": "SOAP", "role": "doctor", "drafts": True})
        for chunk in chunks[: round(len(chunks) * 0.8)]:
            await socket.send(chunk)
        events = await until(socket, "note_draft")
        shown = await asyncio.to_thread(shown_draft, whisper_server, events[0]["encounter_id"])
        for chunk in chunks[round(len(chunks) * 0.8) :]:
            await socket.send(chunk)
        await say(socket, END)
        events += await rest(socket)
    assert socket.close_code == 1000
    assert [event["type"] for event in events[-2:]] == ["note", "done"]
    finals = of(events, "final")
    assert {final["speaker"] for final in finals} == {"doctor"}
    ids = [final["id"] for final in finals]
    assert len(ids) == len(set(ids))
    assert all(0 <= final["start_ms"] < final["end_ms"] <= SECONDS * 1000 for final in finals)
    (note,) = of(events, "note")
    for section in note["sections"]:
        for sentence in section["sentences"]:
            assert set(sentence["items"]) <= set(ids)
    drafts = of(events, "note_draft")
    assert events.index(drafts[0]) < events.index(finals[-1])  # it grew while the talk went on
    assert list(drafted(drafts).values()) == note["sections"]
    assert drafted(drafts[:1]).keys() <= {section["key"] for section in shown["sections"]}
    assert (shown["template"], shown["generator"]) == ("SOAP", "embedded-extractive")


def shown_draft(server: RunningServer, encounter: str) -> dict[str, Any]:
    """The note of what was said so far, as whoever looks at it reads it."""
    with client(server.base_url, server.key) as api:
        return dict(api.get(f"/api/encounters/{encounter}/notes/draft").raise_for_status().json())


async def test_a_session_begins_with_its_name_and_every_chunk_is_acknowledged(scripted_server: RunningServer) -> None:
    chunks = recorded("headache")
    events, code = await told(scripted_server, chunks)
    assert code == 1000
    session = events[0]
    assert set(session) == {"type", "encounter_id", "resume_token", "chunks", "heard_ms"}
    assert (session["chunks"], session["heard_ms"]) == (0, 0)
    acknowledged = [event["chunks"] for event in of(events, "ack")]
    assert acknowledged == sorted(set(acknowledged))
    assert acknowledged[-1] == len(chunks)
    assert events[-1] == {"type": "done", "outcome": "done"}
    assert of(events, "final")
    assert {final["speaker"] for final in of(events, "final")} == {"unspecified"}


async def test_the_offered_sub_protocol_is_taken_and_the_credential_in_it_counts(
    scripted_server: RunningServer,
) -> None:
    async with dialled(scripted_server) as socket:
        assert socket.subprotocol == "auscult-live"
        await say(socket, HELLO | {"note": False})
        await say(socket, END)
        assert (await rest(socket))[0]["type"] == "session"
    with pytest.raises(InvalidStatus) as refused:
        async with dialled(scripted_server, subprotocols=["auscult-live", "jwt-wrong"]):
            pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["code"] == "unauthorized"


async def test_raw_samples_are_heard_as_declared(scripted_server: RunningServer, headache: Recording) -> None:
    pcm = (headache.mono()[: 16000 * 10] * 32767).astype("<i2").tobytes()
    chunks = [pcm[at : at + 6400] for at in range(0, len(pcm), 6400)]
    events, code = await told(scripted_server, chunks, encoding="pcm_s16le", sample_rate=16000, note=False)
    assert code == 1000
    assert of(events, "final")


async def test_chunks_that_carry_their_numbers_are_heard_once_however_often_they_come(
    scripted_server: RunningServer,
) -> None:
    chunks = recorded("headache")
    numbered = [number.to_bytes(4, "big") + chunk for number, chunk in enumerate(chunks)]
    twice = [chunk for number in range(len(numbered)) for chunk in numbered[max(0, number - 3) : number + 1]]
    plain, _ = await told(scripted_server, chunks)
    events, _ = await told(scripted_server, twice, chunk_numbers=True)
    assert of(events, "ack")[-1]["chunks"] == len(chunks)
    assert words(of(events, "final")) == words(of(plain, "final"))


async def test_a_socket_that_is_cut_mid_way_goes_on_where_it_was_and_nothing_is_lost_or_repeated(
    scripted_server: RunningServer,
) -> None:
    chunks = recorded("headache", 30)
    uncut, _ = await told(scripted_server, chunks)
    finals: list[Event] = []
    token, at = None, 0
    for cut in (len(chunks) // 3, len(chunks) // 2, len(chunks)):
        async with dialled(scripted_server) as socket:
            await say(socket, HELLO | {"resume_token": token, "after": len(finals)})
            session = await hear(socket, "session")
            token = session["resume_token"]
            assert session["chunks"] <= at
            at = session["chunks"]
            while at < cut:
                await socket.send(chunks[at])
                at += 1
            if cut < len(chunks):
                finals += [await hear(socket, "final")]
                socket.transport.abort()
            else:
                await say(socket, END)
                events = await rest(socket)
                finals += of(events, "final")
    assert words(finals) == words(of(uncut, "final"))
    assert len({final["id"] for final in finals}) == len(finals)
    seen = await all_of(scripted_server, session["encounter_id"])
    assert [each.data for each in seen if each.kind == "final"] == finals


async def test_a_follower_hears_that_the_connection_was_lost_and_that_it_is_back(
    scripted_server: RunningServer,
) -> None:
    chunks = recorded("headache")
    async with dialled(scripted_server) as first:
        await say(first, HELLO)
        session = await hear(first, "session")
        for chunk in chunks:
            await first.send(chunk)
        async with followed(scripted_server, session["encounter_id"]) as seen:
            assert (await anext(seen)).kind in ("partial", "final")
            first.transport.abort()
            async with asyncio.timeout(20):
                async for each in seen:
                    if each.kind == "interrupted":
                        break
                async with dialled(scripted_server) as second:
                    await say(second, HELLO | {"resume_token": session["resume_token"]})
                    await hear(second, "session")
                    async for each in seen:
                        if each.kind == "resumed":
                            break
                    await say(second, END)
                    assert [each.kind async for each in seen][-1] == "done"
