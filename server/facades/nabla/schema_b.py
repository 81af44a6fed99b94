"""Socket messages of generations A and B, tagged by `object`. Ours beyond the vendor's is marked *extension*."""

from typing import TypeAlias

from msgspec import Struct

from server.facades.nabla import schema


class ListenConfig(schema.Config, kw_only=True, tag_field="object", tag="listen_config"):
    """First message, once."""

    output_objects: list[str] | None = None  # transcript_item, note; absent: transcript_item
    language: str | None = None  # absent: en-US
    section_style: str | None = None  # auto | paragraphs | bullet_points; absent: auto
    note_template: str | None = None  # absent: GENERAL_MEDICINE
    split_by_problem: bool | None = None  # as over REST


class AudioChunk(schema.AudioChunk, kw_only=True, tag_field="object", tag="audio_chunk"):
    """A piece of one stream."""


class End(schema.End, kw_only=True, tag_field="object", tag="end"):
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


class Sentence(Struct, kw_only=True, omit_defaults=True):
    """Extension: a sentence of the note and the items it rests on."""

    text: str
    transcript_item_ids: list[str]
    faults: tuple[str, ...] = ()  # what the items do not bear out; only where the server is set to show it


class Section(Struct, kw_only=True):
    key: str
    title: str
    text: str
    sentences: list[Sentence]  # extension


class Note(Struct, kw_only=True, tag_field="object", tag="note", omit_defaults=True):
    """The clinical note, when asked for."""

    title: str
    sections: list[Section]
    generator: str  # extension: embedded-extractive (an extract of what was said), model:NAME, or provider
    fallback: str = ""  # extension: why the embedded writer wrote it although there is a model


class AudioChunkAck(schema.AudioChunkAck, kw_only=True, tag_field="object", tag="audio_chunk_ack"):
    """Extension: see `schema.AudioChunkAck`."""


class ErrorMessage(schema.ErrorMessage, kw_only=True, tag_field="object", tag="error_message", omit_defaults=True):
    """Something went wrong."""


ServerMessage: TypeAlias = TranscriptItem | Note | AudioChunkAck | ErrorMessage
