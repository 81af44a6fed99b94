"""`auscult db`, and a backup that is restored."""

import shutil
import sqlite3
from pathlib import Path

from bench.recordings import Recording
from bench.server import running_server
from tests.acceptance.conftest import client
from tests.acceptance.haidy import chunk, poll, post, wait
from tests.acceptance.test_haidy import wav
from tests.preforked import auscult

KEPT = {"AUSCULT_TASKS_KEEP_AFTER_FETCH": "true"}


def checked(data_dir: Path, *more: str) -> tuple[int, str]:
    """What `auscult db check` says, on one line."""
    said = auscult("db", "check", "--data-dir", str(data_dir), *more)
    assert "Traceback" not in said.stderr
    return said.returncode, " ".join((said.stdout + said.stderr).split())


def test_an_empty_place_is_upgraded_and_then_found_in_order(tmp_path: Path) -> None:
    code, said = checked(tmp_path)
    assert code == 1
    assert "auscult db upgrade" in said
    assert not list(tmp_path.iterdir())
    for _ in range(2):
        assert "at schema 0" in auscult("db", "upgrade", "--data-dir", str(tmp_path)).stdout
    code, said = checked(tmp_path)
    assert code == 0, said
    assert "synchronous=2, secure_delete=1" in said


def test_a_newer_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    auscult("db", "upgrade", "--data-dir", str(tmp_path))
    with sqlite3.connect(tmp_path / "auscult.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    for command in (("db", "check"), ("db", "upgrade"), ("serve", "--port", "0")):
        refused = auscult(*command, "--data-dir", str(tmp_path))
        assert refused.returncode == 1
        assert "made by a newer Auscult" in " ".join((refused.stdout + refused.stderr).split())


async def test_a_backup_of_a_running_server_is_restored_with_everything_in_it(
    tmp_path: Path, headache: Recording
) -> None:
    """As the README says it: the database first, then the sealed audio; the key from somewhere else."""
    data, backup, restored = tmp_path / "data", tmp_path / "backup", tmp_path / "restored"
    backup.mkdir()
    async with running_server(recogniser="scripted", data_dir=data, environment=KEPT) as server:
        with client(server.base_url, server.key) as api:
            task_id = post(api, chunk(wav(headache, 5), final=True)).json()["task_id"]
            told = wait(api, task_id)[-1]
            with sqlite3.connect(data / "auscult.db") as connection:
                connection.execute("VACUUM INTO ?", (str(backup / "auscult.db"),))
            connection.close()
            shutil.copytree(data / "blobs", backup / "blobs")
            later = post(api, chunk(wav(headache, 5), final=True)).json()["task_id"]
            wait(api, later)
        key, secrets = (data / "key").read_bytes(), server.key
    shutil.copytree(backup, restored)
    code, said = checked(restored)
    assert code == 1
    assert "restore it from your backup" in said
    (restored / "key").write_bytes(bytes(32))
    code, said = checked(restored)
    assert code == 1
    assert "does not open" in said
    (restored / "key").write_bytes(key)
    code, said = checked(restored)
    assert code == 0, said
    async with running_server(recogniser="scripted", data_dir=restored, key=secrets, environment=KEPT) as server:
        with client(server.base_url, server.key) as api:
            assert poll(api, task_id).json() == told
            assert poll(api, later).status_code == 404
            assert wait(api, post(api, chunk(wav(headache, 3), final=True)).json()["task_id"])[-1]["status"] == "DONE"
