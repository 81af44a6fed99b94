"""How well voices are told apart, measured on voices that are easy to tell apart."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from bench.voices import BATCHES, LENGTHS_MS, VoicesOptions, run, show
from bench.voices_numpy import NumpyEncoder
from pipeline.engines.ge2e import Ge2eEmbedder
from pipeline.engines.ge2e_mel import mel_bands, power_spectra
from pipeline.engines.ge2e_weights import read_weights, weights_path
from pipeline.errors import VoicesUnavailable
from pipeline.types import SAMPLE_RATE, Pcm, to_samples
from tests.audio import wav


@pytest.fixture
def weights() -> Path:
    try:
        return weights_path()
    except VoicesUnavailable as exc:
        pytest.skip(str(exc))


def buzz(hz: float, seconds: float) -> Pcm:
    """A voice of one pitch, with its harmonics, and a little noise."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * hz * harmonic * times) / harmonic for harmonic in range(1, 12))
    return (0.1 * tone + np.random.default_rng(0).normal(0, 0.003, len(times))).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two voices, ten turns of 3 s each; in the first half second of every turn the other is there, too."""
    lines = [f"SPEAKER talk 1 {3 * turn:.3f} 3.500 <NA> <NA> {'ab'[turn % 2]} <NA> <NA>" for turn in range(10)]
    (tmp_path / "talk.rttm").write_text("\n".join(lines))
    said = np.concatenate([buzz((110, 240)[turn % 2], 3) for turn in range(10)])
    (tmp_path / "talk.wav").write_bytes(wav(said, SAMPLE_RATE))
    return tmp_path


async def test_voices_that_differ_are_told_apart(weights: Path, folder: Path) -> None:
    options = VoicesOptions(sources=[folder], rounds=1, levels=True)
    report = await run(options, Console(file=io.StringIO()))
    assert {(cost.variant, cost.batch) for cost in report.costs} == {
        (variant, batch) for variant in ("ge2e", "numpy") for batch in BATCHES
    }
    assert all(0 < cost.best_ms <= cost.median_ms for cost in report.costs)
    assert [each.length_ms for each in report.apart] == [*LENGTHS_MS]
    for each in report.apart:
        assert each.same is not None
        assert each.different is not None
        assert each.different < each.same
        assert each.errors == 0
    shown = Console(file=io.StringIO(), width=120)
    show(report, shown)
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert folder.stem in text


async def test_audio_that_is_not_there_is_named(weights: Path, folder: Path) -> None:
    (folder / "talk.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"talk\.rttm"):
        await run(VoicesOptions(sources=[folder], rounds=1), Console(file=io.StringIO()))


async def test_both_ways_to_compute_a_voice_agree(weights: Path) -> None:
    window = buzz(200, 1.6)
    embedder = Ge2eEmbedder(weights)
    await embedder.start()
    (vector,) = await embedder.embed([window])
    level = np.float32(10 ** (-26 / 20)) / np.sqrt(np.mean(window**2))
    mel: NDArray[np.float32] = power_spectra(window[None] * level) @ mel_bands()
    (other,) = NumpyEncoder(read_weights(weights))(mel)
    assert len(window) == to_samples(1600)
    assert vector == pytest.approx(other, abs=1e-4)
