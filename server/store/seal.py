"""Sealing what patients said: AES-256-GCM under one data key per encounter, itself wrapped by the server's key.

Destroying an encounter's wrapped key destroys everything sealed under it, also in backups.
Sealed bytes are nonce (12) ‖ ciphertext ‖ tag (16); the place a value belongs to is authenticated with it, so that no
value can be moved to another row. Random nonces are safe here: far fewer than 2³² values are sealed under one key
(NIST SP 800-38D §8.3).
"""

import os
from pathlib import Path

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
        except InvalidTag as exc:
            raise SealBroken from exc

    def _context(self, place: str) -> bytes:
        return f"auscult/1/{self._scope}/{place}".encode()


class KeyRing:
    """Makes and unwraps data keys with the key-encryption key."""

    def __init__(self, key: bytes) -> None:
        self._wrapping = Seal(key, "data-key")
        self._own = Seal(key, "server")

    def new(self, encounter: str) -> tuple[Seal, bytes]:
        """A fresh data key for an encounter, and its wrapped form for the database."""
        key = AESGCM.generate_key(bit_length=8 * KEY_BYTES)
        return Seal(key, encounter), self._wrapping.seal(encounter, key)

    def unwrap(self, encounter: str, wrapped: bytes) -> Seal:
        """The seal of an encounter. Raises `SealBroken`."""
        return Seal(self._wrapping.open(encounter, wrapped), encounter)

    def seal(self, place: str, plain: bytes) -> bytes:
        """Seal what belongs to no encounter, such as "webhook/ID", under the key-encryption key itself."""
        return self._own.seal(place, plain)

    def open(self, place: str, sealed: bytes) -> bytes:
        """The inverse of `seal`. Raises `SealBroken`."""
        return self._own.open(place, sealed)


def read_or_make_key(path: Path) -> bytes:
    """The key-encryption key in `path`; made on first use, readable by its owner alone."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = AESGCM.generate_key(bit_length=8 * KEY_BYTES)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
    if len(key) != KEY_BYTES:
        raise SealBroken(f"The key file holds {len(key)} bytes instead of {KEY_BYTES}: restore it from your backup.")
    return key
