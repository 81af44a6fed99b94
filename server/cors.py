"""Pages of other origins that may call the server from a browser (CORS). No cookies are used, so none are allowed.

The operator names origins for all (`server.cors_origins`) and for single tenants. A preflight does not say who calls,
so it is allowed for an origin of any tenant; the answer itself can be read only by a page of the caller's own tenant.
"""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.errors import AuscultError
from server.auth import Authenticator, credential
from server.errors import Unauthorized
from server.tenants import Tenants

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
REQUEST_HEADERS = ("*",)  # such as versions and telemetry of vendors' libraries: no header lets anybody in
RESPONSE_HEADERS = ("Location", "ETag", "Link", "Retry-After", "Accept-Patch", "Auscult-Encounter", "Auscult-Warning")


class Pages:
    """The application, answering browsers for these origins: also where it fails. Sockets pass through untouched."""

    def __init__(self, app: ASGIApp, for_all: Collection[str], tenants: Tenants, authenticator: Authenticator) -> None:
        self._app = app
        self._tenants = tenants
        self._authenticator = authenticator
        self._for_all = frozenset(for_all)
        self._known = self._answering(self._for_all)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        origin = Headers(scope=scope).get("origin")
        if origin is None or origin in self._for_all or not await self._allows(origin, HTTPConnection(scope)):
            await self._known(scope, receive, send)
        else:
            await self._answering((origin,))(scope, receive, send)

    async def _allows(self, origin: str, request: HTTPConnection) -> bool:
        """Whether a page of an origin that is not allowed for all may read the answer."""
        try:
            if origin not in await self._tenants.origins():
                return False
            try:
                caller = await self._authenticator.identify(credential(request))
            except Unauthorized:  # a preflight, or a page whose token expired: the answer is about nobody
                return True
            return origin in ((await self._tenants.settings(caller.tenant_id)).cors_origins or ())
        except AuscultError:  # the database is away: whoever asks is told so by the application
            return False

    def _answering(self, origins: Collection[str]) -> CORSMiddleware:
        return CORSMiddleware(
            self._app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
        )
