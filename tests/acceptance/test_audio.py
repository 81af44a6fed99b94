"""Hearing a consultation again: files, live sessions that go on or are over, and what is no longer kept."""

import time
from collections.abc import Iterator
from dataclasses import replace

import anyio.to_thread
import httpx
import numpy as np
import pytest

from bench.recordings import Recording
from bench.server import RunningServer
from pipeline.types import SAMPLE_RATE, Pcm
from server.playback import MAX_LIVE_BYTES
from tests.acceptance.conftest import client, start
from tests.acceptance.live import END, HELLO, dialled, hear, recorded, rest, say
from tests.acceptance.nabla_c import archived
from tests.acceptance.recorded import finished, sent
from tests.acceptance.test_archive import refused, typed
from tests.acceptance.test_haidy import encoded
from tests.audio import RECIPES, encode, likeness, wav
from tests.listening import decoded

pytestmark = pytest.mark.slow

KEEPING = {"AUSCULT_RETENTION_UPLOAD_AUDIO_HOURS": "1"}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    yield from start("scripted", KEEPING)


@pytest.fixture
def api(server: RunningServer) -> Iterator[httpx.Client]:
    with client(server.base_url, server.key) as made:
        yield made


def played(api: httpx.Client, encounter: str, **query: object) -> bytes:
    answer = api.get(f"/api/encounters/{encounter}/audio", params={key: str(value) for key, value in query.items()})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "audio/ogg; codecs=opus"
    assert answer.content.startswith(b"OggS")
    return answer.content


def same(ours: Pcm, original: Pcm) -> bool:
    """Whether they sound alike and are of one length, up to what an encoder changes."""
    length = min(len(ours), len(original))
    return abs(len(ours) - len(original)) <= SAMPLE_RATE // 20 and likeness(ours[:length], original[:length]) > 0.9


@pytest.mark.parametrize("kind", ["webm", "finished mp3", "wav"])
def test_a_recording_is_heard_again_whole_and_in_parts(api: httpx.Client, headache: Recording, kind: str) -> None:
    octets = encoded(headache, kind)
    encounter = sent(api, octets)
    finished(api, encounter)
    original = decoded(octets)
    assert same(decoded(played(api, encounter)), original)
    part = decoded(played(api, encounter, from_ms=5000, to_ms=8500))
    assert same(part, original[5 * SAMPLE_RATE : round(8.5 * SAMPLE_RATE)])
    end = decoded(played(api, encounter, from_ms=20_000, to_ms=86_400_000))
    assert same(end, original[20 * SAMPLE_RATE :])
    late = api.get(f"/api/encounters/{encounter}/audio", params={"from_ms": 3_000_000})
    assert "behind the end" in refused(late, 400, "bad_request")


LONG = ("headache", "cough")  # a minute or more: it is entered in its middle


@pytest.mark.parametrize("kind", ["webm", "finished mp3", "fragmented mp4"])
def test_a_part_of_a_long_recording_is_heard_where_it_was_said(api: httpx.Client, kind: str) -> None:
    octets = encode(np.concatenate([Recording.load(name).mono() for name in LONG]), replace(RECIPES[kind], rate=16_000))
    encounter = sent(api, octets, note=False)
    original = decoded(octets)
    finished(api, encounter)
    for begin in (20, 70, len(original) // SAMPLE_RATE - 4):
        part = decoded(played(api, encounter, from_ms=begin * 1000, to_ms=(begin + 3) * 1000))
        assert same(part, original[begin * SAMPLE_RATE : (begin + 3) * SAMPLE_RATE]), begin


async def test_a_session_is_heard_while_it_goes_on_and_when_it_is_over(server: RunningServer) -> None:
    chunks = recorded("headache", 30)
    run = anyio.to_thread.run_sync
    original = await run(decoded, b"".join(chunks))
    with client(server.base_url, server.key) as api:
        async with dialled(server) as socket:
            await say(socket, HELLO | {"role": "doctor"})
            encounter = (await hear(socket, "session"))["encounter_id"]
            path = f"/api/encounters/{encounter}/audio"
            refused(await run(api.get, path), 404, "not_found")
            for chunk in chunks[: len(chunks) // 2]:
                await socket.send(chunk)
            await hear(socket, "final")
            so_far = await run(lambda: decoded(played(api, encounter)))
            assert 2 * SAMPLE_RATE < len(so_far) < len(original)
            assert likeness(so_far, original[: len(so_far)]) > 0.9
            for chunk in chunks[len(chunks) // 2 :]:
                await socket.send(chunk)
            await say(socket, END)
            await rest(socket)
        assert same(await run(lambda: decoded(played(api, encounter))), original)
        part = await run(lambda: decoded(played(api, encounter, from_ms=2000, to_ms=4000, stream="stream0")))
        assert same(part, original[2 * SAMPLE_RATE : 4 * SAMPLE_RATE])
        wrong = await run(lambda: api.get(path, params={"stream": "stream9"}))
        assert "stream0" in refused(wrong, 400, "bad_request")


@pytest.mark.parametrize(("rate", "channels", "repeats"), [(16_000, 1, 1), (44_100, 1, 1), (48_000, 2, 7)])
async def test_a_part_of_a_raw_session_is_heard_without_what_comes_before_it(
    server: RunningServer, rate: int, channels: int, repeats: int
) -> None:
    run = anyio.to_thread.run_sync
    original = await run(decoded, b"".join(recorded("headache", 30)))
    wanted = original[6 * SAMPLE_RATE : 9 * SAMPLE_RATE]
    octets = raw(original, rate, channels) * repeats
    period_ms = 1000 * len(octets) // repeats // (2 * channels * rate)
    begin_ms = (repeats - 1) * period_ms + 6000  # of the last repeat

    with client(server.base_url, server.key) as api:

        def part(encounter: str) -> Pcm:
            return decoded(played(api, encounter, from_ms=begin_ms, to_ms=begin_ms + 3000))

        async with dialled(server) as socket:
            form = {"encoding": "pcm_s16le", "sample_rate": rate, "channels": channels, "speaker_hints": ["doctor"]}
            await say(socket, HELLO | form | {"note": False})
            encounter = (await hear(socket, "session"))["encounter_id"]
            path = f"/api/encounters/{encounter}/audio"
            pieces = range(0, len(octets), 1 << 18)
            for at in pieces:
                await socket.send(octets[at : at + (1 << 18)])
            while (await hear(socket, "ack"))["chunks"] < len(pieces):
                pass
            assert same(await run(part, encounter), wanted)
            whole = await run(lambda: api.get(path))
            if len(octets) > MAX_LIVE_BYTES:
                assert "shorter" in refused(whole, 409, "conflict")
            await say(socket, END)
            await rest(socket)
        assert same(await run(part, encounter), wanted)
        late = await run(lambda: api.get(path, params={"from_ms": 3_000_000}))
        assert "behind the end" in refused(late, 400, "bad_request")


async def test_a_recorder_that_was_started_again_in_between_is_heard_on_one_time_line(server: RunningServer) -> None:
    run = anyio.to_thread.run_sync
    files = [recorded(name, 60) for name in LONG]
    originals = [await run(decoded, b"".join(chunks)) for chunks in files]
    chunks = [chunk for file in files for chunk in file]
    with client(server.base_url, server.key) as api:

        def compare(encounter: str) -> None:
            said = np.concatenate(originals)
            for begin in (5, 55, 80, len(said) // SAMPLE_RATE - 7):
                part = decoded(played(api, encounter, from_ms=begin * 1000, to_ms=(begin + 6) * 1000))
                assert same(part, said[begin * SAMPLE_RATE : (begin + 6) * SAMPLE_RATE]), begin

        async with dialled(server) as socket:
            await say(socket, HELLO | {"role": "doctor", "note": False})
            encounter = (await hear(socket, "session"))["encounter_id"]
            for chunk in chunks:
                await socket.send(chunk)
            while (await hear(socket, "ack"))["chunks"] < len(chunks):
                pass
            await run(compare, encounter)
            await say(socket, END)
            await rest(socket)
        assert await archived(server.data_dir, encounter) == [b"".join(chunks)]
        await run(compare, encounter)


def raw(pcm: Pcm, rate: int, channels: int) -> bytes:
    """The same in whole seconds of s16le, as somebody records it at another rate."""
    seconds = len(pcm) // SAMPLE_RATE
    at = np.arange(seconds * rate) * (SAMPLE_RATE / rate)
    samples = np.interp(at, np.arange(len(pcm)), pcm)
    return (np.repeat(samples, channels) * 32_767).astype("<i2").tobytes()


def test_what_is_not_kept_is_gone_and_text_never_had_any(scripted_server: RunningServer, headache: Recording) -> None:
    with client(scripted_server.base_url, scripted_server.key) as api:
        encounter = sent(api, encoded(headache, "webm", 3))
        finished(api, encounter)
        path = f"/api/encounters/{encounter}/audio"
        until = time.monotonic() + 10
        while api.get(path).status_code == 200 and time.monotonic() < until:
            time.sleep(0.05)  # the job's last step comes behind the last word
        refused(api.get(path), 410, "audio_gone")
        assert "text" in refused(api.get(f"/api/encounters/{typed(api)}/audio"), 404, "not_found")


@pytest.mark.parametrize(
    "query",
    [{"from_ms": "-1"}, {"from_ms": "x"}, {"from_ms": "5", "to_ms": "5"}, {"to_ms": "0"}, {"to_ms": "1" * 12}],
)
def test_a_part_that_cannot_be_is_refused(api: httpx.Client, query: dict[str, str]) -> None:
    refused(api.get(f"/api/encounters/{'0' * 24}/audio", params=query), 400, "bad_request")


def test_headers_alone_are_no_file_and_who_leaves_early_holds_nothing_up(
    api: httpx.Client, headache: Recording
) -> None:
    encounter = sent(api, encoded(headache, "webm"))
    finished(api, encounter)
    path = f"/api/encounters/{encounter}/audio"
    assert api.head(path).content == b""
    for _ in range(6):  # more than are made at the same time
        with api.stream("GET", path) as answer:
            next(answer.iter_bytes())
    assert len(decoded(played(api, encounter, to_ms=1000))) == pytest.approx(SAMPLE_RATE, abs=SAMPLE_RATE // 50)


def test_nothing_but_silence_is_silence(api: httpx.Client) -> None:
    encounter = sent(api, wav(np.zeros(2 * SAMPLE_RATE, np.float32), SAMPLE_RATE))
    finished(api, encounter)
    assert float(np.abs(decoded(played(api, encounter))).max()) < 0.01
