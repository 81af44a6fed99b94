"""Sealed blobs in a bucket of a store that speaks S3. What reaches it is sealed: the store learns names and sizes.

A recording is sent in parts of a multipart upload, so that no more than one part is in memory; the store shows it only
when the last part has come. Source: Amazon S3 API reference, "Uploading and copying objects using multipart upload".
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from server.errors import AudioGone, BlobsUnavailable, StorageFull
from server.store.blobs import LOOKED_UP, THREADS, BlobWriter, Referenced, checked_name
from server.store.records import RECORD, SealedFile
from server.store.seal import Seal

log = structlog.get_logger()

PART_BYTES = 8 << 20  # of a multipart upload; the store takes no fewer than 5 MiB, and no more than 10,000 parts
SPAN_BYTES = 16 * RECORD  # that are fetched at a time: a request takes longer than the bytes
SPANS = 4  # that a reader keeps: a demuxer reads here and there
UPLOAD_HOURS = 24  # after which an upload that was begun and never ended is one that was given up
MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"})


def connect(*, endpoint: str, region: str, access_key: str, secret_key: str) -> Any:
    """A client for a store; what is empty is found as Amazon's own programs find it (variables, files, the machine)."""
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint or None,
        region_name=region or None,
        aws_access_key_id=access_key or None,
        aws_secret_access_key=secret_key or None,
        config=Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "total_max_attempts": 4},
            max_pool_connections=2 * THREADS,
            request_checksum_calculation="when_required",  # others than Amazon's refuse its newer checksums
            response_checksum_validation="when_required",
        ),
    )


class S3Blobs:
    """See `server.store.blobs.Blobs`. `client` is a boto3 client, which threads may share."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._threads = anyio.CapacityLimiter(THREADS)

    def writer(self, key: str, seal: Seal) -> BlobWriter:
        """See `Blobs`."""
        return BlobWriter(partial(_ObjectSink, self._client, self._object(key)), self._threads, key, seal)

    def open(self, key: str, seal: Seal) -> SealedFile:
        """See `Blobs`."""
        return SealedFile(_ObjectSource(self._client, self._object(key)), key, seal)

    async def delete(self, key: str) -> None:
        """See `Blobs`."""
        await anyio.to_thread.run_sync(self._delete, [key], limiter=self._threads)

    async def sweep(self, referenced: Referenced, before: float) -> int:
        """See `Blobs`. Uploads that never ended go a day later, because the store does not say when they last grew."""
        until = datetime.fromtimestamp(before, UTC)
        swept = await anyio.to_thread.run_sync(
            self._abort_begun_before, until - timedelta(hours=UPLOAD_HOURS), limiter=self._threads
        )
        after = ""
        while True:
            page = await anyio.to_thread.run_sync(self._page, after, limiter=self._threads)
            names = [name for name, touched in page if touched < until]
            used = await referenced(names)
            if unused := [name for name in names if name not in used]:
                await anyio.to_thread.run_sync(self._delete, unused, limiter=self._threads)
                swept += len(unused)
            if len(page) < LOOKED_UP:
                return swept
            after = page[-1][0]

    def _object(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + checked_name(key)}

    def _delete(self, keys: list[str]) -> None:
        with store_errors():
            for key in keys:
                self._client.delete_object(**self._object(key))

    def _page(self, after: str) -> list[tuple[str, datetime]]:
        """The next names, and when each was stored."""
        start = {"StartAfter": self._prefix + after} if after else {}
        with store_errors():
            found = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=self._prefix, Delimiter="/", MaxKeys=LOOKED_UP, **start
            )
        return [(entry["Key"].removeprefix(self._prefix), entry["LastModified"]) for entry in found.get("Contents", ())]

    def _abort_begun_before(self, at: datetime) -> int:
        with store_errors():
            found = self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=self._prefix)
            begun = [upload for upload in found.get("Uploads", ()) if upload["Initiated"] < at]
            for upload in begun:
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        return len(begun)


class _ObjectSink:
    def __init__(self, client: Any, target: dict[str, str]) -> None:
        self._client = client
        self._target = target
        self._waiting = bytearray()
        self._upload = ""  # its id; empty: all there is fits into one request so far
        self._parts: list[dict[str, object]] = []

    def write(self, record: bytes) -> None:
        self._waiting += record
        if len(self._waiting) >= PART_BYTES:
            with store_errors():
                self._send()

    def finish(self) -> None:
        with store_errors():
            if not self._upload:
                self._client.put_object(**self._target, Body=bytes(self._waiting))
                return
            if self._waiting:
                self._send()
            self._client.complete_multipart_upload(
                **self._target, UploadId=self._upload, MultipartUpload={"Parts": self._parts}
            )

    def abort(self) -> None:
        if not self._upload:
            return
        try:
            with store_errors():
                self._client.abort_multipart_upload(**self._target, UploadId=self._upload)
        except BlobsUnavailable:  # a sweep does it later
            log.warning("blobs.not_aborted")

    def _send(self) -> None:
        if not self._upload:
            self._upload = self._client.create_multipart_upload(**self._target)["UploadId"]
        number = len(self._parts) + 1
        sent = self._client.upload_part(
            **self._target, UploadId=self._upload, PartNumber=number, Body=bytes(self._waiting)
        )
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        self._waiting.clear()


class _ObjectSource:
    def __init__(self, client: Any, target: dict[str, str]) -> None:
        self._client = client
        self._target = target
        self._spans: OrderedDict[int, bytes] = OrderedDict()
        with store_errors():
            self.size = int(client.head_object(**target)["ContentLength"])

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        read = bytearray()
        while offset < end:
            index, skipped = divmod(offset, SPAN_BYTES)
            taken = self._span(index)[skipped : skipped + end - offset]
            if not taken:  # it is shorter than it was
                break
            read += taken
            offset += len(taken)
        return bytes(read)

    def close(self) -> None:
        self._spans.clear()

    def _span(self, index: int) -> bytes:
        if (span := self._spans.get(index)) is None:
            begin = index * SPAN_BYTES
            with store_errors():
                got = self._client.get_object(**self._target, Range=f"bytes={begin}-{begin + SPAN_BYTES - 1}")
                span = self._spans[index] = got["Body"].read()
            if len(self._spans) > SPANS:
                self._spans.popitem(last=False)
        else:
            self._spans.move_to_end(index)
        return span


@contextmanager
def store_errors() -> Iterator[None]:
    """What the store says, in our words; its code is logged for the operator. Raises `AudioGone`, too."""
    try:
        yield
    except ClientError as exc:
        code = str(exc.response.get("Error", {}).get("Code", ""))
        if code in MISSING:
            raise AudioGone from exc
        log.error("blobs.failed", reason=code)
        raise (StorageFull if code in FULL else BlobsUnavailable) from exc
    except (BotoCoreError, HTTPClientError) as exc:
        log.error("blobs.failed", reason=type(exc).__name__)
        raise BlobsUnavailable from exc
