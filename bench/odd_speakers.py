"""Audio that is no conversation of two, made of the recordings of our own: what must come out is sense, or nothing."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from bench.recordings import Recording, names
from bench.speaking import Sample, SpokenWord, spread
from pipeline.types import SAMPLE_RATE, Audio, Pcm, Role, to_samples


class MadeSample(Sample):
    """A sample whose audio is no file."""

    __slots__ = ("made",)
    made: Audio

    def audio(self) -> Audio:
        """See `Sample.audio`."""
        return self.made


def oddities() -> Iterator[tuple[str, Sample]]:
    """Each with its name."""
    ours = Recording.load(names()[0])
    doctor, patient = ours.channels()
    mono = ours.mono()
    words = tuple(
        word
        for item in ours.items
        for word in spread(item.text, item.speaker, to_samples(item.start_ms), to_samples(item.end_ms))
    )
    theirs = {role: tuple(word for word in words if word.speaker == role) for role in (Role.DOCTOR, Role.PATIENT)}
    yield "one speaker only", _made(patient, theirs[Role.PATIENT])
    yield "a dictation without a pause", _made(*_without_pauses(doctor, theirs[Role.DOCTOR]))
    yield "two very similar voices", _made(*_alike(ours))
    sooner = tuple(replace(word, start=word.start * 4 // 5, end=word.end * 4 // 5) for word in words)
    yield "a child and a very young doctor", _made(_lower(mono, Fraction(4, 5)), sooner)
    yield "telephone, 8 kHz", _made(_telephone(mono), words)
    yield "music on hold", _made(_music(60), ())
    yield "the same voice on both channels", _made(np.stack([mono, mono], axis=1), words)
    yield "one dead channel", _made(np.stack([mono, np.zeros_like(mono)], axis=1), words)
    yield "one channel inverted", _made(np.stack([mono, -mono], axis=1), words)
    yield "three speakers", _made(*_three(ours))
    yield "silence", _made(np.zeros(60 * SAMPLE_RATE, np.float32), ())
    yield "noise", _made((0.05 * np.random.default_rng(1).standard_normal(60 * SAMPLE_RATE)).astype(np.float32), ())
    yield "four hours", _made(np.tile(mono, 4 * 3600 * SAMPLE_RATE // len(mono)), _over_and_over(words, len(mono)))


def _made(audio: Audio, words: tuple[SpokenWord, ...]) -> Sample:
    sample = MadeSample(name="odd", kind="odd", path=Path(), stereo=audio.ndim == 2, words=words, spans=())
    object.__setattr__(sample, "made", audio)
    return sample


def _without_pauses(pcm: Pcm, words: tuple[SpokenWord, ...]) -> tuple[Pcm, tuple[SpokenWord, ...]]:
    frames = pcm[: len(pcm) // 320 * 320].reshape(-1, 320)
    loud = np.square(frames).mean(axis=1) > 1e-6
    behind = np.concatenate([[0], np.cumsum(loud)]) * 320  # samples kept before each frame

    def moved(at: int) -> int:
        return int(behind[min(at // 320, len(loud))])

    kept = tuple(replace(word, start=moved(word.start), end=moved(word.end)) for word in words)
    return np.ascontiguousarray(frames[loud].reshape(-1)), kept


def _alike(ours: Recording) -> tuple[Pcm, tuple[SpokenWord, ...]]:
    """The doctor's turns, every other one by somebody whose voice is a little lower: less than a semitone."""
    doctor = ours.channels()[0].copy()
    words: list[SpokenWord] = []
    for turn, item in enumerate(item for item in ours.items if item.speaker is Role.DOCTOR):
        start, end = to_samples(item.start_ms), to_samples(item.end_ms)
        if turn % 2:
            doctor[start:end] = _lower(doctor[start:end], Fraction(26, 25))[: end - start]
        words += spread(item.text, Role.PATIENT if turn % 2 else Role.DOCTOR, start, end)
    return doctor, tuple(words)


def _lower(pcm: Pcm, by: Fraction) -> Pcm:
    """The same, slower and lower by a factor (higher, below 1)."""
    at = np.arange(0, len(pcm) - 1, float(1 / by))
    return np.asarray(np.interp(at, np.arange(len(pcm)), pcm)[: len(pcm)], np.float32)


def _telephone(pcm: Pcm) -> Pcm:
    """300 to 3,400 Hz, 8-bit steps of loudness (ITU-T G.711)."""
    spectrum = np.fft.rfft(pcm)
    frequency = np.fft.rfftfreq(len(pcm), 1 / SAMPLE_RATE)
    spectrum[(frequency < 300) | (frequency > 3400)] = 0
    narrow = np.fft.irfft(spectrum, len(pcm))
    steps = np.rint(127 * np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256)) / 127
    return np.asarray(np.sign(steps) * (256 ** np.abs(steps) - 1) / 255, np.float32)


def _music(seconds: int) -> Pcm:
    """A chord that changes every second."""
    time = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    root = 220 * 2 ** (np.array([0, 5, 7, 3])[(time.astype(int) % 4)] / 12)
    phase = 2 * np.pi * np.cumsum(root) / SAMPLE_RATE
    return np.asarray(0.1 * np.sin(np.outer((1, 1.25, 1.5, 2), phase)).sum(axis=0), np.float32)


def _three(ours: Recording) -> tuple[Pcm, tuple[SpokenWord, ...]]:
    """Doctor and patient, and every third of the patient's turns by somebody with a much higher voice."""
    doctor, patient = (channel.copy() for channel in ours.channels())
    words: list[SpokenWord] = []
    for turn, item in enumerate(ours.items):
        start, end = to_samples(item.start_ms), to_samples(item.end_ms)
        third = item.speaker is Role.PATIENT and turn % 3 == 0
        if third:
            higher = _lower(patient[start:end], Fraction(3, 4))
            patient[start:end] = 0
            patient[start : start + len(higher)] = higher
        words += spread(item.text, "third" if third else item.speaker, start, end)
    return doctor + patient, tuple(words)


def _over_and_over(words: tuple[SpokenWord, ...], length: int) -> tuple[SpokenWord, ...]:
    times = 4 * 3600 * SAMPLE_RATE // length
    return tuple(
        replace(word, start=word.start + lap * length, end=word.end + lap * length)
        for lap in range(times)
        for word in words
    )
