"""Recordings of hours and of hundreds of megabytes, which are cut off, repeated, or too large."""

import select
import socket
import struct
import time
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func
from sqlalchemy import select as query

from bench.server import RunningServer
from server.store import tables as t
from server.store.database import open_engine
from tests.acceptance.conftest import client, start
from tests.acceptance.leaks import nothing_left_in
from tests.audio import voice, wav

pytestmark = pytest.mark.slow

HOUR_S = 3600
RATE = 8000
MOST_BYTES = 500 << 20  # limits.max_recording_bytes
PIECE_BYTES = 1 << 20
MEMORY_BYTES = 50_000_000  # more, for an upload of any size
PATIENCE_S = 30
MIDDLE = b'\r\n--b\r\nContent-Disposition: form-data; name="audio"; filename="a"\r\n\r\n'
BEGIN, END = MIDDLE.removeprefix(b"\r\n"), b"\r\n--b--\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    yield from start("scripted")


@pytest.fixture
def api(server: RunningServer) -> Iterator[httpx.Client]:
    with client(server.base_url, server.key) as made:
        yield made


@cache
def hour() -> bytes:
    """An hour of talk as telephones have it: 29 MB."""
    minute = wav(voice(60, RATE), RATE, encoding="mulaw")
    return wav(voice(60, RATE), RATE, encoding="mulaw", length=HOUR_S * RATE) + minute[-60 * RATE :] * 59


def two_hours() -> bytes:
    """A form with a recording of two files."""
    return BEGIN + hour() + MIDDLE + hour() + END


class Upload:
    """A request whose body is sent a piece at a time."""

    def __init__(self, server: RunningServer, length: int | None, key: str) -> None:
        host, port = server.base_url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        head = (
            f"POST /api/recordings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n{size}\r\n"
            f"Content-Type: multipart/form-data; boundary=b\r\nIdempotency-Key: {key}\r\n\r\n"
        )
        self.socket.sendall(head.encode())

    def break_off(self) -> None:
        """As when the network is gone: the connection is reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def answered(self) -> bool:
        """Whether there is an answer already."""
        return bool(select.select([self.socket], [], [], 0)[0])


def stored(server: RunningServer) -> list[str]:
    """What there is of recordings: files, and rows."""
    engine = open_engine(f"sqlite:///{server.data_dir / 'auscult.db'}")
    with engine.connect() as connection:
        counts = {
            table.name: connection.execute(query(func.count()).select_from(table)).scalar()
            for table in (t.encounters, t.parts, t.streams)
        }
    engine.dispose()
    files = [path.name for path in (server.data_dir / "blobs").iterdir()]
    return files + [name for name, count in counts.items() if count]


def until_nothing_is_stored(server: RunningServer) -> None:
    until = time.monotonic() + PATIENCE_S
    while left := stored(server):
        assert time.monotonic() < until, left
        time.sleep(0.05)  # the server notices in its own time


def peak_bytes(server: RunningServer) -> int:
    """The most memory that it ever had."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def test_two_hours_that_are_cut_off_at_99_percent_leave_nothing_and_may_be_sent_again(
    server: RunningServer, api: httpx.Client
) -> None:
    """Its first file is complete by then."""
    body, key, before = two_hours(), uuid4().hex, server.process.memory_info().rss
    with nothing_left_in(server):
        cut = Upload(server, len(body), key)
        cut.socket.sendall(body[: len(body) * 99 // 100])
        assert stored(server)
        cut.break_off()
        until_nothing_is_stored(server)
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Idempotency-Key": key}
    accepted = api.post("/api/recordings", content=body, headers=headers)
    assert accepted.status_code == 202, accepted.text
    assert api.post("/api/recordings", content=body, headers=headers).json() == accepted.json()
    shown = api.get(accepted.json()["status_url"])
    assert shown.json()["status"] in ("queued", "working")
    assert peak_bytes(server) - before < MEMORY_BYTES
    assert api.delete(accepted.json()["status_url"]).status_code == 204
    until_nothing_is_stored(server)


def test_a_recording_over_the_limit_is_refused_as_soon_as_it_is_and_leaves_nothing(server: RunningServer) -> None:
    """Nothing says beforehand how long it is."""
    before, piece, sent = server.process.memory_info().rss, bytes(PIECE_BYTES), 0
    head = BEGIN + hour()[:PIECE_BYTES]
    with nothing_left_in(server):
        upload = Upload(server, None, uuid4().hex)
        with upload.socket:
            while not upload.answered() and sent < MOST_BYTES + 64 * PIECE_BYTES:
                part = piece if sent else head
                upload.socket.sendall(b"%x\r\n%b\r\n" % (len(part), part))
                sent += len(part)
            answer = upload.socket.recv(1 << 16)
        assert answer.split(b"\r\n")[0].split()[1] == b"413"
        assert b'"too_large"' in answer
        assert b"larger than 524 MB" in answer
        assert sent > MOST_BYTES
        until_nothing_is_stored(server)
    assert peak_bytes(server) - before < MEMORY_BYTES


@pytest.mark.parametrize("broken", [False, True])
def test_two_hours_in_base64_are_decoded_as_they_come(server: RunningServer, api: httpx.Client, broken: bool) -> None:
    """Where the second hour is none in the end, nothing is left of the first."""
    before, encoded = server.process.memory_info().rss, b64encode(hour())

    def body() -> Iterator[bytes]:
        yield b'{"file_base64": "' + encoded + b'", "language": "en", "file_name": "a", "additional_audio_base64": ["'
        yield encoded + (b"=!" if broken else b"") + b'"]}'

    answer = api.post("/v2/audio/transcribe_base64", content=body())
    assert peak_bytes(server) - before < MEMORY_BYTES
    if broken:
        assert (answer.status_code, answer.json()) == (400, "Could not decode base64 audio file")
    else:
        assert answer.status_code == 200, answer.text
        assert api.delete(f"/api/encounters/{answer.json()['task_id']}").status_code == 204
    until_nothing_is_stored(server)
