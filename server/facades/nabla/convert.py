"""Nabla's values ⇄ domain values. Pure; the error table is at the end."""

import base64
import binascii

from pipeline.errors import AuscultError
from pipeline.events import Partial, PartialWithdrawn
from pipeline.notes.note import Note
from pipeline.types import Role, Utterance, to_ms
from server.domain import EncounterOptions, Failure, StreamSpec
from server.errors import BadRequest
from server.facades.nabla import schema

API = "nabla"
SUB_PROTOCOL = "copilot-listen-protocol"
JWT_PREFIX = "jwt-"
OUTPUTS = ("transcript_item", "note")
LANGUAGES = ("fr", "en", "en-US", "en-GB", "fr-FR", "es-ES", "es-MX")
STYLES = ("auto", "paragraphs", "bullet_points")
RATES = range(8_000, 48_001)  # hertz


def token(protocols: list[str]) -> str | None:
    """The credential that a browser offers as a sub-protocol, `jwt-<token>`."""
    return next((p.removeprefix(JWT_PREFIX) for p in protocols if p.startswith(JWT_PREFIX)), None)


def options(config: schema.ListenConfig, max_streams: int) -> EncounterOptions:
    """What the session is to be. Raises `BadRequest`."""
    _one_of("output_objects", config.output_objects, OUTPUTS)
    _one_of("language", [config.language], LANGUAGES)
    _one_of("section_style", [config.section_style], STYLES)
    if config.encoding.lower() != "pcm_s16le":
        raise BadRequest("encoding must be pcm_s16le.")
    if config.sample_rate not in RATES:
        raise BadRequest("sample_rate must be between 8000 and 48000.")
    names = [stream.id for stream in config.streams]
    if not 1 <= len(names) <= max_streams:
        raise BadRequest(f"streams must declare between 1 and {max_streams} streams.")
    if len(set(names)) < len(names) or not all(0 < len(name) <= 100 for name in names):
        raise BadRequest("Each stream needs an id of its own, of 1 to 100 characters.")
    return EncounterOptions(
        api=API,
        streams=tuple(
            StreamSpec(
                name=f"stream{ordinal}",  # the client's own id may be a person's name: it stays in the socket
                role=role(stream.speaker_type),
                encoding="pcm_s16le",
                sample_rate=config.sample_rate,
            )
            for ordinal, stream in enumerate(config.streams)
        ),
        language=config.language,
        template=config.note_template,
        style=config.section_style,
        split_by_sentence=config.split_by_sentence,
        note="note" in config.output_objects,
        resumable=False,
        attended=True,
    )


def _one_of(field: str, values: list[str], allowed: tuple[str, ...]) -> None:
    if not values or not set(values) <= set(allowed):
        raise BadRequest(f"{field} must be of: {', '.join(allowed)}.")


def role(speaker_type: str) -> Role:
    """Raises `BadRequest`."""
    try:
        return Role(speaker_type.lower())
    except ValueError:
        raise BadRequest("speaker_type must be doctor, patient or unspecified.") from None


def pcm(payload: str) -> bytes:
    """Raises `BadRequest`."""
    if not payload:
        raise BadRequest("payload is empty: send audio also in silence.")
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("payload is not valid base64: this audio_chunk was dropped.") from None


def item(said: Utterance | Partial | PartialWithdrawn) -> schema.TranscriptItem:
    """A transcript item: final, partial, or a partial that turned out to be nothing (empty text)."""
    if isinstance(said, PartialWithdrawn):
        return schema.TranscriptItem(
            id=said.id, text="", speaker=Role.UNSPECIFIED, start_offset_ms=0, end_offset_ms=0, is_final=False
        )
    return schema.TranscriptItem(
        id=said.id,
        text=said.text,
        speaker=said.role,
        start_offset_ms=to_ms(said.start),
        end_offset_ms=to_ms(said.end),
        is_final=isinstance(said, Utterance),
    )


def note(written: Note) -> schema.Note:
    """The note with its evidence."""
    return schema.Note(
        title=written.title,
        sections=[
            schema.Section(
                key=section.key,
                title=section.title,
                text=section.text,
                sentences=[schema.Sentence(text=s.text, transcript_item_ids=list(s.items)) for s in section.sentences],
            )
            for section in written.sections
        ],
    )


CODES = {  # vendor-contracts §1.3: what is known of Nabla's numbers
    "transcript_too_short": (83005, "NOTE_GENERATION_TRANSCRIPT_TOO_SHORT"),
    "stream_silent": (83011, "STREAM_TIMEOUT"),
    "token_expired": (50025, "TOKEN_EXPIRED"),
}


def error(exc: AuscultError | Failure) -> schema.ErrorMessage:
    """The frame for an error."""
    code, name = CODES.get(exc.code, (None, exc.code.upper()))
    message = exc.message if isinstance(exc, Failure) else str(exc)
    return schema.ErrorMessage(message=message, code=code, name=name)


HTTP_STATUS = {"unauthorized": 401, "overloaded": 503, "store_unavailable": 503}


def http_error(exc: AuscultError) -> tuple[int, schema.HttpError]:
    """Status and body, for what is refused before the socket is open."""
    status = HTTP_STATUS.get(exc.code, 400)
    return status, schema.HttpError(message=str(exc), code=status, name=exc.code.upper())
