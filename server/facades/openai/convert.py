"""OpenAI's values ⇄ domain values. Pure; the error table is at the end."""

import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar, get_args

import msgspec

from pipeline.errors import AuscultError
from pipeline.types import SAMPLE_RATE, Role, Utterance
from server.captions import Cue, srt, vtt
from server.domain import EncounterOptions, EncounterRow, EncounterView, Failure, State, StreamSpec
from server.errors import BadRequest, ServerError
from server.facades.openai import schema
from server.intake import Intake

API = "openai"
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
FORMATS: tuple[schema.Format, ...] = get_args(schema.Format)
GRANULARITIES: tuple[schema.Granularity, ...] = get_args(schema.Granularity)
STREAMABLE = ("json", "text", "diarized_json")
PLAIN = ("text", "srt", "vtt")
MAX_TERMS = 100  # of keywords and prompt: recognisers read less
MAX_TERM = 1_000  # characters
LEAST_PROBABILITY = 1e-10  # of a word, for its logarithm

NAMES = {  # as Whisper prints languages; others are printed as their code
    "ar": "arabic", "bn": "bengali", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "fa": "persian", "fi": "finnish", "fr": "french", "he": "hebrew", "hi": "hindi", "hr": "croatian",
    "hu": "hungarian", "it": "italian", "ja": "japanese", "ko": "korean", "nl": "dutch", "no": "norwegian",
    "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sv": "swedish", "tr": "turkish",
    "uk": "ukrainian", "ur": "urdu", "vi": "vietnamese", "zh": "chinese",
}  # fmt: skip

T = TypeVar("T", bound=str)


class Invalid(BadRequest):
    """A field of the form is wrong."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


class Failed(ServerError):
    """The audio could not be transcribed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.code = failure.code


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A form, checked."""

    options: EncounterOptions
    intake: Intake
    format: schema.Format
    granularities: frozenset[schema.Granularity]
    stream: bool


def asked(fields: Mapping[str, Sequence[str]]) -> Asked:
    """The fields of a form without its file: of one that is there twice the last counts. Raises `Invalid`."""
    last = {name: values[-1] for name, values in fields.items()}
    if not last.get("model"):
        raise Invalid("model", "model is required: any name will do, one recogniser runs here.")
    format = _one_of("response_format", last.get("response_format") or "json", FORMATS)
    granularities = frozenset(
        _one_of("timestamp_granularities", each, GRANULARITIES) for each in fields.get("timestamp_granularities", ())
    )
    if "word" in granularities and format != "verbose_json":
        raise Invalid("timestamp_granularities", "Words are only in the response_format verbose_json.")
    stream = _truth("stream", last.get("stream", ""))
    if stream and format not in STREAMABLE:
        raise Invalid("stream", f"Only these formats are streamed: {', '.join(STREAMABLE)}.")
    _temperature(last.get("temperature", ""))
    return Asked(
        options=EncounterOptions(
            api=API,
            streams=(StreamSpec(name="stream0"),),
            language=_language(last.get("language", ""), fields.get("languages", ())),
            note=False,
            kept=False,
            resumable=False,
            recording=True,
        ),
        intake=Intake(expected=_terms([*fields.get("keywords", ()), _end(last.get("prompt", ""))])),
        format=format,
        granularities=granularities or frozenset({"segment"}),
        stream=stream,
    )


def transcription(view: EncounterView, format: schema.Format, granularities: frozenset[str], language: str) -> str:
    """The body of an answer. `language`: as it was asked for, or detected."""
    items, text, usage = chronological(view.items), whole(view.items), used(view.row)
    match format:
        case "text":
            return f"{text}\n"
        case "srt":
            return srt([_cue(item) for item in items])
        case "vtt":
            return vtt([_cue(item) for item in items])
        case "json":
            return _encoded(schema.Transcription(text=text, usage=usage))
        case "diarized_json":
            segments = Diarizing()
            return _encoded(
                schema.TranscriptionDiarized(
                    task="transcribe",
                    duration=usage.seconds,
                    text=text,
                    segments=[segments.segment(item) for item in items],
                    usage=usage,
                )
            )
        case "verbose_json":
            return _encoded(
                schema.TranscriptionVerbose(
                    task="transcribe",
                    language=language_name(language),
                    duration=usage.seconds,
                    text=text,
                    usage=usage,
                    segments=list(map(_segment, range(len(items)), items)) if "segment" in granularities else None,
                    words=words(items) if "word" in granularities else None,
                )
            )


class Diarizing:
    """Names for those who speak, in the order in which they do."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def segment(self, item: Utterance) -> schema.DiarizedSegment:
        """An item with its speaker."""
        speaker = str(item.role)
        if item.role is Role.UNSPECIFIED:
            speaker = self._letters.setdefault(item.speaker, _letters(len(self._letters)))
        start, end = _seconds(item.start), _seconds(item.end)
        return schema.DiarizedSegment(id=item.id, start=start, end=end, text=item.text, speaker=speaker)


def chronological(items: Iterable[Utterance]) -> list[Utterance]:
    """By when they begin; several may speak at once."""
    return sorted(items, key=lambda item: item.start)


def whole(items: Iterable[Utterance]) -> str:
    """All that was said."""
    return " ".join(item.text for item in chronological(items))


def used(row: EncounterRow) -> schema.Usage:
    """How much audio was heard."""
    return schema.Usage(seconds=row.audio_ms / 1000)


def words(items: Iterable[Utterance]) -> list[schema.Word]:
    """Every word with its time."""
    return [
        schema.Word(word=word.text, start=_seconds(word.start), end=_seconds(word.end))
        for item in items
        for word in item.words
    ]


def check(view: EncounterView) -> None:
    """Raises `Failed`."""
    if view.row.state is State.FAILED and view.row.failure is not None:
        raise Failed(view.row.failure)


def delta(item: Utterance, *, first: bool) -> schema.Delta:
    """What a final adds to the text."""
    return schema.Delta(delta=item.text if first else f" {item.text}")


def frame(event: schema.StreamEvent | schema.ErrorBody) -> bytes:
    """An event's lines."""
    return b"data: %b\n\n" % msgspec.json.encode(event)


def language_name(code: str) -> str:
    """ "de-CH" → "german"."""
    base = code.partition("-")[0].lower()
    return NAMES.get(base, base)


def _segment(number: int, item: Utterance) -> schema.Segment:
    octets = item.text.encode()
    logarithms = [math.log(max(word.probability, LEAST_PROBABILITY)) for word in item.words]
    return schema.Segment(
        id=number,
        start=_seconds(item.start),
        end=_seconds(item.end),
        text=item.text,
        avg_logprob=round(sum(logarithms) / len(logarithms), 4) if logarithms else 0.0,
        compression_ratio=round(len(octets) / len(zlib.compress(octets)), 4),
    )


def _cue(item: Utterance) -> Cue:
    return Cue(item.start_ms, item.end_ms, item.text)


def _encoded(body: msgspec.Struct) -> str:
    return msgspec.json.encode(body).decode()


def _seconds(samples: int) -> float:
    return round(samples / SAMPLE_RATE, 3)


def _letters(number: int) -> str:
    """A, B, …, Z, AA, AB, …"""
    return ("" if number < 26 else _letters(number // 26 - 1)) + chr(ord("A") + number % 26)


def _one_of(param: str, value: str, allowed: Sequence[T]) -> T:
    for each in allowed:
        if value == each:
            return each
    raise Invalid(param, f"{param} must be one of: {', '.join(allowed)}.")


def _truth(param: str, value: str) -> bool:
    if value.lower() not in ("", "true", "false", "1", "0"):
        raise Invalid(param, f"{param} must be true or false.")
    return value.lower() in ("true", "1")


def _temperature(value: str) -> None:
    try:
        fine = not value or 0 <= float(value) <= 1
    except ValueError:
        fine = False
    if not fine:
        raise Invalid("temperature", "temperature must be a number from 0 to 1.")


def _language(language: str, several: Sequence[str]) -> str:
    wanted = language or (several[0] if len(several) == 1 else "")
    if wanted and not LANGUAGE.fullmatch(wanted):
        raise Invalid("language", 'language must be a language\'s code, such as "en".')
    return wanted


def _end(prompt: str) -> str:
    """What counts of a prompt: its end, from a word on. Clients send all that was said before."""
    kept = " ".join(prompt.split())
    return kept if len(kept) <= MAX_TERM else kept[-MAX_TERM:].partition(" ")[2]


def _terms(given: Iterable[str]) -> tuple[str, ...]:
    terms = [" ".join(term.split()) for term in given]
    if any(len(term) > MAX_TERM for term in terms):
        raise Invalid("keywords", f"One of keywords has more than {MAX_TERM} characters.")
    return tuple(term for term in terms if term)[:MAX_TERMS]


STATUS = {
    "bad_request": 400,
    "cancelled": 400,
    "invalid_audio": 400,
    "unsupported_audio": 400,
    "undecodable_audio": 400,
    "no_audio_track": 400,
    "recording_broken": 400,
    "language_unsupported": 400,
    "unauthorized": 401,
    "token_expired": 401,
    "forbidden": 403,
    "not_found": 404,
    "erased": 404,
    "audio_gone": 404,
    "method_not_allowed": 405,
    "upload_stalled": 408,
    "too_large": 413,
    "recording_too_long": 413,
    "rate_limited": 429,
    "quota_streams": 429,
    "quota_minutes": 429,
    "overloaded": 503,
    "stopped": 503,
    "store_unavailable": 503,
    "blobs_unavailable": 503,
    "epoch_lost": 503,
}
CODES = {
    "unauthorized": "invalid_api_key",
    "rate_limited": "rate_limit_exceeded",
    "quota_minutes": "insufficient_quota",
}
PARAMS = {  # what is wrong with which field
    "invalid_audio": "file",
    "unsupported_audio": "file",
    "undecodable_audio": "file",
    "no_audio_track": "file",
    "recording_too_long": "file",
    "recording_broken": "file",
    "language_unsupported": "language",
}


def error(exc: AuscultError) -> tuple[int, schema.ErrorBody]:
    """Status and body."""
    status = STATUS.get(exc.code, 500)
    param = exc.param if isinstance(exc, Invalid) else PARAMS.get(exc.code)
    if isinstance(exc, BadRequest) and exc.field == "audio":  # as our own API calls it
        param = "file"
    code = None if exc.code == "bad_request" else CODES.get(exc.code, exc.code)
    return status, schema.ErrorBody(
        error=schema.Error(message=str(exc), type=_type(status, code), param=param, code=code)
    )


def _type(status: int, code: str | None) -> str:
    if code == "insufficient_quota":
        return code
    if status == 429:
        return "rate_limit_error"
    if status >= 500:
        return "server_error"
    return {401: "authentication_error", 403: "permission_error"}.get(status, "invalid_request_error")
