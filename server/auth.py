"""Who is calling: an API key or a token made with one, as bearer token or wherever a protocol carries it."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

import anyio
from sqlalchemy import Connection

from server.domain import Caller
from server.errors import TokenExpired, Unauthorized
from server.store import keys
from server.store.database import Reader
from server.tokens import Signing, looks_like_token

REMEMBERED_S = 5.0  # a revoked key, and a token made with it, works at most this much longer
REMEMBERED_KEYS = 1024


@dataclass(slots=True, eq=False)
class _Line:
    """Those who ask about one key while it is looked up."""

    present: int = 0
    turn: anyio.Lock = field(default_factory=anyio.Lock)
    failures: int = 0  # look-ups that brought no caller
    error: Exception | None = None  # the last of them


class Authenticator:
    """Checks credentials; remembers the valid keys for a moment, so that a stream of chunks costs no look-ups."""

    def __init__(self, reader: Reader, signing: Signing, now: Callable[[], float]) -> None:
        self._reader = reader
        self._signing = signing
        self._now = now
        self._known: OrderedDict[str, tuple[float, Caller]] = OrderedDict()  # by a key's digest, and by its id
        self._lines: dict[str, _Line] = {}

    async def caller(self, credential: str | None) -> Caller:
        """Whom a key or token speaks for. Raises `Unauthorized`, and of it `TokenExpired`."""
        if not credential:
            raise Unauthorized
        if not looks_like_token(credential):
            return await self._valid(keys.digest(credential), partial(keys.find, key=credential))
        caller = self._signing.caller(credential)
        owner = await self._valid(caller.key_id, partial(keys.find_by_id, key_id=caller.key_id))
        if owner.tenant_id != caller.tenant_id:
            raise Unauthorized
        return caller

    async def until_expiry(self, caller: Caller) -> NoReturn:
        """Raise `TokenExpired` when the caller's token expires; a key never does. To run beside a socket's work."""
        if caller.expires_at is None:
            await anyio.sleep_forever()
        else:
            await anyio.sleep(max(0.0, caller.expires_at - self._now()))
        raise TokenExpired

    async def _valid(self, name: str, find: Callable[[Connection], Caller | None]) -> Caller:
        """The owner of a key, as remembered under `name` or as found. Raises `Unauthorized`.

        Those who ask at the same time get the same answer, in the order in which they came: none overtakes another.
        """
        if name not in self._lines and (known := self._remembered(name)) is not None:
            return known
        line = self._lines.setdefault(name, _Line())
        line.present += 1
        try:
            return await self._in_line(line, name, find)
        finally:
            line.present -= 1
            if not line.present:
                del self._lines[name]

    async def _in_line(self, line: _Line, name: str, find: Callable[[Connection], Caller | None]) -> Caller:
        before = line.failures
        async with line.turn:
            if (known := self._remembered(name)) is not None:
                return known
            if line.failures > before and line.error is not None:
                raise line.error
            try:
                return self._remember(name, await self._reader.read(find))
            except Exception as exc:
                line.failures, line.error = line.failures + 1, exc
                raise

    def _remembered(self, name: str) -> Caller | None:
        until, known = self._known.get(name, (0.0, None))
        return known if self._now() < until else None

    def _remember(self, name: str, found: Caller | None) -> Caller:
        if found is None:
            self._known.pop(name, None)
            raise Unauthorized
        self._known[name] = (self._now() + REMEMBERED_S, found)
        self._known.move_to_end(name)
        while len(self._known) > REMEMBERED_KEYS:
            self._known.popitem(last=False)
        return found


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of an `Authorization: Bearer` header (RFC 6750 §2.1); None without one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
