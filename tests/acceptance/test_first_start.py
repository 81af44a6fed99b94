"""Several processes start at the same moment on an empty database: what is made once is made once."""

from pathlib import Path

import anyio
import httpx
import pytest
from sqlalchemy import func, select

from bench.processes import shared
from bench.recordings import Recording
from bench.server import RunningServer, running_server
from server.store import tables as t
from server.store.database import database_url, open_engine
from tests.acceptance.conftest import client
from tests.acceptance.haidy import chunk, post
from tests.acceptance.recorded import finished
from tests.acceptance.test_haidy import wav
from tests.postgresql import Cluster

pytestmark = pytest.mark.slow

PROCESSES = 3


async def test_keys_secrets_and_tables_are_made_once_and_hold_in_every_process(
    cluster: Cluster, tmp_path: Path, headache: Recording
) -> None:
    with cluster.database() as url:
        environment, stop = shared(tmp_path, url), anyio.Event()
        servers: list[RunningServer] = []

        async def serve(number: int) -> None:
            folder = tmp_path / f"process{number}"
            async with running_server(recogniser="scripted", data_dir=folder, environment=environment) as server:
                servers.append(server)
                if len(servers) == PROCESSES:
                    all_run.set()
                await stop.wait()

        async with anyio.create_task_group() as tasks:
            all_run = anyio.Event()
            for number in range(PROCESSES):
                tasks.start_soon(serve, number)
            await all_run.wait()
            check(servers, headache)
            stop.set()
        assert counted(url) == {"tenants": 1, "api_keys": 1, "secrets": 2}


def check(servers: list[RunningServer], headache: Recording) -> None:
    """A key, a token, and what is sealed in one process: all of them are good in the others."""
    (key,) = {server.key for server in servers} - {""}  # printed by one of them
    for issuer in servers:
        with client(issuer.base_url, key) as api:
            token = api.post("/api/tokens", json={"scope": "stream"}).raise_for_status().json()["token"]
            task_id = post(api, chunk(wav(headache, 3), final=True)).json()["task_id"]
        for server in servers:
            headers = {"Authorization": f"Bearer {token}"}
            assert httpx.get(f"{server.base_url}/api/encounters/none", headers=headers).status_code == 404
            with client(server.base_url, key) as api:
                assert finished(api, task_id)["status"] == "done"


def counted(url: str) -> dict[str, int]:
    engine = open_engine(database_url(url, Path()))
    with engine.connect() as connection:
        counts = {
            table.name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for table in (t.tenants, t.api_keys, t.secrets)
        }
    engine.dispose()
    return counts
