"""The GE2E encoder as an ONNX graph: power spectra of windows in, one vector for each out.

On one core onnxruntime takes two thirds of what numpy takes for one window, and half for several; torch's own exporter
and the `onnx` package would be a large price for the few messages of a protocol buffer that are written here.
Source of their field numbers: onnx/onnx.proto of ONNX 1.12 (operator set 17, IR version 8).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.ge2e_weights import BANDS, DIMENSIONS, HIDDEN, LAYERS

INPUT = "spectra"  # (batch, frames, bins)
OUTPUT = "voices"  # (batch, DIMENSIONS), none of them negative

_IR_VERSION = 8
_OPERATORS = 17
_FLOAT, _INT64 = 1, 7  # TensorProto.DataType
_INT, _INTS = 2, 7  # AttributeProto.AttributeType


def encoder(weights: Mapping[str, NDArray[np.float32]], bands: NDArray[np.float32]) -> bytes:
    """A model to load. Shapes: bands `(bins, BANDS)`, from a power spectrum to the mel bands that the encoder hears."""
    tensors = [
        _tensor("bands", bands),
        _tensor("one direction", np.array([1], np.int64)),
        _tensor("one layer", np.array([0], np.int64)),
        _tensor("linear weight", weights["linear.weight"]),
        _tensor("linear bias", weights["linear.bias"]),
    ]
    nodes = [
        _node("MatMul", (INPUT, "bands"), ("mel",)),
        _node("Transpose", ("mel",), ("heard 0",), _ints("perm", (1, 0, 2))),  # an LSTM wants time first
    ]
    for layer in range(LAYERS):
        names = (f"input weights {layer}", f"hidden weights {layer}", f"biases {layer}")
        biases = [_gates(weights[f"lstm.bias_{side}_l{layer}"]) for side in ("ih", "hh")]
        tensors += [
            _tensor(names[0], _gates(weights[f"lstm.weight_ih_l{layer}"])[None]),
            _tensor(names[1], _gates(weights[f"lstm.weight_hh_l{layer}"])[None]),
            _tensor(names[2], np.concatenate(biases)[None]),
        ]
        outputs = (f"sequence {layer}", f"last {layer}")
        nodes += [
            _node("LSTM", (f"heard {layer}", *names), outputs, _int("hidden_size", HIDDEN)),
            _node("Squeeze", (outputs[0], "one direction"), (f"heard {layer + 1}",)),
        ]
    nodes[-1] = _node(
        "Squeeze", (f"last {LAYERS - 1}", "one layer"), ("last",)
    )  # of the last layer only the end counts
    nodes += [
        _node("Gemm", ("last", "linear weight", "linear bias"), ("sums",), _int("transB", 1)),
        _node("Relu", ("sums",), (OUTPUT,)),
    ]
    graph = b"".join(
        (
            *(_message(1, node) for node in nodes),
            _text(2, "ge2e"),
            *(_message(5, tensor) for tensor in tensors),
            _message(11, _value(INPUT, ("batch", "frames", len(bands)))),
            _message(12, _value(OUTPUT, ("batch", DIMENSIONS))),
        )
    )
    assert bands.shape[1] == BANDS
    operators = _text(1, "") + _number(2, _OPERATORS)
    return _number(1, _IR_VERSION) + _message(7, graph) + _message(8, operators)


def _gates(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """From torch's order of an LSTM's gates (input, forget, cell, output) to that of ONNX."""
    taken, kept, cell, told = np.split(weights, 4)
    return np.concatenate((taken, told, kept, cell))


# Messages of onnx.proto: what a field holds follows its number and its kind.


def _node(operator: str, inputs: Sequence[str], outputs: Sequence[str], *attributes: bytes) -> bytes:
    names = b"".join((*(_text(1, name) for name in inputs), *(_text(2, name) for name in outputs)))
    return names + _text(4, operator) + b"".join(_message(5, attribute) for attribute in attributes)


def _int(name: str, value: int) -> bytes:
    return _text(1, name) + _number(3, value) + _number(20, _INT)


def _ints(name: str, values: Sequence[int]) -> bytes:
    return _text(1, name) + b"".join(_number(8, value) for value in values) + _number(20, _INTS)


def _tensor(name: str, numbers: NDArray[np.float32] | NDArray[np.int64]) -> bytes:
    kind = _FLOAT if numbers.dtype == np.float32 else _INT64
    shape = b"".join(_number(1, size) for size in numbers.shape)
    octets = numbers.astype(numbers.dtype.newbyteorder("<")).tobytes()
    return shape + _number(2, kind) + _text(8, name) + _message(9, octets)


def _value(name: str, shape: Sequence[str | int]) -> bytes:
    sizes = (_number(1, size) if isinstance(size, int) else _text(2, size) for size in shape)
    tensor = _number(1, _FLOAT) + _message(2, b"".join(_message(1, size) for size in sizes))
    return _text(1, name) + _message(2, _message(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _message(field: int, octets: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(octets)) + octets


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last have the highest bit set."""
    octets = bytearray()
    while value > 127:
        octets.append(value & 127 | 128)
        value >>= 7
    octets.append(value)
    return bytes(octets)
