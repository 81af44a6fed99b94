"""Recordings in a bucket: a real client and moto's server, over HTTP on loopback."""

import io
from collections.abc import Iterator, Sequence

import anyio
import pytest

from server.errors import BlobsUnavailable, NotFound
from server.store import s3_blobs
from server.store.records import PIECE
from server.store.s3_blobs import PART_BYTES, S3Blobs, connect
from server.store.seal import KEY_BYTES, Seal, SealBroken
from tests.s3 import BUCKET, Store, running_store

SEAL = Seal(bytes(KEY_BYTES), "e1")
PAGE = 20  # names at a time, while sweeping: the program's own 500 take moto nine seconds to store
LATER = 4e9  # seconds since 1970: behind all that tests do


@pytest.fixture(scope="module")
def server() -> Iterator[Store]:
    with running_store() as store:
        yield store


@pytest.fixture
def store(server: Store) -> Iterator[Store]:
    """The store, with nothing in it."""
    yield server
    for name in server.objects():
        server.client.delete_object(Bucket=BUCKET, Key=name)


@pytest.fixture
def blobs(store: Store) -> S3Blobs:
    return S3Blobs(store.client, BUCKET, "clinic/")


async def stored(blobs: S3Blobs, key: str, *pieces: bytes) -> int:
    async with blobs.writer(key, SEAL) as blob:
        for piece in pieces:
            await blob.write(piece)
        return await blob.finish()


async def test_a_small_blob_is_one_object_under_its_name_and_sealed(blobs: S3Blobs, store: Store) -> None:
    assert await stored(blobs, "e1-0", b"what the ", b"patient said") == 21
    assert list(store.objects()) == ["clinic/e1-0"]
    assert b"patient" not in store.objects()["clinic/e1-0"]
    assert blobs.open("e1-0", SEAL).read() == b"what the patient said"
    with pytest.raises(SealBroken):
        blobs.open("e1-0", Seal(bytes(KEY_BYTES), "e2")).read()


async def test_an_empty_blob_is_one_too(blobs: S3Blobs) -> None:
    assert await stored(blobs, "e1-0") == 0
    assert blobs.open("e1-0", SEAL).read() == b""


async def test_a_large_one_goes_in_parts_and_is_read_from_anywhere(blobs: S3Blobs, store: Store) -> None:
    plain = b"".join(bytes([number]) * PIECE for number in range(256)) * 2
    async with blobs.writer("e1-0", SEAL) as blob:
        for begin in range(0, len(plain), 1_000_000):
            await blob.write(plain[begin : begin + 1_000_000])
        assert store.uploads() == 1
        assert not store.objects()
        assert await blob.finish() == len(plain) > 3 * PART_BYTES
    assert store.uploads() == 0
    with blobs.open("e1-0", SEAL) as file:
        assert file.size == len(plain)
        file.seek(-100, io.SEEK_END)
        assert file.read(200) == plain[-100:]
        for at in (0, 5, 3 * PIECE - 1, 20_000_000):
            file.seek(at)
            assert file.read(2 * PIECE) == plain[at : at + 2 * PIECE]


async def test_one_that_is_given_up_leaves_nothing(blobs: S3Blobs, store: Store) -> None:
    with anyio.CancelScope() as scope:
        async with blobs.writer("e1-0", SEAL) as blob:
            await blob.write(bytes(PART_BYTES))
            await blob.write(bytes(PIECE))
            assert store.uploads() == 1
            scope.cancel()
            await blob.finish()
    assert store.uploads() == 0
    assert not store.objects()


async def test_a_blob_is_deleted_once_and_no_more(blobs: S3Blobs, store: Store) -> None:
    await stored(blobs, "e1-0", b"audio")
    await blobs.delete("e1-0")
    await blobs.delete("e1-0")
    assert not store.objects()
    with pytest.raises(NotFound):
        blobs.open("e1-0", SEAL)


async def test_a_sweep_takes_what_is_old_and_belongs_to_nothing_and_no_other_names(
    blobs: S3Blobs, store: Store
) -> None:
    for key in ("used", "left"):
        await stored(blobs, key, b"audio")
    store.client.put_object(Bucket=BUCKET, Key="clinic", Body=b"somebody else's")
    store.client.create_multipart_upload(Bucket=BUCKET, Key="clinic/e1-0")

    async def referenced(names: Sequence[str]) -> set[str]:
        return {"used"}

    assert await blobs.sweep(referenced, 0) == 0
    assert await blobs.sweep(referenced, LATER) == 2
    assert list(store.objects()) == ["clinic", "clinic/used"]
    assert store.uploads() == 0


async def test_a_sweep_sees_all_however_many(blobs: S3Blobs, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_blobs, "LOOKED_UP", PAGE)
    for number in range(PAGE + 2):
        store.client.put_object(Bucket=BUCKET, Key=f"clinic/b{number}", Body=b"")
    seen: set[str] = set()

    async def referenced(names: Sequence[str]) -> set[str]:
        seen.update(names)
        return set(names)

    assert await blobs.sweep(referenced, LATER) == 0
    assert len(seen) == PAGE + 2


async def test_a_store_that_does_not_answer_or_refuses_is_a_clear_error(store: Store) -> None:
    away = connect(endpoint="http://127.0.0.1:9", region="eu-central-1", access_key="a", secret_key="b")
    for client, bucket in ((away, BUCKET), (store.client, "no-such-bucket")):
        with pytest.raises((BlobsUnavailable, NotFound)) as raised:
            await stored(S3Blobs(client, bucket, ""), "e1-0", b"what the patient said")
        assert "patient" not in str(raised.value)
        assert bucket not in str(raised.value)
