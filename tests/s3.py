"""A store that speaks S3, of the tests' own: moto's server, on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from moto.server import ThreadedMotoServer

from server.store.s3_blobs import connect

BUCKET = "recordings"
ACCESS_KEY, SECRET_KEY, REGION = "auscult", "a secret of the tests", "eu-central-1"


class Store:
    """A running store with one bucket."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.client: Any = connect(endpoint=endpoint, region=REGION, access_key=ACCESS_KEY, secret_key=SECRET_KEY)
        self.client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

    @property
    def environment(self) -> dict[str, str]:
        """Settings of a server that keeps recordings here."""
        return {
            "AUSCULT_BLOBS_KIND": "s3",
            "AUSCULT_BLOBS_S3_ENDPOINT": self.endpoint,
            "AUSCULT_BLOBS_S3_BUCKET": BUCKET,
            "AUSCULT_BLOBS_S3_REGION": REGION,
            "AUSCULT_BLOBS_S3_ACCESS_KEY": ACCESS_KEY,
            "AUSCULT_BLOBS_S3_SECRET_KEY": SECRET_KEY,
        }

    def objects(self) -> dict[str, bytes]:
        """Everything in it, by name."""
        listed = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", ())
        names = [str(entry["Key"]) for entry in listed]
        return {name: self.client.get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names}

    def uploads(self) -> int:
        """Multipart uploads that were begun and have not ended."""
        return len(self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()))


@contextmanager
def running_store() -> Iterator[Store]:
    """A store that runs while the block does."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        httpx.post(f"{endpoint}/moto-api/reset").raise_for_status()  # all stores of a process share what is in them
        yield Store(endpoint)
    finally:
        server.stop()
