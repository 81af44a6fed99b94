"""What a blob consists of: sealed records of a fixed size, so that it is written as a stream and read from anywhere.

A record is a length (4 bytes, big-endian) and that many sealed bytes, bound to the blob's name and to its number. All
but the last hold `PIECE` bytes of the plain text. Blobs written before that was so hold pieces of any size: their
records are found by reading every length once.
"""

import io
import struct
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from typing import Protocol

from server.store.seal import NONCE_BYTES, TAG_BYTES, Seal, SealBroken

LENGTH = struct.Struct(">I")
PIECE = 1 << 16  # bytes of plain text in a record
OVERHEAD = NONCE_BYTES + TAG_BYTES  # of sealing
RECORD = LENGTH.size + PIECE + OVERHEAD  # bytes of a full record
CACHED = 16  # opened records that a reader keeps: what a demuxer jumps to and fro between


class Source(Protocol):
    """Where sealed bytes are read from. Its methods block."""

    @property
    def size(self) -> int:
        """Bytes there are."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on, fewer at the end."""
        ...

    def close(self) -> None:
        """Nothing more is going to be read."""
        ...


class Reblocker:
    """Pieces of any size → records. Pure."""

    def __init__(self, key: str, seal: Seal) -> None:
        self.size = 0  # bytes of plain text so far
        self._key = key
        self._seal = seal
        self._waiting = bytearray()
        self._index = 0

    def take(self, piece: bytes | bytearray) -> Iterator[bytes]:
        """The records that are full with `piece`."""
        self.size += len(piece)
        self._waiting += piece
        begin = 0
        while begin + PIECE <= len(self._waiting):
            yield self._record(bytes(self._waiting[begin : begin + PIECE]))
            begin += PIECE
        del self._waiting[:begin]

    def rest(self) -> bytes:
        """The last record; empty where nothing is left."""
        rest = bytes(self._waiting)
        self._waiting.clear()
        return self._record(rest) if rest else b""

    def _record(self, plain: bytes) -> bytes:
        sealed = self._seal.seal(_place(self._key, self._index), plain)
        self._index += 1
        return LENGTH.pack(len(sealed)) + sealed


class SealedFile(io.RawIOBase):
    """A blob, opened for reading: a file of its plain text, which is on no disk and never whole in memory.

    Blocks, and belongs to one thread at a time. Raises `SealBroken` where a record was damaged or moved.
    """

    def __init__(self, source: Source, key: str, seal: Seal) -> None:
        self._source = source
        self._key = key
        self._seal = seal
        self._at = 0
        self._opened: OrderedDict[int, bytes] = OrderedDict()
        self._places = _fixed(source) or _scanned(source)

    @property
    def size(self) -> int:
        """Bytes of plain text."""
        return self._places.size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if begin + offset < 0:
            raise ValueError("A file has nothing before its beginning.")
        self._at = begin + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer as far as there is something."""
        into = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(into) and self._at < self.size:
            index, skipped = self._places.find(self._at)
            taken = self._record(index)[skipped : skipped + len(into) - filled]
            if not taken:
                raise SealBroken
            into[filled : filled + len(taken)] = taken
            filled += len(taken)
            self._at += len(taken)
        return filled

    def close(self) -> None:
        if not self.closed:
            self._opened.clear()
            self._source.close()
        super().close()

    def _record(self, index: int) -> bytes:
        if (plain := self._opened.get(index)) is None:
            offset, length = self._places.record(index)
            record = self._source.read(offset, length)
            if len(record) != length or LENGTH.unpack_from(record)[0] != length - LENGTH.size:
                raise SealBroken
            plain = self._seal.open(_place(self._key, index), record[LENGTH.size :])
            self._opened[index] = plain
            if len(self._opened) > CACHED:
                self._opened.popitem(last=False)
        else:
            self._opened.move_to_end(index)
        return plain


class _Places(Protocol):
    """Where the records of a blob lie."""

    @property
    def size(self) -> int:
        """Bytes of plain text."""
        ...

    def find(self, at: int) -> tuple[int, int]:
        """The record with a byte of the plain text, and how many bytes of that record come before it."""
        ...

    def record(self, index: int) -> tuple[int, int]:
        """Offset and length of a record, with its head."""
        ...


class _FixedPlaces:
    def __init__(self, sealed_size: int) -> None:
        self._sealed_size = sealed_size
        records = -(-sealed_size // RECORD)
        self.size = sealed_size - records * (RECORD - PIECE)

    def find(self, at: int) -> tuple[int, int]:
        return divmod(at, PIECE)

    def record(self, index: int) -> tuple[int, int]:
        return index * RECORD, min(RECORD, self._sealed_size - index * RECORD)


class _ScannedPlaces:
    def __init__(self, lengths: list[int]) -> None:
        self._offsets, self._begins = [0], [0]
        for length in lengths:
            self._offsets.append(self._offsets[-1] + length)
            self._begins.append(self._begins[-1] + length - LENGTH.size - OVERHEAD)
        self.size = self._begins[-1]

    def find(self, at: int) -> tuple[int, int]:
        index = bisect_right(self._begins, at) - 1
        return index, at - self._begins[index]

    def record(self, index: int) -> tuple[int, int]:
        return self._offsets[index], self._offsets[index + 1] - self._offsets[index]


def _fixed(source: Source) -> _Places | None:
    """The places of fixed records; None where the first and the last one's length say that they are none."""
    places = _FixedPlaces(source.size)
    if source.size == 0:
        return places
    for index in (0, (source.size - 1) // RECORD):
        offset, length = places.record(index)
        head = source.read(offset, LENGTH.size)
        if len(head) < LENGTH.size or LENGTH.unpack(head)[0] != length - LENGTH.size:
            return None
    return places


def _scanned(source: Source) -> _Places:
    """The places of records of any size. Raises `SealBroken`."""
    lengths, offset = [], 0
    while offset < source.size:
        head = source.read(offset, LENGTH.size)
        length = LENGTH.size + LENGTH.unpack(head)[0] if len(head) == LENGTH.size else 0
        if length < LENGTH.size + OVERHEAD or offset + length > source.size:
            raise SealBroken
        lengths.append(length)
        offset += length
    return _ScannedPlaces(lengths)


def _place(key: str, index: int) -> str:
    return f"blob/{key}/{index}"
