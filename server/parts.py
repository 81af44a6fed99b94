"""A recording's files as one stream of bytes, for its decoder: one behind the other, from any place on.

Of an mp4 with its index behind the audio only the beginning is in the stream; the decoder reads the rest by itself,
back and forth (`Parts.whole`).
"""

import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from io import RawIOBase
from typing import TypeAlias

import anyio.to_thread

from pipeline.containers import MIN_SNIFF_BYTES, Container, sniff
from pipeline.containers.restart import Mp4Scanner
from pipeline.types import SAMPLE_RATE, RestartPoint

PIECE_BYTES = 1 << 18  # read at a time
HEAD_BYTES = 1 << 16  # in which an mp4's index or audio begins, and all that is streamed of one with its index last


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Bytes of the stream."""

    offset: int  # of the first one
    body: bytes
    new_file: bool  # whether another file begins with it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    begin: int  # in the stream
    length: int  # bytes of it that are in the stream
    open: Callable[[], RawIOBase]


class Parts:
    """See the module. Made by `survey`."""

    def __init__(self, parts: Sequence[_Part], samples: int | None) -> None:
        self._parts = tuple(parts)
        self.samples = samples  # as the files' headers say, at 16 kHz; None where one does not
        self.size = sum(part.length for part in parts)  # bytes of the stream

    async def replay(self, restart: RestartPoint) -> AsyncIterator[Piece]:
        """What a new decoder needs: the container's header, then everything from the restart point on."""
        for begin, end in (restart.header, (restart.offset, self.size)):
            async for piece in self._read(begin, end):
                yield piece

    def whole(self, begin: int) -> RawIOBase:
        """The file that begins here in the stream, seekable. To be called by the decoder's thread."""
        return next(part.open() for part in self._parts if part.begin == begin)

    async def _read(self, begin: int, end: int) -> AsyncIterator[Piece]:
        for part in self._parts:
            at, until = max(begin, part.begin), min(end, part.begin + part.length)
            if at >= until:
                continue
            with await anyio.to_thread.run_sync(part.open) as file:
                file.seek(at - part.begin)
                while at < until:
                    body = await anyio.to_thread.run_sync(file.read, min(PIECE_BYTES, until - at))
                    if not body:
                        return
                    yield Piece(offset=at, body=body, new_file=at == part.begin)
                    at += len(body)


Probe: TypeAlias = Callable[[RawIOBase], float | None]
"""Seconds that a file lasts, as its header says."""


def survey(files: Sequence[Callable[[], RawIOBase]], probe: Probe) -> Parts:
    """Look at each file's beginning and size. Blocks."""
    parts: list[_Part] = []
    begin, seconds = 0, 0.0
    for opener in files:
        with opener() as file:
            size = file.seek(0, 2)
            file.seek(0)
            lasts = probe(file)
            seconds = math.nan if lasts is None else seconds + lasts
            file.seek(0)
            length = min(size, HEAD_BYTES) if _index_last(file.read(HEAD_BYTES) or b"") else size
        parts.append(_Part(begin=begin, length=length, open=opener))
        begin += length
    return Parts(parts, None if math.isnan(seconds) else round(seconds * SAMPLE_RATE))


def _index_last(head: bytes) -> bool:
    if sniff(head[:MIN_SNIFF_BYTES]) is not Container.MP4:
        return False
    scanner = Mp4Scanner()
    scanner.feed(head)
    return scanner.index_last
