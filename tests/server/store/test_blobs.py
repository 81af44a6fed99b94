from pathlib import Path

import pytest

from server.store.blobs import DirectoryBlobs
from server.store.seal import KEY_BYTES, Seal, SealBroken

SEAL = Seal(bytes(KEY_BYTES), "e1")


def test_a_blob_is_read_as_it_was_written(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs")
    assert blobs.write("e1-0", SEAL, [b"first", b"", b"second"]) == len(b"firstsecond")
    assert b"".join(blobs.read("e1-0", SEAL)) == b"firstsecond"


def test_nothing_of_it_lies_on_the_disk_in_the_clear(tmp_path: Path) -> None:
    DirectoryBlobs(tmp_path).write("e1-0", SEAL, [b"what the patient said"])
    assert b"patient" not in (tmp_path / "e1-0").read_bytes()


def test_a_writer_that_fails_leaves_no_blob(tmp_path: Path) -> None:
    def pieces() -> list[bytes]:
        raise OSError("disk full")

    blobs = DirectoryBlobs(tmp_path)
    with pytest.raises(OSError, match="disk full"):
        blobs.write("e1-0", SEAL, pieces())
    assert not (tmp_path / "e1-0").exists()


def test_pieces_cannot_be_swapped(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    blobs.write("e1-0", SEAL, [b"aaaa", b"bbbb"])
    stored = (tmp_path / "e1-0").read_bytes()
    half = len(stored) // 2
    (tmp_path / "e1-0").write_bytes(stored[half:] + stored[:half])
    with pytest.raises(SealBroken):
        list(blobs.read("e1-0", SEAL))
