"""What is deleted is gone: from the API, from the database's files, from the blobs; and nothing that is left opens."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import httpx
import pytest
from sqlalchemy import func, select

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from server.store import tables as t
from server.store.database import open_engine
from tests.acceptance.conftest import client, make_key
from tests.acceptance.haidy import chunk, poll, post, wait
from tests.acceptance.recorded import finished, sent
from tests.acceptance.test_haidy import wav
from tests.s3 import running_store

pytestmark = pytest.mark.slow

WAIT_S = 30


def data_key(server: RunningServer, encounter: str) -> bytes | None:
    engine = open_engine(f"sqlite:///{server.data_dir / 'auscult.db'}")
    with engine.connect() as connection:
        found = connection.execute(select(t.encounters.c.data_key).where(t.encounters.c.id == encounter)).scalar()
    engine.dispose()
    return None if found is None else bytes(found)


def files_with(folder: Path, needle: bytes) -> list[str]:
    return [file.name for file in folder.rglob("*") if file.is_file() and needle in file.read_bytes()]


def until(condition: Callable[[], bool]) -> None:
    gives_up = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < gives_up
        time.sleep(0.1)


def spoken(api: httpx.Client, headache: Recording, *, seconds: int = 6, final: bool = True) -> str:
    return str(post(api, chunk(wav(headache, seconds), final=final)).json()["task_id"])


async def test_after_erasure_the_data_key_is_in_no_file_and_no_blob_is_left(
    tmp_path: Path, headache: Recording
) -> None:
    environment = {"AUSCULT_TASKS_TEND_S": "0.2"}
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            encounter = spoken(api, headache)
            await anyio.to_thread.run_sync(wait, api, encounter)
            await anyio.to_thread.run_sync(until, lambda: any((tmp_path / "blobs").iterdir()))
            key = data_key(server, encounter)
            assert key is not None
            assert files_with(tmp_path, key)
            assert api.delete(f"/api/encounters/{encounter}").status_code == 204
            assert data_key(server, encounter) is None
            assert not list((tmp_path / "blobs").iterdir())
            await anyio.to_thread.run_sync(until, lambda: not files_with(tmp_path, key))  # the next sweep
            only_the_access_log = ["auscult.db"]  # it says who deleted it
            left = partial(files_with, tmp_path, encounter.encode())
            await anyio.to_thread.run_sync(until, lambda: left() == only_the_access_log)
            assert poll(api, encounter).status_code == 404
            assert api.delete(f"/api/encounters/{encounter}").status_code == 404


def test_a_live_session_is_ended_by_its_erasure(
    api: httpx.Client, scripted_server: RunningServer, headache: Recording
) -> None:
    encounter = spoken(api, headache, final=False)
    assert api.delete(f"/api/encounters/{encounter}").status_code == 204
    assert post(api, chunk(wav(headache, 2), encounter)).status_code == 404
    assert api.get(f"/api/encounters/{encounter}").status_code == 404
    engine = open_engine(f"sqlite:///{scripted_server.data_dir / 'auscult.db'}")
    with engine.connect() as connection:
        for table in (t.chunks, t.items, t.streams, t.notes, t.blobs):
            query = select(func.count()).where(table.c.encounter_id == encounter)
            assert connection.execute(query).scalar() == 0
        c = t.access_log.c
        actions = connection.execute(select(c.action).where(c.encounter_id == encounter)).scalars().all()
    engine.dispose()
    assert actions[-1] == "encounter.erase"


def test_a_follower_of_an_erased_session_is_let_go(api: httpx.Client, headache: Recording) -> None:
    encounter = spoken(api, headache, final=False)
    with api.stream("GET", f"/api/encounters/{encounter}/events", timeout=WAIT_S) as events:
        assert events.status_code == 200
        lines = events.iter_lines()
        next(lines)
        assert api.delete(f"/api/encounters/{encounter}").status_code == 204
        gives_up = time.monotonic() + WAIT_S
        for _ in lines:  # ends, or the test does by its timeout
            assert time.monotonic() < gives_up


def test_nobody_deletes_what_is_not_theirs_or_only_followed(
    api: httpx.Client, scripted_server: RunningServer, headache: Recording
) -> None:
    encounter = spoken(api, headache)
    with client(scripted_server.base_url, make_key(scripted_server, "another")) as stranger:
        assert stranger.delete(f"/api/encounters/{encounter}").status_code == 404
    made = api.post("/api/tokens", json={"scope": "follow", "encounter_id": encounter}).json()["token"]
    with client(scripted_server.base_url, made) as follower:
        assert follower.delete(f"/api/encounters/{encounter}").status_code == 403
    assert wait(api, encounter)[-1]["status"] == "DONE"


async def test_the_files_of_a_recording_lie_in_a_bucket_for_their_time_and_go_with_it(
    tmp_path: Path, headache: Recording
) -> None:
    kept = {"AUSCULT_RETENTION_UPLOAD_AUDIO_HOURS": "1", "AUSCULT_TASKS_TEND_S": "0.2"}
    with running_store() as store:
        environment = store.environment | kept
        async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
            with client(server.base_url, server.key) as api:
                encounter = await anyio.to_thread.run_sync(sent, api, wav(headache, 6))
                done = await anyio.to_thread.run_sync(finished, api, encounter)
                assert done["status"] == "done"
                assert list(store.objects()) == [f"{encounter}-part0"]
                assert api.delete(f"/api/encounters/{encounter}").status_code == 204
                assert not store.objects()
                in_work = await anyio.to_thread.run_sync(sent, api, wav(headache, 40))
                assert api.delete(f"/api/encounters/{in_work}").status_code == 204
                assert api.get(f"/api/encounters/{in_work}").status_code == 404
                await anyio.to_thread.run_sync(until, lambda: not store.objects())
