"""What is said where a pyannote pipeline cannot run; nothing of pyannote has to be installed for it."""

from pathlib import Path

import pytest

from pipeline.engines.pyannote_model import PARTS, check_named, checked
from pipeline.errors import VoicesUnavailable
from tests.pyannote_pipeline import CONFIG


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Complete, as far as one can see without opening the files."""
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    for name in ("segmentation/pytorch_model.bin", "embedding/pytorch_model.bin"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "plda").mkdir()
    for name in ("plda.npz", "xvec_transform.npz"):
        (tmp_path / "plda" / name).touch()
    return tmp_path


def complaint(model: str, token: str = "") -> str:
    with pytest.raises(VoicesUnavailable) as caught:
        check_named(model, token)
    return str(caught.value)


def test_a_complete_directory_is_fine(folder: Path) -> None:
    check_named(str(folder), "")
    assert set(PARTS) <= set(checked(folder)["params"])


def test_without_a_name_it_says_what_to_set() -> None:
    assert "speakers.pyannote_model" in complaint("")


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "nowhere") in complaint(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("file", ["embedding/pytorch_model.bin", "segmentation/pytorch_model.bin", "plda/plda.npz"])
def test_the_file_that_is_missing_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    assert str(folder / file) in complaint(str(folder))


@pytest.mark.parametrize("text", ["", "[", "pipeline: 1", "pipeline: {name: x}", "\x00"])
def test_a_config_that_describes_no_pipeline_is_named(folder: Path, text: str) -> None:
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    assert "config.yaml does not describe" in complaint(str(folder))


def test_a_pipeline_that_sends_the_audio_away_is_refused(folder: Path) -> None:
    sends = CONFIG.replace("pipelines.SpeakerDiarization", "pipelines.pyannoteai.sdk.SDK")
    (folder / "config.yaml").write_text(sends, encoding="utf-8")
    assert "only SpeakerDiarization runs here" in complaint(str(folder))


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_would_be_fetched_from_the_hub_is_refused(folder: Path, part: str) -> None:
    elsewhere = CONFIG.replace(f"$model/{part}", f"pyannote/{part}")
    (folder / "config.yaml").write_text(elsewhere, encoding="utf-8")
    assert f"must name its {part}" in complaint(str(folder))
    (folder / "config.yaml").write_text(CONFIG.replace(f"    {part}: $model/{part}\n", ""), encoding="utf-8")
    assert f"must name its {part}" in complaint(str(folder))


def test_a_name_on_the_hub_wants_a_token_unless_it_is_here() -> None:
    said = complaint("nobody/nothing-of-this-name")
    assert "speakers.hub_token" in said
    assert "https://hf.co/nobody/nothing-of-this-name" in said
