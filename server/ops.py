"""For those who run the server: is it alive, is it ready, what does it measure. Nothing confidential."""

import threading
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.errors import AuscultError
from server.auth import Authenticator, bearer
from server.domain import Scope
from server.errors import Forbidden, Unauthorized
from server.http import guarded, retry_after
from server.metrics import Metrics

# As pools name theirs, and DBOS the threads of its queues, which begin up to a second behind the start.
POOLED = ("AnyIO worker thread", "ThreadPoolExecutor-", "asyncio_", "dbos-executor-", "queue-worker-")


def routes(
    metrics: Metrics, ready: Callable[[], str | None], authenticator: Authenticator, *, open_metrics: bool
) -> list[Route]:
    """`/healthz` and `/readyz`, and `/metrics` for who has a key, or for everybody where it is open.

    `ready` returns None, or what is still missing.
    """

    async def scrape(request: Request) -> Response:
        if not open_metrics:
            caller = await authenticator.identify(bearer(request.headers))
            if caller.scope is not Scope.ALL:
                raise Forbidden
        return exposition(metrics)

    return [*health(ready), Route("/metrics", guarded(scrape, _refuse))]


def exposition(metrics: Metrics) -> Response:
    """All metrics, as Prometheus reads them."""
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def health(ready: Callable[[], str | None]) -> list[Route]:
    """`/healthz` and `/readyz`. `ready` returns None, or what is still missing."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        missing = ready()
        if missing is not None:
            return JSONResponse({"status": "starting", "waiting_for": missing}, 503, {"Retry-After": "1"})
        return JSONResponse({"status": "ready"})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def _refuse(exc: AuscultError) -> Response:
    status = 401 if isinstance(exc, Unauthorized) else 403 if isinstance(exc, Forbidden) else 503
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else retry_after(exc)
    return JSONResponse({"error": {"code": exc.code, "message": str(exc)}}, status, headers)


def threads() -> int:
    """How many threads Python runs, without those that pools keep: they come with load and stay for the next call."""
    return sum(not thread.name.startswith(POOLED) for thread in threading.enumerate())
