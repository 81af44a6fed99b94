"""What every façade's HTTP handlers share: the body with a limit, JSON without surprises, errors at one seam."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias, TypeVar

import anyio
import msgspec
import structlog
from anyio import CancelScope
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive

from pipeline.errors import AuscultError
from server.errors import TooLarge
from server.ingest.websocket import first_error
from server.wire import reading_json

log = structlog.get_logger()

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")

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
    with reading_json():
        return msgspec.json.decode(raw, type=kind)


def answer(body: msgspec.Struct | str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that no cache keeps: it is about one client's consultation."""
    kept_nowhere = {"Cache-Control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(body), status, kept_nowhere, media_type="application/json")


def refusal(told: Callable[[AuscultError], tuple[int, msgspec.Struct | str]]) -> ErrorResponse:
    """The answer to an error, of its status and body in an API's words."""

    def refuse(exc: AuscultError) -> Response:
        status, body = told(exc)
        return answer(body, status, retry_after(exc))

    return refuse


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


def retry_after(exc: AuscultError) -> dict[str, str]:
    """The header that says when the same request may be sent again; none where that is of no use."""
    return {"Retry-After": str(exc.retry_after_s)} if exc.retryable else {}


async def while_there(request: Request, work: Callable[[], Awaitable[T]]) -> T:
    """What `work` returns, cancelled when the client leaves; the body was read before. Raises `ClientDisconnect`."""
    done: list[T] = []
    async with first_error(), anyio.create_task_group() as tasks:
        tasks.start_soon(cancel_when_gone, request.receive, tasks.cancel_scope)
        done.append(await work())
        tasks.cancel_scope.cancel()
    if not done:
        raise ClientDisconnect
    return done[0]


async def cancel_when_gone(receive: Receive, scope: CancelScope) -> None:
    """Cancel work for a client that has left. Nothing else may read the request meanwhile."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
