"""A peer's server as a child process on loopback; it always ends with its caller."""

import os
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.to_thread
import httpx
import psutil
from anyio.abc import Process

from bench.calls import Endpoint
from bench.load_client import WireName
from bench.peers.catalogue import Peer, Place, Setting
from bench.peers.environments import PeerUnavailable

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.1
SHOWN_LINES = 8  # of what it said, when it does not start
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}


@dataclass(slots=True, kw_only=True, eq=False)
class PeerServer:
    """One that runs. Made by `PeerTarget.running`."""

    endpoint: Endpoint
    child: Process
    seen: set[psutil.Process] = field(default_factory=set)  # every process it ever had, as far as it was seen

    def family(self) -> list[psutil.Process]:
        """Its process and those it started, as of now; empty where it has ended."""
        family: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process(self.child.pid)
            family = [own, *own.children(recursive=True)]
        self.seen.update(family)
        return family

    async def unheard(self) -> int | None:
        """None of them tells."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerTarget:
    """A peer in one setting, as `bench.rounds` starts it."""

    peer: Peer
    setting: Setting
    python: Path  # of its environment
    model: Path
    language: str

    @property
    def name(self) -> str:
        return self.peer.name

    @property
    def wire(self) -> WireName:
        return self.peer.wire

    @asynccontextmanager
    async def running(self) -> AsyncIterator[PeerServer]:
        """A fresh server, ready. Raises: `PeerUnavailable` with what it said last."""
        with TemporaryDirectory(prefix="auscult-bench-", ignore_cleanup_errors=True) as own:
            log = Path(own) / "server.log"
            place = Place(python=self.python, port=_free_port(), model=self.model, language=self.language)
            with log.open("wb") as said:
                child = await anyio.open_process(
                    self.peer.command(place, self.setting),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    cwd=own,  # some write logs where they are started
                    env={**_inherited(), **OFFLINE, **self.setting.environment},
                    start_new_session=True,  # Ctrl-C is for us; we end it in order
                )
            url = f"ws://{place.host}:{place.port}{self.peer.path}"
            server = PeerServer(endpoint=Endpoint(url=url), child=child)
            try:
                await self._until_ready(place, child, log)
                yield server
            finally:
                with anyio.CancelScope(shield=True):
                    await _end(server)

    async def _until_ready(self, place: Place, child: Process, log: Path) -> None:
        with anyio.move_on_after(START_TIMEOUT_S):
            while child.returncode is None:
                if await _answers(place, self.peer.health):
                    return
                await anyio.sleep(POLL_S)  # another process: there is no event to wait for
        raise PeerUnavailable(self.name, "\n".join(["it did not start", *_last_lines(log)]))


async def _answers(place: Place, health: str) -> bool:
    try:
        if not health:
            await (await anyio.connect_tcp(place.host, place.port)).aclose()
            return True
        async with httpx.AsyncClient(base_url=f"http://{place.host}:{place.port}", trust_env=False) as http:
            answer = await http.get(health)
            return answer.status_code == httpx.codes.OK and b'"ready":true' in answer.content.replace(b" ", b"")
    except (OSError, httpx.TransportError):
        return False


def _last_lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").strip().splitlines()[-SHOWN_LINES:]


async def _end(server: PeerServer) -> None:
    """End it and everything it started, in order if it can, by force if not."""
    server.family()
    if server.child.returncode is None:
        server.child.terminate()
    with anyio.move_on_after(STOP_TIMEOUT_S):
        await server.child.wait()
    left: Sequence[psutil.Process] = [process for process in server.seen if process.is_running()]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    await server.child.aclose()
    await anyio.to_thread.run_sync(lambda: psutil.wait_procs(left, timeout=STOP_TIMEOUT_S))


def _inherited() -> dict[str, str]:
    """Our environment without what would lead another interpreter to our packages."""
    return {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }


def _free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
