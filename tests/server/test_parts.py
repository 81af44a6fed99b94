import io
from collections.abc import Callable, Sequence
from io import RawIOBase

import numpy as np
import pytest

from pipeline.engines.pyav_probe import duration
from pipeline.types import SAMPLE_RATE, RestartPoint
from server.parts import HEAD_BYTES, Parts, survey
from tests.audio import Recipe, encode, voice, wav

INDEX_LAST = Recipe(container="mp4", codec="aac", rate=SAMPLE_RATE, live=False)


class Memory(io.BytesIO, RawIOBase):
    """A file that is only read."""


def opener(octets: bytes) -> Callable[[], RawIOBase]:
    return lambda: Memory(octets)


def surveyed(*files: bytes) -> Parts:
    return survey([opener(each) for each in files], duration)


async def replayed(parts: Parts, restart: RestartPoint | None = None) -> list[tuple[int, bytes, bool]]:
    return [(piece.offset, piece.body, piece.new_file) async for piece in parts.replay(restart or RestartPoint())]


def joined(pieces: Sequence[tuple[int, bytes, bool]]) -> bytes:
    return b"".join(body for _, body, _ in pieces)


async def test_files_come_one_behind_the_other_and_each_is_said_to_begin() -> None:
    first, second = wav(voice(20, SAMPLE_RATE), SAMPLE_RATE), b"OggS" + bytes(700_000)
    parts = surveyed(first, second)
    pieces = await replayed(parts)
    assert joined(pieces) == first + second
    assert [offset for offset, _, new in pieces if new] == [0, len(first)]
    assert parts.size == len(first) + len(second)


async def test_from_any_place_on_behind_the_header() -> None:
    octets = np.random.default_rng(0).bytes(900_000)
    parts = surveyed(octets[:400_000], octets[400_000:])
    pieces = await replayed(parts, RestartPoint(header=(0, 100), offset=399_990))
    assert joined(pieces) == octets[:100] + octets[399_990:]
    assert [offset for offset, _, new in pieces if new] == [0, 400_000]


async def test_of_an_mp4_with_its_index_last_only_the_beginning_is_streamed_and_the_rest_can_be_read() -> None:
    octets = encode(voice(40, SAMPLE_RATE), INDEX_LAST)
    assert len(octets) > HEAD_BYTES
    parts = surveyed(b"OggS" + bytes(1000), octets)
    pieces = await replayed(parts)
    assert joined(pieces) == b"OggS" + bytes(1000) + octets[:HEAD_BYTES]
    assert parts.whole(1004).read() == octets


@pytest.mark.parametrize("seconds", [1, 7])
def test_how_long_files_last_is_known_where_all_say_so(seconds: int) -> None:
    said = wav(voice(seconds, SAMPLE_RATE), SAMPLE_RATE)
    mp4 = encode(voice(seconds, SAMPLE_RATE), INDEX_LAST)
    assert surveyed(said).samples == seconds * SAMPLE_RATE
    assert surveyed(said, mp4).samples == pytest.approx(2 * seconds * SAMPLE_RATE, rel=0.05)
    assert (
        surveyed(said, encode(voice(seconds, 48_000), Recipe(container="webm", codec="libopus", rate=48_000))).samples
        is None
    )


@pytest.mark.parametrize(
    "octets", [b"", b"x", b"RIFF\0\0\0\0WAVE", b"OggS\0" + bytes(100), b"\0\0\0\x20ftyp" + bytes(40)]
)
def test_what_is_broken_says_nothing_of_its_length(octets: bytes) -> None:
    assert surveyed(octets).samples is None
