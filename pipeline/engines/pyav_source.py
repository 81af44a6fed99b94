"""The bytes of one file in a stream, as libav reads them: scanned for restart points on their way."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.containers.restart import RestartScanner
from pipeline.engines.pyav_exchange import BytePipe
from pipeline.types import RestartPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Offsets:
    """Where a file's bytes lie in the stream. A restarted decoder is fed a header first, then jumps."""

    header: tuple[int, int] = (0, 0)  # byte range in the stream of what is fed first
    begin: int = 0  # offset in the stream of what is fed behind it

    def of(self, byte: int) -> int:
        """The offset in the stream of a byte of the file."""
        length = self.header[1] - self.header[0]
        return self.header[0] + byte if byte < length else self.begin + byte - length

    def range_of(self, start: int, end: int) -> tuple[int, int]:
        """The byte range in the stream of a byte range of the file."""
        if end <= start:
            return (0, 0)
        if start < self.header[1] - self.header[0] < end:
            return self.header
        return self.of(start), self.of(end - 1) + 1

    def point(self, point: RestartPoint) -> RestartPoint:
        """A restart point of the file as one of the stream."""
        return RestartPoint(header=self.range_of(*point.header), offset=self.of(point.offset))


class Source:
    """What `av.open` gets. It has `read` alone: with a `seek`, libav would try to seek in a live stream."""

    def __init__(self, pipe: BytePipe, offsets: Offsets, idle: Callable[[], None]) -> None:
        self.offsets = offsets
        self.consumed = 0  # bytes given out
        self.exhausted = False  # the reader was told that the file is at its end
        self._pipe = pipe
        self._idle = idle  # called before waiting for bytes
        self._head = b""  # looked at, not yet given out
        self._scanner: RestartScanner | None = None
        self._report: Callable[[RestartPoint], None] | None = None

    def scan(self, scanner: RestartScanner, report: Callable[[RestartPoint], None]) -> None:
        """From now on, walk what is given out, and report the restart points, as places in the stream."""
        self._scanner, self._report = scanner, report

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end of the file. They are still to be read."""
        while len(self._head) < size and (octets := self._take(size - len(self._head))):
            self._head += octets
        return self._head[:size]

    def read(self, size: int) -> bytes:
        """At most `size` bytes, waiting for them; none at the end of the file."""
        octets, self._head = self._head[:size], self._head[size:]
        if not octets:
            octets = self._take(size)
        self.exhausted = not octets
        self.consumed += len(octets)
        if self._scanner is not None and self._report is not None:
            for point in self._scanner.feed(octets):
                self._report(self.offsets.point(point))
        return octets

    def read_all(self, max_bytes: int) -> bytes | None:
        """The whole rest of the file, once its end has come; None when it is longer than that."""
        octets = bytearray()
        while piece := self.read(1 << 16):
            octets += piece
            if len(octets) > max_bytes:
                return None
        return bytes(octets)

    def drain(self) -> None:
        """Let the rest of the file go by."""
        self._scanner = None
        while self.read(1 << 16):
            pass

    def _take(self, size: int) -> bytes:
        if self._pipe.would_block():
            self._idle()
        return self._pipe.read(size)
