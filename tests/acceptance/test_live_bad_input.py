"""What `/api/live` says to what it cannot use: the protocol's own clear error, and nothing stored is lost."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from tests.acceptance.conftest import make_key
from tests.acceptance.following import all_of
from tests.acceptance.haidy import chunk, post, wait
from tests.acceptance.live import END, HELLO, Event, dialled, hear, of, pieces, recorded, rest, say, told, words
from tests.acceptance.test_haidy import wav
from tests.audio import RECIPES, Recipe, encode, video

pytestmark = pytest.mark.usefixtures("scripted_keeps_nothing")

CLUSTER = bytes.fromhex("1f43b675")
GARBAGE = bytes(range(1, 256)) * 400


async def begun(socket: ClientConnection, **hello: Any) -> Event:
    await say(socket, HELLO | hello)
    return await hear(socket, "session")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"language": ""}, "language"),
        ({"language": "fr"}, "models fetch"),
        ({"template": "ASTROLOGY"}, "SOAP"),
        ({"role": "nurse"}, "doctor"),
        ({"encoding": "opus"}, "pcm_s16le"),
        ({"encoding": "pcm_s16le", "sample_rate": 100}, "8000"),
        ({"sample_rate": "fast"}, "sample_rate"),
        ({"glossary": "cardiology"}, "glossary"),
        ({"after": -1}, "after"),
        ({"resume_token": "Anna"}, "start a new one"),
        ({"encounter_id": "unknown"}, "Not found"),
    ],
)
async def test_a_wrong_hello_is_answered_and_ends_the_socket(
    sphinx_server: RunningServer, wrong: Event, says: str
) -> None:
    async with dialled(sphinx_server) as socket:
        await say(socket, HELLO | wrong)
        (error,) = await rest(socket)
        assert socket.close_code == 1008
    assert error["type"] == "error"
    assert says in error["message"]


@pytest.mark.parametrize("first", ["not json", '{"type": "end"}', b"audio", "[" * 10_000])
async def test_whatever_comes_instead_of_hello_ends_the_socket(
    scripted_server: RunningServer, first: str | bytes
) -> None:
    async with dialled(scripted_server) as socket:
        await socket.send(first)
        (error,) = await rest(socket)
        assert socket.close_code == 1008
    assert error["code"] == "bad_request"


@pytest.mark.parametrize("frame", ["not json", '{"type": "poem"}', '{"type": "hello"}', "[" * 10_000])
async def test_a_text_that_cannot_be_used_is_answered_and_the_session_goes_on(
    scripted_server: RunningServer, frame: str
) -> None:
    async with dialled(scripted_server) as socket:
        await begun(socket, note=False)
        await socket.send(frame)
        for part in recorded("headache", 6):
            await socket.send(part)
        await say(socket, END)
        events = await rest(socket)
        assert socket.close_code == 1000
    assert [error["code"] for error in of(events, "error")] == ["bad_request"]
    assert of(events, "final")


async def test_a_chunk_without_its_number_and_a_gap_are_told_and_the_session_goes_on(
    scripted_server: RunningServer,
) -> None:
    async with dialled(scripted_server) as socket:
        await begun(socket, chunk_numbers=True, note=False)
        await socket.send(b"\0\0")
        parts = recorded("headache", 6)
        for number, part in enumerate(parts):
            await socket.send((number + 2 * (number > 5)).to_bytes(4, "big") + part)
        await say(socket, END)
        events = await rest(socket)
    assert ["number" in error["message"] for error in of(events, "error")] == [True, True]
    assert of(events, "ack")[-1]["chunks"] == len(parts) + 2


async def test_a_chunk_over_the_limit_ends_the_socket_and_the_session_goes_on_in_smaller_ones(
    scripted_server: RunningServer,
) -> None:
    parts = recorded("headache", 6)
    async with dialled(scripted_server) as socket:
        session = await begun(socket, note=False)
        for part in parts[:5]:
            await socket.send(part)
        await socket.send(bytes(9_000_000))
        error = of(await rest(socket), "error")[-1]
        assert error["code"] == "too_large"
        assert socket.close_code == 1009
    async with dialled(scripted_server) as socket:
        session = await begun(socket, resume_token=session["resume_token"])
        assert session["chunks"] == 5
        for part in parts[5:]:
            await socket.send(part)
        await say(socket, END)
        assert of(await rest(socket), "final")


async def test_a_resume_token_is_good_until_the_next_one_was_used(scripted_server: RunningServer) -> None:
    parts = recorded("headache", 6)
    async with dialled(scripted_server) as socket:
        first = (await begun(socket))["resume_token"]
    async with dialled(scripted_server) as socket:  # the answer is lost on its way
        await begun(socket, resume_token=first)
    async with dialled(scripted_server) as socket:
        await begun(socket, resume_token=first)
        await socket.send(parts[0])
        await hear(socket, "ack")
        async with dialled(scripted_server) as late:
            await say(late, HELLO | {"resume_token": first})
            (error,) = await rest(late)
            assert error["code"] == "resume_token_used"
            assert late.close_code == 1008
        for part in parts[1:]:
            await socket.send(part)
        await say(socket, END)
        assert of(await rest(socket), "final")


async def test_another_tenant_cannot_resume_join_or_follow(scripted_server: RunningServer) -> None:
    key = await asyncio.to_thread(make_key, scripted_server, "stranger")
    async with dialled(scripted_server) as socket:
        session = await begun(socket)
        for wrong in ({"resume_token": session["resume_token"]}, {"encounter_id": session["encounter_id"]}):
            async with dialled(scripted_server, subprotocols=["auscult-live", f"jwt-{key}"]) as other:
                await say(other, HELLO | wrong)
                (error,) = await rest(other)
                assert error["code"] in ("resume_token_invalid", "not_found")
        with pytest.raises(httpx.HTTPStatusError, match="404"):
            await all_of(scripted_server, session["encounter_id"], key=key)
        await say(socket, END)
        await rest(socket)


async def test_a_newer_connection_displaces_the_older_one(scripted_server: RunningServer) -> None:
    parts = recorded("headache", 10)
    async with dialled(scripted_server) as older, dialled(scripted_server) as newer:
        session = await begun(older)
        await older.send(parts[0])
        await hear(older, "ack")
        session = await begun(newer, resume_token=session["resume_token"])
        assert session["chunks"] == 1
        assert (await rest(older))[-1]["code"] == "displaced"
        assert older.close_code == 1008
        for part in parts[1:]:
            await newer.send(part)
        await say(newer, END)
        assert of(await rest(newer), "final")


async def test_a_session_that_was_ended_is_only_told_to_who_comes_back(scripted_server: RunningServer) -> None:
    async with dialled(scripted_server) as socket:
        session = await begun(socket)
        for part in recorded("headache", 10):
            await socket.send(part)
        await say(socket, END)
        events = await rest(socket)
    async with dialled(scripted_server) as socket:
        await begun(socket, resume_token=session["resume_token"])
        again = await rest(socket)
        assert socket.close_code == 1000
    assert of(again, "final") == of(events, "final")
    assert again[-1] == events[-1] == {"type": "done", "outcome": "done"}


async def test_a_session_that_lives_by_requests_cannot_be_joined(
    scripted_server: RunningServer, api: httpx.Client, headache: Recording
) -> None:
    task_id = post(api, chunk(wav(headache, 3))).json()["task_id"]
    async with dialled(scripted_server) as socket:
        await say(socket, HELLO | {"encounter_id": task_id})
        (error,) = await rest(socket)
    assert "followed, not joined" in error["message"]
    post(api, chunk(b"", task_id, final=True))
    wait(api, task_id)


async def restarted_after(server: RunningServer, broken: list[bytes]) -> tuple[list[Event], list[Event]]:
    """Events up to the error that broken chunks cause, and those of the recorder that was started again upon it."""
    async with dialled(server) as socket:
        await begun(socket, note=False)
        before: list[Event] = []
        async with asyncio.timeout(30):
            for part in broken:
                await socket.send(part)
            while not of(before, "error"):
                before.append(json.loads(await socket.recv()))
        for part in recorded("headache", 10):
            await socket.send(part)
        await say(socket, END)
        return before, await rest(socket)


MISSING_FIRST = [
    pytest.param(list(recorded("headache", 10))[1:], id="anywhere"),
    pytest.param([b"".join(b"".join(recorded("headache", 10)).partition(CLUSTER)[1:])], id="cluster"),
    pytest.param([GARBAGE], id="garbage"),
]


@pytest.mark.parametrize("broken", MISSING_FIRST)
async def test_a_recording_without_its_beginning_asks_for_a_restart_and_is_heard_after_it(
    scripted_server: RunningServer, broken: list[bytes]
) -> None:
    whole, _ = await told(scripted_server, recorded("headache", 10), note=False)
    before, after = await restarted_after(scripted_server, broken)
    assert "restart" in of(before, "error")[-1]["message"]
    assert words(of(after, "final")) == words(of(whole, "final"))
    assert of(after, "ack")[-1]["chunks"] == len(broken) + len(recorded("headache", 10))
    assert after[-1] == {"type": "done", "outcome": "done"}


async def test_a_recording_that_breaks_for_good_keeps_what_was_said_and_goes_on_behind_it(
    scripted_server: RunningServer, headache: Recording
) -> None:
    fragmented = replace(RECIPES["fragmented mp4"], rate=16_000)
    good = encode(headache.mono()[: 16_000 * 10], fragmented)
    before, after = await restarted_after(scripted_server, [*pieces(good), GARBAGE, GARBAGE])
    assert of(before, "error")[-1]["code"] == "undecodable_audio"
    finals = of(before, "final") + of(after, "final")
    starts = {name: [f["start_ms"] for f in finals if f["stream"] == name] for name in ("stream0", "stream1")}
    for of_stream in starts.values():  # each in its order; the end of the first may be told behind the next one's start
        assert of_stream == sorted(of_stream)
    assert starts["stream0"][0] < 9_000 < 10_000 < starts["stream1"][-1]


async def test_garbage_after_a_good_start_loses_nothing_that_was_heard(scripted_server: RunningServer) -> None:
    good = recorded("headache", 10)
    whole, _ = await told(scripted_server, good, note=False)
    events, code = await told(scripted_server, [*good, GARBAGE, GARBAGE, *good], note=False)
    assert code == 1000
    finals = words(of(events, "final"))
    assert finals[: len(of(whole, "final")) - 1] == words(of(whole, "final"))[:-1]
    assert len(finals) > len(of(whole, "final"))


async def test_an_mp4_with_its_index_at_the_end_is_heard_when_it_is_whole(
    scripted_server: RunningServer, headache: Recording
) -> None:
    late = encode(headache.mono()[: 16_000 * 10], Recipe(container="mp4", codec="aac", rate=16_000, live=False))
    assert late.index(b"mdat") < late.index(b"moov")
    events, code = await told(scripted_server, pieces(late), note=False)
    assert (code, of(events, "error")) == (1000, [])
    assert of(events, "final")


async def test_a_video_without_sound_is_an_error_and_the_session_fails(scripted_server: RunningServer) -> None:
    events, code = await told(scripted_server, pieces(video("webm", audio=False)), note=False)
    assert code == 1000
    assert [error["code"] for error in of(events, "error")] == ["no_audio_track"]
    assert events[-1] == {"type": "done", "outcome": "failed"}


async def test_who_says_nothing_is_told_and_what_was_said_is_finished() -> None:
    limits = {"AUSCULT_LIMITS_STREAM_SILENCE_TIMEOUT_S": "1", "AUSCULT_LIMITS_CONFIG_TIMEOUT_S": "1"}
    async with running_server(recogniser="scripted", environment=limits) as server:
        async with dialled(server) as socket:
            (error,) = await rest(socket)
            assert error["code"] == "hello_timeout"
            assert socket.close_code == 1008
        async with dialled(server) as socket:
            await begun(socket, note=False)
            for part in recorded("headache", 6):
                await socket.send(part)
            events = await rest(socket)
            assert socket.close_code == 1008
        assert [error["code"] for error in of(events, "error")] == ["stream_silent"]
        assert of(events, "final")
        assert events[-1] == {"type": "done", "outcome": "done"}


async def test_a_session_whose_client_never_comes_back_is_finished_without_it() -> None:
    limits = {"AUSCULT_LIMITS_RECONNECT_TIMEOUT_S": "1"}
    async with running_server(recogniser="scripted", environment=limits) as server:
        async with dialled(server) as socket:
            session = await begun(socket, note=False)
            for part in recorded("headache", 6):
                await socket.send(part)
            await hear(socket, "final")
        seen = await all_of(server, session["encounter_id"])
        assert seen[-1].data == {"type": "done", "outcome": "done"}
        async with dialled(server) as socket:
            await begun(socket, resume_token=session["resume_token"])
            await socket.send(b"more")
            assert {"already_final"} >= {error["code"] for error in of(await rest(socket), "error")}


async def test_an_expired_token_ends_the_socket_and_a_new_one_goes_on(
    scripted_server: RunningServer, api: httpx.Client
) -> None:
    def token(seconds: int) -> str:
        asked = {"scope": "stream", "expires_in_s": seconds}
        return str(api.post("/api/tokens", json=asked).json()["token"])

    parts = recorded("headache", 6)
    async with dialled(scripted_server, subprotocols=["auscult-live", f"jwt-{token(1)}"]) as socket:
        session = await begun(socket, note=False)
        await socket.send(parts[0])
        events = await rest(socket)
        assert events[-1]["code"] == "token_expired"
        assert socket.close_code == 1008
    async with dialled(scripted_server, subprotocols=["auscult-live", f"jwt-{token(60)}"]) as socket:
        session = await begun(socket, resume_token=session["resume_token"])
        for part in parts[session["chunks"] :]:
            await socket.send(part)
        await say(socket, END)
        assert of(await rest(socket), "final")
