"""What `sphinx` and its worker processes say to each other: frames of a length and a msgpack body, on stdin and stdout.

The length is 4 bytes, little-endian. The parent writes `Decode` and reads one answer for each; before the first one the
worker says `Ready` once. A worker ends when its stdin does.
"""

from typing import TypeAlias

import msgspec

LENGTH_BYTES = 4


class Decode(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """More audio of a segment, and the wish to know what all of it says."""

    slot: int  # which of the worker's decoders; it is made when it is first named
    offset: int  # bytes of the segment that the slot keeps; 0 begins a new segment
    pcm: bytes = b""  # what follows them: s16, little-endian, mono at 16 kHz
    final: bool  # the segment is complete


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The worker has loaded its model."""


class DecodedWord(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One word, cleaned of the dictionary's marks. Times count from the segment's first sample."""

    text: str
    start: int  # samples
    end: int  # samples, exclusive
    probability: float  # 0..1; 1.0 while the segment is open


class Decoded(msgspec.Struct, frozen=True, tag=True):
    """What a segment (so far) says; no words where nothing was understood."""

    words: tuple[DecodedWord, ...]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The decoder failed on this request; its slot begins anew."""


Answer: TypeAlias = Ready | Decoded | Failed


def frame(message: Decode | Answer) -> bytes:
    """A message as bytes on the pipe."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "little") + body


def body_length(prefix: bytes) -> int:
    """How many bytes follow a frame's first `LENGTH_BYTES`."""
    return int.from_bytes(prefix, "little")


def read_request(body: bytes) -> Decode:
    """Raises: `msgspec.DecodeError`."""
    return msgspec.msgpack.decode(body, type=Decode)


def read_answer(body: bytes) -> Answer:
    """Raises: `msgspec.DecodeError`."""
    answer: Answer = msgspec.msgpack.decode(body, type=Answer)
    return answer
