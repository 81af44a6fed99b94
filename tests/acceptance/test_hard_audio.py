"""Audio without speech, without numbers, without end: no text where nothing was said, and never a standstill."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from pathlib import Path

import av
import httpx
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from bench.recordings import Recording
from bench.server import RunningServer
from pipeline.types import SAMPLE_RATE, Pcm
from server.settings import load_settings
from server.transcribe import Output, Task, run
from tests.acceptance.conftest import WHISPER, client
from tests.acceptance.haidy import chunk, post, send, wait
from tests.acceptance.haidy import pieces as cut
from tests.acceptance.test_haidy import wav
from tests.audio import wav as float_wav

pytestmark = pytest.mark.slow

PATIENCE_S = 180
SECOND_SENTENCE_MS = 3943  # of the consultation's passage
RECOGNISERS = {"sphinx": {"AUSCULT_RECOGNISER_KIND": "sphinx"}, "whisper": WHISPER}
LONG_FRAMES = {"frame_size": str(2 * SAMPLE_RATE)}  # else of 72 ms: what decoding hours costs is each frame's cost
SILENT_MINUTE: NDArray[np.int16] = np.zeros(60 * SAMPLE_RATE, np.int16)


@pytest.fixture(scope="module", params=RECOGNISERS)
def server(request: pytest.FixtureRequest) -> RunningServer:
    """A real server with each recogniser."""
    started: RunningServer = request.getfixturevalue(f"{request.param}_server")
    return started


@pytest.fixture
def api(server: RunningServer) -> Iterator[httpx.Client]:
    with client(server.base_url, server.key) as made:
        yield made


@pytest.fixture(scope="module")
def passage(headache: Recording) -> Pcm:
    """Twelve seconds of a consultation."""
    return headache.mono()[: 12 * SAMPLE_RATE]


def floats(samples: NDArray[np.float64]) -> bytes:
    """A WAV file of 32-bit floats that may be anything: infinite, no number, far too large."""
    silent = np.zeros(len(samples), np.float32)
    header = float_wav(silent, SAMPLE_RATE, encoding="pcm_f32le")[: -silent.nbytes]
    with np.errstate(over="ignore"):
        return header + samples.astype("<f4").tobytes()


def write_flac(path: Path, blocks: Iterable[NDArray[np.int16]]) -> None:
    """Write blocks of 16 kHz mono one behind the other; hours of silence take no memory and hardly any space."""
    with av.open(str(path), "w", format="flac") as muxer:
        stream = muxer.add_stream("flac", rate=SAMPLE_RATE, layout="mono", format="s16", options=LONG_FRAMES)
        written = 0
        for block in blocks:
            frame = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, written
            written += len(block)
            muxer.mux(stream.encode(frame))
        muxer.mux(stream.encode(None))


def hard_sounds(seconds: int) -> Iterator[NDArray[np.float64]]:
    """Kinds of audio in which nobody speaks, each of this length."""
    count = seconds * SAMPLE_RATE
    at = np.arange(count)
    rng = np.random.default_rng(0)
    yield rng.normal(0, 0.25, count)  # loud white noise
    yield rng.uniform(-1, 1, count)  # as loud as there is
    yield np.sin(at / SAMPLE_RATE * 440 * 2 * np.pi) / 2  # a tone
    yield np.sign(np.sin(at / SAMPLE_RATE * 200 * 2 * np.pi))  # an overdriven one
    yield np.full(count, 0.9)  # a microphone's offset
    yield np.full(count, np.nan)
    yield np.where(at % 2, np.inf, -np.inf)
    yield np.where(at % 2, 3e38, -3e38)  # nearly the largest that there is
    yield np.full(count, 1e-40)  # too small to be normal


async def transcribed(file: Path, environment: Mapping[str, str]) -> Output:
    """What `auscult transcribe --json` prints."""
    settings = load_settings(environment=environment)
    task = Task(file=file, template=None, language="en", as_json=True)
    printed = StringIO()
    await run(settings, task, Console(file=printed, soft_wrap=True), Console(file=StringIO()))
    return msgspec.json.decode(printed.getvalue(), type=Output)


@pytest.mark.parametrize("environment", RECOGNISERS.values(), ids=RECOGNISERS)
async def test_sounds_that_are_no_speech_hold_no_words_and_hide_none_behind_them(
    environment: Mapping[str, str], passage: Pcm, tmp_path: Path
) -> None:
    sounds = [*hard_sounds(5)]
    file = tmp_path / "hard.wav"
    file.write_bytes(floats(np.concatenate([*sounds, passage])))
    items = (await transcribed(file, environment)).items
    begin_ms = sum(map(len, sounds)) * 1000 // SAMPLE_RATE
    assert items
    assert items[0].start_ms >= begin_ms
    assert "help" in items[0].text
    assert min(abs(item.start_ms - (begin_ms + SECOND_SENTENCE_MS)) for item in items) < 500


def test_a_four_hour_file_keeps_its_times_and_takes_no_more_memory(passage: Pcm, tmp_path: Path) -> None:
    hours, starts_s = 4, (0, 2 * 3600, 4 * 3600 - 60)
    spoken = np.concatenate([(passage * 32767).astype(np.int16), SILENT_MINUTE[: 48 * SAMPLE_RATE]])
    file = tmp_path / "long.flac"
    write_flac(file, (spoken if minute * 60 in starts_s else SILENT_MINUTE for minute in range(hours * 60)))

    quick = {"AUSCULT_VOICE_ACTIVITY_KIND": "webrtc"}  # half the time, and it forgets what was before
    said, peak_bytes = measured(["transcribe", str(file), "--json"], {**WHISPER, **quick})
    items = msgspec.json.decode(said, type=Output).items
    passages = [[item for item in items if 0 <= item.start_ms / 1000 - start_s < 12] for start_s in starts_s]
    told = [
        [(item.text.lower().rstrip(".?"), item.start_ms - start_s * 1000) for item in heard]
        for start_s, heard in zip(starts_s, passages, strict=True)
    ]
    assert told[0]
    assert told == [told[0]] * 3
    assert sum(map(len, passages)) == len(items)
    assert peak_bytes < hours * 3600 * SAMPLE_RATE * 4  # less than its samples would take


MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(done.returncode)
"""  # a small process in between: Linux counts what a process took before `exec`, which would be all that pytest takes


def measured(arguments: list[str], environment: Mapping[str, str]) -> tuple[bytes, int]:
    """What `auscult` with these arguments prints, and its peak memory in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, sys.executable, "-m", "server.cli", *arguments],
        capture_output=True,
        env={**os.environ, **environment},
        timeout=PATIENCE_S,
        check=True,
    )
    return done.stdout, int(done.stderr) * 1024


def test_ten_minutes_of_silence_are_done_without_a_word(
    sphinx_api: httpx.Client, headache: Recording, tmp_path: Path
) -> None:
    file = tmp_path / "silence.flac"
    write_flac(file, (SILENT_MINUTE for _ in range(10)))
    done = wait(sphinx_api, send(sphinx_api, cut(file.read_bytes(), 100_000), file_format="flac"))[-1]
    assert done["status"] == "DONE"
    assert done["result"]["bubbles"] == []
    assert done["additional_info"]["note"]
    assert_goes_on(sphinx_api, headache)


def test_white_noise_is_done_without_a_word(api: httpx.Client, headache: Recording, test_data: Path) -> None:
    noise = (test_data / "audio" / "formats" / "noise_30s.wav").read_bytes()
    done = wait(api, send(api, cut(noise, 100_000), file_format="wav"))[-1]
    assert done["status"] == "DONE"
    assert done["result"]["bubbles"] == []
    assert_goes_on(api, headache)


def test_a_file_without_a_single_number_is_done_without_a_word(api: httpx.Client, headache: Recording) -> None:
    samples = np.tile([np.inf, -np.inf, np.nan], 5 * SAMPLE_RATE)
    done = wait(api, post(api, chunk(floats(samples), final=True, file_format="wav")).json()["task_id"])[-1]
    assert done["status"] == "DONE"
    assert done["result"]["bubbles"] == []
    assert_goes_on(api, headache)


def assert_goes_on(api: httpx.Client, recording: Recording) -> None:
    """The same server still hears who speaks."""
    task_id = post(api, chunk(wav(recording, 5), final=True, file_format="wav")).json()["task_id"]
    assert wait(api, task_id)[-1]["result"]["bubbles"]
