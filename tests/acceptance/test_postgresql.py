"""The same promises on PostgreSQL, and what becomes of a server whose database goes away."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from psycopg import AsyncConnection
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from tests.acceptance.conftest import client
from tests.acceptance.haidy import chunk, pieces, poll, post, wait
from tests.acceptance.nabla import pcm
from tests.acceptance.test_kill import bubbles
from tests.postgresql import Cluster, running_cluster

pytestmark = pytest.mark.slow

WAIT_S = 30


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One that may be stopped: nobody else has it."""
    with running_cluster() as running:
        yield running


@pytest.fixture
def environment(cluster: Cluster) -> Iterator[dict[str, str]]:
    """Settings that name a database of its own."""
    with cluster.database() as url:
        yield {"AUSCULT_STORE_URL": url}


async def test_a_session_outlives_a_killed_server_with_the_same_items(
    environment: dict[str, str], tmp_path: Path, headache: Recording
) -> None:
    raw = pcm(headache, 40)["d"]
    parts = pieces(raw, len(raw) // 6)
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            task_id = "NEW"
            for number, part in enumerate(parts):
                task_id = post(api, chunk(part, task_id, file_format="pcm")).json()["task_id"]
                if number % 2:
                    told = bubbles(poll(api, task_id).json())
                    await server.kill()
                    await server.start()
                    assert bubbles(poll(api, task_id).json())[: len(told)] == told
            post(api, chunk(b"", task_id, final=True, file_format="pcm"))
            again = await anyio.to_thread.run_sync(wait, api, task_id)
            whole = post(api, chunk(raw, file_format="pcm", final=True)).json()["task_id"]
            straight = await anyio.to_thread.run_sync(wait, api, whole)
    assert again[-1]["status"] == "DONE"
    assert bubbles(again[-1])
    assert [b[1:] for b in bubbles(again[-1])] == [b[1:] for b in bubbles(straight[-1])]


async def test_while_the_database_is_away_clients_are_told_to_come_back_and_then_go_on(
    cluster: Cluster, environment: dict[str, str], tmp_path: Path, headache: Recording
) -> None:
    raw = pcm(headache, 10)["d"]
    first, second = raw[: len(raw) // 2], raw[len(raw) // 2 :]
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            task_id = post(api, chunk(first, file_format="pcm")).json()["task_id"]
            cluster.stop()
            try:
                for refused in (
                    post(api, chunk(second, task_id, file_format="pcm")),
                    post(api, chunk(first, file_format="pcm")),
                    poll(api, task_id),
                ):
                    assert refused.status_code == 503
                    assert int(refused.headers["retry-after"]) > 0
                    assert "later" in refused.json()
                assert await handshake(server) == (503, "1")
            finally:
                cluster.start()
            assert post(api, chunk(second, task_id, file_format="pcm")).status_code == 200
            post(api, chunk(b"", task_id, final=True, file_format="pcm"))
            assert (await anyio.to_thread.run_sync(wait, api, task_id))[-1]["result"]["bubbles"]


async def test_an_outage_does_not_end_the_server_and_what_was_left_alone_is_closed_after_it(
    cluster: Cluster, environment: dict[str, str], tmp_path: Path, headache: Recording
) -> None:
    environment |= {"AUSCULT_TASKS_TEND_S": "0.1", "AUSCULT_LIMITS_HTTP_IDLE_TIMEOUT_S": "1"}
    raw = pcm(headache, 10)["d"]
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            task_id = post(api, chunk(raw, file_format="pcm")).json()["task_id"]
            cluster.stop()
            try:
                with anyio.fail_after(WAIT_S):
                    await said(server, "server.not_tended", times=3)
                assert api.get("/healthz").status_code == 200
            finally:
                cluster.start()
            assert (await anyio.to_thread.run_sync(wait, api, task_id))[-1]["status"] == "DONE"
            assert "server.broken" not in server.log()


async def said(server: RunningServer, event: str, times: int) -> None:
    """Wait until the server has said so often."""
    while True:
        if server.log().count(event) >= times:
            return
        await anyio.sleep(0.05)  # another process: there is no event to wait for


async def handshake(server: RunningServer) -> tuple[int, str]:
    """How a socket is refused whose key has to be looked up, and when it may come again."""
    url = server.base_url.replace("http", "ws", 1) + "/v1/copilot-api/server/listen-ws"
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers={"Authorization": "Bearer auscult_sk_unknown"})
    answer = refused.value.response
    return answer.status_code, answer.headers["Retry-After"]


async def test_what_is_deleted_is_gone_and_vacuumed(
    environment: dict[str, str], tmp_path: Path, headache: Recording
) -> None:
    environment |= {"AUSCULT_TASKS_TEND_S": "0.2"}
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            task_id = post(api, chunk(pcm(headache, 6)["d"], file_format="pcm", final=True)).json()["task_id"]
            await anyio.to_thread.run_sync(wait, api, task_id)
            async with await AsyncConnection.connect(environment["AUSCULT_STORE_URL"], autocommit=True) as store:
                await vacuumed(store, times=1)  # at its start
                answer = await anyio.to_thread.run_sync(api.delete, f"/api/encounters/{task_id}")
                assert answer.status_code == 204
                for table in ("encounters", "chunks", "items", "notes", "blobs", "streams"):
                    column = "id" if table == "encounters" else "encounter_id"
                    query = f"SELECT count(*) FROM {table} WHERE {column} = %s"
                    found = await (await store.execute(query.encode(), (task_id,))).fetchone()
                    assert found == (0,)
                await vacuumed(store, times=2)


async def vacuumed(store: AsyncConnection, *, times: int) -> None:
    """Wait until the table of encounters was vacuumed so often."""
    query = "SELECT vacuum_count FROM pg_stat_user_tables WHERE relname = 'encounters'"
    with anyio.fail_after(WAIT_S):
        while ((await (await store.execute(query)).fetchone()) or (0,))[0] < times:  # noqa: ASYNC110
            await anyio.sleep(0.1)
