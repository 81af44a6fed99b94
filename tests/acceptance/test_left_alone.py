"""Faults that a review found once: one damaged or stuck encounter never stops the others, and none is lost."""

import asyncio
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select, update

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from server.store import tables as t
from server.store.database import open_engine
from tests.acceptance.conftest import client
from tests.acceptance.haidy import chunk, pieces, poll, post, wait
from tests.acceptance.nabla import CONFIG, dialled, play, say
from tests.acceptance.nabla import pcm as channels
from tests.acceptance.test_haidy import encoded, wav


def test_two_sessions_that_begin_with_the_same_chunk_number_stay_apart(api: httpx.Client, headache: Recording) -> None:
    first, second = (post(api, chunk(wav(headache, 3), chunk_index=0)).json()["task_id"] for _ in range(2))
    assert first != second
    for task_id in (first, second):
        post(api, chunk(b"", task_id, final=True))
        assert wait(api, task_id)[-1]["result"]["bubbles"]


def test_an_exact_repeat_is_dropped_in_webm_and_kept_in_pcm(
    api: httpx.Client, scripted_server: RunningServer, headache: Recording
) -> None:
    engine = open_engine(f"sqlite:///{scripted_server.data_dir / 'auscult.db'}")

    def logged(parts: list[bytes], **more: object) -> int:
        task_id = "NEW"
        for part in parts:
            task_id = post(api, chunk(part, task_id, **more)).json()["task_id"]
        with engine.connect() as connection:
            query = select(func.count()).where(t.chunks.c.encounter_id == task_id)
            count = int(connection.execute(query).scalar_one())
        post(api, chunk(b"", task_id, final=True, **more))
        wait(api, task_id)
        return count

    first, second = pieces(encoded(headache, "webm", seconds=6), 20_000)[:2]
    assert logged([first, second, second, second]) == 2
    assert logged([bytes(32_000)] * 3, file_format="pcm") == 3
    engine.dispose()


def test_an_answer_lost_on_its_way_can_be_asked_for_again_when_all_is_done(
    api: httpx.Client, headache: Recording
) -> None:
    key = {"Idempotency-Key": f"Anna Muster {uuid4()}"}
    body = chunk(wav(headache, 3), final=True)
    task_id = post(api, body, headers=key).json()["task_id"]
    for _ in range(30):
        assert post(api, body, headers=key).json()["task_id"] == task_id
    assert wait(api, task_id)[-1]["status"] == "DONE"


def test_an_idempotency_key_is_not_stored_in_the_clear(
    api: httpx.Client, scripted_server: RunningServer, headache: Recording
) -> None:
    post(api, chunk(wav(headache, 3), final=True), headers={"Idempotency-Key": "Berta Beispiel 1970"})
    assert all(b"Beispiel" not in path.read_bytes() for path in scripted_server.data_dir.rglob("*") if path.is_file())


async def test_a_sockets_session_is_no_task_of_the_other_api(
    scripted_server: RunningServer, headache: Recording
) -> None:
    engine = open_engine(f"sqlite:///{scripted_server.data_dir / 'auscult.db'}")
    async with dialled(scripted_server) as socket:
        await say(socket, CONFIG)
        await play(socket, channels(headache, 2))
        await asyncio.wait_for(socket.recv(), 30)  # it is open: something was said
        with engine.connect() as connection:
            query = select(t.encounters.c.id).order_by(t.encounters.c.created_at.desc()).limit(1)
            encounter = connection.execute(query).scalar_one()
        with client(scripted_server.base_url, scripted_server.key) as api:
            assert poll(api, encounter).status_code == 404
            assert post(api, chunk(b"", encounter, final=True)).status_code == 404
    engine.dispose()


@pytest.mark.slow
async def test_one_damaged_encounter_keeps_no_server_from_starting(tmp_path: Path, headache: Recording) -> None:
    async with running_server(recogniser="scripted", data_dir=tmp_path) as server:
        with client(server.base_url, server.key) as api:
            damaged, whole = (post(api, chunk(wav(headache, 5))).json()["task_id"] for _ in range(2))
            await server.kill()
            engine = open_engine(f"sqlite:///{tmp_path / 'auscult.db'}")
            with engine.begin() as connection:
                broken = update(t.encounters).where(t.encounters.c.id == damaged).values(data_key=b"damaged" * 8)
                connection.execute(broken)
            engine.dispose()
            await server.start()
            assert post(api, chunk(b"", whole, final=True)).status_code == 200
            assert wait(api, whole)[-1]["status"] == "DONE"
            assert damaged in server.log()


@pytest.mark.slow
async def test_a_session_whose_client_vanished_in_a_crash_is_finished_without_it(
    tmp_path: Path, headache: Recording
) -> None:
    environment = {"AUSCULT_LIMITS_HTTP_IDLE_TIMEOUT_S": "1"}
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            task_id = post(api, chunk(wav(headache, 5))).json()["task_id"]
            await server.kill()
            await server.start()
            assert wait(api, task_id)[-1]["result"]["bubbles"]
