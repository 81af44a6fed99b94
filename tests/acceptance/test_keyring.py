"""`auscult keyring` beside a running server: nobody notices, and the old key is gone, whatever dies in between."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from psycopg import AsyncConnection
from sqlalchemy import Engine, select, update

from bench.recordings import Recording
from bench.server import running_server
from server.store import tables as t
from server.store.database import database_url, open_engine
from server.store.key_sources import KeyFile, new_key
from server.store.rewrapping import BATCH
from server.store.seal import KeyRing, SealBroken
from tests.acceptance.conftest import client
from tests.acceptance.haidy import chunk, post, wait
from tests.acceptance.recorded import finished
from tests.acceptance.test_haidy import wav
from tests.postgresql import Cluster
from tests.preforked import auscult
from tests.server.test_retention import add

pytestmark = pytest.mark.slow

PATIENCE_S = 30
LAST = "zzz"  # of encounters, in the order in which they are sealed anew


def keyring(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "server.cli", "keyring", *arguments]


def rotate(data_dir: Path, environment: Mapping[str, str] | None = None) -> str:
    done = auscult("keyring", "rotate", "--wait", "0", "--data-dir", str(data_dir), environment=environment)
    done.check_returncode()
    return done.stdout


async def test_sessions_before_during_and_after_a_rotation_are_all_read(tmp_path: Path, headache: Recording) -> None:
    kept = {"AUSCULT_TASKS_KEEP_AFTER_FETCH": "true"}
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=kept) as server:
        with client(server.base_url, server.key) as api:
            before = post(api, chunk(wav(headache, 6), final=True)).json()["task_id"]
            await anyio.to_thread.run_sync(wait, api, before)
            told = api.get(f"/api/encounters/{before}").json()
            live = post(api, chunk(wav(headache, 3))).json()["task_id"]
            [old] = KeyFile(tmp_path / "key").read()
            assert "sealed under the newest key" in await anyio.to_thread.run_sync(rotate, tmp_path)
            [new] = KeyFile(tmp_path / "key").read()
            assert new != old
            post(api, chunk(b"", live, final=True))
            assert (await anyio.to_thread.run_sync(wait, api, live))[-1]["status"] == "DONE"
            after = post(api, chunk(wav(headache, 6), final=True)).json()["task_id"]
            await anyio.to_thread.run_sync(wait, api, after)
            await server.kill()
            await server.start()
        with client(server.base_url, server.key) as api:
            assert api.get(f"/api/encounters/{before}").json() == told
            for encounter in (live, after):
                assert api.get(f"/api/encounters/{encounter}").status_code == 200


async def test_a_rotation_and_a_server_that_are_killed_in_the_middle_leave_all_readable_and_it_is_finished_later(
    cluster: Cluster, tmp_path: Path, headache: Recording
) -> None:
    with cluster.database() as url:
        environment = {"AUSCULT_STORE_URL": url, "AUSCULT_TASKS_KEEP_AFTER_FETCH": "true"}
        async with (
            running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server,
            await AsyncConnection.connect(url) as somebody,
        ):
            file = KeyFile(tmp_path / "key")
            with client(server.base_url, server.key) as api:
                done = post(api, chunk(wav(headache, 6), final=True)).json()["task_id"]
                told = await anyio.to_thread.run_sync(finished, api, done)
                live = post(api, chunk(wav(headache, 3))).json()["task_id"]
                token = api.post("/api/tokens", json={"scope": "stream"}).json()["token"]
                engine = open_engine(database_url(url, tmp_path))
                many(engine, KeyRing(*file.read()))
                await somebody.execute("SELECT * FROM encounters WHERE id = %s FOR UPDATE", (LAST,))
                command = keyring("rotate", "--data-dir", str(tmp_path))
                async with await anyio.open_process(command, env={**os.environ, **environment}) as rotation:
                    await until(lambda: len(file.read()) == 2 and wrapped_by(engine, file.read()[0]) > 0)
                    rotation.kill()
                await server.kill()
            await somebody.rollback()
            keys = file.read()
            assert len(keys) == 2
            assert wrapped_by(engine, keys[0]) == BATCH
            await server.start()
            with client(server.base_url, server.key) as api:
                assert api.get(f"/api/encounters/{done}").json() == told
                assert post(api, chunk(b"", live, final=True)).status_code == 200
                assert (await anyio.to_thread.run_sync(wait, api, live))[-1]["status"] == "DONE"
                await anyio.to_thread.run_sync(rotate, tmp_path, environment)
                [newest] = file.read()
                assert newest not in keys
                with engine.connect() as connection:
                    everyone = connection.execute(select(t.encounters.c.id)).all()
                assert wrapped_by(engine, newest) == len(everyone)
                assert api.get(f"/api/encounters/{done}").json() == told
                assert api.get(f"/api/encounters/{live}").status_code == 200
            with client(server.base_url, token) as page:
                assert page.get("/api/encounters/none").status_code == 404
            engine.dispose()


async def until(happened: Callable[[], bool]) -> None:
    """Wait for another process: there is no event to wait for."""
    with anyio.fail_after(PATIENCE_S):
        while not await anyio.to_thread.run_sync(happened):  # noqa: ASYNC110
            await anyio.sleep(0.05)


def many(engine: Engine, ring: KeyRing) -> None:
    """Encounters for two rounds of sealing anew."""
    for encounter in [*(f"{number:04}" for number in range(BATCH)), LAST]:
        add(engine, encounter, 1)
        _, wrapped = ring.new(encounter)
        with engine.begin() as connection:
            connection.execute(update(t.encounters).where(t.encounters.c.id == encounter).values(data_key=wrapped))


def wrapped_by(engine: Engine, key: bytes) -> int:
    """How many encounters open with this key alone."""
    ring, count = KeyRing(key), 0
    with engine.connect() as connection:
        rows = connection.execute(select(t.encounters.c.id, t.encounters.c.data_key)).all()
    for encounter, wrapped in rows:
        try:
            ring.unwrap(encounter, wrapped)
        except SealBroken:
            continue
        count += 1
    return count


async def test_keys_of_a_variable_are_replaced_as_the_readme_says(tmp_path: Path, headache: Recording) -> None:
    old, new = new_key().hex(), new_key().hex()
    key = ""
    sessions: list[str] = []
    for keys in (old, f"{new},{old}", new):
        environment = {"AUSCULT_STORE_KEY": keys, "AUSCULT_TASKS_KEEP_AFTER_FETCH": "true"}
        started = running_server(recogniser="scripted", data_dir=tmp_path, key=key, environment=environment)
        async with started as server:
            key = server.key
            with client(server.base_url, key) as api:
                live = post(api, chunk(wav(headache, 3))).json()["task_id"]
                if keys.startswith(f"{new},"):  # beside it, while somebody speaks
                    command = keyring("rewrap", "--data-dir", str(tmp_path))
                    rewrapping = await anyio.run_process(command, env={**os.environ, **environment})
                    assert b"sealed under the newest key" in rewrapping.stdout
                post(api, chunk(b"", live, final=True)).raise_for_status()
                sessions.append(live)
                for session in sessions:
                    assert (await anyio.to_thread.run_sync(finished, api, session))["items"]
