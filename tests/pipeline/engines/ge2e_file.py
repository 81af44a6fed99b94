"""Weights at random in a file as torch wrote it before 1.6: the encoder is tested without those of the wheel."""

import pickle
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.ge2e_weights import MAGIC, SHAPES, VERSION


def random_weights(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """As an untrained encoder has them: what it says differs from window to window."""
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(-0.2, 0.2, shape).astype(np.float32) for name, shape in SHAPES.items()}


def write(
    path: Path, weights: Mapping[str, NDArray[np.float32]], *, model_state: bytes = b"", kind: str = "FloatStorage"
) -> Path:
    """A whole file. `model_state`: opcodes of a pickle, in place of those that make the tensors."""
    keys = {name: str(number) for number, name in enumerate(weights)}
    pairs = b"".join(_plain(name) + _tensor(keys[name], kind, tensor.shape) for name, tensor in weights.items())
    tensors = model_state or b"}(" + pairs + b"u"
    ignored = _tensor("trained with", "LongStorage", (3,))
    saved = b"\x80\x02}(" + _plain("optimizer_state") + ignored + _plain("model_state") + tensors + b"u."
    with path.open("wb") as file:
        for header in (MAGIC, VERSION, {"little_endian": True}):
            pickle.dump(header, file, protocol=2)
        file.write(saved)
        pickle.dump(["trained with", *keys.values()], file, protocol=2)
        file.write(struct.pack("<q3q", 3, 1, 2, 3))
        for tensor in weights.values():
            file.write(struct.pack("<q", tensor.size) + tensor.astype("<f4").tobytes())
    return path


def _tensor(key: str, kind: str, shape: tuple[int, ...]) -> bytes:
    """torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, …)"""
    strides = tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))
    storage = b"(" + _plain("storage") + f"ctorch\n{kind}\n".encode() + _plain(key) + _plain("cpu")
    storage += _plain(prod(shape)) + b"NtQ"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + _plain(0) + _plain(shape) + _plain(strides) + b"tR"


def _plain(value: object) -> bytes:
    """Opcodes that leave a plain value on the stack."""
    return pickle.dumps(value, 2)[2:-1]
