"""The engine's own cost, measured on the smallest model there is, and the models that are written to be measured."""

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from bench.engine import BATCH, SECONDS, EngineOptions, Report, run, show
from bench.random_model import SHAPES, write_model
from pipeline.errors import RecogniserUnavailable
from tests.bench.conftest import Bench


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "smallest", tokens=7)


def test_every_stage_is_measured_alone_and_in_a_batch(folder: Path) -> None:
    report = run(EngineOptions(model=str(folder), rounds=2, device="cpu"), Console(file=io.StringIO()))
    assert report.tokens == 7
    assert {(f.stage, f.batch) for f in report.figures if f.stage != "mel spectrogram"} >= {
        ("encode", 1),
        *((stage, batch) for stage in ("decode", "align", "all of it") for batch in (1, BATCH)),
    }
    assert {f.seconds for f in report.figures if f.stage == "encode" and f.window == "dynamic"} == set(SECONDS)
    assert all(0 < f.best_ms <= f.median_ms for f in report.figures)
    assert report.window_gain > 1
    assert set(report.batch_gain) == {
        "decode, beam 1",
        "decode, beam 5",
        "align",
        "all of it, full, beam 5",
        "all of it, dynamic, beam 5",
    }


def test_the_figures_are_shown(folder: Path) -> None:
    shown = Console(file=io.StringIO(), width=120)
    show(run(EngineOptions(model=str(folder), rounds=1, device="cpu"), Console(file=io.StringIO())), shown)
    assert isinstance(shown.file, io.StringIO)
    printed = shown.file.getvalue()
    assert "7 tokens in 5 s" in printed
    assert "dynamic window" in printed


def test_a_model_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(RecogniserUnavailable, match="nowhere is no faster-whisper model"):
        run(EngineOptions(model=str(tmp_path / "nowhere")), Console(file=io.StringIO()))


def test_a_model_is_written_and_measured_by_command(tmp_path: Path, folder: Path, bench: Bench) -> None:
    written = bench("model", "tiny", str(tmp_path / "tiny"), "--tokens", "5", "--english")
    assert written.returncode == 0, written.stderr
    assert 38e6 < (tmp_path / "tiny" / "model.bin").stat().st_size < 45e6
    figures = tmp_path / "figures.json"
    measured = bench("engine", "--model", str(folder), "--rounds", "1", "--json", str(figures))
    assert measured.returncode == 0, measured.stderr
    assert "decode, beam 5" in measured.stdout
    assert msgspec.json.decode(figures.read_bytes(), type=Report).rounds == 1


def test_the_command_knows_all_shapes(bench: Bench) -> None:
    refused = bench("model", "huge", "somewhere")
    assert refused.returncode != 0
    assert all(f"'{shape}'" in refused.stderr for shape in SHAPES)
