"""Where in the bytes of a stream a fresh demuxer can go on, found without decoding.

Containers are walked element by element with their own sizes, never searched for magic bytes, so audio that happens
to look like a header is not taken for one. Everything here is fed bytes in any chunking.
"""

import struct

from pipeline.containers import CLUSTER, EBML, SEGMENT, Container
from pipeline.types import RestartPoint


class _Nonsense(Exception):
    """The bytes do not go on as their container says."""


class RestartScanner:
    """Walks one container and finds its restart points. One per file in a stream; feed it every byte, in order.

    A fresh demuxer that is fed the bytes of `header` and then all bytes from a restart point on decodes from there.
    Once the bytes are nonsense (a chunk was lost), the walk has no footing: it is `lost`, for good, and reports
    nothing further; the points found before stay true. Offsets count from the first byte fed.
    """

    packets_restart = False  # every packet behind the header is a restart point, for who knows the packets' offsets

    def __init__(self) -> None:
        self.header: tuple[int, int] | None = None  # byte range [start, end); None while it is not complete
        self.lost = False
        self._pending = b""  # the beginning of an element header, cut by the chunking
        self._skip = 0  # bytes of the current element still to come
        self._offset = 0  # of the first byte of `_pending`
        self._found: list[RestartPoint] = []

    @property
    def walked(self) -> int:
        """How far the walk has come: where it is lost, if it is."""
        return self._offset

    def feed(self, chunk: bytes) -> list[RestartPoint]:
        """Walk on through `chunk`; the restart points found in it, ascending. Of their fields only bytes are set."""
        if self.lost:
            return []
        octets = self._pending + chunk if self._pending else chunk
        at = 0
        while True:
            step = min(self._skip, len(octets) - at)
            at += step
            self._skip -= step
            if self._skip or at == len(octets):
                break
            try:
                size = self._element(octets, at, self._offset + at)
            except _Nonsense:
                self.lost = True
                break
            if size is None:
                break
            self._skip = size
        self._pending = b"" if self.lost else octets[at:]
        self._offset += at
        found, self._found = self._found, []
        return found

    def _find(self, offset: int) -> None:
        """A restart point, if the header is known that has to be fed before it."""
        if self.header is not None:
            self._found.append(RestartPoint(header=self.header, offset=offset))

    def _element(self, octets: bytes, at: int, offset: int) -> int | None:
        """Read the element header at `octets[at]`; how many bytes to go on, None when more are needed first."""
        raise NotImplementedError


class WebmScanner(RestartScanner):
    """Matroska (RFC 9559): a restart point is the start of each cluster; the header is all that lies before the first.

    Segment and clusters of unknown size, as live muxers write them, are entered; everything else is skipped by size.
    """

    TOP = frozenset({0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1254C367, 0x1941A469, 0x1043A770, 0xEC, 0xBF})
    IN_CLUSTER = frozenset({0xE7, 0xA3, 0xA0, 0x5854, 0xA7, 0xAB, 0xAF})
    KNOWN = TOP | IN_CLUSTER | {EBML, SEGMENT, CLUSTER}

    def _element(self, octets: bytes, at: int, offset: int) -> int | None:
        ident = _vint(octets, at, longest=4)
        size = _vint(octets, at + ident[1], longest=8) if ident else None
        if ident is None or size is None:
            return None
        name, start = ident[0], ident[1] + size[1]
        length = size[0] & (1 << 7 * size[1]) - 1  # without the length marker
        unknown = length == (1 << 7 * size[1]) - 1  # RFC 8794 §6.2
        if name not in self.KNOWN:
            raise _Nonsense
        if name == CLUSTER:
            self.header = self.header or (0, offset)
            self._find(offset)
        if name == SEGMENT or (name == CLUSTER and unknown):
            return start
        if unknown:
            raise _Nonsense
        return start + length


def _vint(octets: bytes, at: int, *, longest: int) -> tuple[int, int] | None:
    """A variable-size integer, its length marker included (RFC 8794 §4), and its length; None when cut off."""
    if at >= len(octets):
        return None
    length = 9 - octets[at].bit_length()
    if length > longest:
        raise _Nonsense
    if at + length > len(octets):
        return None
    return int.from_bytes(octets[at : at + length], "big"), length


_ENDLESS = 1 << 63  # the size of a box that goes on to the end of the file


class Mp4Scanner(RestartScanner):
    """ISO base media (ISO 14496-12): a restart point is each `moof`, or the `styp`, `sidx`, … directly before it.

    The header ends with `moov`. Where `mdat` comes before it (`index_last`), nothing can be decoded before the end.
    """

    BEFORE_MOOF = frozenset({b"styp", b"sidx", b"ssix", b"prft", b"emsg"})

    def __init__(self) -> None:
        super().__init__()
        self.index_last = False
        self._lead: int | None = None  # where the boxes before a `moof` begin

    def _element(self, octets: bytes, at: int, offset: int) -> int | None:
        if at + 8 > len(octets):
            return None
        size, name = struct.unpack_from(">I4s", octets, at)
        if size == 1:  # a 64-bit size follows
            if at + 16 > len(octets):
                return None
            (size,) = struct.unpack_from(">Q", octets, at + 8)
        if 0 < size < 8 or not (name.isascii() and name.decode("ascii").isprintable()):
            raise _Nonsense
        self._see(name, offset, size)
        return int(size) or _ENDLESS

    def _see(self, name: bytes, offset: int, size: int) -> None:
        if name == b"moov" and self.header is None:
            self.header = (0, offset + size)
        elif name == b"mdat" and self.header is None:
            self.index_last = True
        elif name == b"moof":
            if self.header is None:  # a stream that begins in its middle
                raise _Nonsense
            self._find(offset if self._lead is None else self._lead)
        if name not in self.BEFORE_MOOF:
            self._lead = None
        elif self._lead is None:
            self._lead = offset


class OggScanner(RestartScanner):
    """Ogg (RFC 3533): a restart point is each page behind the header pages.

    Header pages are those before the first page that completes audio: their granule position is 0 (or -1, where a
    header packet goes on). A page that begins a stream after audio begins a new link: its header replaces the old.
    """

    def __init__(self) -> None:
        super().__init__()
        self._header_start = 0

    def _element(self, octets: bytes, at: int, offset: int) -> int | None:
        if at + 27 > len(octets):
            return None
        magic, version, flags, granule = struct.unpack_from("<4sBBq", octets, at)
        if magic != b"OggS" or version != 0:
            raise _Nonsense
        segments = octets[at + 26]
        if at + 27 + segments > len(octets):
            return None
        if flags & 0x02 and self.header is not None:
            self.header, self._header_start = None, offset
        if self.header is None and granule not in (0, -1):
            self.header = (self._header_start, offset)
        self._find(offset)
        return 27 + segments + sum(octets[at + 27 : at + 27 + segments])


class FlacScanner(RestartScanner):
    """FLAC (RFC 9639): the header is the marker and the metadata blocks; frames carry no size to walk by."""

    packets_restart = True

    def __init__(self) -> None:
        super().__init__()
        self._skip = 4  # "fLaC"

    def _element(self, octets: bytes, at: int, offset: int) -> int | None:
        if self.header is not None:
            return len(octets) - at
        if at + 4 > len(octets):
            return None
        size = 4 + int.from_bytes(octets[at + 1 : at + 4], "big")
        if octets[at] & 0x80:  # the last metadata block
            self.header = (0, offset + size)
        return size


class FrameScanner(RestartScanner):
    """mp3 and bare AAC: frames that need no header, so any of them is a restart point."""

    packets_restart = True

    def __init__(self) -> None:
        super().__init__()
        self.header = (0, 0)

    def _element(self, octets: bytes, at: int, offset: int) -> int | None:
        return len(octets) - at


def restart_scanner(container: Container) -> RestartScanner:
    """A scanner at the first byte of a file of this kind. WAV needs none: its samples are at known offsets."""
    match container:
        case Container.WEBM:
            return WebmScanner()
        case Container.MP4:
            return Mp4Scanner()
        case Container.OGG:
            return OggScanner()
        case Container.FLAC:
            return FlacScanner()
        case _:
            return FrameScanner()
