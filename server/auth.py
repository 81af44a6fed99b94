"""Who is calling: API keys as bearer tokens, looked up by their hash."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial

from server.domain import Caller
from server.errors import Unauthorized
from server.store import keys
from server.store.database import Reader

REMEMBERED_S = 5.0  # a revoked key works at most this much longer
REMEMBERED_KEYS = 1024


class Authenticator:
    """Checks API keys; remembers the valid ones for a moment, so that a stream of chunks costs no look-ups."""

    def __init__(self, reader: Reader, now: Callable[[], float]) -> None:
        self._reader = reader
        self._now = now
        self._known: OrderedDict[str, tuple[float, Caller]] = OrderedDict()

    async def caller(self, key: str | None) -> Caller:
        """The owner of a key. Raises `Unauthorized`."""
        if not key:
            raise Unauthorized
        digest = keys.digest(key)
        until, known = self._known.get(digest, (0.0, None))
        if known is not None and self._now() < until:
            return known
        found = await self._reader.read(partial(keys.find, key=key))
        if found is None:
            self._known.pop(digest, None)
            raise Unauthorized
        self._known[digest] = (self._now() + REMEMBERED_S, found)
        self._known.move_to_end(digest)
        while len(self._known) > REMEMBERED_KEYS:
            self._known.popitem(last=False)
        return found


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of an `Authorization: Bearer` header (RFC 6750 §2.1); None without one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
