"""What patients said is nowhere but where it belongs: not in logs, metrics, job tables, on the disk or in /tmp."""

import re
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest

from bench.demo import DemoOptions
from bench.recordings import Recording
from bench.server import running_server
from tests.acceptance.conftest import client
from tests.acceptance.created import Created, watched
from tests.acceptance.haidy import chunk, poll, post, send, wait
from tests.acceptance.nabla import CONFIG, END, dialled, finals, pcm, play, read, say
from tests.acceptance.test_haidy import encoded, wav
from tests.acceptance.test_nabla import BAD_FRAMES

ROOT = Path(__file__).parent.parent.parent
WORD = re.compile(rb"[a-z]{5,}")
PLAYED_S = slice(36, 60)  # of the demonstration: its long words come then
BYTES_PER_SECOND = 32_000
LONG = 8  # letters: sealed megabytes are random, and hold every shorter word sooner or later


def distinctive(spoken: set[bytes]) -> set[bytes]:
    """Spoken words that the program itself never writes: finding one means that it came from the room."""
    own = set()
    for file in [*ROOT.glob("server/**/*.py"), *ROOT.glob("pipeline/*.py"), *ROOT.glob("config/*.toml")]:
        own |= set(WORD.findall(file.read_bytes().lower()))
    return spoken - own


def find(words: set[bytes], where: bytes) -> set[bytes]:
    return words & set(WORD.findall(where.lower()))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where temporary files would go."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


@pytest.fixture
def temporary(scratch: Path) -> Iterator[Created]:
    with watched(scratch) as created:
        yield created


@pytest.mark.slow
async def test_no_spoken_word_leaks(tmp_path: Path, scratch: Path, temporary: Created, headache: Recording) -> None:
    demo = Recording.load(DemoOptions().recording)
    environment = {"TMPDIR": str(scratch), "AUSCULT_LOG_LEVEL": "debug", "AUSCULT_TASKS_KEEP_AFTER_FETCH": "true"}
    environment["AUSCULT_LIMITS_MAX_STREAMS"] = "10"  # however busy this machine is
    async with running_server(recogniser="sphinx", data_dir=tmp_path / "data", environment=environment) as server:
        async with dialled(server) as socket:
            await say(socket, CONFIG | {"output_objects": ["transcript_item", "note"]})
            for frame in BAD_FRAMES:
                await socket.send(frame)
            await play(socket, {name: part(samples, PLAYED_S) for name, samples in pcm(demo, PLAYED_S.stop).items()})
            await say(socket, END)
            messages = await read(socket, 240)
        with client(server.base_url, server.key) as api:
            await anyio.to_thread.run_sync(misuse, api, headache)
            metrics = api.get("/metrics").content
        said = " ".join(item["text"] for item in finals(messages)).encode()
        truth = " ".join(item.text for item in (*demo.items, *headache.items)).encode()
        words = distinctive(set(WORD.findall((said + b" " + truth).lower())))
        assert len(words) >= 10
        assert messages[-1]["object"] == "note"
        assert find(words, metrics) == set()
        assert find(words, server.log().encode()) == set()
        files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
        long = {word for word in words if len(word) >= LONG}
        assert files
        assert len(long) >= 3
        for path in files:
            assert find(long, path.read_bytes()) == set(), path.name
        assert temporary.names() == []
        assert server.key.encode() not in server.log().encode() + metrics


def part(samples: bytes, seconds: slice) -> bytes:
    """Of samples as `pcm` has them, those of these seconds."""
    return samples[seconds.start * BYTES_PER_SECOND : seconds.stop * BYTES_PER_SECOND]


def misuse(api: httpx.Client, headache: Recording) -> None:
    """Sessions, wrong requests that quote what was said, and a recording that breaks off."""
    spoken = " ".join(item.text for item in headache.items)
    wait(api, send(api, [encoded(headache, "webm", 12)]))
    for body in (
        chunk(b"x", parameters={"language": spoken}),
        chunk(b"x", parameters={"language": "en", "template": spoken[:80], "glossary": [spoken[:80]]}),
        chunk(b"x") | {"sample_rate": spoken},
        chunk(b"x") | {"audio_base64": spoken},
        chunk(spoken.encode() * 20),
        chunk(wav(headache, 5), spoken[:40]),
    ):
        assert post(api, body).status_code < 500
    assert poll(api, spoken[:60]).status_code == 404
    assert api.post(f"/v2/{spoken[:60]}").status_code == 404
    broken = encoded(headache, "webm")[:20_000] + spoken.encode() * 10
    wait(api, send(api, [broken]))
