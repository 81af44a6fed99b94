"""What the handlers of our own routes answer with."""

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from pipeline.errors import AuscultError
from server.endpoints import Content, Facade
from server.facades.auscult import convert, schema
from server.http import ErrorResponse
from server.metrics import Metrics

PROBLEM = "application/problem+json"


def answer(body: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that no cache keeps: it is about one client's consultation."""
    kept_nowhere = {"Cache-Control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(body), status, kept_nowhere, media_type="application/json")


def own_api(metrics: Metrics) -> Facade:
    """Of all endpoints of our own API."""
    refusal = Content(schema.ProblemDetails, PROBLEM)
    return Facade(name="Auscult", about="Our own API.", refuse=refusing(metrics), refusal=refusal)


def refusing(metrics: Metrics) -> ErrorResponse:
    """For `guarded`: an error as problem details with its status and headers, and counted."""

    def refuse(exc: AuscultError) -> Response:
        metrics.rejected.labels(code=exc.code).inc()
        return problem(exc)

    return refuse


def problem(exc: AuscultError) -> Response:
    """An error as problem details (RFC 9457)."""
    response = answer(convert.error(exc), convert.status(exc), convert.error_headers(exc))
    response.headers["Content-Type"] = PROBLEM
    return response
