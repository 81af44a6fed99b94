"""Our own bytes ⇄ domain values. Pure; the error table is at the end."""

from datetime import UTC, datetime

from pipeline.errors import AuscultError, Overloaded
from server.domain import Scope
from server.errors import BadRequest
from server.facades.auscult import schema
from server.tokens import Issued

SCOPES = (Scope.STREAM, Scope.ENCOUNTER)  # of tokens


def token_scope(request: schema.TokenRequest) -> tuple[Scope, str]:
    """What a token is asked for: its scope, and the encounter it names. Raises `BadRequest`."""
    if request.scope not in SCOPES:
        raise BadRequest(f"scope must be of: {', '.join(SCOPES)}.")
    scope = Scope(request.scope)
    if scope is Scope.ENCOUNTER and not request.encounter_id:
        raise BadRequest("The scope encounter needs encounter_id.")
    if scope is Scope.STREAM and request.encounter_id is not None:
        raise BadRequest("encounter_id belongs to the scope encounter: leave it out, or ask for that scope.")
    return scope, request.encounter_id or ""


def token(issued: Issued) -> schema.Token:
    """The answer with a token."""
    return schema.Token(token=issued.token, expires_at=timestamp(issued.expires_at))


def timestamp(at: float) -> str:
    """Seconds since 1970 → "2026-01-31T10:30:00Z"."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


STATUS = {
    "bad_request": 400,
    "invalid_audio": 400,
    "unsupported_audio": 400,
    "undecodable_audio": 400,
    "no_audio_track": 400,
    "language_unsupported": 400,
    "unknown_template": 400,
    "unauthorized": 401,
    "token_expired": 401,
    "forbidden": 403,
    "not_found": 404,
    "already_final": 409,
    "too_large": 413,
    "session_too_long": 413,
    "overloaded": 503,
    "store_unavailable": 503,
    "epoch_lost": 503,
}

CHALLENGES = {  # RFC 6750 §3.1
    "unauthorized": "Bearer",
    "token_expired": 'Bearer error="invalid_token"',
    "forbidden": 'Bearer error="insufficient_scope"',
}


def error(exc: AuscultError) -> schema.ErrorBody:
    """The body for an error."""
    return schema.ErrorBody(error=schema.Error(code=exc.code, message=str(exc)))


def status(exc: AuscultError) -> int:
    """The HTTP status of an error."""
    return STATUS.get(exc.code, 500)


def error_headers(exc: AuscultError) -> dict[str, str]:
    """How to get in, and when to come back."""
    headers = {}
    if exc.code in CHALLENGES:
        headers["WWW-Authenticate"] = CHALLENGES[exc.code]
    if exc.retryable:
        headers["Retry-After"] = str(exc.retry_after_s if isinstance(exc, Overloaded) else 1)
    return headers
