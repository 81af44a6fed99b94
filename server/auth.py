"""Who is calling: an API key or a token made with one, as bearer token or wherever a protocol carries it."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NoReturn

import anyio
from sqlalchemy import Connection
from starlette.requests import HTTPConnection

from server.domain import Caller
from server.errors import TokenExpired, Unauthorized
from server.remembering import Remembered
from server.store import keys
from server.store.database import Reader
from server.tokens import Signing, looks_like_token


class Authenticator:
    """Checks credentials; remembers the valid keys for a moment, so that a stream of chunks costs no look-ups."""

    def __init__(
        self,
        reader: Reader,
        signing: Signing,
        now: Callable[[], float],
        admit: Callable[[Caller], Awaitable[None]] | None = None,
        *,
        steady: Callable[[], float],
    ) -> None:
        """`now`: seconds since 1970; `steady`: seconds of a clock that never goes back. `admit` is awaited for each
        request; what it raises is what the request is told.
        """
        self._signing = signing
        self._now = now
        self._admit = admit
        self._owners = Remembered[Caller](reader, steady)  # by a key's digest, and by its id

    async def caller(self, credential: str | None) -> Caller:
        """Whose request this is; to be called once for each. Raises what `identify` raises, and `RateLimited`."""
        caller = await self.identify(credential)
        if self._admit is not None:
            await self._admit(caller)
        return caller

    async def identify(self, credential: str | None) -> Caller:
        """Whom a key or token speaks for. Raises `Unauthorized`, and of it `TokenExpired`."""
        if not credential:
            raise Unauthorized
        if not looks_like_token(credential):
            return await self._owner(keys.digest(credential), partial(keys.find, key=credential))
        caller = self._signing.caller(credential)
        owner = await self._owner(caller.key_id, partial(keys.find_by_id, key_id=caller.key_id))
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

    async def _owner(self, name: str, find: Callable[[Connection], Caller | None]) -> Caller:
        return await self._owners.get(name, partial(_valid, find=find))


def _valid(connection: Connection, find: Callable[[Connection], Caller | None]) -> Caller:
    """The owner of a key. Raises `Unauthorized`."""
    found = find(connection)
    if found is None:
        raise Unauthorized
    return found


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of an `Authorization: Bearer` header (RFC 6750 §2.1); None without one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def credential(request: HTTPConnection) -> str | None:
    """Of the header, or the address: there only tokens, because EventSource cannot send headers and addresses leak."""
    in_address = request.query_params.get("token", "")
    return bearer(request.headers) or (in_address if looks_like_token(in_address) else None)
