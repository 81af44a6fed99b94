"""pyannote with random weights: everything is computed as with real ones, and nothing it says means anything."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import anyio
import numpy as np
import pytest

from pipeline.engines.pyannote import PyannoteDiarizer, PyannoteEmbedder, cut, pyannote_embedder
from pipeline.engines.pyannote_model import check_installed
from pipeline.errors import VoicesUnavailable
from pipeline.types import SAMPLE_RATE, Pcm, SpokenSpan
from tests.conftest import ROOT
from tests.pyannote_pipeline import write_pipeline

try:
    check_installed()
except VoicesUnavailable as exc:
    MISSING = str(exc)
else:
    MISSING = ""

needs_pyannote = pytest.mark.skipif(bool(MISSING), reason=MISSING)

QUIET = """
import sys

def guard(event, arguments):
    outside = event in ("socket.connect", "socket.sendto") and not isinstance(arguments[1], (str, bytes))
    if outside or event in ("socket.getaddrinfo", "socket.gethostbyname"):
        called.append(event)
        raise OSError("nobody is called")

called = []
sys.addaudithook(guard)

import anyio
import numpy as np
from pipeline.engines.pyannote import PyannoteDiarizer, PyannoteEmbedder

async def main(folder):
    embedder, diarizer = PyannoteEmbedder(folder), PyannoteDiarizer(folder)
    await embedder.start()
    await diarizer.start()
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000 * 3).astype(np.float32)
    await embedder.embed([noise])
    await diarizer.diarize(noise, expected_speakers=None)

anyio.run(main, sys.argv[1])
from pyannote.audio.telemetry import metrics
assert not metrics.is_metrics_enabled()
metrics.provider.force_flush()
assert called == [], called
print("quiet")
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pipeline(tmp_path_factory.mktemp("pyannote"))


def noise(seconds: float, seed: int = 0) -> Pcm:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)


@pytest.mark.skipif(not MISSING, reason="pyannote is installed")
def test_without_the_package_it_says_how_to_get_it() -> None:
    with pytest.raises(VoicesUnavailable, match=r"pip install torch==2\.13\.0 && pip install"):
        pyannote_embedder("anything")


def test_it_is_asked_only_after_it_was_started() -> None:
    async def ask() -> None:
        await PyannoteEmbedder("x").embed([noise(1)])

    with pytest.raises(VoicesUnavailable):
        anyio.run(ask)


def test_turns_are_cut_where_somebody_else_is_heard() -> None:
    assert cut([(0, 100, "a"), (100, 200, "b")], [(80, 120), (150, 160)]) == (
        SpokenSpan(start=0, end=80, speaker="a"),
        SpokenSpan(start=80, end=100, speaker="a", overlap=True),
        SpokenSpan(start=100, end=120, speaker="b", overlap=True),
        SpokenSpan(start=120, end=150, speaker="b"),
        SpokenSpan(start=150, end=160, speaker="b", overlap=True),
        SpokenSpan(start=160, end=200, speaker="b"),
    )


@needs_pyannote
@pytest.mark.slow
async def test_voices_are_vectors_of_unit_length_whatever_they_come_with(folder: Path) -> None:
    embedder = pyannote_embedder(str(folder))
    await embedder.start()
    windows = [noise(1.6, 1), noise(0.2, 2), noise(1.6, 3), np.zeros(SAMPLE_RATE, np.float32)]
    vectors = await embedder.embed(windows)
    assert vectors.shape == (4, embedder.dimensions)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    (alone,) = await embedder.embed(windows[2:3])
    assert np.allclose(alone, vectors[2], atol=1e-4)
    assert not np.allclose(vectors[0], vectors[2], atol=1e-4)
    await embedder.aclose()


@needs_pyannote
@pytest.mark.slow
async def test_a_recording_becomes_spans_in_order_that_do_not_overlap(folder: Path) -> None:
    diarizer = PyannoteDiarizer(str(folder))
    await diarizer.start()
    for expected in (None, 2):
        spans = await diarizer.diarize(noise(15), expected_speakers=expected)
        assert all(span.start < span.end <= 16 * SAMPLE_RATE for span in spans)
        assert all(one.end <= other.start for one, other in pairwise(spans))
    assert await diarizer.diarize(noise(0.1), expected_speakers=None) == ()
    await diarizer.aclose()


@needs_pyannote
@pytest.mark.slow
async def test_what_nobody_waits_for_any_more_ends(folder: Path) -> None:
    diarizer = PyannoteDiarizer(str(folder))
    await diarizer.start()
    with anyio.move_on_after(0.5) as waiting:
        await diarizer.diarize(noise(600), expected_speakers=None)
    assert waiting.cancelled_caught
    assert await diarizer.diarize(noise(0.1), expected_speakers=None) == ()  # behind the one that was given up


@pytest.fixture
def damaged(folder: Path, tmp_path: Path) -> Path:
    copy = Path(shutil.copytree(folder, tmp_path / "damaged"))
    for weights in copy.rglob("*.bin"):
        weights.write_bytes(b"junk")
    return copy


@needs_pyannote
@pytest.mark.slow
async def test_weights_that_cannot_be_read_say_so(damaged: Path) -> None:
    with pytest.raises(VoicesUnavailable, match="cannot be loaded"):
        await PyannoteEmbedder(str(damaged)).start()


@needs_pyannote
@pytest.mark.slow
def test_nobody_is_called(folder: Path) -> None:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYANNOTE", "HF_", "OTEL"))}
    command = [sys.executable, "-c", QUIET, str(folder)]
    done = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("quiet")


def test_the_server_s_own_installation_has_no_torch() -> None:
    if not MISSING:
        pytest.skip("pyannote is installed")
    assert find_spec("torch") is None
