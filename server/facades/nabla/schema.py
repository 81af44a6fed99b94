"""Nabla's socket messages, tagged by `object`. What is ours beyond the vendor's is marked *extension*."""

from typing import TypeAlias

import msgspec
from msgspec import Struct


class Stream(Struct, kw_only=True):
    """One declared audio stream."""

    id: str
    speaker_type: str = "unspecified"  # doctor | patient | unspecified


class ListenConfig(Struct, kw_only=True, tag_field="object", tag="listen_config"):
    """First message, once."""

    streams: list[Stream]
    output_objects: list[str] = msgspec.field(default_factory=lambda: ["transcript_item"])
    encoding: str = "pcm_s16le"
    sample_rate: int = 16_000
    language: str = "en-US"
    split_by_sentence: bool = False
    section_style: str = "auto"
    note_template: str = "GENERAL_MEDICINE"
    enable_audio_chunk_ack: bool = False  # extension to B: the opt-in of generation C


class AudioChunk(Struct, kw_only=True, tag_field="object", tag="audio_chunk"):
    """A piece of one stream."""

    payload: str  # base64 of raw PCM
    stream_id: str
    seq_id: int | None = None  # extension to B: acknowledged when acknowledgements are enabled


class End(Struct, kw_only=True, tag_field="object", tag="end"):
    """No more audio."""


ClientMessage: TypeAlias = ListenConfig | AudioChunk | End


class TranscriptItem(Struct, kw_only=True, tag_field="object", tag="transcript_item"):
    """Partial or final text; the same `id` replaces what was sent before."""

    id: str
    text: str
    speaker: str
    start_offset_ms: int
    end_offset_ms: int
    is_final: bool


class Sentence(Struct, kw_only=True):
    """Extension: a sentence of the note and the items it rests on."""

    text: str
    transcript_item_ids: list[str]


class Section(Struct, kw_only=True):
    key: str
    title: str
    text: str
    sentences: list[Sentence]  # extension


class Note(Struct, kw_only=True, tag_field="object", tag="note"):
    """The clinical note, when asked for."""

    title: str
    sections: list[Section]


class AudioChunkAck(Struct, kw_only=True, tag_field="object", tag="audio_chunk_ack"):
    """Extension to B: every chunk with `seq_id` ≤ `ack_id` is on the disk."""

    ack_id: int


class ErrorMessage(Struct, kw_only=True, tag_field="object", tag="error_message", omit_defaults=True):
    """Something went wrong."""

    message: str
    code: int | None = None  # Nabla's own number, where it is known
    name: str | None = None  # extension


ServerMessage: TypeAlias = TranscriptItem | Note | AudioChunkAck | ErrorMessage


class HttpError(Struct, kw_only=True):
    """Error body over HTTP."""

    message: str
    code: int
    name: str
