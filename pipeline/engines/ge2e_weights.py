"""The GE2E weights that the Resemblyzer wheel carries, read without torch, and without running what a pickle can say.

The file is what `torch.save` wrote before torch 1.6: five pickles (a magic number, a version, about the machine, the
objects, the names of the storages), then each storage as a count and its bare numbers. Only tensors, dicts and plain
values may be in it; whatever else a pickle asks for is refused.
"""

import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import VoicesUnavailable

FILE = "pretrained.pt"  # inside the resemblyzer package, as of 0.1.4
INSTALL = "pip install --no-deps Resemblyzer==0.1.4"  # its dependencies, torch among them, are not needed
LAYERS = 3
HIDDEN = 256
BANDS = 40
DIMENSIONS = 256

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
WIDTHS: Mapping[str, int] = {"FloatStorage": 4, "DoubleStorage": 8, "LongStorage": 8, "IntStorage": 4}  # bytes
FLOAT = np.dtype("<f4")

SHAPES: Mapping[str, tuple[int, ...]] = {
    **{f"lstm.weight_ih_l{layer}": (4 * HIDDEN, HIDDEN if layer else BANDS) for layer in range(LAYERS)},
    **{f"lstm.weight_hh_l{layer}": (4 * HIDDEN, HIDDEN) for layer in range(LAYERS)},
    **{f"lstm.bias_{side}_l{layer}": (4 * HIDDEN,) for layer in range(LAYERS) for side in ("ih", "hh")},
    "linear.weight": (DIMENSIONS, HIDDEN),
    "linear.bias": (DIMENSIONS,),
}


def weights_path(package: str = "resemblyzer") -> Path:
    """The file inside the installed wheel, found without importing that package.

    Raises: `VoicesUnavailable` where there is none.
    """
    spec = find_spec(package)  # importing it would ask for torch and librosa
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / FILE
        if path.is_file():
            return path
    raise VoicesUnavailable(f"Telling voices apart needs the weights that the Resemblyzer wheel carries: {INSTALL}")


def read_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """The encoder's tensors, by their names and shapes in `SHAPES`; what it was trained with stays in the file.

    Raises: `VoicesUnavailable` for a file that is not there, is damaged, or asks for anything but tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except FileNotFoundError as exc:
        raise VoicesUnavailable(f"{path} is not there; to get it: {INSTALL}") from exc
    except Exception as exc:  # a damaged pickle raises whatever its bytes happen to lead to
        raise VoicesUnavailable(
            f"{path} is damaged, or no GE2E encoder; to get a whole one: {INSTALL} --force-reinstall"
        ) from exc


@dataclass(frozen=True, slots=True)
class _Storage:
    """Numbers that come later in the file."""

    key: str
    kind: str  # "FloatStorage"
    count: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A view of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: _Storage, offset: int, shape: Sequence[int], strides: Sequence[int], *_: object) -> _Tensor:
    """Stands for torch's function of the same arguments; the rest is about gradients."""
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    """Builds nothing but plain values, dicts and what stands for tensors."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) in (("torch._utils", "_rebuild_tensor"), ("torch._utils", "_rebuild_tensor_v2")):
            return _tensor
        if module == "torch" and name in WIDTHS:
            return name
        raise pickle.UnpicklingError("asks for more than tensors")

    def persistent_load(self, pid: object) -> _Storage:
        match pid:
            case ("storage", str(kind), str(key), _, int(count), None):
                return _Storage(key, kind, count)
        raise pickle.UnpicklingError("unknown kind of storage")


def _read(file: BinaryIO) -> dict[str, NDArray[np.float32]]:
    magic, version, _, saved, keys = (_Unpickler(file).load() for _ in range(5))
    if (magic, version) != (MAGIC, VERSION):
        raise pickle.UnpicklingError("not written by torch.save")
    tensors = {name: _checked(saved["model_state"][name], shape) for name, shape in SHAPES.items()}
    storages = _read_storages(file, keys, {tensor.storage.key: tensor.storage for tensor in tensors.values()}, saved)
    return {name: _viewed(tensor, storages[tensor.storage.key]) for name, tensor in tensors.items()}


def _checked(tensor: object, shape: tuple[int, ...]) -> _Tensor:
    """A tensor of float32 that has this shape, and its numbers one behind the other."""
    strides = tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))
    match tensor:
        case _Tensor(storage=_Storage(kind="FloatStorage")) if (tensor.shape, tensor.strides) == (shape, strides):
            return tensor
    raise ValueError("a tensor of another shape or kind")


def _read_storages(
    file: BinaryIO, keys: Sequence[str], wanted: Mapping[str, _Storage], saved: object
) -> dict[str, NDArray[np.float32]]:
    """The numbers of the wanted storages. The others, two thirds of the file, are passed over."""
    widths = {storage.key: WIDTHS[storage.kind] for storage in _storages(saved)}
    found: dict[str, NDArray[np.float32]] = {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        if key not in wanted:
            file.seek(count * widths[key], 1)
            continue
        if count != wanted[key].count:
            raise ValueError("a storage of another size")
        octets = file.read(count * FLOAT.itemsize)
        found[key] = np.frombuffer(octets, FLOAT, count)
        if not np.isfinite(found[key]).all():
            raise ValueError("weights that are no numbers")
    return found


def _storages(saved: object) -> list[_Storage]:
    """Every storage that something in there views."""
    if isinstance(saved, _Tensor):
        return [saved.storage]
    if isinstance(saved, dict):
        saved = list(saved.values())
    if isinstance(saved, list | tuple):
        return [storage for inner in saved for storage in _storages(inner)]
    return []


def _viewed(tensor: _Tensor, storage: NDArray[np.float32]) -> NDArray[np.float32]:
    numbers = storage[tensor.offset : tensor.offset + prod(tensor.shape)].reshape(tensor.shape)
    return numbers.astype(np.float32, copy=False)
