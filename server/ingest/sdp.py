"""What an offer brings, and what our answer says beyond what aiortc writes. Pure: text in, text out.

Source: RFC 8866 (SDP), RFC 8829 (offer and answer), RFC 7587 §6.1 (Opus), RFC 9725 §4.2 (WHIP).
"""

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from aiortc.sdp import MediaDescription, SessionDescription

from server.ingest.rtc_errors import NoAudio, NoCommonCodec, SdpInvalid, SdpTooLarge, TooManyTracks, VideoOnly
from server.ingest.sdpfrag import CANDIDATE, reachable

UNREADABLE = (ValueError, AssertionError, AttributeError, IndexError, KeyError, TypeError, StopIteration)
"""What aiortc's reader raises on text that is no SDP."""

MAX_SECTIONS = 16
CANDIDATE_LINE = re.compile(r"^a=candidate:(.*?)\r?$", re.MULTILINE)
CANDIDATES = re.compile(r"^a=(?:candidate:.*|end-of-candidates)\r?\n?", re.MULTILINE)
OPUS = "audio/opus"
SENDING = ("sendrecv", "sendonly")
DIRECTION = re.compile(r"^a=(?:sendrecv|sendonly|recvonly|inactive)\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One media section of an offer."""

    kind: str  # audio, video, application
    heard: bool  # audio that the client sends


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An offer that can be answered."""

    text: str  # without candidates
    sections: tuple[Section, ...]
    candidates: tuple[str, ...]  # those that can be of use
    credentials: frozenset[tuple[str, str]]  # ICE user name fragments and passwords; one pair as a rule

    @property
    def tracks(self) -> int:
        """Audio tracks that the client sends."""
        return sum(section.heard for section in self.sections)


def read_offer(text: str, *, max_bytes: int, max_tracks: int) -> Offer:
    """Read an offer. Raises: `RtcError`s that say what is wrong with it."""
    if len(text.encode()) > max_bytes:
        raise SdpTooLarge(f"The SDP is larger than {max_bytes} bytes: offer fewer codecs and candidates.")
    if not text.startswith("v=0"):
        raise SdpInvalid
    bare = _with_directions(CANDIDATES.sub("", text))
    try:
        media = SessionDescription.parse(bare).media
    except UNREADABLE as exc:
        raise SdpInvalid from exc
    if len(media) > MAX_SECTIONS:
        raise SdpInvalid(f"An offer has at most {MAX_SECTIONS} media sections.")
    credentials = {(ice.usernameFragment, ice.password) for section in media if (ice := section.ice)}
    sections = tuple(Section(kind=section.kind, heard=_is_heard(section)) for section in media)
    _check(media, sections, max_tracks)
    offered = (line.strip() for line in CANDIDATE_LINE.findall(text))
    return Offer(
        text=bare,
        sections=sections,
        candidates=reachable(candidate for candidate in offered if CANDIDATE.fullmatch(candidate)),
        credentials=frozenset((ufrag, pwd) for ufrag, pwd in credentials if ufrag and pwd),
    )


def _with_directions(text: str) -> str:
    """The offer with a direction in each section: where none is said it is the session's, or sendrecv.

    Source: RFC 8866 §6.7; aiortc has no answer to an offer without.
    """
    session, *sections = re.split(r"^(?=m=)", text, flags=re.MULTILINE)
    default = found[0].strip() if (found := DIRECTION.search(session)) else "a=sendrecv"
    said = (section if DIRECTION.search(section) else f"{section.rstrip()}\r\n{default}\r\n" for section in sections)
    return session + "".join(said)


def _is_heard(section: MediaDescription) -> bool:
    return section.kind == "audio" and section.port != 0 and section.direction in SENDING


def _check(media: list[MediaDescription], sections: tuple[Section, ...], max_tracks: int) -> None:
    heard = [section for section, seen in zip(media, sections, strict=True) if seen.heard]
    if not heard:
        raise VideoOnly if any(section.kind == "video" for section in sections) else NoAudio
    if len(heard) > max_tracks:
        raise TooManyTracks(f"The offer has {len(heard)} audio tracks: send at most {max_tracks}.")
    if not all(any(codec.mimeType.lower() == OPUS for codec in section.rtp.codecs) for section in heard):
        raise NoCommonCodec
    mids = [section.rtp.muxId for section in media]
    if not all(mids) or len(set(mids)) < len(mids):
        raise SdpInvalid("The offer has sections without a mid of their own, which a bundle needs.")
    for section in media:
        if section.kind not in ("audio", "video", "application"):
            raise SdpInvalid(f"Unknown kind of media: {section.kind[:20]}.")
        if not (section.ice and section.ice.usernameFragment and section.ice.password):
            raise SdpInvalid("The offer has a section without ICE credentials: send the whole of createOffer().")
        if section.dtls is None or not section.dtls.fingerprints:
            raise SdpInvalid("The offer has a section without a DTLS fingerprint: WebRTC is always encrypted.")
        if section.kind != "application" and not section.rtcp_mux:
            raise SdpInvalid("The offer has a section without rtcp-mux, which WebRTC demands.")


def opus_only(answer: str, *, stereo: bool) -> str:
    """Our answer with Opus alone for audio, and saying whether both channels are wanted (RFC 7587 §6.1).

    Without `stereo=1` a browser sends one channel, whatever its microphone has.
    """
    return "".join(
        _opus_only(section, stereo=stereo) if section.startswith("m=audio") else section
        for section in re.split(r"^(?=m=)", answer, flags=re.MULTILINE)
    )


def _opus_only(section: str, *, stereo: bool) -> str:
    found = re.search(r"^a=rtpmap:(\d+) opus/48000/2\r?$", section, re.MULTILINE | re.IGNORECASE)
    if found is None:
        return section
    payload_type = found[1]
    kept = re.sub(rf"^a=(?:rtpmap|fmtp|rtcp-fb):(?!{payload_type} ).*\n", "", section, flags=re.MULTILINE)
    kept = re.sub(rf"^a=fmtp:{payload_type} .*\n", "", kept, flags=re.MULTILINE)
    kept = re.sub(r"^(m=audio \d+ \S+) .*?(\r?)$", rf"\g<1> {payload_type}\g<2>", kept, count=1, flags=re.MULTILINE)
    says = f"a=fmtp:{payload_type} stereo={int(stereo)}\r\n"
    return re.sub(r"^(a=rtpmap:.*\n)", lambda match: match[1] + says, kept, count=1, flags=re.MULTILINE)


def advertise(answer: str, address: str) -> str:
    """Our answer with `address` in place of our own addresses of its family: behind NAT ours cannot be reached."""
    if not address:
        return answer
    version = ipaddress.ip_address(address).version

    def replace(match: re.Match[str]) -> str:
        own = ipaddress.ip_address(match[2])
        return f"{match[1]}{address}{match[3]}" if own.version == version else match[0]

    answer = re.sub(r"^(a=candidate:\S+ \d+ \S+ \d+ )(\S+)( \d+ typ host)", replace, answer, flags=re.MULTILINE)
    return re.sub(r"^(c=IN IP[46] )(\S+)()", replace, answer, flags=re.MULTILINE)


def tell_trickle(answer: str) -> str:
    """Our answer, saying that candidates may follow (RFC 8840 §4.1)."""
    return re.sub(r"^(m=)", r"a=ice-options:trickle\r\n\1", answer, count=1, flags=re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """A STUN or TURN server as an operator names it; its password does not show."""

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def read_ice_server(text: str) -> IceServer:
    """`stun:HOST[:PORT]`, or `turn:USER:PASSWORD@HOST[:PORT][?transport=udp|tcp]` with the password percent-encoded."""
    scheme, _, rest = text.partition(":")
    credentials, _, address = rest.rpartition("@")
    user, _, password = credentials.partition(":")
    return IceServer(url=f"{scheme}:{address}", user=unquote(user) or None, password=unquote(password) or None)
