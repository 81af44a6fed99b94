"""A session that is deleted while somebody speaks in it, over every connection: they are told, and nothing is left."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from bench.processes import processes, shared
from bench.recordings import Recording
from bench.server import RunningServer
from server.store import tables as t
from server.store.database import database_url, open_engine
from tests.acceptance import nabla
from tests.acceptance.following import followed
from tests.acceptance.haidy import chunk, poll, post
from tests.acceptance.leaks import nothing_left_in
from tests.acceptance.live import END, HELLO, dialled, hear, of, recorded, rest, say
from tests.acceptance.processes import balanced
from tests.acceptance.test_haidy import wav
from tests.acceptance.whip import Voice, caller, calling, following
from tests.postgresql import Cluster

PATIENCE_S = 30
POLICY_VIOLATION = 1008  # RFC 6455 §7.4.1: there is no point in coming back


async def speaking(socket: ClientConnection) -> None:
    """A recorder that goes on until its socket is closed."""
    with suppress(ConnectionClosed):
        while True:
            for piece in recorded("headache"):
                await socket.send(piece)
                await asyncio.sleep(0.02)


async def erase(server: RunningServer, encounter: str) -> None:
    async with caller(server) as http:
        assert (await http.delete(f"/api/encounters/{encounter}")).status_code == 204
        assert (await http.get(f"/api/encounters/{encounter}")).status_code == 404


@pytest.mark.parametrize("quiet", [False, True], ids=["speaking", "quiet"])
async def test_a_recorder_is_told_that_its_session_was_erased(
    scripted_server: RunningServer, scripted_keeps_nothing: None, quiet: bool
) -> None:
    async with dialled(scripted_server) as socket:
        await say(socket, HELLO)
        session = await hear(socket, "session")
        async with followed(scripted_server, session["encounter_id"]) as seen, asyncio.TaskGroup() as tasks:
            for piece in recorded("headache"):
                await socket.send(piece)
            await hear(socket, "final")
            if not quiet:
                tasks.create_task(speaking(socket))
            await erase(scripted_server, session["encounter_id"])
            events = await rest(socket, PATIENCE_S)
            told = [each.data async for each in seen]
    assert [event["code"] for event in of(events, "error")] == ["erased"]
    assert socket.close_code == POLICY_VIOLATION
    assert of(told, "error")[-1]["code"] == "erased"
    assert not of(told, "done")
    async with dialled(scripted_server) as again:
        await say(again, HELLO | {"resume_token": session["resume_token"]})
        events = await rest(again, PATIENCE_S)
    assert [event["code"] for event in of(events, "error")] == ["resume_token_invalid"]
    assert again.close_code == POLICY_VIOLATION


async def test_a_recorder_that_waits_for_its_last_words_is_told_so_too(
    scripted_server: RunningServer, scripted_keeps_nothing: None
) -> None:
    async with dialled(scripted_server) as doctor, dialled(scripted_server) as patient:
        await say(doctor, HELLO | {"role": "doctor"})
        encounter = (await hear(doctor, "session"))["encounter_id"]
        await say(patient, HELLO | {"role": "patient", "encounter_id": encounter})
        await hear(patient, "session")
        for piece in recorded("headache"):
            await doctor.send(piece)
        await say(doctor, END)
        await hear(doctor, "final")
        await erase(scripted_server, encounter)
        for events in await asyncio.gather(rest(doctor, PATIENCE_S), rest(patient, PATIENCE_S)):
            assert of(events, "error")[-1]["code"] == "erased"
    assert {doctor.close_code, patient.close_code} == {POLICY_VIOLATION}


async def test_a_nabla_client_is_told_that_its_session_was_erased(
    scripted_server: RunningServer, scripted_keeps_nothing: None, headache: Recording
) -> None:
    async with nabla.dialled(scripted_server) as socket:
        await nabla.say(socket, nabla.CONFIG)
        await nabla.play(socket, nabla.pcm(headache, 10))
        await socket.recv()
        await erase(scripted_server, newest(scripted_server))
        messages = await nabla.read(socket, PATIENCE_S)
    assert messages[-1]["object"] == "error_message"
    assert "erased" in messages[-1]["message"]
    assert socket.close_code == POLICY_VIOLATION


def newest(server: RunningServer) -> str:
    """The id of the session that was opened last, which Nabla's clients are not told."""
    engine = open_engine(f"sqlite:///{server.data_dir / 'auscult.db'}")
    with engine.connect() as connection:
        found = (
            connection.execute(select(t.encounters.c.id).order_by(t.encounters.c.created_at.desc())).scalars().first()
        )
    engine.dispose()
    return str(found)


async def test_a_whip_client_s_peer_is_closed_and_its_followers_are_told(
    whip_server: RunningServer, whip_keeps_nothing: None, client_on_loopback: None, headache: Recording
) -> None:
    async with (
        caller(whip_server) as http,
        calling(http, Voice(headache.mono()), channel=True) as call,
        following(whip_server, call.events_url) as follower,
    ):
        await call.connected()
        await follower.saw("partial")
        await erase(whip_server, call.encounter)
        await call.closed()
        (error,) = await follower.saw("error")
        assert error["code"] == "erased"
        assert (await call.hang_up()).status_code == 404
        assert (await http.get(call.events_url)).status_code == 404


# Two processes on PostgreSQL


@pytest.mark.slow
async def test_a_session_that_one_process_holds_is_erased_by_another_one(
    cluster: Cluster, tmp_path: Path, headache: Recording
) -> None:
    with cluster.database() as url:
        async with processes(tmp_path, shared(tmp_path, url), ("web", "web")) as servers:
            holder, other = servers
            with nothing_left_in(holder), balanced([holder]) as to_holder, balanced([other]) as to_other:
                async with dialled(holder) as socket, dialled(other) as forwarded:
                    await say(socket, HELLO | {"role": "doctor"})
                    encounter = (await hear(socket, "session"))["encounter_id"]
                    await say(forwarded, HELLO | {"role": "patient", "encounter_id": encounter})
                    await hear(forwarded, "session")
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(speaking(socket))
                        await hear(socket, "final")
                        await erase(other, encounter)
                        told = await asyncio.gather(rest(socket, PATIENCE_S), rest(forwarded, PATIENCE_S))
                for events, closed in zip(told, (socket, forwarded), strict=True):
                    assert of(events, "error")[-1]["code"] == "erased"
                    assert closed.close_code == POLICY_VIOLATION
                task_id = post(to_holder, chunk(wav(headache, 5))).json()["task_id"]
                await erase(other, task_id)
                assert post(to_holder, chunk(wav(headache, 5), task_id)).status_code == 404
                assert [poll(api, task_id).status_code for api in (to_holder, to_other)] == [404, 404]
            assert "auscult_sessions 0.0" in await holder.metrics()
            assert stored(url, encounter, task_id) == []


def stored(url: str, *encounters: str) -> list[str]:
    """Tables that still hold something of them."""
    engine = open_engine(database_url(url, Path()))
    with engine.connect() as connection:
        columns = [table.c.encounter_id for table in (t.streams, t.chunks, t.items, t.notes, t.blobs, t.parts)]
        columns.append(t.encounters.c.id)
        left = [
            column.table.name
            for column in columns
            if connection.execute(select(column).where(column.in_(encounters))).first() is not None
        ]
    engine.dispose()
    return left
