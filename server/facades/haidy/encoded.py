"""Base64 (RFC 4648 §4) → audio, in pieces, so that no recording is ever whole in memory."""

import binascii
import re
from collections.abc import AsyncIterator

from server.errors import BadRequest

NOTHING = "No audio file provided"
DATA_URL = re.compile(rb"data:[^,]{0,200};base64")  # what a browser's FileReader puts before the audio
HEAD_BYTES = 216  # of such a head at most


class Decoder:
    """One file's base64."""

    def __init__(self) -> None:
        self._held = b""
        self._begun = False  # a head was looked for
        self._padded = False

    def take(self, piece: bytes) -> bytes:
        """The bytes that are known now. Raises `BadRequest` in the page's words."""
        text, self._held = self._held + piece, b""
        if not self._begun:
            text = self._behind_head(text)
            if not self._begun:
                return b""
        whole = len(text) - len(text) % 4
        self._held = text[whole:]
        return self._decoded(text[:whole])

    def finish(self) -> bytes:
        """What is left. Raises `BadRequest` in the page's words."""
        self._begun = True  # too short for a head
        return self.take(b"") + self._decoded(self._held)

    def _behind_head(self, text: bytes) -> bytes:
        """The text without its head; nothing, while it is not known whether it has one."""
        if not text.startswith(b"data:"[: len(text)]):
            self._begun = True
            return text
        head, comma, behind = text.partition(b",")
        if comma and DATA_URL.fullmatch(head):
            self._begun = True
            return behind
        if comma or len(text) > HEAD_BYTES:
            raise BadRequest("Invalid base64 audio file")
        self._held = text
        return b""

    def _decoded(self, text: bytes) -> bytes:
        if not text:
            return b""
        if self._padded:
            raise BadRequest("Could not decode base64 audio file")
        self._padded = text.endswith(b"=")
        return decoded(text)


def decoded(text: str | bytes) -> bytes:
    """The bytes of all of a text. Raises `BadRequest` in the page's words."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as exc:
        padding = "padding" in str(exc) or "multiple of 4" in str(exc)
        message = "Could not decode base64 audio file" if padding else "Invalid base64 audio file"
        raise BadRequest(message) from None


async def from_base64(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The audio in a text that comes in pieces. Raises `BadRequest` in the page's words."""
    decoder = Decoder()
    async for piece in pieces:
        yield decoder.take(piece)
    yield decoder.finish()


async def some(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces that have something in them. Raises `BadRequest` in the page's words where none has."""
    nothing = True
    async for piece in pieces:
        if piece:
            nothing = False
            yield piece
    if nothing:
        raise BadRequest(NOTHING)
