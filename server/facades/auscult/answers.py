"""Our own API, as a whole, and its errors."""

from starlette.responses import Response

from pipeline.errors import AuscultError
from server.endpoints import Content, Facade
from server.facades.auscult import convert, schema
from server.http import answer
from server.reception import Reception

PROBLEM = "application/problem+json"


def own_api(reception: Reception) -> Facade:
    """Of all endpoints of our own API."""
    refusal = Content(schema.ProblemDetails, PROBLEM)
    return Facade(name="Auscult", about="Our own API.", refuse=reception.refusing(problem), refusal=refusal)


def problem(exc: AuscultError) -> Response:
    """An error as problem details (RFC 9457)."""
    response = answer(convert.error(exc), convert.status(exc), convert.error_headers(exc))
    response.headers["Content-Type"] = PROBLEM
    return response
