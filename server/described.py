"""`/openapi.json`: the endpoints, for programs; `/docs`: the same, for people."""

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.endpoints import JSON, Endpoint
from server.openapi import document


class Described:
    """See the module."""

    def __init__(self, endpoints: Sequence[Endpoint], version: str) -> None:
        self._document = msgspec.json.encode(document(endpoints, version))

    def routes(self) -> list[Route]:
        return [Route("/openapi.json", self.openapi)]

    async def openapi(self, _: Request) -> Response:
        """The OpenAPI document."""
        return Response(self._document, media_type=JSON)
