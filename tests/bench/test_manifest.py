"""Recordings from wherever they are."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench import recordings
from bench.manifest import BadManifest, entries
from bench.recordings import Recording
from pipeline.types import Role

YES = {"speaker": "patient", "start_ms": 3000, "end_ms": 4000, "text": "Yes.", "clip": "x"}
TRUTH = {
    "id": "one",
    "language": "en",
    "seconds": 5.0,
    "files": {"stereo": "one.stereo.flac", "mono": "one.mono.opus", "noisy": "one.noisy.opus"},
    "channels": {"left": "doctor", "right": "patient"},
    "overlap_s": 0.5,
    "items": [
        YES,
        {"speaker": "doctor", "start_ms": 500, "end_ms": 2000, "text": "A cough?"},
    ],
}


def write(path: Path, *lines: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def test_without_a_source_our_own_are_read() -> None:
    found = entries([])
    assert tuple(entry.id for entry in found) == recordings.names()
    assert all(entry.exact and entry.stereo for entry in found)


def test_the_channels_are_the_same_samples_that_we_recorded() -> None:
    (entry,) = entries([], only="headache")
    for ours, theirs in zip(Recording.load("headache").channels(), entry.channels(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("place", ["one.truth.json", "one/one.truth.json"])
def test_a_manifest_may_leave_the_truth_to_a_file_of_its_own(tmp_path: Path, place: str) -> None:
    truth = write(tmp_path / place, TRUTH)
    write(tmp_path / "manifest.jsonl", {"id": "one", "seconds": 5.0, "turns": 2})
    (entry,) = entries([tmp_path])
    assert entry.text == "A cough? Yes."
    assert [item.speaker for item in entry.items] == [Role.DOCTOR, Role.PATIENT]
    assert entry.exact
    assert entry.mono == truth.with_name("one.mono.opus")
    assert entry.stereo == truth.with_name("one.stereo.flac")
    assert entries([truth]) == [entry]


def test_a_truth_without_file_names_is_about_the_flac_beside_it(tmp_path: Path) -> None:
    truth = {**TRUTH, "files": {}, "channels": {}, "items": [{**YES, "speaker": "reader-61"}]}
    write(tmp_path / "one.truth.json", truth)
    (entry,) = entries([tmp_path])
    assert entry.mono == tmp_path / "one.flac"
    assert entry.stereo is None
    assert entry.items[0].speaker is Role.UNSPECIFIED
    with pytest.raises(ValueError, match="no channel"):
        entry.channels()


def test_a_manifest_may_say_everything_itself(tmp_path: Path) -> None:
    said = [{"speaker": "jfk", "start_ms": 210, "end_ms": 900, "text": "And so"}]
    clip = {"file": "jfk.flac", "seconds": 11.0, "language": "en", "transcript": "And so", "speakers": [{"id": "jfk"}]}
    manifest = write(
        tmp_path / "clips.jsonl",
        {**clip, "items": said, "items_basis": "energy"},
        {**clip, "file": "exact.flac", "items": said},
        {**clip, "file": "german.flac", "language": "de"},
        {**clip, "file": "unknown.flac", "transcript": None},
    )
    estimated, exact, german = entries([manifest])
    assert (estimated.id, estimated.mono, estimated.exact) == ("jfk", tmp_path / "jfk.flac", False)
    assert exact.exact
    assert not german.exact
    assert (german.items, german.text, german.language) == ((), "And so", "de")


def test_some_can_be_chosen_by_their_ids(tmp_path: Path) -> None:
    clips = ({"file": f"{name}.flac", "transcript": "x"} for name in ("vctk_1", "libri_1", "vctk_2"))
    manifest = write(tmp_path / "manifest.jsonl", *clips)
    assert [entry.id for entry in entries([manifest], only="vctk")] == ["vctk_1", "vctk_2"]
    with pytest.raises(BadManifest, match="'nobody'"):
        entries([manifest], only="nobody")


@pytest.mark.parametrize("line", ["{", "[]", '{"seconds": "long", "id": "a"}', '{"seconds": 3}'])
def test_a_line_that_is_none_is_named_but_not_quoted(tmp_path: Path, line: str) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(f'{{"file": "a.flac", "transcript": "x"}}\n{line}')
    with pytest.raises(BadManifest, match=r"manifest\.jsonl, line 2") as caught:
        entries([tmp_path])
    assert "long" not in str(caught.value)


def test_shared_recordings_can_be_read(test_data: Path) -> None:
    folders = [test_data / "audio" / name for name in ("consult", "real", "real_dialogues")]
    for entry in entries(folders):
        assert entry.mono.is_file()
        assert entry.text
        assert entry.seconds > 0
        assert not entry.exact or entry.items
    assert msgspec.structs.asdict(entries(folders[:1])[0].items[0])["speaker"] in set(Role)
