"""Haidy's API, as a whole, and its errors."""

from starlette.responses import Response

from pipeline.errors import AuscultError
from server.endpoints import Content, Facade
from server.facades.haidy import convert
from server.http import answer, retry_after
from server.reception import Reception


def vendor_api(reception: Reception) -> Facade:
    """Of all endpoints of this API."""
    refuse = reception.refusing(_error)
    return Facade(name="Haidy", about="As Haidy (44ai) has it.", refuse=refuse, refusal=Content(str))


def _error(exc: AuscultError) -> Response:
    status, message = convert.error(exc)
    return answer(message, status, retry_after(exc))
