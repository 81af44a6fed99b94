"""`auscult keyring rotate` beside a running server: nobody notices, and the old key is gone."""

from pathlib import Path

import anyio
import pytest

from bench.recordings import Recording
from bench.server import running_server
from server.store.key_sources import KeyFile
from tests.acceptance.conftest import client
from tests.acceptance.haidy import chunk, post, wait
from tests.acceptance.test_haidy import wav
from tests.preforked import auscult

pytestmark = pytest.mark.slow


def rotate(data_dir: Path) -> str:
    done = auscult("keyring", "rotate", "--wait", "0", "--data-dir", str(data_dir))
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
