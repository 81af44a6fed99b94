"""Clients of transcribe-ws whose sockets break: they repeat what was not acknowledged, and nothing is heard twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from server.domain import EncounterRow, State
from tests.acceptance.conftest import client, make_key
from tests.acceptance.nabla import pcm, read, say
from tests.acceptance.nabla_c import CHUNK, CONFIG, Chunk, Client, archived, chunks, dialled, finals, sessions
from tests.acceptance.test_kill import finished


@asynccontextmanager
async def broken(server: RunningServer, key: str = "") -> AsyncIterator[ClientConnection]:
    """A socket that ends as networks do: no closing handshake."""
    async with dialled(server, key=key) as socket:
        yield socket
        socket.transport.abort()


def spoken(recording: Recording, seconds: float, loudness: int) -> dict[str, bytes]:
    """The recording at a loudness of its own: tests leave sessions behind that must not be taken for each other."""
    return {
        name: (np.frombuffer(body, "<i2") * (loudness / 100)).astype("<i2").tobytes()
        for name, body in pcm(recording, seconds).items()
    }


def audio_of(client: Client) -> list[bytes]:
    """What the client has played, of each stream."""
    return [b"".join(chunk.body for chunk in client.chunks if chunk.stream == name) for name in "dp"]


async def undisturbed(server: RunningServer, parts: list[Chunk], key: str = "") -> Client:
    client = Client(chunks=parts)
    async with dialled(server, key=key) as socket:
        await client.play(socket)
    assert client.items
    return client


def acknowledges(client: Client, number: int) -> Callable[[], bool]:
    return lambda: client.acknowledged >= number


async def one_session(data_dir: Path, known: set[str]) -> EncounterRow:
    (row,) = [row for row in sessions(data_dir) if row.id not in known]
    await finished(data_dir, row.id)
    return row


@pytest.mark.slow
@pytest.mark.parametrize(("first", "by_stream"), [(0, False), (1, False), (0, True)])
async def test_a_session_whose_socket_breaks_again_and_again_is_one_session(
    scripted_server: RunningServer, headache: Recording, first: int, by_stream: bool
) -> None:
    parts = chunks(spoken(headache, 60, 25), first, by_stream=by_stream)
    whole = await undisturbed(scripted_server, parts)
    known = {row.id for row in sessions(scripted_server.data_dir)}
    client = Client(chunks=parts)
    for number in range(40, parts[-1].number - 150, 130):
        async with broken(scripted_server) as socket:
            await client.play(socket, until=acknowledges(client, number))
    async with dialled(scripted_server) as socket:
        await client.play(socket)
        assert socket.close_code == 1000
    session = await one_session(scripted_server.data_dir, known)
    assert await archived(scripted_server.data_dir, session.id) == audio_of(client)
    assert client.transcript == whole.transcript
    assert len(set(client.told)) == len(client.items), "a final never changes"


@pytest.mark.slow
async def test_a_session_goes_on_after_the_server_was_killed(tmp_path: Path, headache: Recording) -> None:
    parts = chunks(spoken(headache, 60, 30))
    async with running_server(recogniser="scripted", data_dir=tmp_path / "data") as server:
        whole = await undisturbed(server, parts)
        known = {row.id for row in sessions(server.data_dir)}
        client = Client(chunks=parts)
        for number in (130, 390, 750, 830):
            async with dialled(server) as socket:
                playing = asyncio.create_task(client.play(socket, until=acknowledges(client, number)))
                await asyncio.wait([playing])
                await server.kill()
            await server.start()
        async with dialled(server) as socket:
            await client.play(socket)
            assert socket.close_code == 1000
        session = await one_session(server.data_dir, known)
        assert await archived(server.data_dir, session.id) == audio_of(client)
    assert client.transcript == whole.transcript
    assert len(set(client.told)) == len(client.items)


@pytest.mark.slow
async def test_words_that_nobody_was_told_when_the_server_was_killed_are_told_later(
    tmp_path: Path, headache: Recording
) -> None:
    parts = chunks(spoken(headache, 20, 35))
    environment = {"AUSCULT_RECOGNISER_SCRIPTED_DELAY_MS": "2000"}  # finals come long after their audio
    async with running_server(recogniser="scripted", data_dir=tmp_path / "data", environment=environment) as server:
        whole = await undisturbed(server, parts)
        client = Client(chunks=parts)
        async with dialled(server) as socket:
            await client.play(socket, until=acknowledges(client, 340), most=370)
            await server.kill()
        await server.start()
        async with dialled(server) as socket:
            await client.play(socket)
    assert client.transcript == whole.transcript


async def test_offsets_of_a_returning_socket_count_from_its_first_chunk(
    scripted_server: RunningServer, headache: Recording
) -> None:
    parts = chunks(spoken(headache, 20, 40))
    whole = await undisturbed(scripted_server, parts)
    client = Client(chunks=parts)
    async with broken(scripted_server) as socket:
        await client.play(socket, until=acknowledges(client, 200))
    begins_ms = client.unacknowledged[0].at_ms
    async with dialled(scripted_server) as socket:
        await client.play(socket)
    told = finals(client.messages)
    assert min(item["start_offset_ms"] for item in told) < 0, "an item that began before the socket"
    ends = {end for _, end, _, _ in whole.transcript}
    assert {item["end_offset_ms"] + begins_ms for item in told} <= ends


async def test_what_was_told_long_ago_is_not_told_again(scripted_server: RunningServer, headache: Recording) -> None:
    parts = chunks(spoken(headache, 40, 45))
    client = Client(chunks=parts)
    async with broken(scripted_server) as socket:
        await client.play(socket, until=lambda: client.acknowledged > 600 and len(client.items) > 3, most=700)
    before, begins_ms = set(client.items), client.unacknowledged[0].at_ms
    async with dialled(scripted_server) as socket:
        await client.play(socket)
    again = {item["id"]: item for item in finals(client.messages) if item["id"] in before}
    assert all(item["end_offset_ms"] > -10_000 for item in again.values())
    assert len(again) < len(before)
    assert begins_ms > 10_000


async def test_a_socket_that_is_only_thought_to_be_alive_makes_way(
    scripted_server: RunningServer, headache: Recording
) -> None:
    parts = chunks(spoken(headache, 20, 50))
    whole = await undisturbed(scripted_server, parts)
    known = {row.id for row in sessions(scripted_server.data_dir)}
    client = Client(chunks=parts)
    async with dialled(scripted_server) as half_open, dialled(scripted_server) as socket:
        await client.play(half_open, until=acknowledges(client, 150))
        await client.play(socket)
        (message,) = [m for m in await read(half_open, 10) if m["type"] == "ERROR_MESSAGE"]
        assert message["name"] == "DISPLACED"
    await one_session(scripted_server.data_dir, known)
    assert client.transcript == whole.transcript


async def test_two_clients_that_play_the_same_recording_at_once_stay_apart(
    scripted_server: RunningServer, headache: Recording
) -> None:
    parts = chunks(spoken(headache, 8, 55), first=1)
    known = {row.id for row in sessions(scripted_server.data_dir)}
    clients = [Client(chunks=parts) for _ in range(2)]
    async with dialled(scripted_server) as one, dialled(scripted_server) as other:
        await clients[0].play(one, until=acknowledges(clients[0], 60), most=80)
        await clients[1].play(other)
    assert clients[1].acknowledged == parts[-1].number
    assert len([row for row in sessions(scripted_server.data_dir) if row.id not in known]) == 2


async def test_a_session_is_recognised_behind_digital_silence(
    scripted_server: RunningServer, headache: Recording
) -> None:
    said = spoken(headache, 12, 60)
    muted = {name: body[: 60 * CHUNK] + bytes(20 * CHUNK) + body[80 * CHUNK :] for name, body in said.items()}
    parts = chunks(muted)
    whole = await undisturbed(scripted_server, parts)
    known = {row.id for row in sessions(scripted_server.data_dir)}
    client = Client(chunks=parts)
    async with broken(scripted_server) as socket:
        await client.play(socket, until=acknowledges(client, 200), most=220)
    client.acknowledged = 139  # the answers to all of the silence, and a little more, were lost
    async with dialled(scripted_server) as socket:
        await client.play(socket)
    session = await one_session(scripted_server.data_dir, known)
    assert await archived(scripted_server.data_dir, session.id) == audio_of(client)
    assert client.transcript == whole.transcript


@pytest.mark.parametrize(("other", "loudness"), [("audio", 81), ("key", 82), ("roles", 83), ("language", 84)])
async def test_a_socket_that_repeats_nothing_of_its_own_begins_a_session_at_its_number(
    scripted_server: RunningServer, headache: Recording, other: str, loudness: int
) -> None:
    parts = chunks(spoken(headache, 12, loudness))
    known = {row.id for row in sessions(scripted_server.data_dir)}
    client = Client(chunks=parts)
    async with broken(scripted_server) as socket:
        await client.play(socket, until=acknowledges(client, 100), most=150)
    key = make_key(scripted_server, "another") if other == "key" else ""
    if other == "audio":
        client.chunks = chunks({"d": audio_of(client)[1], "p": audio_of(client)[0]})
    if other == "roles":
        client.config = CONFIG | {"streams": [{"id": "d"}, {"id": "p"}]}
    if other == "language":
        client.config = CONFIG | {"speech_locales": ["FRENCH_FR"]}
    begins = client.acknowledged + 1
    async with dialled(scripted_server, key=key) as socket:
        await client.play(socket)
        assert socket.close_code == 1000
    assert client.acknowledged == parts[-1].number
    first, second = [row for row in sessions(scripted_server.data_dir) if row.id not in known]
    assert first.state is State.LIVE, "its own client may still come back"
    played = [b"".join(c.body for c in client.chunks if c.stream == name and c.number >= begins) for name in "dp"]
    assert await archived(scripted_server.data_dir, second.id) == played


async def test_a_client_comes_back_with_a_newer_token_of_the_same_key(
    scripted_server: RunningServer, headache: Recording
) -> None:
    with client(scripted_server.base_url, scripted_server.key) as api:
        tokens = [api.post("/api/tokens", json={"scope": "stream"}).json()["token"] for _ in range(2)]
    known = {row.id for row in sessions(scripted_server.data_dir)}
    player = Client(chunks=chunks(spoken(headache, 12, 86)))
    async with broken(scripted_server, tokens[0]) as socket:
        await player.play(socket, until=acknowledges(player, 100), most=150)
    async with dialled(scripted_server, key=tokens[1]) as socket:
        await player.play(socket)
        assert socket.close_code == 1000
    session = await one_session(scripted_server.data_dir, known)
    assert await archived(scripted_server.data_dir, session.id) == audio_of(player)


@pytest.mark.slow
async def test_a_session_whose_client_never_comes_back_is_finished_without_it(
    tmp_path: Path, headache: Recording
) -> None:
    environment = {"AUSCULT_LIMITS_RECONNECT_TIMEOUT_S": "1"}
    async with running_server(recogniser="scripted", data_dir=tmp_path / "data", environment=environment) as server:
        client = Client(chunks=chunks(spoken(headache, 8, 70)))
        async with broken(server) as socket:
            await client.play(socket, until=acknowledges(client, 100), most=150)
        (session,) = sessions(server.data_dir)
        assert await finished(server.data_dir, session.id) > 0


async def test_a_socket_that_ends_before_any_audio_is_a_session_of_its_own(
    scripted_server: RunningServer, headache: Recording
) -> None:
    client = Client(chunks=chunks(spoken(headache, 5, 75)))
    async with broken(scripted_server) as socket:
        await client.play(socket, until=acknowledges(client, 50), most=80)
    async with dialled(scripted_server) as socket:  # while a session waits for its client
        await say(socket, CONFIG)
        await socket.send("not json")
        await say(socket, {"type": "END"})
        messages = await read(socket)
        assert socket.close_code == 1000
    assert [m["type"] for m in messages] == ["ERROR_MESSAGE"]
