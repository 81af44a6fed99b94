"""Socket messages of generation C, tagged by `type`. Ours beyond the vendor's is marked *extension*."""

from typing import TypeAlias

from msgspec import Struct

from server.facades.nabla import schema


class Config(schema.Config, kw_only=True, tag_field="type", tag="CONFIG"):
    """First message, once."""

    speech_locale: str | None = None  # until early 2025
    speech_locales: list[str] | None = None  # from 2025-03


class AudioChunk(schema.AudioChunk, kw_only=True, tag_field="type", tag="AUDIO_CHUNK"):
    """A piece of one stream. `seq_id` goes on over sockets: one that takes up another's work repeats its numbers."""


class End(schema.End, kw_only=True, tag_field="type", tag="END"):
    """No more audio."""


ClientMessage: TypeAlias = Config | AudioChunk | End


class TranscriptItem(Struct, kw_only=True, tag_field="type", tag="TRANSCRIPT_ITEM"):
    """Partial or final text; the same `id` replaces what was sent before."""

    id: str
    text: str
    speaker_type: str  # DOCTOR | PATIENT | UNSPECIFIED
    locale: str
    start_offset_ms: int
    end_offset_ms: int
    is_final: bool


class AudioChunkAck(schema.AudioChunkAck, kw_only=True, tag_field="type", tag="AUDIO_CHUNK_ACK"):
    """See `schema.AudioChunkAck`."""


class ErrorMessage(schema.ErrorMessage, kw_only=True, tag_field="type", tag="ERROR_MESSAGE", omit_defaults=True):
    """Something went wrong."""


ServerMessage: TypeAlias = TranscriptItem | AudioChunkAck | ErrorMessage
