"""Sealed blobs: whole recordings, too large for database rows and for memory. Here: the port, and a directory.

A blob is written and read a piece at a time (`server.store.records` says how it is laid out). It appears under its
name only when it is complete and flushed; one that is given up leaves nothing.
"""

import errno
import os
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import anyio
import anyio.to_thread
import structlog

from server.errors import AudioGone, BlobsUnavailable, ServerError, StorageFull
from server.store.records import PIECE, Reblocker, SealedFile
from server.store.seal import Seal

log = structlog.get_logger()

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # of a blob: it says nothing, and it is no path
GATHERED = 8 * PIECE  # bytes that are sealed and written in one visit to a thread, which costs as much as two pieces
THREADS = 16  # that wait for the disk or the store at the same time, for writers
LOOKED_UP = 500  # names at a time, while sweeping
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
UNFINISHED = ".part"

Referenced = Callable[[Sequence[str]], Awaitable[set[str]]]
"""Which of these names something refers to."""


class Sink(Protocol):
    """Where the records of one blob go. Its methods block."""

    def write(self, record: bytes) -> None:
        """Take a record."""
        ...

    def finish(self) -> None:
        """All were taken: let the blob appear under its name, once it would survive a power cut."""
        ...

    def abort(self) -> None:
        """Leave nothing of it, as far as that can be done now."""
        ...


class BlobWriter:
    """One blob that is being written: `async with` it, `write`, `finish`. Left before `finish`, it leaves nothing."""

    def __init__(self, open_sink: Callable[[], Sink], threads: anyio.CapacityLimiter, key: str, seal: Seal) -> None:
        self._open_sink = open_sink
        self._threads = threads
        self._records = Reblocker(key, seal)
        self._gathered = bytearray()
        self._sink: Sink | None = None

    async def __aenter__(self) -> Self:
        self._sink = await anyio.to_thread.run_sync(self._open_sink, limiter=self._threads)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (sink := self._sink) is None:
            return
        self._sink = None
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(sink.abort, limiter=self._threads)

    async def write(self, piece: bytes) -> None:
        """Seal and store what comes next. Raises `StorageFull`, `BlobsUnavailable`, maybe only for a later piece."""
        self._gathered += piece
        if len(self._gathered) >= GATHERED:
            await anyio.to_thread.run_sync(self._write, limiter=self._threads)

    async def finish(self) -> int:
        """That was all: the blob is there. Returns its size in bytes, unsealed. Raises as `write` does."""
        await anyio.to_thread.run_sync(self._finish, limiter=self._threads)
        self._sink = None
        return self._records.size

    def _write(self) -> None:
        gathered, self._gathered = self._gathered, bytearray()
        for record in self._records.take(gathered):
            self._open().write(record)

    def _finish(self) -> None:
        self._write()
        if rest := self._records.rest():
            self._open().write(rest)
        self._open().finish()

    def _open(self) -> Sink:
        assert self._sink is not None, "BlobWriter is used outside its `async with`, or behind `finish`"
        return self._sink


class Blobs(Protocol):
    """The port. Every method may raise `BlobsUnavailable`."""

    def writer(self, key: str, seal: Seal) -> BlobWriter:
        """A new blob, which replaces one of the same name when it is finished."""
        ...

    def open(self, key: str, seal: Seal) -> SealedFile:
        """A blob for reading, in any order. Blocks. Raises `AudioGone`."""
        ...

    async def delete(self, key: str) -> None:
        """Delete a blob; nothing happens where there is none."""
        ...

    async def sweep(self, referenced: Referenced, before: float) -> int:
        """Delete what was last touched before a time and is unfinished, or nothing refers to. Returns how many."""
        ...


class DirectoryBlobs:
    """Blobs as files below one directory, which several processes may share."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._threads = anyio.CapacityLimiter(THREADS)
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as exc:
            raise ServerError(
                f"The directory {directory} for recordings cannot be used ({exc.strerror}): name another with"
                " blobs.directory."
            ) from exc

    def writer(self, key: str, seal: Seal) -> BlobWriter:
        """See `Blobs`."""
        path = self._path(key)
        return BlobWriter(lambda: _FileSink(path), self._threads, key, seal)

    def open(self, key: str, seal: Seal) -> SealedFile:
        """See `Blobs`."""
        return SealedFile(_FileSource(self._path(key)), key, seal)

    async def delete(self, key: str) -> None:
        """See `Blobs`."""
        await anyio.to_thread.run_sync(self._delete, self._path(key), limiter=self._threads)

    async def sweep(self, referenced: Referenced, before: float) -> int:
        """See `Blobs`."""
        old = await anyio.to_thread.run_sync(self._touched_before, before, limiter=self._threads)
        swept = 0
        for begin in range(0, len(old), LOOKED_UP):
            names = old[begin : begin + LOOKED_UP]
            used = await referenced([name for name in names if not name.endswith(UNFINISHED)])
            for name in names:
                if name not in used:
                    await anyio.to_thread.run_sync(self._delete, self._directory / name, limiter=self._threads)
                    swept += 1
        return swept

    def _path(self, key: str) -> Path:
        return self._directory / checked_name(key)

    def _touched_before(self, at: float) -> list[str]:
        with disk_errors(), os.scandir(self._directory) as entries:
            return [entry.name for entry in entries if entry.is_file() and _touched(entry) < at]

    @staticmethod
    def _delete(path: Path) -> None:
        with disk_errors():
            path.unlink(missing_ok=True)


class _FileSink:
    """A file with a name of its own until it is finished: two writers of one blob do not meet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}{UNFINISHED}")
        with disk_errors():
            self._file = os.open(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def write(self, record: bytes) -> None:
        rest = memoryview(record)
        with disk_errors():
            while rest:
                rest = rest[os.write(self._file, rest) :]

    def finish(self) -> None:
        with disk_errors():
            os.fsync(self._file)
            os.replace(self._unfinished, self._path)
            directory = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)  # the name itself must survive a power cut: a chunk log is deleted next
            finally:
                os.close(directory)
        os.close(self._file)

    def abort(self) -> None:
        try:
            os.close(self._file)
            self._unfinished.unlink(missing_ok=True)
        except OSError as exc:  # a sweep finds it later; what is told is why it was given up
            log.warning("blobs.not_aborted", reason=exc.strerror)


class _FileSource:
    def __init__(self, path: Path) -> None:
        with disk_errors():
            try:
                self._file = os.open(path, os.O_RDONLY)
            except FileNotFoundError as exc:
                raise AudioGone from exc
        self.size = os.fstat(self._file).st_size

    def read(self, offset: int, length: int) -> bytes:
        with disk_errors():
            return os.pread(self._file, length, offset)

    def close(self) -> None:
        os.close(self._file)


def checked_name(key: str) -> str:
    """A blob's name, which we made: anything else is a fault of ours."""
    if not NAME.fullmatch(key):
        raise ValueError("This is no blob's name.")
    return key


@contextmanager
def disk_errors() -> Iterator[None]:
    """What the system says, in our words; what exactly it said is logged for the operator."""
    try:
        yield
    except OSError as exc:
        log.error("blobs.failed", reason=exc.strerror, errno=exc.errno)
        raise (StorageFull if exc.errno in FULL else BlobsUnavailable) from exc


def _touched(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:  # finished or deleted a moment ago
        return float("inf")
