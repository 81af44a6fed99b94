"""The recordings of our own: what their truth says is what can be heard in them."""

import shutil
import tomllib
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.make_consultation import (
    AUDIBLE,
    DIALOGUES,
    LEVEL_DB,
    MARGIN,
    PAUSE_MS,
    SPEAKERS,
    Clip,
    Consultation,
    Dialogue,
    FliteMissing,
    Line,
    Voice,
    arrange,
    cut,
    mix,
    read_dialogue,
    speak,
    write,
    write_flac,
)
from bench.recordings import Recording, names
from pipeline.types import SAMPLE_RATE, Pcm, Role, to_ms, to_samples

QUIET = AUDIBLE / 32768

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed: apt-get install flite")


@pytest.fixture(params=names())
def recording(request: pytest.FixtureRequest) -> Recording:
    return Recording.load(request.param)


def test_the_two_recordings_are_there() -> None:
    assert names() == ("cough", "headache")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(FileNotFoundError, match="cough, headache"):
        Recording.load("sneeze")


def test_the_demo_lasts_about_two_minutes() -> None:
    assert 115 <= Recording.load("cough").seconds <= 130
    assert 45 <= Recording.load("headache").seconds <= 60


def test_the_truth_belongs_to_the_audio(recording: Recording) -> None:
    doctor, patient = recording.channels()
    assert len(doctor) == len(patient) == len(recording.mono())
    assert len(doctor) / SAMPLE_RATE == pytest.approx(recording.seconds, abs=0.001)
    assert recording.items[-1].end_ms < recording.seconds * 1000


def test_the_truth_says_what_the_dialogue_says(recording: Recording) -> None:
    dialogue = read_dialogue(recording.id)
    assert [(line.speaker, line.text) for line in dialogue.lines] == [(i.speaker, i.text) for i in recording.items]


def test_every_item_is_audible_from_its_first_millisecond_to_its_last(recording: Recording) -> None:
    channels = {role: np.abs(channel_of(recording, role)) for role in SPEAKERS}
    for item in recording.items:
        pcm = channels[item.speaker]
        start, end = to_samples(item.start_ms), to_samples(item.end_ms)
        millisecond = to_samples(1)
        assert pcm[start - millisecond : start + millisecond].max() >= QUIET, item
        assert pcm[end - millisecond : end + millisecond].max() >= QUIET, item
        assert active_db(pcm[start:end]) == pytest.approx(LEVEL_DB, abs=6), item


def test_a_channel_is_silent_outside_the_items_of_its_speaker(recording: Recording) -> None:
    for role in SPEAKERS:
        pcm = np.abs(channel_of(recording, role))
        near, exact = np.ones(len(pcm), bool), np.ones(len(pcm), bool)
        for item in recording.items:
            if item.speaker is role:
                start, end = to_samples(item.start_ms), to_samples(item.end_ms)
                exact[start - to_samples(1) : end + to_samples(1)] = False
                near[start - MARGIN - to_samples(1) : end + MARGIN + to_samples(1)] = False
        assert pcm[exact].max() < QUIET
        assert pcm[near].max() == 0


def test_the_mono_file_is_the_sum_of_both_channels(recording: Recording) -> None:
    doctor, patient = recording.channels()
    np.testing.assert_array_equal(recording.mono(), doctor + patient)


def test_the_voices_overlap_somewhere_but_a_voice_never_overlaps_itself(recording: Recording) -> None:
    assert any(later.start_ms < earlier.end_ms for earlier, later in pairwise(recording.items))
    for role in SPEAKERS:
        own = [item for item in recording.items if item.speaker is role]
        assert all(earlier.end_ms < later.start_ms for earlier, later in pairwise(own))


def test_a_written_consultation_is_read_back_sample_by_sample(tmp_path: Path) -> None:
    dialogue = dialogue_of(Line(speaker=Role.DOCTOR, text="one"), Line(speaker=Role.PATIENT, text="two", overlap_ms=50))
    made = mix(dialogue, [tone(ms=400), tone(ms=300)])
    write(made, tmp_path)
    recording = Recording.read(tmp_path / "spoken.truth.json")
    np.testing.assert_array_equal(np.stack(recording.channels()) * 32768, made.stereo)
    np.testing.assert_array_equal(recording.mono() * 32768, made.mono[0])
    assert recording.items == made.truth.items


def test_a_file_of_the_wrong_rate_or_shape_is_refused(tmp_path: Path) -> None:
    made = mix(dialogue_of(Line(speaker=Role.DOCTOR, text="one")), [tone(ms=400)])
    write(made, tmp_path)
    write_flac(tmp_path / made.truth.files.mono, made.stereo)
    with pytest.raises(ValueError, match="2 channels"):
        Recording.read(tmp_path / "spoken.truth.json").mono()


def test_loud_voices_together_do_not_wrap_round() -> None:
    lines = (Line(speaker=Role.DOCTOR, text="one"), Line(speaker=Role.PATIENT, text="two", overlap_ms=200))
    made = mix(dialogue_of(*lines), [tone(ms=400, level=30_000), tone(ms=400, level=30_000)])
    assert made.mono.max() == 32767
    assert made.mono.min() >= 0


def test_the_truth_names_where_the_audible_samples_lie() -> None:
    clip = cut(np.concatenate([hiss(ms=200), tone(ms=300).samples, hiss(ms=100)]))
    made = mix(dialogue_of(Line(speaker=Role.PATIENT, text="one")), [clip])
    audible = np.flatnonzero(np.abs(made.stereo[1]) >= AUDIBLE)
    (item,) = made.truth.items
    assert (item.start_ms, item.end_ms) == (to_ms(int(audible[0])), to_ms(int(audible[-1]) + 1))
    assert item.end_ms - item.start_ms == 300


def test_a_cut_line_keeps_its_speech_and_fades_what_is_round_it() -> None:
    spoken = tone(ms=300).samples
    clip = cut(np.concatenate([hiss(ms=200), spoken, hiss(ms=10)]))
    np.testing.assert_array_equal(clip.samples[clip.start : clip.end], spoken)
    assert clip.start == MARGIN
    assert len(clip.samples) - clip.end == to_samples(10)
    assert clip.samples[0] == clip.samples[-1] == 0


def test_a_line_that_nobody_can_hear_is_an_error() -> None:
    with pytest.raises(ValueError, match="silence"):
        cut(hiss(ms=100))


def test_a_voice_cannot_overlap_itself() -> None:
    lines = (Line(speaker=Role.DOCTOR, text="one"), Line(speaker=Role.DOCTOR, text="two", overlap_ms=50))
    with pytest.raises(ValueError, match="line 2 overlaps"):
        arrange(lines, [tone(ms=400), tone(ms=400)], seed=1)


@given(spoken=st.lists(st.tuples(st.sampled_from(["doctor", "patient"]), st.integers(50, 2000)), min_size=1), seed=...)
def test_lines_keep_their_order_and_a_natural_pause(spoken: list[tuple[str, int]], seed: int) -> None:
    lines = [Line(speaker=Role(speaker), text="words") for speaker, _ in spoken]
    clips = [tone(ms=ms) for _, ms in spoken]
    starts = arrange(lines, clips, seed)
    ends = [0, *(start + clip.end - clip.start for start, clip in zip(starts, clips, strict=True))]
    shortest, longest = (to_samples(ms) for ms in PAUSE_MS)
    assert all(shortest <= start - end <= longest for start, end in zip(starts, ends, strict=False))
    assert starts == arrange(lines, clips, seed)


def test_an_unknown_key_in_a_dialogue_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text((DIALOGUES / "headache.toml").read_text(encoding="utf-8") + "\nvolume = 3\n", encoding="utf-8")
    with pytest.raises(msgspec.ValidationError, match="volume"):
        read_dialogue(str(path))


def test_a_dialogue_of_a_third_voice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    ours = (DIALOGUES / "headache.toml").read_text(encoding="utf-8")
    path.write_text(ours.replace('speaker = "patient"', 'speaker = "unspecified"'), encoding="utf-8")
    with pytest.raises(msgspec.ValidationError, match="between a doctor and a patient"):
        read_dialogue(str(path))


@pytest.mark.parametrize("name", names())
def test_dialogues_write_numbers_as_words(name: str) -> None:
    lines = tomllib.loads((DIALOGUES / f"{name}.toml").read_text(encoding="utf-8"))["lines"]
    assert not any(character.isdigit() for line in lines for character in line["text"])


def test_without_flite_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FliteMissing, match="apt-get install flite"):
        speak(dialogue_of(Line(speaker=Role.DOCTOR, text="one")))


@needs_flite
def test_the_same_dialogue_gives_the_same_samples() -> None:
    first, second = spoken_twice()
    np.testing.assert_array_equal(first.stereo, second.stereo)
    np.testing.assert_array_equal(first.mono, second.mono)
    assert first.truth == second.truth


@needs_flite
def test_a_spoken_dialogue_has_the_level_and_the_texts_it_should_have() -> None:
    made, _ = spoken_twice()
    assert [item.text for item in made.truth.items] == [line.text for line in read_dialogue("headache").lines[:4]]
    for channel in made.stereo:
        assert active_db(channel / 32768) == pytest.approx(LEVEL_DB, abs=1)


def spoken_twice() -> tuple[Consultation, Consultation]:
    whole = read_dialogue("headache")
    short = msgspec.structs.replace(whole, lines=whole.lines[:4])
    return mix(short, speak(short)), mix(short, speak(short))


def channel_of(recording: Recording, role: Role) -> Pcm:
    doctor, patient = recording.channels()
    return doctor if role is Role.DOCTOR else patient


def active_db(samples: NDArray[np.floating]) -> float:
    """Level of the 20 ms frames that are within 30 dB of the loudest."""
    power = np.square(samples[: len(samples) // 320 * 320].reshape(-1, 320)).mean(axis=1)
    return float(10 * np.log10(power[power >= power.max() / 1000].mean()))


def dialogue_of(*lines: Line) -> Dialogue:
    voices: dict[Role, Voice] = {Role.DOCTOR: "rms", Role.PATIENT: "slt"}
    return Dialogue(id="spoken", language="en", seed=3, voices=voices, lines=lines)


def tone(*, ms: int, level: int = 3000) -> Clip:
    samples = np.full(to_samples(ms), level, np.int16)
    return Clip(samples=samples, start=0, end=len(samples))


def hiss(*, ms: int) -> NDArray[np.int16]:
    return np.resize(np.array([AUDIBLE // 2, -AUDIBLE // 2], np.int16), to_samples(ms))
