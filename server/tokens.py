"""Short-lived tokens for browsers: who a key belongs to, what for and until when, signed (JWT, RFC 7519; HS256).

Nothing of a token is stored. It holds as long as its key does (`server.auth` asks), and until it expires.
"""

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jwt
import msgspec
from sqlalchemy import Engine

from server.access import Action, record
from server.domain import Caller, Scope
from server.errors import BadRequest, ServerError, TokenExpired, Unauthorized
from server.store.seal import KeyRing, SealBroken
from server.store.secrets import read_or_make
from server.store.writer import Writer

ALGORITHM = "HS256"  # pinned: what a token's own header says counts for nothing (RFC 8725 §3.1)
NAME = "auscult"  # issuer and audience: a JWT made for anything else is none of ours, whoever signed it


class TokenSecretBroken(ServerError):
    """The database was sealed with another key: name the key file, or the keys, that it was made with."""

    code = "token_secret_broken"


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    """A token's content."""

    iss: str
    aud: str
    sub: str  # the id of the key it was made with
    tenant: str
    scope: Scope
    encounter: str
    jti: str  # the token's own id
    iat: int  # seconds since 1970
    exp: int


class Signing:
    """Callers ⇄ tokens. Pure, but for the clock it is given. `secret` may follow, before the first token comes."""

    def __init__(self, secret: bytes, now: Callable[[], float]) -> None:
        self._secret = secret
        self._now = now

    def use(self, secret: bytes) -> None:
        """Sign and check with this from now on."""
        self._secret = secret

    def sign(self, caller: Caller) -> str:
        """The token of a caller that has a `token_id` and expires."""
        assert caller.token_id
        assert caller.expires_at is not None
        claims = _Claims(
            iss=NAME,
            aud=NAME,
            sub=caller.key_id,
            tenant=caller.tenant_id,
            scope=caller.scope,
            encounter=caller.encounter,
            jti=caller.token_id,
            iat=int(self._now()),
            exp=int(caller.expires_at),
        )
        return jwt.encode(msgspec.to_builtins(claims), self._secret, ALGORITHM)

    def caller(self, token: str) -> Caller:
        """Whom a token speaks for, if its key still does. Raises `Unauthorized`, `TokenExpired`."""
        try:
            content = jwt.decode(
                token,
                self._secret,
                [ALGORITHM],
                audience=NAME,
                issuer=NAME,
                options={  # times are checked below, by the clock that is given
                    "require": list(_Claims.__struct_fields__),
                    "strict_aud": True,
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
            claims = msgspec.convert(content, _Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError, RecursionError):  # the last: a deeply nested header
            raise Unauthorized from None
        if claims.scope is Scope.ALL or bool(claims.encounter) is not claims.scope.names_one:
            raise Unauthorized
        if self._now() >= claims.exp:
            raise TokenExpired
        return Caller(
            tenant_id=claims.tenant,
            key_id=claims.sub,
            scope=claims.scope,
            encounter=claims.encounter,
            token_id=claims.jti,
            expires_at=float(claims.exp),
        )


class Lifetimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long tokens hold, in seconds."""

    default_s: int
    max_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A token; it is shown once."""

    token: str
    expires_at: float  # seconds since 1970


class Tokens:
    """Makes tokens, and writes down that it did."""

    def __init__(self, signing: Signing, writer: Writer, now: Callable[[], float], lifetimes: Lifetimes) -> None:
        self._signing = signing
        self._writer = writer
        self._now = now
        self._lifetimes = lifetimes

    async def issue(
        self, caller: Caller, scope: Scope, encounter: str = "", *, expires_in_s: int | None = None
    ) -> Issued:
        """A token for `scope`, with the encounter that it names, if it does; that `caller` may reach it is known.

        What a token makes does not outlive it. Raises `BadRequest` for a lifetime out of range.
        """
        longest = self._lifetimes.max_s
        lasts_s = self._lifetimes.default_s if expires_in_s is None else expires_in_s
        if not 1 <= lasts_s <= longest:
            raise BadRequest(f"expires_in_s must be from 1 to {longest} seconds.")
        at = self._now()
        expires_at = min(math.ceil(at + lasts_s), caller.expires_at or math.inf)
        made = Caller(
            tenant_id=caller.tenant_id,
            key_id=caller.key_id,
            scope=scope,
            encounter=encounter,
            token_id=secrets.token_hex(12),
            expires_at=expires_at,
        )
        await self._writer.write(
            partial(record, caller=caller, action=Action.TOKEN, encounter=encounter or None, at=at)
        )
        return Issued(token=self._signing.sign(made), expires_at=expires_at)


def looks_like_token(credential: str) -> bool:
    """Whether a credential is a token rather than a key: three parts with full stops between them (RFC 7515 §7.1)."""
    return credential.count(".") == 2


def token_secret(engine: Engine, ring: KeyRing, legacy: Path) -> bytes:
    """The signing secret, the same for all processes of a database. Blocks. Raises `TokenSecretBroken`.

    `legacy`: the file where it lay before there were several; it is taken over and deleted.
    """
    try:
        return read_or_make(engine, ring, "token", legacy)
    except SealBroken as exc:
        raise TokenSecretBroken from exc
