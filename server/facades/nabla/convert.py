"""What all of Nabla's generations spell alike ⇄ domain values. Pure; the error table is at the end."""

import base64
import binascii
from typing import TypeVar

from pipeline.errors import AuscultError
from pipeline.types import SAMPLE_RATE, Role
from server.domain import Failure, StreamSpec
from server.errors import BadRequest
from server.facades.nabla import schema

JWT_PREFIX = "jwt-"
RATES = range(8_000, 48_001)  # hertz

ErrorT = TypeVar("ErrorT", bound=schema.ErrorMessage)


def token(protocols: list[str]) -> str | None:
    """The credential that a browser offers as a sub-protocol, `jwt-<token>`."""
    return next((p.removeprefix(JWT_PREFIX) for p in protocols if p.startswith(JWT_PREFIX)), None)


def streams(config: schema.Config, max_streams: int) -> tuple[StreamSpec, ...]:
    """The declared streams. Raises `BadRequest`."""
    sample_rate = SAMPLE_RATE if config.sample_rate is None else config.sample_rate
    if config.encoding is not None and config.encoding.lower() != "pcm_s16le":
        raise BadRequest("encoding must be pcm_s16le (PCM_S16LE in transcribe-ws).")
    if sample_rate not in RATES:
        raise BadRequest("sample_rate must be between 8000 and 48000.")
    names = [stream.id for stream in config.streams]
    if not 1 <= len(names) <= max_streams:
        raise BadRequest(f"streams must declare between 1 and {max_streams} streams.")
    if len(set(names)) < len(names) or not all(0 < len(name) <= 100 for name in names):
        raise BadRequest("Each stream needs an id of its own, of 1 to 100 characters.")
    return tuple(
        StreamSpec(
            name=f"stream{ordinal}",  # the client's own id may be a person's name: it stays in the socket
            role=Role.UNSPECIFIED if stream.speaker_type is None else role(stream.speaker_type),
            encoding="pcm_s16le",
            sample_rate=sample_rate,
        )
        for ordinal, stream in enumerate(config.streams)
    )


def one_of(field: str, values: list[str], allowed: tuple[str, ...]) -> None:
    """Raises `BadRequest` unless there are values and each is allowed."""
    if not values or not set(values) <= set(allowed):
        raise BadRequest(f"{field} must be of: {', '.join(allowed)}.")


def role(speaker_type: str) -> Role:
    """Raises `BadRequest`."""
    try:
        return Role(speaker_type.lower())
    except ValueError:
        raise BadRequest("A speaker must be doctor, patient or unspecified.") from None


def pcm(payload: str) -> bytes:
    """Raises `BadRequest`."""
    if not payload:
        raise BadRequest("payload is empty: send audio also in silence.")
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("payload is not valid base64: this audio chunk was dropped.") from None


CODES = {  # vendor-contracts §1.3: what is known of Nabla's numbers
    "transcript_too_short": (83005, "NOTE_GENERATION_TRANSCRIPT_TOO_SHORT"),
    "stream_silent": (83011, "STREAM_TIMEOUT"),
    "token_expired": (50025, "TOKEN_EXPIRED"),
}


def error(frame: type[ErrorT], exc: AuscultError | Failure) -> ErrorT:
    """The frame of a generation for an error."""
    code, name = CODES.get(exc.code, (None, exc.code.upper()))
    return frame(message=exc.message if isinstance(exc, Failure) else str(exc), code=code, name=name)


HTTP_STATUS = {  # by the vendor 400 is anything malformed or contradictory (vendor-contracts §1.3); the rest is OPEN
    "bad_request": 400,
    "unsupported_audio": 400,
    "unknown_template": 400,
    "address_refused": 400,
    "unauthorized": 401,
    "token_expired": 401,
    "forbidden": 403,
    "not_found": 404,
    "erased": 404,
    "audio_gone": 404,
    "method_not_allowed": 405,
    "upload_stalled": 408,
    "cancelled": 409,
    "too_large": 413,
    "transcript_too_short": 422,  # as the vendor has it; and, like it, what is well said and cannot be done:
    "note_language_unsupported": 422,
    "language_unsupported": 422,
    "recording_too_long": 422,
    "undecodable_audio": 422,
    "no_audio_track": 422,
    "recording_broken": 422,
    "fetch_failed": 422,
    "rate_limited": 429,
    "quota_streams": 429,
    "quota_minutes": 429,
    "overloaded": 503,
    "store_unavailable": 503,
    "epoch_lost": 503,
}


def http_status(exc: AuscultError | Failure) -> int:
    """The HTTP status of an error."""
    return HTTP_STATUS.get(exc.code, 500)


def http_error(exc: AuscultError | Failure) -> tuple[int, schema.HttpError]:
    """Status and body of an error over HTTP."""
    status = http_status(exc)
    code, name = CODES.get(exc.code, (status, exc.code.upper()))
    return status, schema.HttpError(message=exc.message if isinstance(exc, Failure) else str(exc), code=code, name=name)
