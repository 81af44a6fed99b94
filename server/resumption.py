"""Resume tokens: what lets a client whose connection broke go on with its session.

A token names its encounter and is numbered, sealed under the encounter's own key: nobody else can make one, and with
the encounter it is erased.
"""

import base64
import binascii

from server.errors import ResumeTokenInvalid
from server.store.seal import Seal, SealBroken

PURPOSE = "resume"


def make(seal: Seal, encounter: str, number: int) -> str:
    """The token with this number."""
    sealed = seal.seal(PURPOSE, str(number).encode())
    return f"{encounter}.{base64.urlsafe_b64encode(sealed).decode().rstrip('=')}"


def encounter_of(token: str) -> str:
    """The encounter that a token claims to continue; it may not exist."""
    return token.partition(".")[0]


def read(seal: Seal, token: str) -> int:
    """A token's number. Raises `ResumeTokenInvalid`."""
    text = token.partition(".")[2]
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return int(seal.open(PURPOSE, sealed))
    except (binascii.Error, ValueError, SealBroken):
        raise ResumeTokenInvalid from None
