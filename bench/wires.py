"""The vendors' messages as a client sees them, written from the vendors' pages. Unknown fields are ignored."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from pipeline.types import SAMPLE_RATE, Role

# Nabla's socket, generation B; what is an extension of ours has a default


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream, as declared."""

    id: str
    speaker_type: Role = Role.UNSPECIFIED


class ListenConfig(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="listen_config"):
    """The first message."""

    streams: Sequence[Stream]
    output_objects: Sequence[Literal["transcript_item", "note"]] = ("transcript_item", "note")
    encoding: str = "pcm_s16le"
    sample_rate: int = SAMPLE_RATE
    language: str = "en-US"
    note_template: str = "SOAP"
    split_by_sentence: bool = False
    enable_audio_chunk_ack: bool = False


class AudioChunk(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="audio_chunk", omit_defaults=True):
    """Base64 of raw audio; numbered where acknowledgements were asked for."""

    payload: str
    stream_id: str
    seq_id: int | None = None


class End(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="end"):
    """No more audio."""


class TranscriptItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="transcript_item"):
    """Partial or final words."""

    id: str
    text: str
    speaker: Role
    start_offset_ms: int
    end_offset_ms: int
    is_final: bool


class Sentence(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence of the note and what it rests on."""

    text: str
    transcript_item_ids: tuple[str, ...] = ()


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A section of the note."""

    key: str
    title: str
    text: str
    sentences: tuple[Sentence, ...] = ()


class Note(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="note"):
    """The note."""

    title: str
    sections: tuple[Section, ...]


class AudioChunkAck(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="audio_chunk_ack"):
    """Every chunk up to this number is safe."""

    ack_id: int


class ErrorMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="error_message"):
    """What went wrong."""

    message: str
    code: int | None = None
    name: str | None = None


Message: TypeAlias = TranscriptItem | Note | AudioChunkAck | ErrorMessage


# Haidy


class Bubble(msgspec.Struct, frozen=True, kw_only=True):
    """A transcript item. Times in seconds."""

    text: str
    start: float
    end: float
    id: str = ""
    speaker: Role = Role.UNSPECIFIED


class HaidyNote(msgspec.Struct, frozen=True, kw_only=True):
    """The note."""

    title: str
    sections: tuple[Section, ...]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What was said so far, and the note once there is one."""

    bubbles: tuple[Bubble, ...] = ()
    note: HaidyNote | None = None


class AdditionalInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Why a task failed, and what to know of one that did not."""

    message: str | None = None
    code: str | None = None
    warnings: tuple[str, ...] = ()
    note: str | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A live session as the server answers it."""

    task_id: str
    status: str
    percentage: int
    status_changes_at: dict[str, str]
    result: Outcome | None = None
    additional_info: AdditionalInfo | None = None


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What the note is to be."""

    template: str = "SOAP"
    language: str = "en"
    glossary: tuple[str, ...] = ()


class ChunkRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of the audio."""

    task_id: str
    final: bool
    audio_base64: str
    sample_rate: int
    file_format: str
    parameters: Parameters
    chunk_index: int | None = None
