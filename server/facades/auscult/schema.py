"""The bytes of our own routes."""

from msgspec import Struct


class Error(Struct, kw_only=True):
    """Why a request was refused. Branch on `code`; `message` is for people."""

    code: str
    message: str


class ErrorBody(Struct, kw_only=True):
    """Body of every HTTP error."""

    error: Error


class TokenRequest(Struct, kw_only=True):
    """`POST /api/tokens`."""

    scope: str  # stream | encounter
    encounter_id: str | None = None  # with the scope "encounter"
    expires_in_s: int | None = None


class Token(Struct, kw_only=True):
    """A token, shown once."""

    token: str
    expires_at: str  # ISO 8601, UTC
