"""Nabla's transcribe-ws (generation C) against the real server: what the vendor's clients do, and what they get."""

import asyncio
from contextlib import suppress

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bench.recordings import Recording
from bench.server import RunningServer
from server.domain import State
from tests.acceptance.nabla import Message, pcm, read, say
from tests.acceptance.nabla_c import CONFIG, END, Client, chunks, dialled, finals, sessions
from tests.acceptance.test_kill import finished

pytestmark = pytest.mark.usefixtures("scripted_keeps_nothing")

PATHS = ("/v1/core/server/transcribe-ws", "/v1/core/user/transcribe-ws")


@pytest.mark.parametrize("path", PATHS)
async def test_every_published_path_gives_items_and_the_server_closes_within_five_seconds(
    scripted_server: RunningServer, headache: Recording, path: str
) -> None:
    versions = {"Authorization": f"Bearer {scripted_server.key}", "X-Nabla-Api-Version": "2024-10-01"}
    async with dialled(scripted_server, f"{path}?nabla-api-version=2026-06-12", additional_headers=versions) as socket:
        assert socket.subprotocol == "transcribe-protocol"
        await say(socket, CONFIG | {"enable_audio_chunk_ack": False})
        for chunk in chunks(pcm(headache, 6)):
            await say(socket, chunk.message)
        await say(socket, END)
        messages = await read(socket, 5)
        assert socket.close_code == 1000
    assert {item["speaker_type"] for item in finals(messages)} == {"DOCTOR", "PATIENT"}
    assert {m["locale"] for m in messages} == {"ENGLISH_US"}
    shape = {"type", "id", "text", "speaker_type", "locale", "start_offset_ms", "end_offset_ms", "is_final"}
    assert all(set(message) == shape for message in messages)


async def test_a_browser_may_offer_its_token_as_a_sub_protocol(scripted_server: RunningServer) -> None:
    offered = ["transcribe-protocol", f"jwt-{scripted_server.key}"]
    async with dialled(scripted_server, additional_headers={}, subprotocols=offered) as socket:
        assert socket.subprotocol == "transcribe-protocol"
        await say(socket, CONFIG)
        await say(socket, END)
        assert await read(socket) == []


async def test_a_wrong_key_is_refused_at_the_handshake(scripted_server: RunningServer) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with dialled(scripted_server, key="wrong"):
            pass
    assert refused.value.response.status_code == 401


async def test_the_first_clients_of_this_generation_are_understood(
    scripted_server: RunningServer, headache: Recording
) -> None:
    config = {
        "type": "CONFIG",
        "encoding": "PCM_S16LE",
        "sample_rate": 16000,
        "speech_locale": "FRENCH_FR",
        "streams": [{"id": "stream1", "speaker_type": "unspecified"}],
    }
    async with dialled(scripted_server) as socket:
        await say(socket, config)
        for chunk in chunks({"stream1": pcm(headache, 6)["d"]}):
            message = chunk.message
            del message["seq_id"]
            await say(socket, message)
        await say(socket, END)
        messages = await read(socket, 5)
    assert {m["type"] for m in messages} == {"TRANSCRIPT_ITEM"}
    assert {(m["speaker_type"], m["locale"]) for m in finals(messages)} == {("UNSPECIFIED", "FRENCH_FR")}


async def test_audio_after_the_end_is_ignored(scripted_server: RunningServer, headache: Recording) -> None:
    audio = chunks(pcm(headache, 10))
    async with dialled(scripted_server) as socket:
        await say(socket, CONFIG)
        for chunk in audio[:100]:
            await say(socket, chunk.message)
        await say(socket, END)
        with suppress(ConnectionClosed):
            for chunk in audio[100:]:
                await say(socket, chunk.message)
        messages = await read(socket, 5)
        assert socket.close_code == 1000
    assert max(item["end_offset_ms"] for item in finals(messages)) <= 5000
    assert max(m["ack_id"] for m in messages if m["type"] == "AUDIO_CHUNK_ACK") == 99


@pytest.mark.parametrize(("first", "by_stream"), [(0, False), (1, False), (0, True), (1, True), (57, False)])
async def test_acknowledgements_grow_to_the_last_number_however_the_client_counts(
    scripted_server: RunningServer, headache: Recording, first: int, by_stream: bool
) -> None:
    client = Client(chunks=chunks(pcm(headache, 5), first, by_stream=by_stream), acknowledged=first - 1)
    async with dialled(scripted_server) as socket:
        await client.play(socket)
        assert socket.close_code == 1000
    assert client.acks == sorted(set(client.acks))
    assert client.acks[0] >= first
    assert client.acknowledged == client.chunks[-1].number
    assert client.items


async def test_a_client_that_waits_for_acknowledgements_gets_on(
    scripted_server: RunningServer, headache: Recording
) -> None:
    client = Client(chunks=chunks({"d": pcm(headache, 5)["d"]}), window=2, config=CONFIG | {"streams": [{"id": "d"}]})
    async with dialled(scripted_server) as socket:
        await client.play(socket)
    assert client.acknowledged == client.chunks[-1].number


@pytest.mark.slow
async def test_a_client_that_sends_faster_than_people_talk_loses_nothing(
    scripted_server: RunningServer, headache: Recording
) -> None:
    audio = pcm(headache, headache.seconds)
    at_once, paced = (Client(chunks=chunks(audio), window=window) for window in (10**6, 90))
    for client in (at_once, paced):
        async with dialled(scripted_server) as socket:
            await client.play(socket)
            assert socket.close_code == 1000
        assert client.acknowledged == client.chunks[-1].number
    assert at_once.transcript == paced.transcript
    assert at_once.transcript


BAD_CONFIGS: list[tuple[Message, str]] = [
    ({"type": "END"}, "CONFIG"),
    ({"object": "listen_config"}, "field"),
    (CONFIG | {"speech_locales": []}, "ENGLISH_US"),
    (CONFIG | {"speech_locales": ["KLINGON_QO"]}, "GERMAN_DE"),
    (CONFIG | {"encoding": "OPUS"}, "PCM_S16LE"),
    (CONFIG | {"sample_rate": 100}, "8000"),
    (CONFIG | {"streams": []}, "streams"),
    (CONFIG | {"streams": [{"id": "a", "speaker_type": "NURSE"}]}, "doctor"),
]


@pytest.mark.parametrize(("config", "says"), BAD_CONFIGS)
async def test_a_wrong_config_is_answered_and_ends_the_socket(
    scripted_server: RunningServer, config: Message, says: str
) -> None:
    async with dialled(scripted_server) as socket:
        await say(socket, config)
        (message,) = await read(socket)
        assert socket.close_code == 1008
    assert message["type"] == "ERROR_MESSAGE"
    assert says in message["message"]


BAD_FRAMES = [
    "not json",
    '{"type": "AUDIO_CHUNK"}',
    '{"type": "UNKNOWN"}',
    '{"object": "audio_chunk", "stream_id": "d", "payload": ""}',
    '{"type": "AUDIO_CHUNK", "stream_id": "d", "payload": "###", "seq_id": 7}',
    '{"type": "AUDIO_CHUNK", "stream_id": "nobody", "payload": "AAAA", "seq_id": 7}',
    '{"type": "AUDIO_CHUNK", "stream_id": "d", "payload": "AAAA", "seq_id": -1}',
]


@pytest.mark.parametrize("frame", BAD_FRAMES)
async def test_a_frame_that_cannot_be_used_is_answered_and_the_session_goes_on(
    scripted_server: RunningServer, headache: Recording, frame: str
) -> None:
    client = Client(chunks=chunks(pcm(headache, 5)))
    async with dialled(scripted_server) as socket:
        await say(socket, CONFIG)
        await socket.send(frame)
        for chunk in client.chunks:
            await say(socket, chunk.message)
        await say(socket, END)
        messages = await read(socket)
        assert socket.close_code == 1000
    assert [m["type"] for m in messages].count("ERROR_MESSAGE") == 1
    assert finals(messages)


@pytest.mark.slow
async def test_a_stream_that_falls_silent_ends_the_socket_and_what_was_said_is_kept_and_finished(
    scripted_server: RunningServer, headache: Recording
) -> None:
    audio = chunks(pcm(headache, 12))
    async with dialled(scripted_server) as socket:
        await say(socket, CONFIG)
        for chunk in audio[:80]:
            await say(socket, chunk.message)
        encounter = sessions(scripted_server.data_dir)[-1].id
        messages = await read(socket, 20)
        assert socket.close_code == 1008
    assert (messages[-1]["type"], messages[-1]["code"]) == ("ERROR_MESSAGE", 83011)
    assert await finished(scripted_server.data_dir, encounter) >= len(finals(messages)) > 0


async def test_silence_gives_no_items(scripted_server: RunningServer) -> None:
    quiet = np.zeros(16000 * 4, "<i2").tobytes()
    client = Client(chunks=chunks({"d": quiet, "p": quiet}))
    async with dialled(scripted_server) as socket:
        await client.play(socket)
    assert {m["type"] for m in client.messages} == {"AUDIO_CHUNK_ACK"}
    assert client.acknowledged == client.chunks[-1].number


async def test_sessions_that_ended_are_not_left_open(scripted_server: RunningServer, headache: Recording) -> None:
    async with dialled(scripted_server) as socket:
        await say(socket, CONFIG)
        for chunk in chunks(pcm(headache, 3)):
            await say(socket, chunk.message)
        encounter = sessions(scripted_server.data_dir)[-1].id
        await say(socket, END)
        await read(socket)
    await asyncio.wait_for(finished(scripted_server.data_dir, encounter), 10)
    (row,) = [row for row in sessions(scripted_server.data_dir) if row.id == encounter]
    assert row.state is State.DONE
