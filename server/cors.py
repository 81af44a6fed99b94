"""Pages of other origins that may call the server from a browser (CORS). No cookies are used, so none are allowed."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
REQUEST_HEADERS = ("Authorization", "Content-Type", "If-Match", "Idempotency-Key", "Last-Event-ID")
RESPONSE_HEADERS = ("Location", "ETag", "Link", "Retry-After", "Accept-Patch", "Auscult-Encounter", "Auscult-Warning")


def with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """The application, answering browsers for these origins: also where it fails. Sockets pass through untouched."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=REQUEST_HEADERS,
        expose_headers=RESPONSE_HEADERS,
    )
