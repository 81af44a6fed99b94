"""Long strings of a JSON body as they arrive, however it is cut and escaped."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import BadRequest, TooLarge
from server.ingest.long_strings import Parser

NAMES = ("file", "more")


def read(body: bytes, cuts: list[int], rest_limit: int = 100_000) -> tuple[list[tuple[str, str]], bytes]:
    """The long strings with their fields, and the rest."""
    parser = Parser(NAMES, rest_limit=rest_limit)
    found: list[tuple[str, bytes]] = []
    ends = sorted({cut % (len(body) + 1) for cut in cuts} | {0, len(body)})
    for begin, end in pairwise(ends):
        for event in parser.parse(body[begin:end]):
            if isinstance(event, str):
                found.append((event, b""))
            elif event is not None:
                name, content = found.pop()
                found.append((name, content + event))
    parser.close()
    return [(name, content.decode()) for name, content in found], bytes(parser.rest)


TEXTS = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=20)
OTHERS = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)
CUTS = st.lists(st.integers(0, 10_000), max_size=20)


@given(
    st.dictionaries(TEXTS.filter(lambda text: text not in NAMES), OTHERS, max_size=4),
    TEXTS,
    st.lists(TEXTS, max_size=3),
    st.booleans(),
    CUTS,
)
def test_long_strings_are_found_and_the_rest_is_what_it_was(
    others: dict[str, object], file: str, more: list[str], plain: bool, cuts: list[int]
) -> None:
    body = json.dumps(others | {"file": file, "more": more}, ensure_ascii=plain).encode()
    found, rest = read(body, cuts)
    assert found == [("file", file), *(("more", text) for text in more)]
    assert json.loads(rest) == others | {"file": "", "more": [""] * len(more)}


@given(CUTS)
def test_slashes_may_be_escaped_and_a_field_s_name_too(cuts: list[int]) -> None:
    body = rb'{"f\u0069le": "a\/b\/\u002b\\", "more" : [ "x\"y" ] , "other": "c:\\"}'
    found, rest = read(body, cuts)
    assert found == [("file", "a/b/+\\"), ("more", 'x"y')]
    assert json.loads(rest) == {"file": "", "more": [""], "other": "c:\\"}


@pytest.mark.parametrize(
    "body",
    [b'["file", "more"]', b'{"file": null, "more": {"file": "x"}}', b'"file"', b'{"more": [["x"]]}', b'{"x": "file"}'],
)
def test_what_is_no_such_string_is_left_to_the_decoder(body: bytes) -> None:
    assert read(body, []) == ([], body)


def test_a_rest_that_is_no_end_is_refused() -> None:
    with pytest.raises(TooLarge, match="1000 bytes"):
        read(b'{"x": "' + b"y" * 2000, [], rest_limit=1000)
    with pytest.raises(TooLarge):
        read(b"[" * 2000, [], rest_limit=1000)
    assert len(read(b'{"file": "' + b"y" * 2000 + b'"}', [], rest_limit=1000)[0]) == 1


def test_half_a_character_is_not_left_out() -> None:
    assert read(rb'{"file": "AA\ud800AA"}', [])[0] == [("file", "AA\ufffdAA")]


def test_a_string_that_breaks_off_is_no_json() -> None:
    for body in (b'{"file": "AAAA', b'{"file": "AAAA\\', b'{"x": "AAAA', b'{"x": "\\'):
        with pytest.raises(BadRequest, match="JSON"):
            read(body, [])


@pytest.mark.parametrize("body", [b"file=AAAA" + b"A" * 200_000, b"\xff\xfb" + b"A" * 200_000, b"null"])
def test_what_begins_as_no_json_object_is_refused_by_its_first_byte(body: bytes) -> None:
    with pytest.raises(BadRequest, match="JSON") as refused:
        read(body, [4096])
    assert not isinstance(refused.value, TooLarge)
