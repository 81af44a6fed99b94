"""Where the server's key-encryption keys come from: a file, a setting (a variable), or what a command prints.

There may be several, newest first: the first one wraps, all open, so that a key can be replaced while servers run.
A file holds 32 bytes for each; a setting and a command's output hold each in hex or base64, with commas or white space
between them.
"""

import base64
import binascii
import fcntl
import os
import re
import secrets
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.errors import ServerError
from server.store.seal import KEY_BYTES, SealBroken

Keys: TypeAlias = Sequence[bytes]

COMMAND_S = 10.0  # a key service may take so long
MAX_OUTPUT = 65_536  # bytes of a command's output; what is more is no list of keys
_HEX = re.compile(rf"[0-9A-Fa-f]{{{2 * KEY_BYTES}}}")


class KeyUnavailable(ServerError):
    """The key-encryption key cannot be had."""

    code = "key_unavailable"


def parse_keys(text: str, where: str) -> Keys:
    """Keys as text, newest first. Raises `KeyUnavailable`, which names the place and quotes nothing."""
    keys = [_key(word, where) for word in re.split(r"[\s,]+", text) if word]
    if not keys:
        raise KeyUnavailable(f"{where} holds no key: it must hold {KEY_BYTES} bytes in hex or base64.")
    return keys


def run_command(command: str) -> Keys:
    """The keys that a command prints. It is run without a shell. Raises `KeyUnavailable`; what it said is not shown."""
    where = "What store.key_command prints"
    try:
        words = shlex.split(command)
        done = subprocess.run(words, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_S)
    except subprocess.TimeoutExpired:
        raise KeyUnavailable(f"store.key_command has not answered within {COMMAND_S:g} s.") from None
    except subprocess.CalledProcessError as exc:
        raise KeyUnavailable(f"store.key_command failed (exit status {exc.returncode}): run it yourself.") from None
    except OSError as exc:
        raise KeyUnavailable(f"store.key_command cannot be run ({exc.strerror}).") from None
    except ValueError:
        raise KeyUnavailable("store.key_command is no command: a quotation mark is missing.") from None
    if len(done.stdout) > MAX_OUTPUT:
        raise KeyUnavailable(f"{where} is too long to be keys.")
    return parse_keys(done.stdout.decode("ascii", "replace"), where)


class KeyFile:
    """A file of keys; made on first use, readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Keys:
        """The keys. Raises `KeyUnavailable`, `SealBroken`."""
        try:
            content = self._path.read_bytes()
        except OSError as exc:
            raise KeyUnavailable(f"The key file {self._path} cannot be read ({exc.strerror}).") from exc
        if not content or len(content) % KEY_BYTES:
            raise SealBroken(
                f"The key file holds {len(content)} bytes instead of {KEY_BYTES} for each key: restore it from your"
                " backup."
            )
        return [content[begin : begin + KEY_BYTES] for begin in range(0, len(content), KEY_BYTES)]

    def read_or_make(self) -> Keys:
        """The keys; where there is no file, a new one. Of several that make it at once the first one's counts."""
        if not self._path.exists():
            made = self._beside(new_key())
            try:
                os.link(made, self._path)
            except FileExistsError:
                pass
            except OSError as exc:
                raise KeyUnavailable(f"The key file {self._path} cannot be made ({exc.strerror}).") from exc
            finally:
                made.unlink()
        return self.read()

    def newer(self) -> Callable[[], Keys | None]:
        """Gives, each time, the keys, where the file is another one than when they were given last; else None."""
        seen: tuple[int, int, int] | None = None

        def look() -> Keys | None:
            nonlocal seen
            stamp = self._stamp()
            if stamp is None or stamp == seen:
                return None
            keys = self.read()
            seen = stamp
            return keys

        return look

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Be the only one who replaces keys here. Raises `KeyUnavailable`."""
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise KeyUnavailable("Another rotation is at work on this key file: wait for its end.") from None
        finally:
            os.close(folder)

    def write(self, keys: Keys) -> None:
        """Replace the keys at once: whoever reads it meanwhile gets the old ones or the new ones."""
        made = self._beside(b"".join(keys))
        try:
            os.replace(made, self._path)
            _flush(self._path.parent)
        except OSError as exc:
            made.unlink(missing_ok=True)
            raise KeyUnavailable(f"The key file {self._path} cannot be replaced ({exc.strerror}).") from exc

    def _beside(self, content: bytes) -> Path:
        path = self._path.with_name(f"{self._path.name}.{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as exc:
            raise KeyUnavailable(f"The key file {self._path} cannot be made ({exc.strerror}).") from exc
        return path

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


def new_key() -> bytes:
    """A fresh key."""
    return AESGCM.generate_key(bit_length=8 * KEY_BYTES)


def _key(word: str, where: str) -> bytes:
    if _HEX.fullmatch(word):
        return bytes.fromhex(word)
    try:
        key = base64.b64decode(word.translate(str.maketrans("-_", "+/")) + "=" * (-len(word) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyUnavailable(f"{where} holds something that is no key: {KEY_BYTES} bytes in hex or base64.")
    return key


def _flush(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
