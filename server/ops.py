"""For those who run the server: is it alive, is it ready, what does it measure. No key needed, nothing confidential."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.metrics import Metrics


def routes(metrics: Metrics, ready: Callable[[], str | None]) -> list[Route]:
    """`/healthz`, `/readyz`, `/metrics`. `ready` returns None, or what is still missing."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        missing = ready()
        if missing is not None:
            return JSONResponse({"status": "starting", "waiting_for": missing}, 503, {"Retry-After": "1"})
        return JSONResponse({"status": "ready"})

    async def scrape(_: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", scrape)]
