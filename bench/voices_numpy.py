"""The GE2E encoder in numpy, as fast as that can be made: what the one on onnxruntime is compared with."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.ge2e_weights import HIDDEN, LAYERS


class NumpyEncoder:
    """The gates of a layer are one product; sigmoids are hyperbolic tangents, so that one call makes all four gates."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        self._layers = [
            (
                _gates(weights[f"lstm.weight_ih_l{layer}"]),
                _gates(weights[f"lstm.weight_hh_l{layer}"]),
                _gates(weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"]),
            )
            for layer in range(LAYERS)
        ]
        self._linear = np.ascontiguousarray(weights["linear.weight"].T), weights["linear.bias"]

    def __call__(self, mel: NDArray[np.float32]) -> NDArray[np.float32]:
        """Shapes: mel `(n, frames, BANDS)`; returns `(n, DIMENSIONS)`, of unit length."""
        heard = np.ascontiguousarray(mel.transpose(1, 0, 2))
        frames, batch, _ = heard.shape
        gates, new = np.empty((batch, 4 * HIDDEN), np.float32), np.empty((batch, HIDDEN), np.float32)
        sigmoids = gates[:, : 3 * HIDDEN]
        take, keep, tell, candidate = (gates[:, at : at + HIDDEN] for at in range(0, 4 * HIDDEN, HIDDEN))
        for into, back, bias in self._layers:
            inputs = (heard.reshape(frames * batch, -1) @ into + bias).reshape(frames, batch, -1)
            told, cell = np.zeros((batch, HIDDEN), np.float32), np.zeros((batch, HIDDEN), np.float32)
            heard = np.empty((frames, batch, HIDDEN), np.float32)
            for frame in range(frames):
                np.dot(told, back, out=gates)
                gates += inputs[frame]
                np.tanh(gates, out=gates)
                sigmoids *= 0.5
                sigmoids += 0.5
                np.multiply(take, candidate, out=new)
                cell *= keep
                cell += new
                told = heard[frame]
                np.tanh(cell, out=told)
                told *= tell
        weight, bias = self._linear
        voices = np.maximum(heard[-1] @ weight + bias, 0)
        unit: NDArray[np.float32] = voices / np.linalg.norm(voices, axis=1, keepdims=True)
        return unit


def _gates(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The order is input, forget, output, cell; the first three are halved: sigmoid(x) = tanh(x / 2) / 2 + 1 / 2."""
    take, keep, candidate, tell = np.split(weights, 4)
    return np.ascontiguousarray(np.concatenate((take / 2, keep / 2, tell / 2, candidate)).T)
