"""What the bytes of an audio stream are: decided by the bytes themselves, never by a name or a declared type.

Beside it: `restart`, where a fresh demuxer can go on, and `wav`, the one container that needs no demuxer.
"""

from enum import StrEnum

MIN_SNIFF_BYTES = 12  # RIFF and ISO containers need the most: a size between two four-letter words


class Container(StrEnum):
    """The containers this server knows."""

    WEBM = "webm"  # and all of Matroska
    MP4 = "mp4"  # ISO base media: fragmented or not, m4a, mov
    OGG = "ogg"
    MP3 = "mp3"
    WAV = "wav"
    FLAC = "flac"
    ADTS = "adts"  # bare AAC


EBML, SEGMENT, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675  # RFC 8794 §11.2.1, RFC 9559 §5.1
ISO_FIRST = frozenset({b"ftyp", b"styp", b"moof", b"moov", b"sidx", b"free", b"skip", b"wide", b"mdat", b"pdin"})


def sniff(head: bytes) -> Container | None:
    """The container whose first bytes these are, or None. `MIN_SNIFF_BYTES` are enough; more change nothing.

    A webm or mp4 that starts in its middle is recognised too: its decoder can then say what is missing.
    """
    if head[:4] in (EBML.to_bytes(4, "big"), CLUSTER.to_bytes(4, "big")):
        return Container.WEBM
    if head[:5] == b"OggS\0":
        return Container.OGG
    if head[4:8] in ISO_FIRST:
        return Container.MP4
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return Container.WAV
    if head[:4] == b"fLaC":
        return Container.FLAC
    if _is_id3(head) or _is_mp3_frame(head):
        return Container.MP3
    if len(head) >= 4 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 0xF < 13:
        return Container.ADTS
    return None


def begins_file(chunk: bytes) -> bool:
    """Whether a chunk in the middle of a stream is the beginning of another file, joined to what came before.

    Stricter than `sniff`, because ordinary chunks are cut anywhere: only headers that frames never look like.
    """
    head = chunk[:MIN_SNIFF_BYTES]
    match sniff(head):
        case Container.WEBM:
            return head[:4] == EBML.to_bytes(4, "big")
        case Container.OGG:
            return len(head) > 5 and bool(head[5] & 0x02)  # beginning of stream, RFC 3533 §6
        case Container.MP4:
            return head[4:8] == b"ftyp" and 8 <= int.from_bytes(head[:4], "big") <= 1024
        case Container.WAV:
            return True
        case Container.FLAC:
            return head[4:8] in (b"\x00\x00\x00\x22", b"\x80\x00\x00\x22")  # STREAMINFO comes first, RFC 9639 §8.2
        case Container.MP3:
            return _is_id3(head) or chunk[36:40] in XING or chunk[21:25] in XING or chunk[13:17] in XING
        case _:
            return False


def id3_bytes(head: bytes) -> int:
    """How long the ID3v2 tag is that begins here (id3.org, ID3v2.4 §3.1); 0 where there is none."""
    if not _is_id3(head):
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[5] & 0x10 else 0)


XING = (b"Xing", b"Info")  # the first frame of an mp3 with a table of contents; behind the side information


def _is_id3(head: bytes) -> bool:
    return head[:3] == b"ID3" and len(head) >= 10 and head[3] in (2, 3, 4) and max(head[6:10]) < 0x80


def _is_mp3_frame(head: bytes) -> bool:
    """ISO 11172-3 §2.4.1.3: sync, layer III, and a version, a bit rate and a sampling rate that exist."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return False
    version, bit_rate, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and bit_rate not in (0, 15) and rate != 3
