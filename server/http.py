"""What every façade's HTTP handlers share: the body with a limit, JSON without surprises, errors at one seam."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from pipeline.errors import AuscultError
from server.errors import BadRequest, TooLarge

log = structlog.get_logger()

S = TypeVar("S", bound=msgspec.Struct)

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
ErrorResponse: TypeAlias = Callable[[AuscultError], Response]

CLIENT_CLOSED = 499  # nginx's number for "nobody is there to read an answer"


async def body(request: Request, limit: int) -> bytes:
    """The request's body. Raises `TooLarge` as soon as it is over `limit` bytes."""
    received = bytearray()
    async for piece in request.stream():
        received += piece
        if len(received) > limit:
            raise TooLarge(f"The request is larger than {limit} bytes.")
    return bytes(received)


def decode(raw: bytes | str, kind: type[S]) -> S:
    """JSON → struct. Unknown fields are ignored. Raises `BadRequest`, which names fields and types, never values."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as exc:
        raise BadRequest(_without_values(str(exc))) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadRequest("The message is not valid JSON.") from None


def _without_values(message: str) -> str:
    """msgspec's messages name paths and types, but quote a wrong enum value."""
    return (
        message
        if "Invalid enum value" not in message
        else "A field has a value that is not allowed"
        + (f" - at {message.rpartition(' - at ')[2]}" if " - at " in message else ".")
    )


def guarded(handler: Handler, error_response: ErrorResponse) -> Handler:
    """The handler, with our errors turned into the façade's own words."""

    async def guard(request: Request) -> Response:
        try:
            return await handler(request)
        except AuscultError as exc:
            return error_response(exc)
        except ClientDisconnect:
            return Response(status_code=CLIENT_CLOSED)

    return guard
