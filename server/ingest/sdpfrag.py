"""What a client sends to add ICE candidates: `application/trickle-ice-sdpfrag`. Pure.

Source: RFC 8840 §9; RFC 9725 §4.4.1 for its use in WHIP.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from server.ingest.rtc_errors import FragmentInvalid

# RFC 8839 §5.1: foundation, component, transport, priority, address, port, "typ", type, extensions.
CANDIDATE = re.compile(
    r"[A-Za-z0-9+/]{1,32} \d{1,3} [A-Za-z-]{1,16} \d{1,10} [^\s]{1,255} \d{1,5} typ [a-z]{1,16}(?: [^\s]+ [^\s]+)*"
)
REACHABLE = re.compile(r"[^\s]+ 0*1 udp \d+ (?![^\s]+\.local\.? )", re.IGNORECASE)
MAX_CANDIDATES = 64  # of one fragment: a browser has one for each interface and transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """One fragment. Without credentials it belongs to the session as it is."""

    ufrag: str = ""
    pwd: str = ""
    mids: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()  # as after "a=candidate:"; only those that can be of use
    end_of_candidates: bool = False


def parse_fragment(text: str) -> Fragment:
    """Read a fragment. Raises: `FragmentInvalid`, naming the line by its number."""
    credentials: dict[str, str] = {}
    mids: list[str] = []
    candidates: list[str] = []
    ended = False
    for number, line in enumerate(text.splitlines(), start=1):
        name, _, value = line.strip().removeprefix("a=").partition(":")
        match name:
            case "ice-ufrag" | "ice-pwd":
                if not value or credentials.setdefault(name, value) != value:
                    raise FragmentInvalid(f"Line {number}: a fragment has one {name}, which is not empty.")
            case "mid":
                mids.append(value)
            case "candidate":
                if not CANDIDATE.fullmatch(value.strip()):
                    raise FragmentInvalid(f"Line {number} is no ICE candidate (RFC 8839 §5.1).")
                candidates.append(value.strip())
            case "end-of-candidates":
                ended = True
            case _ if line and not re.match(r"[a-z]=", line):
                raise FragmentInvalid(f"Line {number} is no line of SDP.")
    if len(candidates) > MAX_CANDIDATES:
        raise FragmentInvalid(f"A fragment has at most {MAX_CANDIDATES} candidates.")
    if not (credentials or candidates or ended):
        raise FragmentInvalid
    return Fragment(
        ufrag=credentials.get("ice-ufrag", ""),
        pwd=credentials.get("ice-pwd", ""),
        mids=tuple(mids),
        candidates=reachable(candidates),
        end_of_candidates=ended,
    )


def reachable(candidates: Iterable[str]) -> tuple[str, ...]:
    """The candidates over UDP, of the one component there is (RTCP is multiplexed), without `.local` names.

    Resolving those asks the whole network and takes a second; the client reaches us all the same, and its address is
    learned from its own checks (RFC 8445 §7.3.1.3).
    """
    return tuple(candidate for candidate in candidates if REACHABLE.match(candidate))
