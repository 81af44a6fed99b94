"""Long uploads, in a process of their own: `python -m bench.long_upload URL KEY BYTES TIMES` prints when each was."""

import struct
import sys
import time
from collections.abc import Iterator

import httpx
import msgspec
import numpy as np

BOUNDARY = "long-upload"
PIECE = 1 << 20


class Upload(msgspec.Struct, frozen=True):
    """From the first byte to the answer. Seconds of the monotonic clock, which all processes share."""

    began: float
    ended: float


def wav_pieces(size: int) -> Iterator[bytes]:
    """A WAV file of so many bytes of quiet noise."""
    yield (
        b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    )
    yield b"data" + struct.pack("<I", size)
    noise = np.random.default_rng(0).integers(-300, 300, PIECE // 2).astype("<i2").tobytes()
    for at in range(0, size, PIECE):
        yield noise[: min(PIECE, size - at)]


def form_pieces(size: int) -> Iterator[bytes]:
    """The file as a form's only part."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'
    yield head.encode()
    yield from wav_pieces(size)
    yield f"\r\n--{BOUNDARY}--\r\n".encode()


def main(url: str, key: str, size: int, times: int) -> None:
    """Upload, and cancel what came of it, so that no work on it is measured."""
    uploads: list[Upload] = []
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=600, trust_env=False) as http:
        for _ in range(times):
            began = time.monotonic()
            answer = http.post(
                "/api/recordings",
                content=form_pieces(size),
                headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
            ).raise_for_status()
            uploads.append(Upload(began, time.monotonic()))
            http.post(f"/api/encounters/{answer.json()['encounter_id']}/cancel").raise_for_status()
    sys.stdout.buffer.write(msgspec.json.encode(uploads))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
