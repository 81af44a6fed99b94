"""Traces for OpenTelemetry, where the operator names an endpoint: the one module that knows its packages.

A span says what was done, how long it took and to which encounter, by id. It holds no query, no body, no name and no
word: attributes are our own constants, numbers and ids; of an exception it has our code, or the type's name.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeAlias, TypeVar

from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.batching import Observer
from pipeline.errors import AuscultError
from pipeline.schedule import Rank
from server.errors import ServerError

T = TypeVar("T")

Attributes: TypeAlias = Mapping[str, str | int | float | bool]

SERVICE = "auscult"
UNKNOWN_ROUTE = "unknown"
FLUSH_MS = 2_000  # at the end, for what is still to be sent
WAITING_SPANS = 2_048  # more are dropped: a collector that is away costs spans, nothing else


class TracingUnavailable(ServerError):
    """tracing.endpoint is set, but the packages are missing: pip install "auscult[tracing]"."""

    code = "tracing_unavailable"


class Span(Protocol):
    """A piece of work while it is done."""

    def note(self, name: str, value: str | int | float | bool) -> None:
        """Add an attribute; see the module for what it may be."""
        ...

    def rename(self, name: str) -> None:
        """What it turned out to be."""
        ...


class Tracer(Protocol):
    """Who takes note of work."""

    def span(
        self, name: str, attributes: Attributes | None = None, *, caller: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Span]:
        """Work that is done in this block; `caller` are the headers of the request that asked for it."""
        ...

    def past(self, name: str, took_s: float, attributes: Attributes | None = None) -> None:
        """Work that was done just now, and took so long."""
        ...

    def close(self) -> None:
        """Send what is left. Blocks, for a moment."""
        ...


class _Unnoted:
    """A span that is not looked at, and the tracer that makes it."""

    def note(self, name: str, value: str | int | float | bool) -> None:
        return None

    def rename(self, name: str) -> None:
        return None

    @contextmanager
    def span(
        self, name: str, attributes: Attributes | None = None, *, caller: Mapping[str, str] | None = None
    ) -> Iterator[Span]:
        yield self

    def past(self, name: str, took_s: float, attributes: Attributes | None = None) -> None:
        return None

    def close(self) -> None:
        return None


NO_TRACES: Tracer = _Unnoted()


def open_tracer(endpoint: str, version: str) -> Tracer:
    """Sends to an OTLP/HTTP endpoint ("http://127.0.0.1:4318"); an empty one is nobody. Raises `TracingUnavailable`."""
    return _Telemetry(endpoint, version) if endpoint else NO_TRACES


class _Telemetry:
    """OpenTelemetry's SDK, which sends from a thread of its own."""

    def __init__(self, endpoint: str, version: str) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as exc:
            raise TracingUnavailable from exc
        resource = Resource.create({"service.name": SERVICE, "service.version": version})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=WAITING_SPANS))
        self._tracer = self._provider.get_tracer(SERVICE)
        self._propagator = TraceContextTextMapPropagator()
        self._error = trace.Status(trace.StatusCode.ERROR)
        self._server = trace.SpanKind.SERVER
        self._internal = trace.SpanKind.INTERNAL

    @contextmanager
    def span(
        self, name: str, attributes: Attributes | None = None, *, caller: Mapping[str, str] | None = None
    ) -> Iterator[Span]:
        parent = None if caller is None else self._propagator.extract(_traceparent(caller))
        with self._tracer.start_as_current_span(
            name,
            context=parent,
            kind=self._internal if caller is None else self._server,
            attributes=attributes,
            record_exception=False,  # its words may be a library's, which quote
            set_status_on_exception=False,
        ) as span:
            try:
                yield _Noted(span)
            except Exception as exc:
                span.set_attribute("error.type", exc.code if isinstance(exc, AuscultError) else type(exc).__name__)
                span.set_status(self._error)
                raise

    def past(self, name: str, took_s: float, attributes: Attributes | None = None) -> None:
        end = time.time_ns()
        span = self._tracer.start_span(name, attributes=attributes, start_time=end - int(took_s * 1e9))
        span.end(end)

    def close(self) -> None:
        self._provider.force_flush(FLUSH_MS)
        self._provider.shutdown()


class _Noted:
    def __init__(self, span: Any) -> None:
        self._span = span

    def note(self, name: str, value: str | int | float | bool) -> None:
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)


def _traceparent(headers: Mapping[str, str]) -> dict[str, str]:
    """W3C Trace Context without `tracestate`: it is a client's own words, which would travel on."""
    found = headers.get("traceparent")
    return {} if found is None else {"traceparent": found}


class TracedRequests:
    """An application whose requests are spans: method, route and status."""

    def __init__(self, app: ASGIApp, routes: Callable[[], list[BaseRoute]], tracer: Tracer) -> None:
        self._app = app
        self._routes = routes
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        method = scope.get("method", "WEBSOCKET")
        route = self._route(scope)
        attributes = {"http.request.method": method, "http.route": route}
        with self._tracer.span(f"{method} {route}", attributes, caller=Headers(scope=scope)) as span:

            async def noting(message: Message) -> None:
                if message["type"] in ("http.response.start", "websocket.http.response.start"):
                    span.note("http.response.status_code", message["status"])
                await send(message)

            await self._app(scope, receive, noting)

    def _route(self, scope: Scope) -> str:
        """The template: the path itself may hold what nobody should read."""
        for route in self._routes():
            if route.matches(scope)[0] is not Match.NONE:
                return str(getattr(route, "path", UNKNOWN_ROUTE))
        return UNKNOWN_ROUTE


class TracedRecognition:
    """An observer of recognition that also makes a span of each call."""

    def __init__(self, observer: Observer, tracer: Tracer) -> None:
        self._observer = observer
        self._tracer = tracer

    def handed_over(self, rank: Rank, waited: float) -> None:
        """See `Observer`."""
        self._observer.handed_over(rank, waited)

    def answered(self, requests: int, took: float) -> None:
        """See `Observer`."""
        self._observer.answered(requests, took)
        self._tracer.past("recognition", took, {"auscult.requests": requests})


def traced(tracer: Tracer, step: str, use_case: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """A step of a job, as a span; its first argument is the id of its encounter."""

    async def run(encounter: str, *more: str | int) -> T:
        with tracer.span(f"job {step}", {"auscult.step": step, "auscult.encounter": encounter}):
            return await use_case(encounter, *more)

    return run
