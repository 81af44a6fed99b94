"""One long upload, by itself: `python -m bench.long_upload URL KEY BYTES` prints how many seconds it took."""

import sys
import time
from collections.abc import Iterator

import httpx

from bench.durability import wav_pieces


def main(url: str, key: str, size: int) -> None:
    """Upload, then cancel what came of it."""
    boundary = "long-upload"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'.encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": f"multipart/form-data; boundary={boundary}"}

    def body() -> Iterator[bytes]:
        yield head
        yield from wav_pieces(size)
        yield tail

    with httpx.Client(base_url=url, headers=headers, timeout=600, trust_env=False) as http:
        began = time.perf_counter()
        answer = http.post("/api/recordings", content=body()).raise_for_status()
        took = time.perf_counter() - began
        http.post(f"/api/encounters/{answer.json()['encounter_id']}/cancel").raise_for_status()
    sys.stdout.write(f"{took}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
