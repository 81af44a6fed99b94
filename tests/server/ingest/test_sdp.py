"""What offers are answered, and what the answer says."""

import re

import pytest
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection
from hypothesis import given
from hypothesis import strategies as st

from server.ingest.rtc_errors import NoAudio, NoCommonCodec, RtcError, SdpInvalid, SdpTooLarge, TooManyTracks, VideoOnly
from server.ingest.sdp import IceServer, Offer, advertise, opus_only, read_ice_server, read_offer

SESSION = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
SECURITY = (
    "a=rtcp-mux\r\na=setup:actpass\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n"
    f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}\r\n"
)
AUDIO = f"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=sendonly\r\na=rtpmap:111 opus/48000/2\r\n{SECURITY}"
VIDEO = f"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=sendonly\r\na=rtpmap:96 VP8/90000\r\n{SECURITY}"
HOST = "1 1 udp 2122194687 198.51.100.1 61765 typ host"
MDNS = "1 1 udp 2113937151 b9c4c6f2-3e4c-4c0a-8f3e-9b0d6d0a6d0e.local 5000 typ host"


def read(text: str) -> Offer:
    return read_offer(text, max_bytes=65_536, max_tracks=2)


async def test_what_a_client_offers_is_read() -> None:
    client = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    client.addTransceiver("audio", direction="sendonly")
    client.addTransceiver("audio", direction="recvonly")
    client.addTransceiver("video", direction="sendonly")
    client.createDataChannel("transcript")
    description = await client.createOffer()
    await client.close()
    offer = read(description.sdp)
    assert [(section.kind, section.heard) for section in offer.sections] == [
        *(("audio", True), ("audio", False)),
        *(("video", False), ("application", False)),
    ]
    assert offer.tracks == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", SdpInvalid),
        ("hello", SdpInvalid),
        ("v=0\r\nm=audio\r\n", SdpInvalid),
        ("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF eleven\r\n", SdpInvalid),
        (SESSION, NoAudio),
        (SESSION + VIDEO, VideoOnly),
        (SESSION + AUDIO.replace("sendonly", "recvonly"), NoAudio),
        (SESSION + AUDIO.replace("audio 9", "audio 0") + VIDEO, VideoOnly),
        (SESSION + AUDIO.replace("opus/48000/2", "PCMU/8000"), NoCommonCodec),
        (SESSION + AUDIO * 3, TooManyTracks),
        (SESSION + AUDIO * 2, SdpInvalid),
        (SESSION + AUDIO.replace("a=mid:0", "a=x"), SdpInvalid),
        (SESSION + AUDIO.replace("a=ice-pwd", "a=x"), SdpInvalid),
        (SESSION + AUDIO.replace("a=fingerprint", "a=x"), SdpInvalid),
        (SESSION + AUDIO.replace("a=setup:actpass\r\n", ""), SdpInvalid),
        (SESSION + AUDIO.replace("a=rtcp-mux", "a=x"), SdpInvalid),
        (SESSION + AUDIO + "m=text 9 RTP/AVP 0\r\n", SdpInvalid),
        (SESSION + AUDIO + "a=candidate:1 1 udp 1 198.51.100.1 9 typ host\r\n" * 2_000, SdpTooLarge),
        ("v=0" + "\r\n" * 5_000_000, SdpTooLarge),
    ],
)
def test_an_offer_that_cannot_be_answered_is_refused_with_its_own_error(text: str, error: type[RtcError]) -> None:
    with pytest.raises(RtcError) as raised:
        read(text)
    assert type(raised.value) is error


def test_candidates_are_taken_out_of_the_offer_and_names_that_only_a_multicast_resolves_are_dropped() -> None:
    lines = f"a=candidate:{MDNS}\r\na=candidate:{HOST}\r\na=end-of-candidates\r\n"
    offer = read(SESSION + AUDIO + lines)
    assert offer.candidates == (HOST,)
    assert offer.text == SESSION + AUDIO


@pytest.mark.parametrize(("session", "heard"), [("", True), ("a=recvonly\r\n", False), ("a=sendonly\r\n", True)])
def test_a_section_without_a_direction_has_that_of_the_session_or_sends(session: str, heard: bool) -> None:
    silent = AUDIO.replace("a=sendonly\r\n", "")
    if heard:
        assert read(SESSION + session + silent).sections[0].heard
    else:
        with pytest.raises(NoAudio):
            read(SESSION + session + silent)


@given(st.text(max_size=300), st.integers(0, 400), st.integers(0, 400))
def test_any_text_is_read_or_refused(noise: str, start: int, length: int) -> None:
    good = SESSION + AUDIO
    for text in (noise, good[:start] + noise + good[start + length :]):
        try:
            read(text)
        except RtcError:
            continue


@pytest.mark.parametrize("stereo", [True, False])
def test_the_answer_has_opus_alone_and_says_whether_two_channels_are_wanted(stereo: bool) -> None:
    audio = (
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 x=1\r\n"
        "a=rtpmap:0 PCMU/8000\r\na=rtcp-fb:0 nack\r\na=rtpmap:8 PCMA/8000\r\na=setup:active\r\n"
    )
    assert opus_only(SESSION + audio + VIDEO, stereo=stereo) == (
        SESSION + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n"
        f"a=fmtp:111 stereo={int(stereo)}\r\na=setup:active\r\n" + VIDEO
    )


def test_an_advertised_address_replaces_those_of_its_family_only() -> None:
    answer = (
        "m=audio 5000 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 172.17.0.2\r\n"
        "a=candidate:1 1 udp 2 172.17.0.2 5000 typ host\r\na=candidate:2 1 udp 2 fd00::2 5001 typ host\r\n"
        "a=candidate:3 1 udp 2 203.0.113.9 6000 typ srflx raddr 172.17.0.2 rport 5000\r\n"
    )
    told = advertise(answer, "203.0.113.1")
    assert re.findall(r"typ host|\S+ \d+ typ|IP4 \S+", told) == [
        *("IP4 203.0.113.1", "203.0.113.1 5000 typ", "fd00::2 5001 typ", "203.0.113.9 6000 typ")
    ]
    assert advertise(answer, "") == answer


def test_a_turn_server_has_a_user_and_a_password_that_does_not_show() -> None:
    server = read_ice_server("turn:auscult:hunter%402@turn.example.org:3478?transport=tcp")
    assert server == IceServer(url="turn:turn.example.org:3478?transport=tcp", user="auscult", password="hunter@2")
    assert "hunter" not in repr(server)
    assert read_ice_server("stun:stun.example.org") == IceServer(url="stun:stun.example.org")
