"""Sealed blobs in a directory: whole recordings, too large for database rows.

A blob is a file of records, each a length (4 bytes, big-endian) and that many sealed bytes, so that it can be written
and read a piece at a time. It appears under its name only when it is complete and flushed.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from server.store.seal import Seal

LENGTH = struct.Struct(">I")


class DirectoryBlobs:
    """Blobs as files below one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write(self, key: str, seal: Seal, pieces: Iterable[bytes]) -> int:
        """Write a blob, replacing one of the same name. Returns its size in bytes, unsealed."""
        path = self._directory / key
        unfinished = path.with_suffix(".part")
        size = 0
        with unfinished.open("wb") as file:
            for index, piece in enumerate(pieces):
                sealed = seal.seal(f"blob/{key}/{index}", piece)
                file.write(LENGTH.pack(len(sealed)) + sealed)
                size += len(piece)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)  # the name itself must survive a power cut: the log is deleted next
        finally:
            os.close(directory)
        return size

    def read(self, key: str, seal: Seal) -> Iterator[bytes]:
        """The pieces of a blob, in order."""
        with (self._directory / key).open("rb") as file:
            index = 0
            while header := file.read(LENGTH.size):
                yield seal.open(f"blob/{key}/{index}", file.read(LENGTH.unpack(header)[0]))
                index += 1

    def delete(self, key: str) -> None:
        """Delete a blob; nothing happens where there is none."""
        (self._directory / key).unlink(missing_ok=True)
