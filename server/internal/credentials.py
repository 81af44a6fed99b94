"""By what processes of one installation know each other: a secret, certificates, or both."""

import hmac
import ssl
from collections.abc import Mapping

from server.auth import bearer
from server.errors import ServerError, Unauthorized
from server.settings import InternalSettings


def require_credential(settings: InternalSettings) -> None:
    """Raise `ServerError` where anybody could call."""
    if not settings.token and not settings.ca:
        raise ServerError(
            "A recogniser worker must know who may call it: set internal.token to a long random text, the same for all"
            " processes, or internal.ca, internal.cert and internal.key to certificates."
        )


def check_token(expected: str, headers: Mapping[str, str]) -> None:
    """See that a request shows the secret, where there is one. Raises `Unauthorized`."""
    if expected and not hmac.compare_digest((bearer(headers) or "").encode(), expected.encode()):
        raise Unauthorized("The token is missing or not valid: internal.token must be the same for all processes.")


def token_header(settings: InternalSettings) -> dict[str, str]:
    """What shows the secret."""
    return {"Authorization": f"Bearer {settings.token}"} if settings.token else {}


def client_context(settings: InternalSettings) -> ssl.SSLContext:
    """How other processes' certificates are judged, and which one is shown to them. Raises `ServerError`."""
    try:
        context = ssl.create_default_context(cafile=settings.ca or None)
        if settings.cert:
            context.load_cert_chain(settings.cert, settings.key, password=lambda: "")
    except (OSError, ssl.SSLError) as exc:
        raise ServerError(
            "The certificates of internal.ca, internal.cert and internal.key cannot be used: each must be a readable"
            " file in PEM, the key without a password and belonging to the certificate."
        ) from exc
    return context
