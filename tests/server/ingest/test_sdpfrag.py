"""Fragments of SDP that add candidates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.ingest.rtc_errors import FragmentInvalid
from server.ingest.sdpfrag import Fragment, parse_fragment

HOST = "3471623853 1 udp 2122194687 198.51.100.1 61765 typ host generation 0 ufrag EsAw network-id 1"
REFLEXIVE = "1 1 UDP 1686052607 203.0.113.5 6000 typ srflx raddr 198.51.100.1 rport 61765"
MDNS = "1 1 udp 2113937151 b9c4c6f2-3e4c-4c0a-8f3e-9b0d6d0a6d0e.local 5000 typ host"
TCP = "1 1 tcp 1518280447 198.51.100.1 9 typ host tcptype active"
RTCP = "1 2 udp 2122194686 198.51.100.1 61766 typ host"


def test_the_example_of_the_rfc_is_read() -> None:
    """RFC 9725 §4.3.1, figure 4."""
    text = (
        "a=group:BUNDLE 0 1\r\n"
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
        "a=mid:0\r\n"
        "a=ice-ufrag:EsAw\r\n"
        "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
        f"a=candidate:{HOST}\r\n"
        f"a=candidate:{REFLEXIVE}\r\n"
        "a=end-of-candidates\r\n"
    )
    assert parse_fragment(text) == Fragment(
        ufrag="EsAw",
        pwd="P2uYro0UCOQ4zxjKXaWCBui1",
        mids=("0",),
        candidates=(HOST, REFLEXIVE),
        end_of_candidates=True,
    )


def test_candidates_that_are_of_no_use_are_left_out() -> None:
    lines = "\n".join(f"a=candidate:{candidate}" for candidate in (MDNS, TCP, RTCP, HOST))
    assert parse_fragment(lines).candidates == (HOST,)


def test_credentials_alone_are_a_fragment() -> None:
    assert parse_fragment("a=ice-ufrag:abcd\na=ice-pwd:0123456789012345678901\n").candidates == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "{}",
        "a=mid:0\r\n",
        "a=candidate:",
        "a=candidate:1 1 udp x 198.51.100.1 9 typ host",
        "a=candidate:1 1 udp 1 198.51.100.1 9 host",
        "a=ice-ufrag:\n",
        "a=ice-ufrag:abcd\na=ice-ufrag:efgh\n",
        f"a=candidate:{HOST}\nrubbish\n",
        "\n".join(["a=candidate:" + HOST] * 65),
    ],
)
def test_what_is_no_fragment_is_refused(text: str) -> None:
    with pytest.raises(FragmentInvalid):
        parse_fragment(text)


def test_a_wrong_line_is_named_by_its_number_not_by_its_content() -> None:
    with pytest.raises(FragmentInvalid, match=r"^Line 2 is no ICE candidate") as error:
        parse_fragment("a=mid:0\na=candidate:somebody's name\n")
    assert "somebody" not in str(error.value)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_fragment(text)
    except FragmentInvalid:
        return
