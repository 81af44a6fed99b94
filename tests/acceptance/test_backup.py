"""A backup of a server at work, made and restored as the README says it, on both databases."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread
import pytest

from bench.recordings import Recording
from bench.server import running_server
from tests.acceptance.conftest import client
from tests.acceptance.haidy import chunk, pieces, post, wait
from tests.acceptance.nabla import pcm
from tests.acceptance.recorded import finished, said, sent
from tests.acceptance.test_db import checked
from tests.acceptance.test_haidy import encoded
from tests.acceptance.test_kill import bubbles
from tests.postgresql import Cluster

pytestmark = pytest.mark.slow

SETTINGS = {"AUSCULT_RECOGNISER_SCRIPTED_DELAY_MS": "200"}  # so that there is work under way


class Database(Protocol):
    """Where a server keeps its rows, and how that is copied."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Settings of the server that is saved."""
        ...

    @property
    def restored(self) -> Mapping[str, str]:
        """Settings of the server that goes on."""
        ...

    def save(self, data: Path, backup: Path) -> None: ...

    def restore(self, backup: Path, data: Path) -> None: ...


class Sqlite:
    environment: Mapping[str, str] = {}
    restored: Mapping[str, str] = {}

    def save(self, data: Path, backup: Path) -> None:
        with closing(sqlite3.connect(data / "auscult.db")) as connection:
            connection.execute("VACUUM INTO ?", (str(backup / "auscult.db"),))

    def restore(self, backup: Path, data: Path) -> None:
        shutil.copy(backup / "auscult.db", data / "auscult.db")


@dataclass(frozen=True, kw_only=True)
class Postgresql:
    cluster: Cluster
    url: str
    another: str  # an empty database

    @property
    def environment(self) -> Mapping[str, str]:
        return {"AUSCULT_STORE_URL": self.url}

    @property
    def restored(self) -> Mapping[str, str]:
        return {"AUSCULT_STORE_URL": self.another}

    def save(self, data: Path, backup: Path) -> None:
        self._run("pg_dump", "-Fc", "--file", str(backup / "auscult.dump"), self.url)

    def restore(self, backup: Path, data: Path) -> None:
        self._run("pg_restore", "--exit-on-error", "--dbname", self.another, str(backup / "auscult.dump"))

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([str(self.cluster.program(program)), *arguments], check=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    if request.param == "sqlite":
        yield Sqlite()
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    with cluster.database() as url, cluster.database() as another:
        yield Postgresql(cluster=cluster, url=url, another=another)


async def test_a_restored_server_has_what_was_done_and_goes_on_with_what_was_not(
    database: Database, tmp_path: Path, headache: Recording
) -> None:
    data, backup, restored = tmp_path / "data", tmp_path / "backup", tmp_path / "restored"
    backup.mkdir()
    first, second = pieces(pcm(headache, 10)["d"], 5 * 32_000)
    environment = {**SETTINGS, **database.environment}
    async with running_server(recogniser="scripted", data_dir=data, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            done = await anyio.to_thread.run_sync(sent, api, encoded(headache, "webm", 10))
            told = await anyio.to_thread.run_sync(finished, api, done)
            live = post(api, chunk(first, file_format="pcm")).json()["task_id"]
            in_work = await anyio.to_thread.run_sync(sent, api, encoded(headache, "webm"))
            lost = await anyio.to_thread.run_sync(sent, api, encoded(headache, "webm"))
            shutil.copytree(data / "blobs", backup / "blobs")
            await anyio.to_thread.run_sync(database.save, data, backup)
            later = await anyio.to_thread.run_sync(sent, api, encoded(headache, "webm", 3))
            straight = await anyio.to_thread.run_sync(finished, api, in_work)
            with anyio.fail_after(30):
                while any(in_work in path.name for path in (data / "blobs").iterdir()):  # noqa: ASYNC110
                    await anyio.sleep(0.05)  # its files go behind the last word
            await anyio.run_process(["cp", "-ru", f"{data / 'blobs'}/.", str(backup / "blobs")])
        secret, key = (data / "key").read_bytes(), server.key
    restored.mkdir()
    shutil.copytree(backup / "blobs", restored / "blobs")
    (restored / "blobs" / f"{lost}-part0").unlink()
    await anyio.to_thread.run_sync(database.restore, backup, restored)
    (restored / "key").write_bytes(secret)
    environment = {**SETTINGS, **database.restored}
    async with running_server(recogniser="scripted", data_dir=restored, key=key, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            shown = (await anyio.to_thread.run_sync(api.get, f"/api/encounters/{done}")).json()
            assert shown == told
            again = await anyio.to_thread.run_sync(finished, api, in_work)
            assert said(again) == said(straight) != []
            over = await anyio.to_thread.run_sync(finished, api, lost)
            assert (over["status"], over["error"]["code"]) == ("failed", "audio_gone")
            assert post(api, chunk(second, live, final=True, file_format="pcm")).status_code == 200
            assert bubbles((await anyio.to_thread.run_sync(wait, api, live))[-1])
            assert (await anyio.to_thread.run_sync(api.get, f"/api/encounters/{later}")).status_code == 404
            new = await anyio.to_thread.run_sync(finished, api, sent(api, encoded(headache, "webm", 3)))
            assert new["status"] == "done"


async def test_a_backup_without_its_key_or_with_another_one_is_told_from_one_in_order(
    tmp_path: Path, headache: Recording
) -> None:
    data, restored = tmp_path / "data", tmp_path / "restored"
    async with running_server(recogniser="scripted", data_dir=data) as server:
        with client(server.base_url, server.key) as api:
            post(api, chunk(pcm(headache, 3)["d"], file_format="pcm", final=True)).raise_for_status()
    key = (data / "key").read_bytes()
    restored.mkdir()
    Sqlite().save(data, restored)
    code, said = checked(restored)
    assert code == 1
    assert "restore it from your backup" in said
    (restored / "key").write_bytes(bytes(32))
    code, said = checked(restored)
    assert code == 1
    assert "does not open" in said
    (restored / "key").write_bytes(key)
    (restored / "blobs").mkdir()
    code, said = checked(restored)
    assert code == 0, said
