"""Whole recordings: taken, worked on in the background, and not lost; on both databases."""

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import anyio.to_thread
import httpx
import numpy as np
import pytest

from bench.receiver import Got, receiving
from bench.recordings import Recording
from bench.server import RunningServer, running_server
from pipeline.types import SAMPLE_RATE
from tests.acceptance.conftest import client, make_key, start_on, store_on
from tests.acceptance.following import all_of
from tests.acceptance.recorded import finished, said, sent, upload
from tests.acceptance.test_haidy import encoded
from tests.audio import RECIPES, Recipe, encode, wav

pytestmark = pytest.mark.slow

LIMITS = {
    "AUSCULT_LIMITS_MAX_RECORDING_MINUTES": "2",
    "AUSCULT_LIMITS_MAX_RECORDING_BYTES": "3000000",
    "AUSCULT_LIMITS_MAX_RECORDING_FILES": "3",
    "AUSCULT_LIMITS_UPLOAD_STALL_TIMEOUT_S": "1",
}
INDEX_LAST = Recipe(container="mp4", codec="aac", rate=16_000, live=False)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    yield from start_on(request, LIMITS)


@pytest.fixture
def api(server: RunningServer) -> Iterator[httpx.Client]:
    with client(server.base_url, server.key) as made:
        yield made


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)  # the database does not matter here
@pytest.mark.parametrize("kind", ["webm", "finished webm", "ogg", "finished mp3", "aac", "flac", "wav", "mp4"])
def test_every_container_is_transcribed_to_its_end(api: httpx.Client, headache: Recording, kind: str) -> None:
    octets = encode(headache.mono(), INDEX_LAST) if kind == "mp4" else encoded(headache, kind)
    if kind == "mp4":
        assert octets.index(b"mdat") < octets.index(b"moov")
    done = finished(api, sent(api, octets))
    reference = finished(api, sent(api, encoded(headache, "flac")))
    assert done["status"] == "done"
    assert done["percentage"] == 100
    assert "note" in done or "note_absence" in done  # scripted words make no note
    assert len(said(done)) == len(said(reference)) > 5
    for ours, theirs in zip(said(done), said(reference), strict=True):
        assert abs(ours[0] - theirs[0]) <= 200


def test_files_are_joined_in_order(api: httpx.Client, headache: Recording) -> None:
    mono = headache.mono()
    middle = len(mono) // 2
    flac, mp4 = replace(RECIPES["flac"], rate=SAMPLE_RATE), INDEX_LAST
    first, second = encode(mono[:middle], mp4), encode(mono[middle:], flac)
    joined = finished(api, sent(api, first, second))
    alone = finished(api, sent(api, second))
    shift = 1000 * middle / SAMPLE_RATE
    assert joined["status"] == "done"
    ends = zip(said(joined)[-4:], said(alone)[-4:], strict=True)  # before, a segment may lie across the seam
    assert [abs(item[0] - shift - other[0]) < 300 for item, other in ends] == [True] * 4


def test_while_it_waits_and_is_in_work_its_status_can_be_read_and_its_events_followed(
    server: RunningServer, api: httpx.Client, headache: Recording
) -> None:
    encounter = sent(api, encoded(headache, "webm"), language="en", template="SOAP")
    events = anyio.run(all_of, server, encounter)
    done = finished(api, encounter)
    assert [event.data["text"] for event in events if event.kind == "final"] == [item["text"] for item in done["items"]]
    assert events[-1].kind == "done"
    assert list(done["stages"]) == [
        "created", "queued", "started", "decoding", "transcribing", "transcribed", "done",
    ]  # fmt: skip


def test_the_same_key_is_the_same_recording(api: httpx.Client, headache: Recording) -> None:
    octets, key = encoded(headache, "webm", 3), uuid4().hex
    assert sent(api, octets, key=key) == sent(api, octets, key=key)
    assert sent(api, octets) != sent(api, octets)


def test_another_tenant_sees_nothing_of_it(server: RunningServer, api: httpx.Client, headache: Recording) -> None:
    encounter = sent(api, encoded(headache, "webm", 3))
    with client(server.base_url, make_key(server, f"other{uuid4().hex}")) as other:
        assert other.get(f"/api/encounters/{encounter}").status_code == 404
        assert other.post(f"/api/encounters/{encounter}/cancel").status_code == 404


def test_one_that_waits_or_works_is_cancelled(api: httpx.Client, headache: Recording) -> None:
    encounter = sent(api, encoded(headache, "webm"))
    assert api.post(f"/api/encounters/{encounter}/cancel").status_code == 204
    over = finished(api, encounter)
    assert over["status"] in ("failed", "done")  # it may have been quicker
    assert over["status"] == "done" or over["error"]["code"] == "cancelled"
    assert api.post(f"/api/encounters/{encounter}/cancel").status_code == 204


def test_once_transcribed_its_audio_is_gone(server: RunningServer, api: httpx.Client, headache: Recording) -> None:
    encounter = sent(api, encoded(headache, "webm", 3))
    finished(api, encounter)
    until = time.monotonic() + 10
    while blobs(server, encounter) and time.monotonic() < until:
        time.sleep(0.05)  # the job's last step comes behind the last word
    assert blobs(server, encounter) == []


def blobs(server: RunningServer, encounter: str) -> list[Path]:
    return [path for path in (server.data_dir / "blobs").iterdir() if encounter in path.name]


# Bad input


@pytest.mark.parametrize(
    ("octets", "status", "code"),
    [
        (b"", 400, "bad_request"),
        (b"short", 400, "unsupported_audio"),
        (b"<html>this is no audio at all</html>" * 100, 400, "unsupported_audio"),
    ],
)
def test_what_is_no_audio_is_refused_at_once(api: httpx.Client, octets: bytes, status: int, code: str) -> None:
    answer = upload(api, octets)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_what_only_looks_like_audio_fails_with_the_reason(api: httpx.Client) -> None:
    over = finished(api, sent(api, b"OggS\0" + bytes(5000)))
    assert over["status"] == "failed"
    assert over["error"]["code"] == "undecodable_audio"


def test_more_bytes_or_files_than_allowed_are_refused(
    server: RunningServer, api: httpx.Client, headache: Recording
) -> None:
    large = wav(headache.mono(), SAMPLE_RATE) * 4
    assert upload(api, large).status_code == 413
    assert upload(api, *[encoded(headache, "webm", 2)] * 4).status_code == 413
    assert unfinished(server) == []


def unfinished(server: RunningServer) -> list[Path]:
    return [path for path in (server.data_dir / "blobs").iterdir() if path.suffix]


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)  # the database does not matter here
def test_hours_of_silence_in_a_small_file_end_at_the_limit(api: httpx.Client) -> None:
    silence = encode(np.zeros(SAMPLE_RATE * 60 * 60, np.float32), replace(INDEX_LAST, codec="aac"))
    assert len(silence) < 3_000_000
    over = finished(api, sent(api, silence))
    assert over["status"] == "failed"
    assert over["error"]["code"] == "recording_too_long"


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)  # the database does not matter here
@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\0b", "ä" * 100])
def test_a_file_s_name_means_nothing(api: httpx.Client, headache: Recording, name: str) -> None:
    answer = api.post("/api/recordings", files={"audio": (name, encoded(headache, "webm", 2))})
    assert answer.status_code in (202, 400)


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)  # the database does not matter here
@pytest.mark.parametrize(
    ("options", "status"),
    [
        ("no json", 400),
        ("[" * 10_000, 400),
        ('{"language": 3}', 400),
        ('{"language": "tlh"}', 400),
        ('{"template": "NONE"}', 400),
        ('{"expected_speakers": 99}', 400),
        ('{"urls": ["http://example.org/a"]}', 400),
        ('{"unknown": 1}', 202),
    ],
)
def test_options_that_cannot_be_are_refused(api: httpx.Client, headache: Recording, options: str, status: int) -> None:
    files: list[tuple[str, Any]] = [("audio", ("a", encoded(headache, "webm", 2))), ("options", (None, options))]
    assert api.post("/api/recordings", files=files).status_code == status


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_options_twice_are_refused_and_content_types_are_read_in_either_case(
    api: httpx.Client, headache: Recording
) -> None:
    options = ("options", (None, "{}"))
    answer = api.post("/api/recordings", files=[options, options, ("audio", ("a", encoded(headache, "webm", 2)))])
    assert answer.status_code == 400
    assert "options" in answer.json()["detail"]
    answer = api.post("/api/recordings", content=b'{"urls": []}', headers={"Content-Type": "Application/JSON"})
    assert "urls" in answer.json()["detail"]


def test_forms_that_break_off_are_refused(api: httpx.Client) -> None:
    for kind, body in [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=audio\r\n\r\nabc"),
        ("multipart/form-data; boundary=x", b""),
        ("text/plain", b"x"),
        ("application/json", b"{}"),
        ("application/json", b'{"urls": ["ftp://example.org/a.wav"]}'),
    ]:
        answer = api.post("/api/recordings", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 400, (kind, answer.text)


def raw_upload(server: RunningServer, body: bytes, length: int) -> socket.socket:
    """A request that says it is so long, of which so much is sent."""
    host, port = server.base_url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=10)
    head = (
        f"POST /api/recordings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


def form(octets: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="audio"; filename="a"\r\n\r\n'
    return head + octets + b"\r\n--b--\r\n"


def test_an_upload_that_breaks_off_or_stalls_leaves_nothing(server: RunningServer, headache: Recording) -> None:
    body = form(encoded(headache, "webm"))
    for seconds in (0, 3):
        with raw_upload(server, body[: len(body) * 99 // 100], len(body)) as connection:
            if seconds:
                assert b"408" in connection.recv(4096).split(b"\r\n")[0]
    until = time.monotonic() + 10
    while unfinished(server) and time.monotonic() < until:
        time.sleep(0.05)  # the server notices in its own time
    assert unfinished(server) == []


def test_a_length_that_lies_changes_nothing(server: RunningServer, headache: Recording) -> None:
    body = form(encoded(headache, "webm", 3))
    with raw_upload(server, body, len(body) - 2000) as short:
        assert b"400" in short.recv(4096).split(b"\r\n")[0]
    with raw_upload(server, body, len(body) + 2000) as long:
        assert b"408" in long.recv(4096).split(b"\r\n")[0]
    assert unfinished(server) == []


# What dies


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_one_in_work_outlives_kills_and_says_what_it_would_have_said(
    database: str, request: pytest.FixtureRequest, tmp_path: Path, headache: Recording
) -> None:
    with store_on(database, request) as store:
        environment = {"AUSCULT_RECOGNISER_SCRIPTED_DELAY_MS": "150"} | store
        files = [encoded(headache, "webm"), encode(headache.mono(), INDEX_LAST), encoded(headache, "finished mp3")]
        async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
            with client(server.base_url, server.key) as api:
                encounter = sent(api, *files)
                for _ in range(3):
                    await anyio.sleep(0.7)
                    await server.kill()
                    await server.start()
                killed = await anyio.to_thread.run_sync(finished, api, encounter)
                straight = await anyio.to_thread.run_sync(finished, api, sent(api, *files))
    assert killed["status"] == straight["status"] == "done"
    assert said(killed) == said(straight) != []
    assert len({item["id"] for item in killed["items"]}) == len(killed["items"])


def test_no_file_is_ever_in_the_clear_on_the_disk(
    server: RunningServer, api: httpx.Client, headache: Recording
) -> None:
    octets = encoded(headache, "wav", 3)
    finished(api, sent(api, octets))
    marks = [mark.hex() for at in range(0, len(octets), 4000) if len(set(mark := octets[at : at + 64])) > 32]
    assert len(marks) > 5
    found = subprocess.run(["find", str(server.data_dir), "-type", "f"], capture_output=True, text=True, check=True)
    for path in found.stdout.split():
        stored = Path(path).read_bytes().hex() if Path(path).exists() else ""
        assert not any(mark in stored for mark in marks), path
    assert json.dumps(marks) not in server.log()


async def test_one_that_cannot_be_worked_on_fails_with_the_reason_and_holds_up_no_other(
    tmp_path: Path, headache: Recording
) -> None:
    environment = {"AUSCULT_JOBS_WORKERS": "1", "AUSCULT_OUTGOING_ALLOW_HOSTS": "127.0.0.1"}
    damaged = anyio.Event()

    async def waiting(_: Got, writer: asyncio.StreamWriter) -> None:
        await damaged.wait()
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    async with (
        receiving(waiting) as files,
        receiving() as customer,
        running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server,
    ):
        run = anyio.to_thread.run_sync
        with client(server.base_url, server.key) as api:
            await run(lambda: api.post("/api/recordings", json={"urls": [files.url]}).raise_for_status())
            await files.until(1)  # it has the only worker until there is an answer
            octets = encoded(headache, "webm", 2)
            broken = await run(lambda: sent(api, octets, callback_url=customer.url))
            whole = await run(sent, api, octets)
            (blob,) = (tmp_path / "blobs").rglob(f"{broken}*")
            sealed = bytearray(blob.read_bytes())
            sealed[len(sealed) // 2] ^= 1
            blob.write_bytes(sealed)
            damaged.set()
            assert (await run(finished, api, broken))["error"]["code"] == "recording_broken"
            assert (await run(finished, api, whole))["status"] == "done"
            (told,) = await customer.until(1)
    assert json.loads(told.body)["type"] == "encounter.failed"
    assert json.loads(told.body)["data"]["encounter_id"] == broken
