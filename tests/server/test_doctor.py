from pathlib import Path

from pipeline.engines.ge2e_weights import INSTALL
from pipeline.errors import VoicesUnavailable
from server.doctor import Finding, examine
from server.engines import find_embedder, make_embedder
from server.settings import load_settings


def voices(embedder: str, data: Path) -> Finding:
    environment = {"AUSCULT_SPEAKERS_EMBEDDER": embedder, "AUSCULT_SERVER_DATA_DIR": str(data)}
    (found,) = [one for one in examine(load_settings(environment=environment)) if one.what == "voices"]
    return found


def test_it_says_what_tells_voices_apart_or_which_command_gets_it(tmp_path: Path) -> None:
    automatic, wanted = voices("auto", tmp_path), voices("ge2e", tmp_path)
    try:
        find_embedder(load_settings(environment={}))
    except VoicesUnavailable:
        assert not automatic.ok
        assert INSTALL in automatic.detail
        assert not automatic.needed  # all else works without
        assert wanted.needed
        assert make_embedder(load_settings(environment={})) is None
    else:
        assert automatic.ok
        assert automatic.detail.startswith("ge2e")


def test_voices_that_nobody_wants_to_be_told_apart_are_no_fault(tmp_path: Path) -> None:
    assert voices("none", tmp_path).ok
    assert make_embedder(load_settings(environment={"AUSCULT_SPEAKERS_EMBEDDER": "none"})) is None


def test_a_pyannote_pipeline_that_cannot_run_is_named_with_what_mends_it(tmp_path: Path) -> None:
    environment = {
        "AUSCULT_SPEAKERS_PYANNOTE_MODEL": str(tmp_path / "nowhere"),
        "AUSCULT_SERVER_DATA_DIR": str(tmp_path / "data"),
    }
    (found,) = [one for one in examine(load_settings(environment=environment)) if one.what == "review of labels"]
    assert not found.ok
    assert not found.needed
    assert "pip install" in found.detail or "nowhere" in found.detail
