import fcntl
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

import faster_whisper
import pytest

from bench.random_model import write_model
from pipeline.engines.models import (
    REPOSITORIES,
    LocalModel,
    available,
    choose,
    decide,
    fetch,
    hub_cache,
    locate,
    shown,
)
from pipeline.engines.whisper_ct2 import WhisperRecogniser
from pipeline.errors import RecogniserUnavailable
from tests.hub import REVISION, hub


def cached(root: Path, repository: str, *, multilingual: bool = False) -> Path:
    """A model laid out as the hub's client does it: files are links to blobs."""
    folder = root / f"models--{repository.replace('/', '--')}"
    snapshot, blobs = folder / "snapshots" / REVISION, folder / "blobs"
    blobs.mkdir(parents=True)
    for number, file in enumerate(sorted(write_model(root / "written", multilingual=multilingual).iterdir())):
        file.rename(blobs / str(number))
        snapshot.mkdir(parents=True, exist_ok=True)
        (snapshot / file.name).symlink_to(Path("../../blobs", str(number)))
    (root / "written").rmdir()
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(REVISION)
    return snapshot


def here(name: str) -> LocalModel:
    return LocalModel(name=name, path=Path(name), size=1, multilingual=False)


# What is here


def test_an_empty_or_missing_cache_holds_no_models(tmp_path: Path) -> None:
    assert available(tmp_path) == ()
    assert available(tmp_path / "missing") == ()


def test_cached_models_are_listed_by_their_short_names(tmp_path: Path) -> None:
    english = cached(tmp_path, "Systran/faster-whisper-small.en")
    many = cached(tmp_path, "Systran/faster-whisper-large-v3", multilingual=True)
    own = cached(tmp_path, "clinic/whisper-own")
    found = available(tmp_path)
    assert [(model.name, model.path, model.languages) for model in found] == [
        ("clinic/whisper-own", own, "English"),
        ("large-v3", many, "many"),
        ("small.en", english, "English"),
    ]
    assert all(model.size > 500_000 for model in found)


def test_a_download_that_was_broken_off_is_no_model(tmp_path: Path) -> None:
    snapshot = cached(tmp_path, "Systran/faster-whisper-small.en")
    (snapshot / "model.bin").resolve().unlink()
    assert available(tmp_path) == ()


def test_directories_of_models_are_listed_too(tmp_path: Path) -> None:
    path = write_model(tmp_path / "ward-7", multilingual=True)
    (model,) = available(tmp_path)
    assert (model.name, model.path, model.multilingual) == ("ward-7", path, True)


def test_a_vocabulary_as_text_tells_the_languages_as_well(tmp_path: Path) -> None:
    for name, tokens, multilingual in (("one", ["a", "b"], False), ("many", ["a", "", "b"], True)):
        folder = write_model(tmp_path / name)
        (folder / "vocabulary.json").unlink()
        (folder / "vocabulary.txt").write_text("".join(f"{token}\n" for token in tokens))
        assert locate(name, tmp_path).multilingual is multilingual


def test_a_model_is_found_by_name_by_repository_and_by_path(tmp_path: Path) -> None:
    snapshot = cached(tmp_path, "Systran/faster-whisper-small.en")
    for name in ("small.en", "Systran/faster-whisper-small.en", str(snapshot)):
        assert locate(name, tmp_path).path == snapshot


def test_two_names_of_one_repository_find_the_same_model(tmp_path: Path) -> None:
    snapshot = cached(tmp_path, "mobiuslabsgmbh/faster-whisper-large-v3-turbo")
    assert locate("turbo", tmp_path).path == locate("large-v3-turbo", tmp_path).path == snapshot


def test_a_model_that_is_not_here_is_named_with_the_command_that_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(RecogniserUnavailable, match=r"auscult models fetch base\.en"):
        locate("base.en", tmp_path)


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json"])
def test_a_directory_that_lacks_a_file_is_told_which(tmp_path: Path, missing: str) -> None:
    folder = write_model(tmp_path / "model")
    (folder / missing).unlink()
    with pytest.raises(RecogniserUnavailable, match=f"{missing} is missing.*auscult models fetch"):
        locate(str(folder))


def test_a_directory_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(RecogniserUnavailable, match="nowhere"):
        locate(str(tmp_path / "nowhere"))


def test_the_cache_is_where_the_hub_s_client_puts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert hub_cache() == Path.home() / ".cache" / "huggingface" / "hub"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert hub_cache() == tmp_path / "x" / "huggingface" / "hub"
    monkeypatch.setenv("HF_HOME", str(tmp_path / "h"))
    assert hub_cache() == tmp_path / "h" / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "c"))
    assert hub_cache() == tmp_path / "c"


# Which recogniser runs


def test_automatic_is_pocketsphinx_while_no_model_is_here() -> None:
    choice = decide("auto", "", ())
    assert (choice.kind, choice.model) == ("sphinx", "")
    assert choice.reason == "no Whisper model is on this machine"
    assert choice.hint == "auscult models fetch small.en"


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        (["small.en"], "small.en"),
        (["tiny", "base.en", "small"], "small"),
        (["large-v3", "tiny.en"], "tiny.en"),  # the large one would not keep up on a few cores
        (["large-v3"], "large-v3"),
        (["clinic/whisper-own"], "clinic/whisper-own"),
    ],
)
def test_automatic_takes_the_preferred_of_the_models_that_are_here(found: list[str], chosen: str) -> None:
    choice = decide("auto", "", [here(name) for name in found])
    assert (choice.kind, choice.model, choice.hint) == ("whisper", chosen, "")


def test_automatic_takes_the_configured_model_before_the_preferred_one() -> None:
    assert decide("auto", "medium.en", [here("small.en"), here("medium.en")]).model == "medium.en"


def test_automatic_falls_back_where_the_configured_model_was_not_fetched() -> None:
    choice = decide("auto", "medium.en", [here("small.en")])
    assert choice.kind == "sphinx"
    assert "medium.en" in choice.reason
    assert choice.hint == "auscult models fetch medium.en"


def test_automatic_takes_a_configured_directory(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    assert choose("auto", str(folder), tmp_path / "cache").model == str(folder)


def test_clients_are_told_a_models_name_and_never_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "our-model")
    for place in (str(folder), f"{folder}/", "~/models/our-model", "../our-model", "./our-model/."):
        assert shown(place) == WhisperRecogniser(place).model == "our-model"
    monkeypatch.chdir(tmp_path)
    assert shown("our-model") == "our-model"
    monkeypatch.chdir(folder)
    assert shown(".") == "our-model"
    assert [shown(name) for name in ("small.en", "Systran/faster-whisper-tiny")] == [
        "small.en", "Systran/faster-whisper-tiny"
    ]  # fmt: skip


def test_a_configured_directory_that_is_no_model_is_an_error_even_for_automatic(tmp_path: Path) -> None:
    with pytest.raises(RecogniserUnavailable, match=r"model\.bin is missing"):
        choose("auto", str(tmp_path))


def test_whisper_is_never_replaced_by_something_else(tmp_path: Path) -> None:
    for model in ("", "small.en"):
        with pytest.raises(RecogniserUnavailable, match=r"auscult models fetch small\.en"):
            choose("whisper", model, tmp_path)
    cached(tmp_path, "Systran/faster-whisper-tiny")
    assert choose("whisper", "", tmp_path).model == "tiny"


@pytest.mark.parametrize("kind", ["sphinx", "scripted"])
def test_a_recogniser_without_a_model_is_chosen_as_it_is(tmp_path: Path, kind: str) -> None:
    choice = choose(kind, "", tmp_path / "missing")
    assert (choice.kind, choice.model, choice.hint) == (kind, "", "")


def test_an_unknown_recogniser_is_an_error() -> None:
    with pytest.raises(RecogniserUnavailable, match="'kaldi': choose auto, sphinx, whisper or scripted"):
        choose("kaldi", "")


# Fetching


def test_the_names_are_those_that_faster_whisper_knows() -> None:
    assert set(REPOSITORIES) == set(faster_whisper.available_models())


def test_a_fetched_model_is_in_the_cache_and_listed(tmp_path: Path) -> None:
    served = write_model(tmp_path / "served")
    (served / "README.md").write_text("not needed")
    with hub("Systran/faster-whisper-tiny.en", served) as address:
        path = fetch("tiny.en", tmp_path / "cache", endpoint=address)
    assert {file.name for file in path.iterdir()} == {file.name for file in served.iterdir()} - {"README.md"}
    (model,) = available(tmp_path / "cache")
    assert (model.name, model.path) == ("tiny.en", path)


def test_a_terminal_sees_the_progress(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))  # a terminal of no width shows none
    with hub("Systran/faster-whisper-tiny.en", write_model(tmp_path / "served")) as address:
        environment = {"HF_ENDPOINT": address, "AUSCULT_RECOGNISER_MODELS_DIR": str(tmp_path / "cache")}
        command = [sys.executable, "-m", "server.cli", "models", "fetch", "tiny.en"]
        with subprocess.Popen(command, stdout=theirs, stderr=theirs, env={**os.environ, **environment}) as fetching:
            os.close(theirs)
            seen = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert fetching.returncode == 0
    assert b"100%" in seen
    assert b"tiny.en is in" in seen


def _read(terminal: int) -> bytes:
    """What comes next; nothing once the other side was closed."""
    try:
        return os.read(terminal, 65_536)
    except OSError:  # how Linux says so
        return b""


def test_a_hub_that_cannot_be_reached_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RecogniserUnavailable, match=r"small\.en could not be fetched.*copy a converted model"):
        fetch("small.en", tmp_path, endpoint="http://127.0.0.1:9")  # the discard port: nobody listens
    assert available(tmp_path) == ()


def test_a_hub_without_the_model_is_the_same_error(tmp_path: Path) -> None:
    with (
        hub("somebody/else", write_model(tmp_path / "served")) as address,
        pytest.raises(RecogniserUnavailable, match="has no clinic/whisper-own"),
    ):
        fetch("clinic/whisper-own", tmp_path / "cache", endpoint=address)


def test_a_repository_that_is_no_model_is_told_so(tmp_path: Path) -> None:
    served = write_model(tmp_path / "served")
    (served / "tokenizer.json").unlink()
    with hub("clinic/incomplete", served) as address, pytest.raises(RecogniserUnavailable, match=r"tokenizer\.json"):
        fetch("clinic/incomplete", tmp_path / "cache", endpoint=address)


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecogniserUnavailable, match=r"Did you mean small\.en"):
        fetch("smal.en")


def test_a_model_that_was_fetched_before_needs_no_network(tmp_path: Path) -> None:
    snapshot = cached(tmp_path, "Systran/faster-whisper-tiny")
    assert fetch("tiny", tmp_path, endpoint="http://127.0.0.1:9") == snapshot
    shutil.rmtree(snapshot)
    with pytest.raises(RecogniserUnavailable):
        fetch("tiny", tmp_path, endpoint="http://127.0.0.1:9")
