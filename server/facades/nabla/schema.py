"""What the socket messages of all of Nabla's generations have in common; `schema_b` and `schema_c` tag and complete it.

What is ours beyond the vendor's is marked *extension*.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

ChunkNumber: TypeAlias = Annotated[int, Meta(ge=0, lt=2**53)]  # what every client can count to exactly


class Stream(Struct, kw_only=True):
    """One declared audio stream."""

    id: str
    speaker_type: str | None = None  # doctor | patient | unspecified, in either case; absent: unspecified


class Config(Struct, kw_only=True):
    """First message, once."""

    streams: list[Stream]
    encoding: str | None = None  # absent: pcm_s16le
    sample_rate: int | None = None  # absent: 16,000
    split_by_sentence: bool | None = None
    enable_audio_chunk_ack: bool | None = None  # extension to B
    expected_speakers: int | None = None  # extension: people in the room, 1 to 6; absent: the operator's default


class AudioChunk(Struct, kw_only=True):
    """A piece of one stream."""

    payload: str  # base64 of raw PCM
    stream_id: str
    seq_id: ChunkNumber | None = None  # extension to B; acknowledged when acknowledgements are enabled


class End(Struct, kw_only=True):
    """No more audio."""


ClientMessage: TypeAlias = Config | AudioChunk | End


class AudioChunkAck(Struct, kw_only=True):
    """Every chunk with `seq_id` ≤ `ack_id` is on the disk. Extension to B."""

    ack_id: int


class ErrorMessage(Struct, kw_only=True, omit_defaults=True):
    """Something went wrong."""

    message: str
    code: int | None = None  # Nabla's own number, where it is known
    name: str | None = None  # extension


class HttpError(Struct, kw_only=True):
    """Error body over HTTP. `code` is Nabla's own number where it is known, else the HTTP status."""

    message: str
    code: int
    name: str
