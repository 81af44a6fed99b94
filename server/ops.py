"""For those who run the server: is it alive, is it ready, what does it measure. Nothing confidential."""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import msgspec
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from pipeline.errors import AuscultError
from server.auth import Authenticator, bearer
from server.domain import Scope
from server.endpoints import JSON, TEXT, Content, Endpoint, Facade
from server.errors import Forbidden
from server.http import retry_after
from server.metrics import Metrics

# As pools name theirs, and DBOS the threads of its queues, which begin up to a second behind the start.
POOLED = ("AnyIO worker thread", "ThreadPoolExecutor-", "asyncio_", "dbos-executor-", "queue-worker-")


class Alive(Struct, kw_only=True):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(Struct, kw_only=True):
    """Requests are served."""

    status: Literal["ready"] = "ready"


class Starting(Struct, kw_only=True):
    """They are not: yet, or any more."""

    status: Literal["starting"] = "starting"
    waiting_for: str


class Error(Struct, kw_only=True):
    """Why a request was refused."""

    code: str
    message: str


class ErrorBody(Struct, kw_only=True):
    """Of a refusal."""

    error: Error


def endpoints(
    metrics: Metrics, ready: Callable[[], str | None], authenticator: Authenticator, *, open_metrics: bool
) -> list[Endpoint]:
    """`/healthz` and `/readyz`, and `/metrics` for who has a key, or for everybody where it is open.

    `ready` returns None, or what is still missing.
    """

    async def scrape(request: Request) -> Response:
        """What the server measures, for Prometheus. Needs an API key, where the operator did not open it."""
        if not open_metrics:
            caller = await authenticator.identify(bearer(request.headers))
            if caller.scope is not Scope.ALL:
                raise Forbidden
        return exposition(metrics)

    exposed = Endpoint(
        facade=operations(),
        method="GET",
        path="/metrics",
        handler=scrape,
        gives={200: Content(str, TEXT)},
        secured=not open_metrics,
    )
    return [*health(ready), exposed]


def exposition(metrics: Metrics) -> Response:
    """All metrics, as Prometheus reads them."""
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def operations() -> Facade:
    """Of all endpoints for those who run the server."""
    about = "For those who run the server."
    return Facade(name="Operations", about=about, refuse=_refuse, refusal=Content(ErrorBody))


def health(ready: Callable[[], str | None]) -> list[Endpoint]:
    """`/healthz` and `/readyz`. `ready` returns None, or what is still missing."""

    async def healthz(_: Request) -> Response:
        """Whether the process answers."""
        return _json(Alive())

    async def readyz(_: Request) -> Response:
        """Whether requests are served, or what is still missing."""
        missing = ready()
        return _json(Ready()) if missing is None else _json(Starting(waiting_for=missing), 503, {"Retry-After": "1"})

    endpoint = partial(Endpoint, facade=operations(), method="GET", secured=False)
    return [
        endpoint(path="/healthz", handler=healthz, gives={200: Content(Alive)}),
        endpoint(path="/readyz", handler=readyz, gives={200: Content(Ready), 503: Content(Starting)}),
    ]


def _refuse(exc: AuscultError) -> Response:
    return _json(ErrorBody(error=Error(code=exc.code, message=str(exc))), _STATUS.get(exc.code, 503), retry_after(exc))


_STATUS = {"unauthorized": 401, "token_expired": 401, "forbidden": 403, "not_found": 404, "method_not_allowed": 405}


def _json(body: Struct, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, media_type=JSON)


def threads() -> int:
    """How many threads Python runs, without those that pools keep: they come with load and stay for the next call."""
    return sum(not thread.name.startswith(POOLED) for thread in threading.enumerate())
