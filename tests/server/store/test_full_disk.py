"""A disk that is full, and one that cannot be written: real ones (tmpfs), which only root can mount."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from server.errors import BlobsUnavailable, StorageFull, StoreUnavailable
from server.store.blobs import DirectoryBlobs
from server.store.records import PIECE
from server.store.seal import KEY_BYTES, Seal

SEAL = Seal(bytes(KEY_BYTES), "e1")
DISK_BYTES = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "auscult-test", str(folder)],
            check=False,
            stderr=subprocess.DEVNULL,
        ).returncode
    )
    if not mounted:
        pytest.skip("only root can mount a small tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


async def write(blobs: DirectoryBlobs, key: str, size: int) -> None:
    async with blobs.writer(key, SEAL) as blob:
        for _ in range(size // PIECE):
            await blob.write(bytes(PIECE))
        await blob.finish()


async def test_a_full_disk_is_a_clear_error_and_leaves_nothing_but_what_was_there(disk: Path) -> None:
    blobs = DirectoryBlobs(disk)
    await write(blobs, "first", DISK_BYTES // 2)
    with pytest.raises(StorageFull, match="No room is left for recordings"):
        await write(blobs, "second", 2 * DISK_BYTES)
    assert names(disk) == ["first"]
    assert blobs.open("first", SEAL).read() == bytes(DISK_BYTES // 2)
    await blobs.delete("first")
    await write(blobs, "second", DISK_BYTES // 2)  # room was made
    assert StorageFull.retryable
    assert issubclass(StorageFull, StoreUnavailable)
    assert StorageFull.code == "store_unavailable"  # what façades know how to tell


async def test_a_disk_that_cannot_be_written_is_a_clear_error(disk: Path) -> None:
    blobs = DirectoryBlobs(disk)
    await write(blobs, "first", PIECE)
    await anyio.run_process(["mount", "-o", "remount,ro", str(disk)])
    with pytest.raises(BlobsUnavailable, match="log says why") as raised:
        await write(blobs, "second", PIECE)
    assert not isinstance(raised.value, StorageFull)
    assert names(disk) == ["first"]
    assert blobs.open("first", SEAL).read() == bytes(PIECE)
    with pytest.raises(BlobsUnavailable):
        await blobs.delete("first")
