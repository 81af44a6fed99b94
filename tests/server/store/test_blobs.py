import io
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import NotFound
from server.store.blobs import GATHERED, DirectoryBlobs
from server.store.records import CACHED, LENGTH, PIECE, Reblocker, SealedFile
from server.store.seal import KEY_BYTES, Seal, SealBroken

SEAL = Seal(bytes(KEY_BYTES), "e1")


class Memory:
    """Sealed bytes, and how many of them were read."""

    def __init__(self, sealed: bytes) -> None:
        self.size = len(sealed)
        self.taken = 0
        self._sealed = sealed

    def read(self, offset: int, length: int) -> bytes:
        self.taken += length
        return self._sealed[offset : offset + length]

    def close(self) -> None:
        """Nothing to close."""


def sealed(*pieces: bytes) -> bytes:
    records = Reblocker("e1-0", SEAL)
    full = b"".join(record for piece in pieces for record in records.take(piece))
    return full + records.rest()


def sealed_as_before(*pieces: bytes) -> bytes:
    """As blobs were laid out before records had one size."""
    records = [SEAL.seal(f"blob/e1-0/{index}", piece) for index, piece in enumerate(pieces)]
    return b"".join(LENGTH.pack(len(record)) + record for record in records)


def opened(stored: bytes) -> SealedFile:
    return SealedFile(Memory(stored), "e1-0", SEAL)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


async def stored(blobs: DirectoryBlobs, key: str, *pieces: bytes) -> int:
    async with blobs.writer(key, SEAL) as blob:
        for piece in pieces:
            await blob.write(piece)
        return await blob.finish()


async def test_a_blob_is_read_as_it_was_written(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs")
    assert await stored(blobs, "e1-0", b"first", b"", b"second") == len(b"firstsecond")
    with blobs.open("e1-0", SEAL) as file:
        assert file.size == len(b"firstsecond")
        assert file.read() == b"firstsecond"


async def test_pieces_are_gathered_and_written_in_their_order(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    pieces = [bytes([number]) * (GATHERED // 3 + number) for number in range(10)]
    async with blobs.writer("e1-0", SEAL) as blob:
        for piece in pieces:
            await blob.write(piece)
        written = sum(len(content) for content in contents(tmp_path).values())
        assert written > sum(map(len, pieces)) - GATHERED - PIECE  # no more than that is held in memory
        await blob.finish()
    assert blobs.open("e1-0", SEAL).read() == b"".join(pieces)


async def test_an_empty_blob_is_one_too(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    assert await stored(blobs, "e1-0") == 0
    assert blobs.open("e1-0", SEAL).read() == b""


async def test_a_blob_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        DirectoryBlobs(tmp_path).open("e1-0", SEAL)


async def test_nothing_of_it_lies_on_the_disk_in_the_clear_while_it_is_written_or_after(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    async with blobs.writer("e1-0", SEAL) as blob:
        await blob.write(b"what the patient said" * PIECE)
        assert all(b"patient" not in content for content in contents(tmp_path).values())
        await blob.finish()
    assert b"patient" not in contents(tmp_path)["e1-0"]


async def test_it_appears_only_when_it_is_finished(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    async with blobs.writer("e1-0", SEAL) as blob:
        await blob.write(bytes(2 * PIECE))
        with pytest.raises(NotFound):
            blobs.open("e1-0", SEAL)
        await blob.finish()
    assert list(contents(tmp_path)) == ["e1-0"]


async def test_a_writer_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)

    async def cut_off() -> None:
        async with blobs.writer("e1-0", SEAL) as blob:
            await blob.write(bytes(2 * PIECE))
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await cut_off()
    with anyio.CancelScope() as scope:
        async with blobs.writer("e1-0", SEAL) as blob:
            await blob.write(bytes(2 * PIECE))
            scope.cancel()
            await blob.finish()
    assert not contents(tmp_path)


async def test_two_writers_of_one_blob_do_not_mix(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    async with blobs.writer("e1-0", SEAL) as one, blobs.writer("e1-0", SEAL) as other:
        await one.write(b"1" * PIECE)
        await other.write(b"2" * PIECE)
        await one.finish()
        await other.finish()
    assert blobs.open("e1-0", SEAL).read() == b"2" * PIECE


async def test_a_sweep_takes_what_is_old_and_unfinished_or_belongs_to_nothing(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    for key in ("used", "left"):
        await stored(blobs, key, b"audio")
    (tmp_path / "e1-0.0123.part").write_bytes(b"cut off")
    behind = (tmp_path / "e1-0.0123.part").stat().st_mtime + 1

    async def referenced(names: object) -> set[str]:
        return {"used"}

    assert await blobs.sweep(referenced, behind - 3600) == 0
    assert await blobs.sweep(referenced, behind) == 2
    assert list(contents(tmp_path)) == ["used"]


async def test_names_are_no_paths(tmp_path: Path) -> None:
    for name in ("../key", "a/b", ".", "", "a.part"):
        with pytest.raises(ValueError, match="no blob's name"):
            DirectoryBlobs(tmp_path / "blobs").open(name, SEAL)


@given(
    st.lists(st.binary(max_size=3), max_size=4),
    st.lists(st.integers(0, 3 * PIECE), max_size=4),
    st.lists(st.tuples(st.integers(0, 8 * PIECE), st.integers(0, 2 * PIECE)), max_size=6),
)
def test_whatever_is_read_from_wherever_is_what_was_written(
    heads: list[bytes], sizes: list[int], reads: list[tuple[int, int]]
) -> None:
    pieces = [*heads, *(bytes([index + 1]) * size for index, size in enumerate(sizes))]
    plain = b"".join(pieces)
    for layout in (sealed, sealed_as_before):
        file = opened(layout(*pieces))
        assert file.size == len(plain)
        for at, size in reads:
            assert file.seek(at) == at
            assert file.read(size) == plain[at : at + size]


def test_it_is_a_file_like_any_other() -> None:
    file = opened(sealed(bytes(range(200)) * 1000))
    assert file.seek(-3, io.SEEK_END) == 199_997
    assert file.read(10) == bytes([197, 198, 199])
    assert file.seek(-2, io.SEEK_CUR) == file.tell() == 199_998
    assert file.read() == bytes([198, 199])
    assert io.BufferedReader(opened(sealed(b"one\ntwo\n"))).readline() == b"one\n"
    with pytest.raises(ValueError, match="before its beginning"):
        file.seek(-1)


def test_a_jump_to_the_end_reads_only_what_lies_there() -> None:
    source = Memory(sealed(bytes(100 * PIECE)))
    file = SealedFile(source, "e1-0", SEAL)
    file.seek(-10, io.SEEK_END)
    file.read()
    file.seek(0)
    file.read(10)
    file.seek(-10, io.SEEK_END)
    file.read()
    assert source.taken < 3 * PIECE


def test_what_is_kept_of_it_is_bounded() -> None:
    source = Memory(sealed(bytes(3 * CACHED * PIECE)))
    file = SealedFile(source, "e1-0", SEAL)
    for _ in range(2):
        file.seek(0)
        while file.read(PIECE):
            pass
    assert source.taken > 2 * 3 * CACHED * PIECE  # the second time it had to be read again


def test_records_cannot_be_swapped_shortened_or_changed() -> None:
    good = sealed(b"a" * PIECE, b"b" * PIECE)
    half = len(good) // 2
    assert opened(good).read() == b"a" * PIECE + b"b" * PIECE
    for bad in (good[half:] + good[:half], good[:-1], good[:half] + b"\xff" + good[half + 1 :]):
        with pytest.raises(SealBroken):
            opened(bad).read()
