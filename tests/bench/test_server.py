"""The real server as a child process: it comes up, it survives what a test does to it, it is gone afterwards."""

from pathlib import Path

import httpx
import psutil
import pytest

from bench.server import ServerFailed, running_server

pytestmark = pytest.mark.slow  # a server takes seconds to start


async def test_a_server_is_ready_and_leaves_nothing_behind() -> None:
    async with running_server(recogniser="scripted") as server:
        process, data_dir = server.process, server.data_dir
        family = server.family()
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"{server.base_url}/readyz")).status_code == 200
        assert server.key
        assert server.recogniser is not None
        assert server.recogniser.kind == "scripted"
        assert data_dir.is_dir()
    assert not any(each.is_running() for each in [process, *family])
    assert not data_dir.exists()


async def test_a_killed_server_starts_again_on_its_port_with_its_data(tmp_path: Path) -> None:
    async with running_server(recogniser="scripted", data_dir=tmp_path / "data") as server:
        url, key, first = server.base_url, server.key, server.process
        await server.kill()
        assert not first.is_running()
        await server.start()
        assert (server.base_url, server.key) == (url, key)
        assert server.process != first
    assert (tmp_path / "data").is_dir()


async def test_a_server_that_cannot_start_says_why() -> None:
    with pytest.raises(ServerFailed, match="recogniser"):
        async with running_server(recogniser="nonsense"):
            pass


async def test_the_server_ends_also_when_its_user_fails() -> None:
    seen: list[psutil.Process] = []

    async def fail() -> None:
        async with running_server(recogniser="scripted") as server:
            seen.extend(server.family())
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        await fail()
    assert seen
    assert not any(each.is_running() for each in seen)
