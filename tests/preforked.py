"""`auscult` as a process of its own without its start's imports, which cost more than everything else a test does.

A server process forked from one that has imported the server (multiprocessing's forkserver) runs the very command that
`python -m server.cli` runs, with its own environment, arguments, session, standard output and error.
"""

import io
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from subprocess import CompletedProcess, TimeoutExpired
from tempfile import TemporaryFile
from typing import IO

import anyio
from anyio.abc import ByteReceiveStream

from bench.server import Child, open_process

READ_AT_START = ("PYTHONPATH",)  # variables that come too late for a Python that runs

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "server.cli",
        "server.running",
        # What they import only when they run: a quarter of what a start costs.
        "anyio._backends._asyncio",
        "dbos._sys_db_sqlite",
        "numpy.random",
        "typer._adapters",
        "uvicorn.lifespan.on",
        "uvicorn.loops.uvloop",
        "uvicorn.protocols.http.httptools_impl",
        "uvicorn.protocols.websockets.websockets_sansio_impl",
        "websockets.server",
    ]
)


class Preforked:
    """A running command, as far as `bench.server` uses `anyio.abc.Process`."""

    def __init__(self, arguments: Sequence[str], errors: IO[bytes], environment: Mapping[str, str]) -> None:
        reading, writing = _CONTEXT.Pipe(duplex=False)
        with writing:
            self._process = _start(arguments, environment, writing.fileno(), errors.fileno())
        self.stdout: ByteReceiveStream = _Readable(reading)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """As subprocess has it: negative is a signal."""
        return self._process.exitcode

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    async def wait(self) -> int:
        """Its exit status, once it has ended."""
        while self._process.exitcode is None:
            await anyio.wait_readable(self._process.sentinel)
        return self._process.exitcode

    async def aclose(self) -> None:
        await self.stdout.aclose()
        if self._process.exitcode is not None:
            self._process.close()  # and with it what tells that it has ended


def get_ready() -> None:
    """Begin with the imports, so that no test waits for them, or seems to have left them behind."""
    forkserver.ensure_running()


def auscult(
    *arguments: str, environment: Mapping[str, str] | None = None, timeout_s: float = 90.0
) -> CompletedProcess[str]:
    """Run `auscult` with these arguments, beside our own environment; raises `TimeoutExpired`."""
    with TemporaryFile() as printed, TemporaryFile() as errors:
        process = _start(arguments, {**os.environ, **(environment or {})}, printed.fileno(), errors.fileno())
        process.join(timeout_s)
        code = process.exitcode
        if code is None:
            process.kill()
            raise TimeoutExpired(arguments, timeout_s)
        process.close()
        texts = []
        for file in (printed, errors):
            file.seek(0)
            texts.append(file.read().decode())
        return CompletedProcess(arguments, code, *texts)


async def launch(arguments: Sequence[str], errors: IO[bytes], environment: Mapping[str, str]) -> Child:
    """Start `auscult` with these arguments; it gets no other environment."""
    if any(environment.get(name) != os.environ.get(name) for name in READ_AT_START):
        return await open_process(arguments, errors, environment)
    return await anyio.to_thread.run_sync(Preforked, arguments, errors, environment)


def _start(arguments: Sequence[str], environment: Mapping[str, str], printed: int, errors: int) -> ForkServerProcess:
    with (
        Connection(os.dup(printed), readable=False) as to_printed,
        Connection(os.dup(errors), readable=False) as to_errors,
    ):
        process = _CONTEXT.Process(
            target=_run, args=(list(arguments), dict(environment), os.getcwd(), to_printed, to_errors), daemon=True
        )
        process.start()
    return process


class _Readable(ByteReceiveStream):
    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await anyio.wait_readable(self._pipe)
        if read := os.read(self._pipe.fileno(), max_bytes):
            return read
        raise anyio.EndOfStream

    async def aclose(self) -> None:
        self._pipe.close()


def _run(
    arguments: list[str], environment: dict[str, str], folder: str, printed: Connection, errors: Connection
) -> None:
    """What the child does: become what a shell would have started."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    for name, number, pipe in (("stdout", 1, printed), ("stderr", 2, errors)):
        os.dup2(pipe.fileno(), number)
        pipe.close()
        setattr(sys, name, io.TextIOWrapper(io.FileIO(number, "w", closefd=False), write_through=True))
    sys.argv = ["auscult", *arguments]

    from server.cli import main

    main()
