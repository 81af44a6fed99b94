"""Base64 in pieces is what it is in one."""

import base64
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.errors import BadRequest
from server.facades.haidy.encoded import Decoder, decoded, from_base64, some

SIZES = st.lists(st.integers(1, 40), max_size=30)


def cut(text: bytes, sizes: Sequence[int]) -> list[bytes]:
    found, at = [], 0
    for size in sizes:
        found.append(text[at : at + size])
        at += size
    return [*found, text[at:]]


def told(pieces: Sequence[bytes]) -> bytes | str:
    decoder = Decoder()
    try:
        return b"".join([*map(decoder.take, pieces), decoder.finish()])
    except BadRequest as exc:
        return str(exc)


@given(st.binary(max_size=200), st.sampled_from([b"", b"data:audio/webm;codecs=opus;base64,", b"data:;base64,"]), SIZES)
def test_audio_survives_however_it_is_cut(audio: bytes, head: bytes, sizes: list[int]) -> None:
    assert told(cut(head + base64.b64encode(audio), sizes)) == audio


@given(st.text(max_size=60).map(str.encode) | st.binary(max_size=60), SIZES)
@example(b"AA==AAAA", [4])
@example(b"AA=A", [])
@example(b"====", [2])
@example(b"data", [1])
@example(b"data:", [])
@example(b"data:audio/webm,plain", [3])
@example(b"data:" + b"x" * 500, [100])
def test_what_is_no_base64_is_refused_in_the_pages_words_in_pieces_as_in_one(text: bytes, sizes: list[int]) -> None:
    answer = told(cut(text, sizes))
    try:
        assert answer == decoded(text) or text.startswith(b"data:")
    except BadRequest:
        assert answer in ("Invalid base64 audio file", "Could not decode base64 audio file")


async def each(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_nothing_is_no_audio() -> None:
    for nothing in (each(), each(b"", b""), from_base64(each(b"data:audio/mp4;base64,"))):
        with pytest.raises(BadRequest, match="No audio file provided"):
            [piece async for piece in some(nothing)]
    assert [piece async for piece in some(from_base64(each(b"QU", b"FB")))] == [b"AAA"]
