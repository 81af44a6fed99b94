from pathlib import Path

import numpy as np
import pytest

from pipeline.engines.ge2e_weights import SHAPES, read_weights, weights_path
from pipeline.errors import VoicesUnavailable
from tests.pipeline.engines.ge2e_file import random_weights, write

MEND = "pip install --no-deps Resemblyzer==0.1.4"


def test_weights_are_read_as_they_were_written(tmp_path: Path) -> None:
    weights = random_weights()
    read = read_weights(write(tmp_path / "some.pt", weights))
    assert read.keys() == SHAPES.keys()
    assert all(np.array_equal(read[name], weights[name]) for name in SHAPES)


@pytest.mark.parametrize(
    "evil",
    [
        b"cposix\nsystem\n(S'touch ran'\ntR",
        b'cbuiltins\neval\n(S\'open("ran", "w")\'\ntR',
        b"ctorch\nload\n(S'ran'\ntR",
        b"cos\npath.join\n(S'ran'\ntR",
    ],
)
def test_a_file_that_would_run_something_is_refused(
    evil: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path / "evil.pt", random_weights(), model_state=evil)
    with pytest.raises(VoicesUnavailable, match="is damaged"):
        read_weights(file)
    assert [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("length", [0, 1, 20, 2_000, 5_000_000])
def test_a_file_that_was_cut_short_says_how_to_get_a_whole_one(length: int, tmp_path: Path) -> None:
    file = write(tmp_path / "cut.pt", random_weights())
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(VoicesUnavailable, match=MEND):
        read_weights(file)


def test_weights_of_another_encoder_are_refused(tmp_path: Path) -> None:
    small = {name: tensor[:4] for name, tensor in random_weights().items()}
    with pytest.raises(VoicesUnavailable):
        read_weights(write(tmp_path / "small.pt", small))
    missing = {name: tensor for name, tensor in random_weights().items() if name != "linear.bias"}
    with pytest.raises(VoicesUnavailable):
        read_weights(write(tmp_path / "missing.pt", missing))
    with pytest.raises(VoicesUnavailable):
        read_weights(write(tmp_path / "whole.pt", random_weights(), kind="IntStorage"))


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    weights = random_weights()
    weights["lstm.weight_hh_l1"][7, 7] = np.nan
    with pytest.raises(VoicesUnavailable):
        read_weights(write(tmp_path / "nan.pt", weights))


def test_where_there_is_no_file_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(VoicesUnavailable, match=MEND):
        read_weights(tmp_path / "none.pt")
    with pytest.raises(VoicesUnavailable, match=MEND):
        weights_path("msgspec")  # a package, but without the file
    with pytest.raises(VoicesUnavailable, match=MEND):
        weights_path("no_such_package")
