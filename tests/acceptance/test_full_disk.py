"""A disk that is full, or cannot be written: what was acknowledged stays, the rest is told to come again."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import pytest

from bench.recordings import Recording
from bench.server import ServerFailed, running_server
from tests.acceptance.conftest import client
from tests.acceptance.haidy import chunk, post, wait
from tests.acceptance.nabla import pcm
from tests.acceptance.recorded import upload
from tests.acceptance.test_haidy import encoded
from tests.acceptance.test_kill import bubbles

pytestmark = pytest.mark.slow


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A disk of its own in memory; the test is skipped where it cannot be mounted."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("only root can mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_while_the_disk_is_full_nothing_is_acknowledged_and_then_everything_goes_on(
    tmp_path: Path, headache: Recording
) -> None:
    raw = pcm(headache, 40)["d"]
    parts = [raw[at : at + 64_000] for at in range(0, len(raw), 64_000)]
    with small_disk(tmp_path / "disk", "size=16m") as disk:
        filler = disk / "filler"
        async with running_server(recogniser="scripted", data_dir=disk / "data") as server:
            with client(server.base_url, server.key) as api:
                task = post(api, chunk(parts[0], file_format="pcm")).json()["task_id"]
                fill(filler, disk)
                acknowledged, refused = 1, 0
                for part in parts[1:]:
                    answer = send(api, part, task, acknowledged)
                    if answer.status_code != 200:
                        assert answer.status_code == 503
                        assert int(answer.headers["retry-after"]) > 0
                        refused += 1
                        break
                    acknowledged += 1
                assert refused
                assert upload(api, encoded(headache, "wav")).status_code in (503, 507)
                assert api.get("/healthz").status_code == 200
                filler.unlink()
                for part in parts[acknowledged:]:
                    assert send(api, part, task, acknowledged).status_code == 200
                    acknowledged += 1
                post(api, chunk(b"", task, final=True, file_format="pcm"))
                done = (await anyio.to_thread.run_sync(wait, api, task))[-1]
                whole = post(api, chunk(raw, final=True, file_format="pcm")).json()["task_id"]
                straight = (await anyio.to_thread.run_sync(wait, api, whole))[-1]
        assert done["status"] == "DONE"
        assert [b[1:] for b in bubbles(done)] == [b[1:] for b in bubbles(straight)]


def fill(filler: Path, disk: Path) -> None:
    """Leave a little room."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    filler.write_bytes(bytes(free - 300_000))


def send(api: httpx.Client, part: bytes, task: str, index: int) -> httpx.Response:
    return post(api, chunk(part, task, file_format="pcm", chunk_index=index))


async def test_a_data_directory_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", "size=1m,ro") as disk,
        pytest.raises(ServerFailed, match=r"data directory .* cannot be used \(Read-only file system\)"),
    ):
        async with running_server(recogniser="scripted", data_dir=disk / "data"):
            pass
