"""Where a model computes, and what is said when it cannot be loaded."""

from pathlib import Path

import ctranslate2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.random_model import write_model
from pipeline.engines.whisper_model import ModelOptions, Placement, compute_type, find, load, place
from pipeline.errors import RecogniserUnavailable

BASE, SMALL = 75_000_000, 244_000_000  # bytes in int8

needs_no_gpu = pytest.mark.skipif(ctranslate2.get_cuda_device_count() > 0, reason="this machine has a GPU")


def on_cpu(cores: int, size: int, *, workers: int = 0, threads: int = 0) -> tuple[int, int]:
    """Workers and threads on a machine without a GPU."""
    placement = place(ModelOptions(model="", workers=workers, threads=threads), gpus=0, cores=cores, size=size)
    assert (placement.device, placement.indices) == ("cpu", (0,))
    return placement.workers, placement.threads


# Where it computes


@pytest.mark.parametrize(
    ("cores", "size", "workers", "threads"),
    [
        (1, BASE, 1, 1),
        (2, BASE, 2, 1),
        (16, BASE, 16, 1),
        (1, SMALL, 1, 1),
        (2, SMALL, 2, 1),  # two calls at a time come before two threads for each
        (4, SMALL, 2, 2),
        (16, SMALL, 4, 4),
    ],
)
def test_a_small_model_has_a_call_for_each_core_and_a_larger_one_threads_for_each_call(
    cores: int, size: int, workers: int, threads: int
) -> None:
    assert on_cpu(cores, size) == (workers, threads)


def test_what_is_set_is_not_decided() -> None:
    assert on_cpu(16, SMALL, workers=1, threads=16) == (1, 16)
    assert on_cpu(16, SMALL, workers=8) == (8, 2)
    assert on_cpu(16, SMALL, threads=8) == (2, 8)


@given(cores=st.integers(1, 128), size=st.integers(1, 10**10), workers=st.integers(0, 128))
def test_no_more_threads_than_cores_unless_it_is_set(cores: int, size: int, workers: int) -> None:
    chosen, threads = on_cpu(cores, size, workers=workers)
    assert chosen * threads <= max(cores, workers)


def test_every_gpu_has_a_model_with_calls_of_its_own() -> None:
    placement = place(ModelOptions(model=""), gpus=2, cores=16, size=SMALL)
    assert placement == Placement(device="cuda", indices=(0, 1), workers=2, threads=1)
    asked = place(ModelOptions(model="", workers=3), gpus=2, cores=16, size=SMALL)
    assert asked.workers == 2


def test_automatic_arithmetic_is_int8_on_a_cpu_and_float16_on_a_gpu_where_there_is_such() -> None:
    assert compute_type("auto", "cpu", {"int8", "float32"}) == "int8"
    assert compute_type("auto", "cuda", {"int8", "float16", "float32"}) == "float16"
    assert compute_type("auto", "cuda", {"float32"}) == "float32"
    assert compute_type("default", "cpu", {"float32"}) == "default"


# What can be wrong


def start(folder: Path | str, *, device: str = "cpu", arithmetic: str = "default", root: Path | None = None) -> None:
    options = ModelOptions(model=str(folder), device=device, compute_type=arithmetic, root=root)
    found, placement = find(options)
    load(found, options, placement, placement.indices[0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def test_a_whole_model_can_be_loaded(folder: Path) -> None:
    start(folder)


def test_a_model_that_was_not_fetched_is_never_downloaded(tmp_path: Path) -> None:
    with pytest.raises(RecogniserUnavailable, match=r"is not on this machine: auscult models fetch small\.en"):
        start("small.en", root=tmp_path)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecogniserUnavailable, match=r"nowhere is no faster-whisper model.*auscult models fetch"):
        start(tmp_path / "nowhere")


@pytest.mark.parametrize("missing", ["tokenizer.json", "model.bin", "config.json"])
def test_a_missing_file_is_named(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(RecogniserUnavailable, match=f"{missing} is missing.*auscult models fetch"):
        start(folder)


@pytest.mark.parametrize("kept", [0, 0.5, 0.999])
def test_a_truncated_model_is_one_clear_error(folder: Path, kept: float) -> None:
    content = (folder / "model.bin").read_bytes()
    (folder / "model.bin").write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(
        RecogniserUnavailable, match=r"model cannot be used|cannot be used: .*model\.bin|cannot be used"
    ):
        start(folder)


@pytest.mark.parametrize("damaged", ["tokenizer.json", "vocabulary.json", "config.json"])
def test_a_damaged_file_is_one_clear_error(folder: Path, damaged: str) -> None:
    content = (folder / damaged).read_bytes()
    (folder / damaged).write_bytes(content[: len(content) // 2])
    with pytest.raises(RecogniserUnavailable, match=r"cannot be used.*auscult models fetch"):
        start(folder)


def test_a_model_that_cannot_align_words_is_refused_at_the_start(folder: Path) -> None:
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace("alignment_heads", "other_heads"))
    with pytest.raises(RecogniserUnavailable, match="alignment_heads"):
        start(folder)


def test_a_fetched_model_that_is_damaged_is_to_be_fetched_again(tmp_path: Path) -> None:
    (write_model(tmp_path / "tiny.en") / "model.bin").write_bytes(b"")
    with pytest.raises(RecogniserUnavailable, match=r"fetch it again: auscult models fetch tiny\.en"):
        start("tiny.en", root=tmp_path)


@pytest.mark.parametrize("unknown", ["int3", "float16"])  # no CPU computes the latter
def test_arithmetic_that_there_is_not_is_answered_with_what_there_is(folder: Path, unknown: str) -> None:
    with pytest.raises(RecogniserUnavailable, match=rf"cannot compute in {unknown} on cpu.*float32, int8.*or auto"):
        start(folder, arithmetic=unknown)


@needs_no_gpu
def test_a_gpu_that_there_is_not_is_said_before_anything_is_loaded(folder: Path) -> None:
    with pytest.raises(RecogniserUnavailable, match=r"no NVIDIA GPU.*--gpus all.*set recogniser\.device"):
        start(folder, device="cuda")
