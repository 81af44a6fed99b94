"""Nabla's listen-ws against the real server: what the vendor's clients do, and what they get."""

import asyncio
import base64
import json
from contextlib import suppress

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.nabla import CONFIG, END, PATHS, Message, dialled, finals, pcm, play, read, say

SECONDS = 24  # of the consultation, where words are real


@pytest.mark.slow
async def test_a_consultation_becomes_items_of_both_speakers_and_a_note_with_evidence(
    sphinx_server: RunningServer, headache: Recording
) -> None:
    config = CONFIG | {"output_objects": ["transcript_item", "note"], "note_template": "SOAP"}
    async with dialled(sphinx_server) as socket:
        await say(socket, config)
        await play(socket, pcm(headache, SECONDS))
        await say(socket, END)
        messages = await read(socket, 120)
    items = finals(messages)
    assert {item["speaker"] for item in items} == {"doctor", "patient"}
    assert len(items) == len({item["id"] for item in items})
    assert all(0 <= item["start_offset_ms"] < item["end_offset_ms"] <= SECONDS * 1000 for item in items)
    note = messages[-1]
    assert note["object"] == "note"
    assert next(section["key"] for section in note["sections"]) == "SOAP_SUBJECTIVE"
    ids = {item["id"] for item in items}
    for section in note["sections"]:
        for sentence in section["sentences"]:
            assert set(sentence["transcript_item_ids"]) <= ids
            assert 1 <= len(sentence["transcript_item_ids"]) <= 4


@pytest.mark.parametrize("path", PATHS)
async def test_every_published_path_gives_items_and_the_server_closes_first(
    scripted_server: RunningServer, headache: Recording, path: str
) -> None:
    async with dialled(scripted_server, path) as socket:
        assert socket.subprotocol == "copilot-listen-protocol"
        await say(socket, CONFIG)
        await play(socket, pcm(headache, 6))
        await say(socket, END)
        messages = await read(socket, 10)
        assert socket.close_code == 1000
    assert finals(messages)
    assert {m["object"] for m in messages} == {"transcript_item"}
    assert set(messages[0]) == {"object", "id", "text", "speaker", "start_offset_ms", "end_offset_ms", "is_final"}


async def test_a_browser_may_offer_its_token_as_a_sub_protocol(scripted_server: RunningServer) -> None:
    offered = ["copilot-listen-protocol", f"jwt-{scripted_server.key}"]
    async with dialled(scripted_server, additional_headers={}, subprotocols=offered) as socket:
        assert socket.subprotocol == "copilot-listen-protocol"
        await say(socket, CONFIG)
        await say(socket, END)
        assert await read(socket) == []


@pytest.mark.parametrize("key", ["none", "wrong"])
async def test_a_wrong_key_is_refused_at_the_handshake(scripted_server: RunningServer, key: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with dialled(scripted_server, additional_headers={"Authorization": f"Bearer {key}"}):
            pass
    assert refused.value.response.status_code == 401
    assert set(json.loads(refused.value.response.body)) == {"message", "code", "name"}


async def test_a_partial_carries_the_id_of_its_final(scripted_server: RunningServer, headache: Recording) -> None:
    async with dialled(scripted_server) as socket:
        await say(socket, CONFIG)
        await play(socket, pcm(headache, 20))
        await say(socket, END)
        messages = await read(socket)
    final_ids = {item["id"] for item in finals(messages)}
    partial_ids = {m["id"] for m in messages if not m["is_final"] and m["text"]}
    assert partial_ids <= final_ids
    told: set[str] = set()
    for message in messages:
        assert message["id"] not in told, "nothing may follow a final"
        if message["is_final"]:
            told.add(message["id"])


async def test_audio_after_the_end_is_ignored(scripted_server: RunningServer, headache: Recording) -> None:
    async with dialled(scripted_server) as socket:
        await say(socket, CONFIG)
        await play(socket, pcm(headache, 5))
        await say(socket, END)
        with suppress(ConnectionClosed):
            await play(socket, pcm(headache, 5))
        messages = await read(socket)
        assert socket.close_code == 1000
    assert max(item["end_offset_ms"] for item in finals(messages)) <= 5000


async def test_acknowledgements_are_cumulative_where_they_are_enabled(scripted_server: RunningServer) -> None:
    silence = base64.b64encode(bytes(3200)).decode()
    async with dialled(scripted_server) as socket:
        await say(socket, CONFIG | {"enable_audio_chunk_ack": True})
        for number in range(10):
            await say(
                socket, {"object": "audio_chunk", "stream_id": "dp"[number % 2], "payload": silence, "seq_id": number}
            )
        await say(socket, END)
        messages = await read(socket)
    acknowledged = [m["ack_id"] for m in messages if m["object"] == "audio_chunk_ack"]
    assert acknowledged == sorted(set(acknowledged))
    assert acknowledged[-1] == 9


async def test_too_little_said_for_a_note_is_the_vendors_error(
    scripted_server: RunningServer, headache: Recording
) -> None:
    async with dialled(scripted_server) as socket:
        await say(socket, CONFIG | {"output_objects": ["transcript_item", "note"]})
        await play(socket, pcm(headache, 3))
        await say(socket, END)
        messages = await read(socket)
    assert messages[-1]["object"] == "error_message"
    assert messages[-1]["code"] == 83005
    assert messages[-1]["message"] == "We can't generate the note when the transcript is too short."


BAD_CONFIGS = [
    ({"language": "klingon"}, "en-US"),
    ({"encoding": "opus"}, "pcm_s16le"),
    ({"sample_rate": 100}, "8000"),
    ({"streams": []}, "streams"),
    ({"streams": [{"id": "a"}, {"id": "a"}]}, "id"),
    ({"streams": [{"id": "a", "speaker_type": "nurse"}]}, "doctor"),
    ({"streams": [{"id": str(n)} for n in range(9)]}, "streams"),
    ({"output_objects": ["poem"]}, "transcript_item"),
    ({"output_objects": ["note"], "note_template": "ASTROLOGY"}, "SOAP"),
    ({"section_style": "haiku"}, "section_style"),
    ({"sample_rate": "fast"}, "sample_rate"),
]


@pytest.mark.parametrize(("wrong", "says"), BAD_CONFIGS)
async def test_a_wrong_config_is_answered_and_ends_the_socket(
    scripted_server: RunningServer, wrong: Message, says: str
) -> None:
    async with dialled(scripted_server) as socket:
        await say(socket, CONFIG | wrong)
        (message,) = await read(socket)
        assert socket.close_code == 1008
    assert message["object"] == "error_message"
    assert says in message["message"]


async def test_a_language_the_recogniser_lacks_names_the_command_that_mends_it(sphinx_server: RunningServer) -> None:
    async with dialled(sphinx_server) as socket:
        await say(socket, CONFIG | {"language": "fr-FR"})
        (message,) = await read(socket)
    assert "sphinx" in message["message"]
    assert "auscult models fetch" in message["message"]


BAD_FRAMES = [
    "not json",
    "[" * 10_000,
    '{"object": "audio_chunk"}',
    '{"object": "unknown"}',
    '{"object": "audio_chunk", "stream_id": "d", "payload": "###"}',
    '{"object": "audio_chunk", "stream_id": "nobody", "payload": ""}',
    '{"object": "audio_chunk", "stream_id": "d", "payload": ' + "[" * 10_000 + "}",
]


@pytest.mark.parametrize("frame", BAD_FRAMES)
async def test_a_frame_that_cannot_be_used_is_answered_and_the_session_goes_on(
    scripted_server: RunningServer, headache: Recording, frame: str
) -> None:
    async with dialled(scripted_server) as socket:
        await say(socket, CONFIG)
        await socket.send(frame)
        await play(socket, pcm(headache, 5))
        await say(socket, END)
        messages = await read(socket)
        assert socket.close_code == 1000
    assert [m["object"] for m in messages if m["object"] != "transcript_item"] == ["error_message"]
    assert finals(messages)


async def test_binary_frames_end_the_socket_with_an_error(scripted_server: RunningServer) -> None:
    async with dialled(scripted_server) as socket:
        await say(socket, CONFIG)
        await socket.send(b"\x00" * 100)
        messages = await read(socket)
        assert socket.close_code == 1003
    assert messages[-1]["object"] == "error_message"


async def test_audio_before_the_config_is_an_error(scripted_server: RunningServer) -> None:
    async with dialled(scripted_server) as socket:
        await say(socket, {"object": "audio_chunk", "stream_id": "d", "payload": ""})
        (message,) = await read(socket)
    assert "listen_config" in message["message"]


@pytest.mark.slow
async def test_a_config_that_never_comes_and_a_stream_that_falls_silent_end_the_socket(
    scripted_server: RunningServer, headache: Recording
) -> None:
    async def no_config() -> None:
        async with dialled(scripted_server) as socket:
            (message,) = await read(socket, 20)
            assert "configuration" in message["message"]
            assert socket.close_code == 1008

    async def silent_stream() -> None:
        async with dialled(scripted_server) as socket:
            await say(socket, CONFIG)
            await play(socket, pcm(headache, 4))
            messages = await read(socket, 20)
            assert messages[-1]["code"] == 83011
            assert socket.close_code == 1008
            assert finals(messages) or any(not m["is_final"] for m in messages[:-1])

    async with asyncio.TaskGroup() as both:
        both.create_task(no_config())
        both.create_task(silent_stream())


@pytest.mark.slow
async def test_a_client_that_stops_reading_harms_nobody(scripted_server: RunningServer, headache: Recording) -> None:
    async with dialled(scripted_server, max_queue=1) as deaf, dialled(scripted_server) as socket:
        await say(deaf, CONFIG)
        await play(deaf, pcm(headache, 20))
        await say(socket, CONFIG)
        await play(socket, pcm(headache, 5))
        await say(socket, END)
        assert finals(await read(socket, 20))


async def test_silence_gives_no_items(scripted_server: RunningServer) -> None:
    quiet = np.zeros(16000 * 4, "<i2").tobytes()
    async with dialled(scripted_server) as socket:
        await say(socket, CONFIG)
        await play(socket, {"d": quiet, "p": quiet})
        await say(socket, END)
        assert await read(socket) == []
