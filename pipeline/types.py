"""The values that travel through the pipeline. All frozen; times are samples of the stream at 16 kHz unless named."""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # hertz; every stage behind the decoder works at this rate, as Whisper and Silero do
WINDOW = 512  # samples, 32 ms: the step of voice activity detection (Silero at 16 kHz)

Pcm: TypeAlias = NDArray[np.float32]
"""Mono audio at 16 kHz. Shape `(n_samples,)`, float32 in [-1, 1]."""

Audio: TypeAlias = NDArray[np.float32]
"""Audio at 16 kHz as its source has it: shape `(n_samples,)` of one channel, `(n_samples, 2)` of two."""


def to_ms(samples: int) -> int:
    """Milliseconds of a sample count, rounded to the nearest."""
    return (samples * 1000 + SAMPLE_RATE // 2) // SAMPLE_RATE


def to_samples(ms: float) -> int:
    """Samples of a time in milliseconds, rounded to the nearest."""
    return round(ms * SAMPLE_RATE / 1000)


def side_name(stream: str, side: str) -> str:
    """What one channel of a stream is called where it is somebody's own: "stream0.left"."""
    return f"{stream}.{side}"


def split_side(name: str) -> tuple[str, str]:
    """A stream's name, and which channel of it is meant; empty: all of it. See `side_name`."""
    stream, _, side = name.partition(".")
    return stream, side


class Role(StrEnum):
    """Who speaks. The values are the ones Nabla's API prints."""

    DOCTOR = "doctor"
    PATIENT = "patient"
    UNSPECIFIED = "unspecified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One recognised word. Times are samples from the start of the stream (in a `Hypothesis`: of the segment)."""

    text: str
    start: int
    end: int
    probability: float = 1.0  # 0..1; 1.0 where the recogniser has none

    @property
    def middle(self) -> float:
        """Between its start and its end, in samples."""
        return (self.start + self.end) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """One recogniser answer for one segment; word times count from the segment's first sample."""

    words: tuple[Word, ...]
    language: str = "en"
    avg_logprob: float = 0.0  # mean log-probability a token, as Whisper reports it
    no_speech_prob: float = 0.0  # probability that there is no speech at all
    compression_ratio: float = 1.0  # text length / its zlib length: high means repetition

    @property
    def text(self) -> str:
        """The words, joined by single spaces."""
        return " ".join(word.text for word in self.words)


class Guard(StrEnum):
    """Why words were not believed."""

    SILENCE = "silence"
    LOOP = "loop"
    PHANTOM = "phantom"


class Purpose(IntEnum):
    """Why a segment is recognised; lower is served first."""

    FINAL = 0  # the segment is closed
    SPECULATIVE = 1  # its speech paused: this is the final, unless speech goes on
    FIRST_PARTIAL = 2  # nothing of the segment was shown yet
    REFRESH = 3  # a later look at what is still being said

    @property
    def whole(self) -> bool:
        """Whether the answer may become final, so that it is worth all the care an engine can take."""
        return self <= Purpose.SPECULATIVE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecognitionRequest:
    """Audio of one segment (so far) to be recognised.

    Requests of the same `stream_id` and `segment` always begin at the same sample, so that an engine that decodes
    incrementally may continue where it stopped.
    """

    stream_id: str  # unique in the process
    segment: int  # ordinal of the segment in its stream
    purpose: Purpose
    start: int  # first sample of `pcm` in the stream
    pcm: Pcm
    language: str  # ISO 639-1; empty: to be detected, and named in the answer
    prompt: str = ""  # what was said before in this stream
    glossary: tuple[str, ...] = ()
    committed: str = ""  # words of this segment that are committed: an engine that `continues` decodes behind them
    temperature: float = 0.0  # of decoding; above 0 it samples: a later try of a text that looked wrong
    tenant: str = ""  # who shares the recogniser fairly with whom
    live: bool = True  # somebody waits; a file can


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoiceprintRequest:
    """Windows of one segment whose voices are to be known."""

    stream_id: str  # unique in the process
    segment: int  # ordinal of the segment in its stream
    spans: tuple[tuple[int, int], ...]  # first sample and the one behind the last of each window, in the stream
    windows: tuple[Pcm, ...] = field(repr=False)  # their audio

    def answered(self, vectors: NDArray[np.float32]) -> "Voiceprints":
        """Shapes: vectors `(n, dimensions)`, one of unit length for each window."""
        return Voiceprints(spans=self.spans, vectors=vectors)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voiceprints:
    """What voices sound like in windows of a stream."""

    spans: tuple[tuple[int, int], ...]  # samples of the stream
    vectors: NDArray[np.float32] = field(repr=False)  # (n, dimensions), of unit length

    @property
    def middles(self) -> NDArray[np.float64]:
        """Of the windows, in samples. Shape `(n,)`."""
        return np.array([(first + behind) / 2 for first, behind in self.spans])


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenSpan:
    """A stretch of a stream in which one voice is heard best. Spans of one stream do not overlap."""

    start: int
    end: int
    speaker: str  # whose voice: a name that means something only among the spans of one answer
    overlap: bool = False  # whether somebody else is heard at the same time


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """Committed words of one speaker: a transcript item that never changes again."""

    id: str  # UUID, the same after a restart
    stream: str  # the stream's own name ("stream1")
    role: Role
    start: int
    end: int
    text: str
    words: tuple[Word, ...] = ()
    speaker: str = ""  # whose words: an id that is unique in its encounter; empty: nobody can tell
    overlap: bool = False  # whether somebody else spoke at the same time
    renamed: bool = False  # whether speaker or role are others than were told first

    @property
    def start_ms(self) -> int:
        return to_ms(self.start)

    @property
    def end_ms(self) -> int:
        return to_ms(self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """What is fixed for one audio stream of an encounter."""

    encounter: str  # encounter id: the name space of item ids
    stream: str  # the stream's own name, unique in its encounter
    role: Role = Role.UNSPECIFIED  # as declared by the client
    language: str = "en"  # ISO 639-1; empty: detected from the first seconds
    glossary: tuple[str, ...] = ()
    split_by_sentence: bool = False
    tenant: str = ""  # who shares the recogniser fairly with whom
    live: bool = True  # somebody waits; a file can
    voices: bool = False  # whether voiceprints are asked for: more than one person may speak here
    reports: bool = False  # whether it is told how far the stream is: others of its encounter may wait for it


class Ear(StrEnum):
    """What a session hears of its stream."""

    UNDECIDED = ""  # nothing yet: there may be two channels
    BOTH = "both"  # the mean of the channels, or the only one there is
    OPPOSED = "opposed"  # half of their difference: one of them is inverted
    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where a stream's session can be rebuilt from: all speech before `audio_from` is committed.

    A rebuilt session that hears the stream again from `audio_from` makes the same segments, with the same ids, as
    the first one would have.
    """

    audio_from: int = 0  # first sample that a rebuilt session must hear (pre-roll, or the rest of a cut segment)
    position: int = 0  # first sample not yet judged by endpointing; audio before it is only buffered
    segment: int = 0  # ordinal of the next segment, or of the one that is open
    speech: str = "quiet"  # state of endpointing at `position` ("quiet", "speaking", "stopping")
    windows: int = 0  # windows that state has lasted
    context: str = ""  # tail of the committed text: the next prompt
    language: str = ""  # what was detected; empty where it was not yet
    vad_state: bytes = b""  # what `VoiceActivity.state()` returned at `position`; empty at the start
    ear: Ear = Ear.UNDECIDED  # what the session hears of its stream


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFormat:
    """What a client declares about its bytes. `encoding` "container" means: the bytes say it themselves."""

    encoding: str = "container"  # container | pcm_s16le | pcm_f32le | mulaw | alaw
    sample_rate: int = SAMPLE_RATE  # hertz; only for raw encodings
    channels: int = 1  # only for raw encodings


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPoint:
    """A place in a stream's bytes from which a new decoder can go on: feed `header`, then all bytes from `offset`."""

    header: tuple[int, int] = (0, 0)  # byte range [start, end) that must be fed first; empty for raw audio
    offset: int = 0  # byte offset in the stream where decoding goes on
    position: int = 0  # sample position of the first audio decoded from there
    origin: float = 0.0  # stream time in samples minus container time in samples (0 where the container has no times)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PcmBlock:
    """Decoded audio. Blocks of one decoder are contiguous: `start` is where the previous block ended.

    It has two channels where its source has exactly two, else one: more of them are mixed to their mean.
    """

    start: int
    pcm: Audio = field(repr=False)
