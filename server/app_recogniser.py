"""A recogniser worker, wired: it owns a model and recognises for other processes. It has no database, key or data."""

import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from socket import socket

import anyio
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pipeline.batching import Batcher
from pipeline.errors import AuscultError
from server import ops
from server.endpoints import routes
from server.engines import make_recogniser
from server.errors import ServerError, Unauthorized
from server.internal.credentials import check_token, require_credential
from server.internal.recogniser import RecogniserRoutes
from server.metrics import Metrics
from server.serving import Announced, Fatal, serve
from server.settings import Settings

log = structlog.get_logger()

KEEP_ALIVE_S = 75  # longer than callers keep a connection: who closes first must not meet a call on its way


class RecogniserServer:
    """A worker's parts. `lifespan` brings them to life; `app` answers requests. Raises `ServerError`."""

    def __init__(self, settings: Settings, *, fatal: Callable[[AuscultError], None]) -> None:
        require_credential(settings.internal)
        self._fatal = fatal
        self._waiting_for: str | None = "the recogniser"
        self._token = settings.internal.token
        self._open_metrics = settings.server.open_metrics
        self.metrics = Metrics()
        self._batcher = Batcher(make_recogniser(settings), self.metrics.recognition)
        self._routes = RecogniserRoutes(
            self._batcher, ready=self._missing, token=self._token, max_waiting=settings.recogniser.max_waiting
        )
        self._watch()
        self.app = Starlette(
            routes=[*routes(ops.health(self._missing)), Route("/metrics", self._scrape), *self._routes.routes()],
            lifespan=self.lifespan,
        )

    def _missing(self) -> str | None:
        return self._waiting_for

    async def _scrape(self, request: Request) -> Response:
        if not self._open_metrics:
            try:
                check_token(self._token, request.headers)
            except Unauthorized:
                return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
        return ops.exposition(self.metrics)

    def _watch(self) -> None:
        gauge, counter, routes = self.metrics.gauge, self.metrics.counter, self._routes
        self.metrics.watch_recognition(self._batcher)
        gauge("auscult_recognition_taken", "Requests of other processes not answered yet.", lambda: routes.waiting)
        counter("auscult_recognition_sent_away", "Calls of other processes sent away: full.", lambda: routes.refused)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """The recogniser lives as long as the server does."""
        async with anyio.create_task_group() as working:
            working.start_soon(self._recognise)
            yield
            working.cancel_scope.cancel()

    async def _recognise(self) -> None:
        """Load, measure, serve. A model that cannot be loaded ends the process, with one clear error."""
        recogniser = self._batcher.recogniser
        try:
            await recogniser.start()
            await self._batcher.calibrate()
            self._batcher.capacity.cores = len(os.sched_getaffinity(0))
            log.info("recogniser.ready", recogniser=recogniser.name, model=recogniser.model)
            self._waiting_for = None
            await self._batcher.run()
        except AuscultError as exc:
            self._fatal(exc)
        except Exception as exc:
            log.critical("server.broken", exc_info=exc)
            self._fatal(ServerError("The recogniser worker is broken and stops: its log says where. Restart it."))
        finally:
            self._waiting_for = "a restart"
            with anyio.CancelScope(shield=True):
                await recogniser.aclose()


async def _nothing_more() -> None:
    """Calls end by themselves; those that do not are cut off, and their callers ask another worker."""


def serve_recogniser(
    settings: Settings,
    sockets: list[socket],
    *,
    announce: Callable[[str], None],
    failed: Callable[[AuscultError], None],
) -> int:
    """Run a worker until it is told to end; the exit status. Raises `ServerError`."""
    internal, tls = settings.internal, settings.server

    def build(fatal: Fatal) -> Announced:
        return Announced(
            uvicorn.Config(
                RecogniserServer(settings, fatal=fatal).app,
                ssl_certfile=internal.cert or tls.tls_cert or None,
                ssl_keyfile=internal.key or tls.tls_key or None,
                ssl_ca_certs=internal.ca or None,
                ssl_cert_reqs=ssl.CERT_REQUIRED if internal.ca else ssl.CERT_NONE,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=10,
            ),
            announce=announce,
            stopping=_nothing_more,
            send_timeout_s=settings.limits.send_timeout_s,
        )

    return serve(build, sockets, failed)
