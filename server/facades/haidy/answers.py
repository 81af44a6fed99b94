"""What Haidy's handlers answer with."""

import msgspec
from starlette.responses import Response

from pipeline.errors import AuscultError
from server.endpoints import Content, Facade
from server.facades.haidy import convert
from server.http import retry_after
from server.metrics import Metrics


def answer(body: msgspec.Struct, status: int = 200) -> Response:
    """JSON."""
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def vendor_api(metrics: Metrics) -> Facade:
    """Of all endpoints of this API."""

    def refuse(exc: AuscultError) -> Response:
        metrics.rejected.labels(code=exc.code).inc()
        status, message = convert.error(exc)
        return Response(msgspec.json.encode(message), status, retry_after(exc), media_type="application/json")

    return Facade(name="Haidy", about="As Haidy (44ai) has it.", refuse=refuse, refusal=Content(str))
