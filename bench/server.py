"""The real server as a child process on loopback, for whatever plays to it; it always ends with its caller.

async with running_server(recogniser="sphinx") as server:
    ...  # server.base_url, server.key, server.process
"""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Protocol

import anyio
import httpx
import msgspec
import psutil
from anyio.abc import ByteReceiveStream
from anyio.streams.buffered import BufferedByteReceiveStream

from pipeline.errors import AuscultError

HOST = "127.0.0.1"
START_TIMEOUT_S = 120.0  # a large Whisper model from a slow disk
STOP_TIMEOUT_S = 20.0  # the server gives its connections 10 s
SCRAPE_TIMEOUT_S = 30.0  # of a server that is being overloaded
POLL_S = 0.05
LINE_BYTES = 4096
SHOWN_LINES = 15  # of standard error, when the server does not start
SHOWN_OF_A_CRASH = 300  # lines, of all its threads

_URL = re.compile(r"listens on (https?://\S+)")
_KEY = re.compile(r"^API key .*: (\S+)$")


class ServerFailed(AuscultError):
    """The server did not start, or ended by itself."""

    code = "server_failed"


class RecogniserChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which recogniser the server runs, as it logs it."""

    event: str
    kind: str
    model: str | None = None
    reason: str | None = None
    hint: str | None = None

    @property
    def name(self) -> str:
        """Kind and model."""
        return f"{self.kind} {self.model}" if self.model else self.kind

    @property
    def sentence(self) -> str:
        """Name and reason, for people."""
        return f"{self.name} ({self.reason})." if self.reason else f"{self.name}."


class Child(Protocol):
    """What is used here of `anyio.abc.Process`."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    @property
    def stdout(self) -> ByteReceiveStream | None: ...

    def kill(self) -> None: ...

    def terminate(self) -> None: ...

    async def wait(self) -> int: ...

    async def aclose(self) -> None: ...


class Launch(Protocol):
    """Starts `auscult` with these arguments in this environment; errors go into that file, the child has its output."""

    async def __call__(self, arguments: Sequence[str], errors: IO[bytes], environment: Mapping[str, str]) -> Child: ...


async def open_process(arguments: Sequence[str], errors: IO[bytes], environment: Mapping[str, str]) -> Child:
    """As everyone does: see `Launch`."""
    return await anyio.open_process(
        [sys.executable, "-m", "server.cli", *arguments],
        stdin=subprocess.DEVNULL,
        stderr=errors,
        env=environment,
        start_new_session=True,  # Ctrl-C is for us; we end the server in order
    )


launch: Launch = open_process
"""How servers are started; a test run has a quicker way, which a measurement must not."""


class RunningServer:
    """One data directory's server. `kill` and `start` are for tests of what survives; `stop` is what callers get."""

    def __init__(self, options: Mapping[str, str], environment: Mapping[str, str], log: Path, key: str) -> None:
        self.key = key  # printed by the first run on a data directory; a later one needs it given
        self.base_url = ""  # set by `start`; the port stays the same over restarts
        self._options = dict(options)
        self._environment = dict(environment)
        self._log = log
        self._child: Child | None = None
        self._family: set[psutil.Process] = set()  # every process it ever had, as far as it was seen

    @property
    def process(self) -> psutil.Process:
        """The server's own process. Raises `ServerFailed` where it is not running."""
        if self._child is None:
            raise ServerFailed("The server is not running.")
        return psutil.Process(self._child.pid)

    def family(self) -> list[psutil.Process]:
        """The server's process and those it started, as of now; empty where it is not running."""
        family: list[psutil.Process] = []
        if self._child is not None:
            with suppress(psutil.NoSuchProcess):
                family = [self.process, *self.process.children(recursive=True)]
        self._family.update(family)
        return family

    @property
    def data_dir(self) -> Path:
        return Path(self._options["--data-dir"])

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings that it got as variables."""
        return self._environment

    def log(self) -> str:
        """Everything the server wrote to standard error, over all its runs."""
        return self._log.read_text(errors="replace")

    @property
    def recogniser(self) -> RecogniserChoice | None:
        """What the server last said about its recogniser."""
        found: RecogniserChoice | None = None
        for line in self.log().splitlines():
            if '"recogniser.chosen"' in line:
                found = msgspec.json.decode(line, type=RecogniserChoice)
        return found

    async def metrics(self) -> str:
        """What it says of itself, in Prometheus' text format."""
        headers = {"Authorization": f"Bearer {self.key}"}
        async with httpx.AsyncClient(
            base_url=self.base_url, headers=headers, trust_env=False, timeout=SCRAPE_TIMEOUT_S
        ) as http:
            return (await http.get("/metrics")).raise_for_status().text

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises `ServerFailed` with what the server said last."""
        arguments = ["serve", *(part for pair in self._options.items() for part in pair)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "AUSCULT_LOG_FORMAT": "json", **self._environment}
        with self._log.open("ab") as errors:
            self._child = await launch(arguments, errors, environment)
        try:
            with anyio.fail_after(START_TIMEOUT_S):
                await self._read_announcement(self._child)
                await self._until_ready(self._child)
        except TimeoutError:
            await self.kill()
            raise self._failed(f"The server was not ready within {START_TIMEOUT_S:g} s.") from None
        self._options["--port"] = self.base_url.rpartition(":")[2]

    async def kill(self) -> None:
        """End it as a power cut would (SIGKILL). Only the server itself: those it started have to notice."""
        self.family()
        if self._child is not None and self._child.returncode is None:
            self._child.kill()
        await self._reaped()

    async def stop(self) -> None:
        """End it in order (SIGTERM), or by force where that takes too long; and whatever it left behind."""
        self.family()
        if self._child is not None and self._child.returncode is None:
            self._child.terminate()
        with anyio.move_on_after(STOP_TIMEOUT_S) as waiting:
            await self._reaped()
        if waiting.cancelled_caught:
            await self.kill()
        await _end(self._family)
        self._family.clear()

    def explain(self, exc: Exception) -> None:
        """Have this say that the server ended by itself, and what that said last, if it did."""
        if self._child is not None and (code := self._child.returncode) is not None:
            exc.add_note(str(self._failed(f"The server had ended by itself, with status {code}.", SHOWN_OF_A_CRASH)))

    async def ended(self) -> None:
        """Wait until it has ended by itself."""
        await self._reaped()

    async def _reaped(self) -> None:
        if self._child is not None:
            await self._child.wait()
            await self._child.aclose()
            self._child = None

    async def _read_announcement(self, child: Child) -> None:
        """Standard output until the URL; the pipe then holds all the little that may still come."""
        assert child.stdout is not None
        lines = BufferedByteReceiveStream(child.stdout)
        while True:
            try:
                line = (await lines.receive_until(b"\n", LINE_BYTES)).decode()
            except (anyio.IncompleteRead, anyio.EndOfStream):
                await self._reaped()
                raise self._failed("The server ended while it started.") from None
            if key := _KEY.search(line):
                self.key = key[1]
            if url := _URL.search(line):
                self.base_url = url[1]
                return

    async def _until_ready(self, child: Child) -> None:
        async with httpx.AsyncClient(base_url=self.base_url, trust_env=False) as http:
            while not await _answers_ready(http):
                if child.returncode is not None:
                    raise self._failed("The server ended while it started.")
                await anyio.sleep(POLL_S)  # another process: there is no event to wait for

    def _failed(self, what: str, shown: int = SHOWN_LINES) -> ServerFailed:
        lines = self.log().splitlines()[-shown:]
        return ServerFailed("\n".join([what, *lines]))


@asynccontextmanager
async def running_server(
    *,
    recogniser: str = "auto",
    model: str = "",
    data_dir: Path | None = None,
    parent: Path | None = None,
    port: int = 0,
    key: str = "",
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[RunningServer]:
    """A ready server; it is ended, whatever happens, before this block is left.

    Its data go into a new directory (in `parent`, or where temporary files are) that is removed afterwards, unless
    `data_dir` is given, which is kept. `environment` (AUSCULT_… variables) overrides the caller's own.
    Raises: `ServerFailed`.
    """
    with TemporaryDirectory(prefix="auscult-bench-", dir=parent, ignore_cleanup_errors=True) as own:
        options = {
            "--host": HOST,
            "--port": str(port),
            "--data-dir": str(data_dir or Path(own) / "data"),
            "--recogniser": recogniser,
            **({"--model": model} if model else {}),
        }
        server = RunningServer(options, environment or {}, Path(own) / "server.log", key)
        try:
            await server.start()
            yield server
        except Exception as exc:
            server.explain(exc)
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await server.stop()


async def _answers_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


async def _end(processes: Iterable[psutil.Process]) -> None:
    """Kill those that are still there; psutil knows them from others that got their number."""
    left = [process for process in processes if process.is_running()]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    await anyio.to_thread.run_sync(lambda: psutil.wait_procs(left, timeout=STOP_TIMEOUT_S))
