"""Sealing what patients said: AES-256-GCM under one data key per encounter, itself wrapped by the server's key.

Destroying an encounter's wrapped key destroys everything sealed under it, also in backups.
Sealed bytes are nonce (12) ‖ ciphertext ‖ tag (16); the place a value belongs to is authenticated with it, so that no
value can be moved to another row. Random nonces are safe here: far fewer than 2³² values are sealed under one key
(NIST SP 800-38D §8.3).
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.errors import ServerError

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16


class SealBroken(ServerError):
    """Sealed data does not open: it was damaged, or the key file in use is not the one it was sealed with."""

    code = "seal_broken"


class Seal:
    """Seals and opens the values of one encounter (or, for the server's key, data keys)."""

    def __init__(self, key: bytes, scope: str) -> None:
        self._cipher = AESGCM(key)
        self._scope = scope

    def seal(self, place: str, plain: bytes) -> bytes:
        """Encrypt `plain`, bound to `place` (such as "chunk/0/17")."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, self._context(place))

    def open(self, place: str, sealed: bytes) -> bytes:
        """The inverse of `seal`. Raises `SealBroken`."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._context(place))
        except (InvalidTag, ValueError) as exc:  # the latter: it is too short to be anything
            raise SealBroken from exc

    def _context(self, place: str) -> bytes:
        return f"auscult/1/{self._scope}/{place}".encode()


class KeyRing:
    """Makes and unwraps data keys with the key-encryption keys, newest first: the first one wraps, all of them open.

    `newer` gives the keys where they have changed; it is asked before something is wrapped, and where something does
    not open.
    """

    def __init__(self, *keys: bytes, newer: Callable[[], Sequence[bytes] | None] = lambda: None) -> None:
        self._newer = newer
        self._use(keys)

    def new(self, encounter: str) -> tuple[Seal, bytes]:
        """A fresh data key for an encounter, and its wrapped form for the database."""
        self._refresh()
        key = AESGCM.generate_key(bit_length=8 * KEY_BYTES)
        return Seal(key, encounter), self._wrapping[0].seal(encounter, key)

    def unwrap(self, encounter: str, wrapped: bytes) -> Seal:
        """The seal of an encounter. Raises `SealBroken`."""
        return Seal(self._open(lambda: self._wrapping, encounter, wrapped), encounter)

    def seal(self, place: str, plain: bytes) -> bytes:
        """Seal what belongs to no encounter, such as "webhook/ID", under the key-encryption key itself."""
        self._refresh()
        return self._own[0].seal(place, plain)

    def open(self, place: str, sealed: bytes) -> bytes:
        """The inverse of `seal`. Raises `SealBroken`."""
        return self._open(lambda: self._own, place, sealed)

    def rewrapped(self, encounter: str, wrapped: bytes) -> bytes | None:
        """A data key, wrapped by the newest key; None where it is. Raises `SealBroken`."""
        return _resealed(self._wrapping, encounter, wrapped)

    def resealed(self, place: str, sealed: bytes) -> bytes | None:
        """As `rewrapped`, for what was sealed by `seal`."""
        return _resealed(self._own, place, sealed)

    def _use(self, keys: Sequence[bytes]) -> None:
        self._wrapping = [Seal(key, "data-key") for key in keys]
        self._own = [Seal(key, "server") for key in keys]

    def _refresh(self) -> bool:
        """Use other keys where there are any."""
        if (keys := self._newer()) is None:
            return False
        self._use(keys)
        return True

    def _open(self, seals: Callable[[], list[Seal]], place: str, sealed: bytes) -> bytes:
        try:
            return _opened(seals(), place, sealed)
        except SealBroken:
            if not self._refresh():
                raise
        return _opened(seals(), place, sealed)


def _opened(seals: Sequence[Seal], place: str, sealed: bytes) -> bytes:
    for seal in seals[:-1]:
        with suppress(SealBroken):
            return seal.open(place, sealed)
    return seals[-1].open(place, sealed)


def _resealed(seals: Sequence[Seal], place: str, sealed: bytes) -> bytes | None:
    with suppress(SealBroken):
        seals[0].open(place, sealed)
        return None
    return seals[0].seal(place, _opened(seals, place, sealed))
