"""The bytes of one file in a stream, as libav reads them: scanned for restart points on their way."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO

from pipeline.containers.restart import RestartScanner
from pipeline.engines.pyav_exchange import BytePipe, Discarded
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
        self.astray = False  # it was told so because the bytes had made no sense for too long
        self._pipe = pipe
        self._idle = idle  # called before waiting for bytes
        self._head = b""  # looked at, not yet given out
        self._scanner: RestartScanner | None = None
        self._report: Callable[[RestartPoint], None] | None = None
        self._stray_left: int | None = None

    def scan(
        self, scanner: RestartScanner, report: Callable[[RestartPoint], None], *, max_stray_bytes: int | None
    ) -> None:
        """From now on, walk what is given out, and report the restart points, as places in the stream.

        That many bytes behind the place where the walk lost its way, if given, the file is said to end: `astray`.
        """
        self._scanner, self._report, self._stray_left = scanner, report, max_stray_bytes

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
        self.consumed += len(octets)
        self._scan(octets)
        if self.astray:
            octets = b""
        self.exhausted = not octets
        return octets

    def skip(self, size: int) -> None:
        """Let these bytes go by: the file begins behind them."""
        while size > 0 and (octets := self.read(size)):
            size -= len(octets)
        self.offsets, self.consumed = Offsets(begin=self.offsets.of(self.consumed)), 0

    def read_all(self, max_bytes: int) -> BytesIO | None:
        """The whole rest of the file, once its end has come; None when it is longer than that."""
        whole = BytesIO()
        while octets := self.read(1 << 16):
            if whole.tell() + len(octets) > max_bytes:
                return None
            whole.write(octets)
        whole.seek(0)
        return whole

    def drain(self) -> None:
        """Let the rest of the file go by."""
        self._scanner, self.astray = None, False
        while self.read(1 << 16):
            pass

    def _scan(self, octets: bytes) -> None:
        if self._scanner is None or self._report is None:
            return
        for point in self._scanner.feed(octets):
            self._report(self.offsets.point(point))
        if self._scanner.lost and self._stray_left is not None:
            self._stray_left -= len(octets)
            self.astray = self._stray_left < 0

    def _take(self, size: int) -> bytes:
        if self._pipe.would_block():
            with suppress(Discarded):  # libav could not pass it on; the pipe is about to end as well
                self._idle()
        return self._pipe.read(size)
