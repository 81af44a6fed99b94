"""The encoder with weights at random, against what an LSTM is by the book; then with those of the wheel, on voices."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.recordings import Recording
from pipeline.engines.ge2e import BATCH, LEVEL, SHORTEST, Ge2eEmbedder
from pipeline.engines.ge2e_mel import STEP, mel_bands, power_spectra
from pipeline.engines.ge2e_weights import HIDDEN, LAYERS, weights_path
from pipeline.errors import VoicesUnavailable
from pipeline.types import SAMPLE_RATE, Pcm, Role, to_samples
from tests.pipeline.engines.ge2e_file import random_weights, write

WINDOW = to_samples(1600)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("weights") / "untrained.pt", random_weights())


def noise(samples: int, seed: int = 0) -> Pcm:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


async def embedded(weights: Path | None, *windows: Pcm) -> NDArray[np.float32]:
    embedder = Ge2eEmbedder(weights)
    await embedder.start()
    try:
        return await embedder.embed(windows)
    finally:
        await embedder.aclose()


def by_the_book(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The vector of one window, with torch's LSTM and Resemblyzer's end of it. Shapes: mel `(frames, BANDS)`."""
    weights = {name: tensor.astype(np.float64) for name, tensor in random_weights().items()}
    heard = mel
    for layer in range(LAYERS):
        into, back = (weights[f"lstm.weight_{side}_l{layer}"] for side in ("ih", "hh"))
        bias = weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"]
        told, cell, sequence = np.zeros(HIDDEN), np.zeros(HIDDEN), []
        for frame in heard:
            take, keep, new, tell = np.split(into @ frame + back @ told + bias, 4)
            cell = sigmoid(keep) * cell + sigmoid(take) * np.tanh(new)
            told = sigmoid(tell) * np.tanh(cell)
            sequence.append(told)
        heard = np.array(sequence)
    positive = np.maximum(weights["linear.weight"] @ heard[-1] + weights["linear.bias"], 0)
    unit: NDArray[np.float64] = positive / np.linalg.norm(positive)
    return unit


def sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(values, -500, 500)))


async def test_it_computes_what_the_equations_say(untrained: Path) -> None:
    for samples in (WINDOW, WINDOW // 2):
        window = noise(samples)
        (vector,) = await embedded(untrained, window)
        level = np.sqrt(np.mean(window**2))
        mel = power_spectra(window[None] * LEVEL / level)[0].astype(np.float64) @ mel_bands()
        assert vector == pytest.approx(by_the_book(mel), abs=2e-5)


def test_a_tone_is_heard_in_the_band_of_its_pitch() -> None:
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    for hz in (300, 1000, 3000):
        tone = np.sin(2 * np.pi * hz * times).astype(np.float32)
        (mel,) = power_spectra(tone[None]) @ mel_bands()
        assert mel.shape == (SAMPLE_RATE // STEP, 40)
        loudest = int(mel[50].argmax())
        centre = np.average(np.arange(201) * 40.0, weights=mel_bands()[:, loudest])
        assert centre == pytest.approx(hz, rel=0.06)


async def test_a_window_sounds_the_same_whichever_others_it_comes_with(untrained: Path) -> None:
    lengths = [WINDOW, WINDOW // 2, WINDOW, 9_001, WINDOW // 2, SHORTEST - 1, WINDOW, 2 * WINDOW] * 3
    windows = [noise(length, seed) for seed, length in enumerate(lengths)]
    together = await embedded(untrained, *windows)
    alone = np.concatenate([await embedded(untrained, window) for window in windows[:8]])
    assert together.shape == (len(windows), 256)
    assert together[:8] == pytest.approx(alone, abs=1e-5)


async def test_how_loud_somebody_speaks_does_not_matter(untrained: Path) -> None:
    window = noise(WINDOW)
    near, far, shouting = await embedded(untrained, window, window / np.float32(30), window * np.float32(2))
    assert far == pytest.approx(near, abs=1e-5)
    assert shouting @ near > 0.999  # a few samples are cut off


async def test_more_windows_than_go_in_one_call_keep_their_order(untrained: Path) -> None:
    windows = [noise(SHORTEST, seed) for seed in range(2 * BATCH + 1)]
    forth = await embedded(untrained, *windows)
    back = await embedded(untrained, *reversed(windows))
    assert forth == pytest.approx(back[::-1], abs=1e-5)
    assert len(np.unique(forth.round(4), axis=0)) == len(windows)


@pytest.mark.parametrize(
    "window", [np.zeros(WINDOW), np.zeros(0), np.ones(1), np.full(9_000, np.nan), np.full(9_000, 1e30)]
)
async def test_what_is_no_voice_has_a_vector_of_unit_length_too(untrained: Path, window: Pcm) -> None:
    vectors = await embedded(untrained, window.astype(np.float32), noise(WINDOW))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)


async def test_where_nothing_is_positive_it_points_nowhere(tmp_path: Path) -> None:
    weights = random_weights()
    weights["linear.weight"][:], weights["linear.bias"][:] = 0, -1
    (vector,) = await embedded(write(tmp_path / "mute.pt", weights), noise(WINDOW))
    assert vector == pytest.approx(np.full(256, 1 / 16))


async def test_no_windows_have_no_vectors(untrained: Path) -> None:
    assert (await embedded(untrained)).shape == (0, 256)


async def test_it_can_be_started_again(untrained: Path) -> None:
    embedder = Ge2eEmbedder(untrained)
    with pytest.raises(VoicesUnavailable):
        await embedder.embed([noise(WINDOW)])
    for _ in range(2):
        await embedder.start()
        await embedder.start()
        assert (await embedder.embed([noise(WINDOW)])).shape == (1, 256)
        await embedder.aclose()


async def test_nothing_is_read_before_it_is_started(tmp_path: Path) -> None:
    embedder = Ge2eEmbedder(tmp_path / "none.pt")
    with pytest.raises(VoicesUnavailable, match="pip install --no-deps Resemblyzer"):
        await embedder.start()
    write(tmp_path / "none.pt", random_weights())
    await embedder.start()
    assert (await embedder.embed([noise(WINDOW)])).shape == (1, 256)


async def test_voices_are_told_apart(recording: Recording) -> None:
    try:
        weights_path()
    except VoicesUnavailable as exc:
        pytest.skip(str(exc))
    doctor, patient = recording.channels()
    channels = {Role.DOCTOR: doctor, Role.PATIENT: patient}
    heard = [
        (item.speaker, channels[item.speaker][start : start + WINDOW])
        for item in recording.items
        for start in range(to_samples(item.start_ms), to_samples(item.end_ms) - WINDOW, WINDOW)
    ]
    vectors = await embedded(None, *(window for _, window in heard))
    same: list[float] = []
    different: list[float] = []
    for (one, a), (other, b) in combinations(zip([speaker for speaker, _ in heard], vectors, strict=True), 2):
        (same if one is other else different).append(float(a @ b))
    assert np.mean(same) == pytest.approx(Ge2eEmbedder.same, abs=0.1)
    assert np.mean(different) == pytest.approx(Ge2eEmbedder.different, abs=0.15)
    assert np.quantile(same, 0.02) > np.quantile(different, 0.98)
