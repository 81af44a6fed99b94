"""OpenAI's bytes, named as in its API reference. What is ours beyond it is marked *extension*."""

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

Format: TypeAlias = Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"]
Granularity: TypeAlias = Literal["word", "segment"]


class TranscriptionForm(Struct, kw_only=True):
    """`POST /openai/v1/audio/transcriptions`. Other fields are ignored."""

    file: bytes  # in any container; the bytes decide
    model: str  # any: one recogniser runs here
    language: str = ""  # ISO 639-1; empty: detected
    languages: list[str] = msgspec.field(default_factory=list, name="languages[]")  # one is `language`
    prompt: str = ""  # words that are likely to be said
    keywords: list[str] = msgspec.field(default_factory=list, name="keywords[]")  # the same
    response_format: Format = "json"
    temperature: float = 0.0  # 0 to 1; not used
    timestamp_granularities: list[Granularity] = msgspec.field(
        default_factory=list, name="timestamp_granularities[]"
    )  # with verbose_json; none: segments
    stream: bool = False  # with json, text and diarized_json


class Usage(Struct, kw_only=True, tag_field="type", tag="duration"):
    """How much audio was heard."""

    seconds: float


class Transcription(Struct, kw_only=True):
    """`json`."""

    text: str
    usage: Usage


class Word(Struct, kw_only=True):
    """A word and its time in seconds."""

    word: str
    start: float
    end: float


class Segment(Struct, kw_only=True):
    """A piece of the transcript. Times in seconds."""

    id: int
    start: float
    end: float
    text: str
    seek: int = 0  # not known here, as `tokens`
    tokens: list[int] = []
    temperature: float = 0.0
    avg_logprob: float  # of its words
    compression_ratio: float  # length of the text / its zlib length
    no_speech_prob: float = 0.0  # what is held for silence is no segment


class TranscriptionVerbose(Struct, kw_only=True, omit_defaults=True):
    """`verbose_json`."""

    task: Literal["transcribe"]
    language: str  # its name in English; empty: nothing was said
    duration: float  # seconds
    text: str
    usage: Usage
    segments: list[Segment] | None = None
    words: list[Word] | None = None


class DiarizedSegment(Struct, kw_only=True, tag_field="type", tag="transcript.text.segment"):
    """What one of them said. Also an event of a stream with `diarized_json`."""

    id: str
    start: float
    end: float
    text: str
    speaker: str  # doctor, patient, or A, B, … of whom nobody can tell


class TranscriptionDiarized(Struct, kw_only=True):
    """`diarized_json`."""

    task: Literal["transcribe"]
    duration: float
    text: str
    segments: list[DiarizedSegment]
    usage: Usage


class Delta(Struct, kw_only=True, tag_field="type", tag="transcript.text.delta"):
    """More of the text."""

    delta: str


class Done(Struct, kw_only=True, tag_field="type", tag="transcript.text.done"):
    """The whole text; the last event."""

    text: str
    usage: Usage


StreamEvent: TypeAlias = Delta | DiarizedSegment | Done


class Error(Struct, kw_only=True):
    """Why a request was refused."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(Struct, kw_only=True):
    """Body of every error; in a stream also its last event."""

    error: Error


class Model(Struct, kw_only=True):
    """What can be named as `model`."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "auscult"


class Models(Struct, kw_only=True):
    """`GET /openai/v1/models`."""

    object: Literal["list"] = "list"
    data: list[Model]
