"""Several processes on one PostgreSQL: any of them takes any request, and what one held another takes over."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import pytest
from psycopg import AsyncConnection

from bench.processes import processes, shared
from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance import live
from tests.acceptance.following import followed
from tests.acceptance.haidy import chunk, pieces, poll, post, wait
from tests.acceptance.nabla import pcm
from tests.acceptance.processes import balanced
from tests.acceptance.recorded import finished, said, sent
from tests.acceptance.test_haidy import encoded
from tests.acceptance.test_kill import bubbles
from tests.acceptance.whip import Voice, caller, calling
from tests.postgresql import Cluster

pytestmark = pytest.mark.slow

PATIENCE_S = 120


@pytest.fixture
def environment(cluster: Cluster, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Settings of processes that share a database of their own."""
    with cluster.database() as url:
        yield shared(tmp_path, url)


def told(task: dict[str, object]) -> list[tuple[int, int, str]]:
    """What was said, without ids, which belong to one session."""
    return [bubble[1:] for bubble in bubbles(task)]


async def straight(api: httpx.Client, raw: bytes) -> list[tuple[int, int, str]]:
    """What a session says that nothing disturbs."""
    task = post(api, chunk(raw, file_format="pcm", final=True)).json()["task_id"]
    return told((await anyio.to_thread.run_sync(wait, api, task))[-1])


async def test_chunks_sent_to_any_process_make_one_session_also_when_its_holder_is_killed(
    environment: dict[str, str], tmp_path: Path, headache: Recording
) -> None:
    raw = pcm(headache, 40)["d"]
    async with processes(tmp_path, environment, ("web", "web")) as servers:
        with balanced(servers) as api:
            task_id = "NEW"
            for number, part in enumerate(pieces(raw, len(raw) // 12)):
                answer = post(api, chunk(part, task_id, file_format="pcm"))
                assert answer.status_code == 200, answer.text
                task_id = answer.json()["task_id"]
                if number == 6:
                    before = told(poll(api, task_id).json())
                    await servers[0].kill()
                    assert told(poll(api, task_id).json())[: len(before)] == before
            post(api, chunk(b"", task_id, final=True, file_format="pcm"))
            done = (await anyio.to_thread.run_sync(wait, api, task_id))[-1]
            assert done["status"] == "DONE"
            assert told(done) == await straight(api, raw)
        assert 'auscult_forwarded_total{kind="http"}' in await servers[1].metrics()


async def test_what_a_dead_process_was_closing_is_closed_by_another_one(
    environment: dict[str, str], tmp_path: Path, headache: Recording
) -> None:
    raw = pcm(headache, 40)["d"]
    environment |= {"AUSCULT_RECOGNISER_SCRIPTED_DELAY_MS": "700"}
    async with processes(tmp_path, environment, ("web", "web")) as servers:
        with balanced(servers[:1]) as first, balanced(servers[1:]) as second:
            task_id = post(first, chunk(raw, final=True, file_format="pcm")).json()["task_id"]
            await servers[0].kill()
            done = (await anyio.to_thread.run_sync(wait, second, task_id))[-1]
            assert done["status"] == "DONE"
            assert told(done) == await straight(second, raw)
        assert "auscult_executors_buried_total 1.0" in await servers[1].metrics()


async def test_a_session_is_followed_and_joined_at_a_process_that_does_not_hold_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    chunks = live.recorded("headache")
    async with processes(tmp_path, environment, ("web", "web")) as servers, live.dialled(servers[0]) as doctor:
        await live.say(doctor, live.HELLO | {"role": "doctor"})
        session = await live.hear(doctor, "session")
        encounter = session["encounter_id"]
        async with followed(servers[1], encounter) as seen, live.dialled(servers[1]) as patient:
            await live.say(patient, live.HELLO | {"role": "patient", "encounter_id": encounter})
            assert (await live.hear(patient, "session"))["encounter_id"] == encounter
            async with asyncio.TaskGroup() as tasks:
                heard = [tasks.create_task(live.rest(socket)) for socket in (doctor, patient)]
                for piece in chunks:
                    await doctor.send(piece)
                    await patient.send(piece)
                await live.say(doctor, live.END)
                await live.say(patient, live.END)
                followed_events = [each.data async for each in seen]
            finals = [live.words(live.of(each.result(), "final")) for each in heard]
            assert finals[0]
            assert finals[0] == finals[1] == live.words(live.of(followed_events, "final"))
            assert live.of(followed_events, "partial")
            assert followed_events[-1]["type"] == "done"


async def test_a_socket_that_comes_back_to_another_process_goes_on_also_behind_a_kill(
    environment: dict[str, str], tmp_path: Path
) -> None:
    chunks = live.recorded("headache")
    async with processes(tmp_path, environment, ("web", "web")) as servers:
        hello = live.HELLO | {"chunk_numbers": True}
        numbered = [number.to_bytes(4, "big") + piece for number, piece in enumerate(chunks)]
        async with live.dialled(servers[0]) as socket:
            await live.say(socket, hello)
            session = await live.hear(socket, "session")
            for piece in numbered[: len(chunks) // 3]:
                await socket.send(piece)
            await live.hear(socket, "ack")
        async with live.dialled(servers[1]) as socket:  # the holder lives: the socket is passed on to it
            await live.say(socket, hello | {"resume_token": session["resume_token"]})
            session = await live.hear(socket, "session")
            for piece in numbered[session["chunks"] : 2 * len(chunks) // 3]:
                await socket.send(piece)
            await live.hear(socket, "ack")
            await servers[0].kill()
            await live.rest(socket)
        async with live.dialled(servers[1]) as socket:
            await live.say(socket, hello | {"resume_token": session["resume_token"]})
            session = await live.hear(socket, "session")
            for piece in numbered[session["chunks"] :]:
                await socket.send(piece)
            await live.say(socket, live.END)
            finals = live.words(live.of(await live.rest(socket), "final"))
        undisturbed, _ = await live.told(servers[1], chunks)
        assert finals == live.words(live.of(undisturbed, "final"))


async def test_sigterm_hands_sessions_over_at_once(
    environment: dict[str, str], tmp_path: Path, headache: Recording
) -> None:
    raw = pcm(headache, 20)["d"]
    async with processes(tmp_path, environment, ("web", "web")) as servers:
        with balanced(servers[:1]) as first, balanced(servers[1:]) as second:
            task_id = post(first, chunk(raw, file_format="pcm")).json()["task_id"]
            await servers[0].stop()
            answer = post(second, chunk(b"", task_id, final=True, file_format="pcm"))
            assert answer.status_code == 200, answer.text
            done = (await anyio.to_thread.run_sync(wait, second, task_id))[-1]
            assert told(done) == await straight(second, raw)
        assert "auscult_executors_buried_total 0.0" in await servers[1].metrics()


async def test_while_a_process_drains_it_lets_nobody_in_and_finishes_what_it_has(
    environment: dict[str, str], tmp_path: Path, headache: Recording
) -> None:
    raw = pcm(headache, 20)["d"]
    environment |= {"AUSCULT_SERVER_DRAIN_S": "60"}
    async with processes(tmp_path, environment, ("web",)) as servers:
        (server,) = servers
        with balanced(servers) as api:
            task_id = post(api, chunk(raw, file_format="pcm")).json()["task_id"]
            server.process.send_signal(signal.SIGTERM)
            await until(lambda: api.get("/readyz").status_code != 200)
            refused = post(api, chunk(raw, file_format="pcm"))
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
            post(api, chunk(b"", task_id, final=True, file_format="pcm"))
            await server.ended()
            await server.start()
            assert told(poll(api, task_id).json())


async def test_a_process_that_stood_still_and_was_taken_for_dead_changes_nothing_more(
    environment: dict[str, str], tmp_path: Path, headache: Recording
) -> None:
    raw = pcm(headache, 40)["d"]
    first_half, second_half = raw[: len(raw) // 2], raw[len(raw) // 2 :]
    async with (
        processes(tmp_path, environment, ("web", "web")) as servers,
        await AsyncConnection.connect(environment["AUSCULT_STORE_URL"], autocommit=True) as operator,
    ):
        with balanced(servers[:1]) as zombie, balanced(servers[1:]) as heir:
            task_id = post(zombie, chunk(first_half, file_format="pcm")).json()["task_id"]
            servers[0].process.suspend()
            backends = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2"
            await operator.execute(backends)  # the heir's lock goes, too: it takes it again, the zombie cannot
            await until(lambda: "executor.died" in servers[1].log())
            assert post(heir, chunk(second_half, task_id, file_format="pcm")).status_code == 200
            servers[0].process.resume()
            answer = post(zombie, chunk(b"", task_id, final=True, file_format="pcm"))  # it is no zombie any more
            assert answer.status_code == 200, answer.text
            done = (await anyio.to_thread.run_sync(wait, heir, task_id))[-1]
            assert told(done) == await straight(heir, raw)


async def test_a_whip_session_is_ended_at_a_process_that_does_not_have_it(
    environment: dict[str, str], tmp_path: Path, headache: Recording, client_on_loopback: None
) -> None:
    environment |= {"AUSCULT_WEBRTC_ADDRESSES": "127.0.0.1"}
    async with (
        processes(tmp_path, environment, ("web", "web")) as servers,
        caller(servers[0]) as http,
        caller(servers[1]) as other,
        calling(http, Voice(headache.mono()), channel=True) as call,
    ):
        await call.connected()
        await asyncio.sleep(1)
        answer = await other.delete(call.resource)
        assert answer.status_code == 200, answer.text
        assert (await call.told_everything())[-1]["type"] == "done"


async def test_a_recording_outlives_the_process_that_works_on_it(
    environment: dict[str, str], tmp_path: Path, headache: Recording
) -> None:
    environment |= {"AUSCULT_RECOGNISER_SCRIPTED_DELAY_MS": "300"}
    async with processes(tmp_path, environment, ("web", "jobs", "jobs")) as servers:
        with balanced(servers[:1]) as api:
            encounter = sent(api, encoded(headache, "webm"))
            worker = await working(servers[1:])
            await worker.kill()
            done = await anyio.to_thread.run_sync(finished, api, encounter)
            again = await anyio.to_thread.run_sync(finished, api, sent(api, encoded(headache, "webm")))
            assert done["status"] == again["status"] == "done"
            assert said(done) == said(again) != []


async def until(happened: Callable[[], bool]) -> None:
    """Wait for another process: there is no event to wait for."""
    with anyio.fail_after(PATIENCE_S):
        while not happened():  # noqa: ASYNC110
            await anyio.sleep(0.05)


async def working(servers: list[RunningServer]) -> RunningServer:
    """The one that works on a recording."""
    with anyio.fail_after(PATIENCE_S):
        while True:
            for server in servers:
                if "auscult_recordings_working 1.0" in await server.metrics():
                    return server
            await anyio.sleep(0.05)  # another process: there is no event to wait for
