"""The bytes of one file in a stream, as libav reads them: scanned for restart points on their way."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO

from pipeline.containers.restart import RestartScanner
from pipeline.engines.pyav_exchange import BytePipe, Discarded
from pipeline.types import RestartPoint

MAX_GAP = 1 << 20  # bytes from one audio packet to the next that may make sense
MAX_FILM = 8 << 20  # the same where the container may hold pictures between them and seems whole


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
        self._skipped = 0  # bytes that libav went past, as far as it came
        self._found: int | None = None  # bytes given out when the last packet came
        self._lost_at: int | None = None  # where the walk lost its way, until a packet comes from behind that

    @property
    def skipped(self) -> int:
        """Bytes so far that were no part of any packet, nor of what containers have besides: they made no sense."""
        return self._skipped + self._stray()

    def found(self, packet: int | None, size: int, *, damaged: bool) -> None:
        """A packet came out, which begins at this byte of the file, if that is known."""
        if damaged:
            self._skipped += size
        if self._lost_at is None:
            self._skipped += self._stray()
        elif packet is None or packet < self._lost_at:
            return  # it lay before the place where the walk lost its way
        else:
            self._skipped += packet - self._lost_at
        self._found, self._lost_at = self.consumed, None

    def _stray(self) -> int:
        """Bytes since the last packet, where they can be no part of one."""
        if self._lost_at is not None:
            return self.consumed - self._lost_at
        if self._found is None or self._scanner is None:
            return 0
        gap = self.consumed - self._found
        return gap if gap > (MAX_GAP if self._scanner.lost or self._scanner.packets_restart else MAX_FILM) else 0

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
        self._skipped, self._lost_at = self.skipped, None
        self._scanner, self.astray = None, False
        rest = 0
        while octets := self.read(1 << 16):
            rest += len(octets)
            if rest > MAX_GAP:  # else what some writers put behind the audio
                self._skipped += rest
                rest = 0

    def _scan(self, octets: bytes) -> None:
        if self._scanner is None or self._report is None:
            return
        lost = self._scanner.lost
        for point in self._scanner.feed(octets):
            self._report(self.offsets.point(point))
        if self._scanner.lost and not lost:
            self._lost_at = self._scanner.walked
        if self._scanner.lost and self._stray_left is not None:
            self._stray_left -= len(octets)
            self.astray = self._stray_left < 0

    def _take(self, size: int) -> bytes:
        if self._pipe.would_block():
            with suppress(Discarded):  # libav could not pass it on; the pipe is about to end as well
                self._idle()
        return self._pipe.read(size)
