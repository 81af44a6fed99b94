"""`/openapi.json` and `/sockets.json`: the endpoints, for programs; `/docs`: the same, for people."""

from collections.abc import Sequence
from functools import cached_property, partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.docs import HTML, POLICY, page
from server.endpoints import JSON, Content, Endpoint, Facade, Socket
from server.openapi import SOCKETS, document, socket_messages

SCHEMA = "application/schema+json"
CACHED = {"Cache-Control": "public, max-age=300"}


class Described:
    """See the module. What it gives is made when it is first asked for."""

    def __init__(self, endpoints: Sequence[Endpoint], sockets: Sequence[Socket], version: str, facade: Facade) -> None:
        """`facade`: of its own endpoints."""
        self._others = endpoints
        self._sockets = sockets
        self._version = version
        self._facade = facade

    def endpoints(self) -> list[Endpoint]:
        """All of them, its own ones included."""
        own = partial(Endpoint, facade=self._facade, method="GET", secured=False)
        return [
            *self._others,
            own(path="/openapi.json", handler=self.openapi, gives={200: Content(dict)}),
            own(path=SOCKETS, handler=self.sockets, gives={200: Content(dict, SCHEMA)}),
            own(path="/docs", handler=self.docs, gives={200: Content(str, HTML)}),
        ]

    async def openapi(self, _: Request) -> Response:
        """This document (OpenAPI 3.1)."""
        return Response(self._openapi, headers=CACHED, media_type=JSON)

    async def sockets(self, _: Request) -> Response:
        """The messages of the sockets, as JSON Schema."""
        return Response(self._messages, headers=CACHED, media_type=SCHEMA)

    async def docs(self, _: Request) -> Response:
        """Both, as a page to read, which needs no script and nothing from elsewhere."""
        return Response(self._page, headers={**CACHED, **POLICY}, media_type=HTML)

    @cached_property
    def _openapi(self) -> bytes:
        return msgspec.json.encode(document(self.endpoints(), self._version))

    @cached_property
    def _messages(self) -> bytes:
        return msgspec.json.encode(socket_messages(self._sockets, self._version))

    @cached_property
    def _page(self) -> str:
        return page(document(self.endpoints(), self._version), socket_messages(self._sockets, self._version))
