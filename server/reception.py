"""Where requests of an API come in: who calls, what a body or a form holds, refusals in its own words; all counted."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import NoReturn, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pipeline.errors import AuscultError
from server.auth import Authenticator, bearer, credential
from server.domain import Caller
from server.http import ErrorResponse, body, decode
from server.ingest.multipart import FormPart, form_parts
from server.metrics import Metrics
from server.wire import reading_json, unknown_fields

S = TypeVar("S", bound=msgspec.Struct)


class Reception:
    """See the module. One for each API."""

    def __init__(self, api: str, authenticator: Authenticator, metrics: Metrics, *, stall_s: float) -> None:
        """`stall_s`: the longest wait for the next bytes of a form, in seconds."""
        self._authenticator = authenticator
        self._rejected = metrics.rejected
        self._ignored = metrics.ignored_fields.labels(api=api)
        self.stall_s = stall_s

    async def caller(self, request: Request) -> Caller:
        """Who calls. Raises `Unauthorized`, `QuotaExceeded`."""
        return await self._authenticator.caller(bearer(request.headers))

    async def reader(self, request: Request) -> Caller:
        """Who only reads, and so may have its token in the address. Raises as `caller` does."""
        return await self._authenticator.caller(credential(request))

    async def until_expiry(self, caller: Caller) -> NoReturn:
        """Raises `TokenExpired` as soon as a caller's token is; waits forever for a key."""
        await self._authenticator.until_expiry(caller)

    async def read(self, request: Request, kind: type[S], limit: int, *, absent: bytes = b"") -> S:
        """A JSON body of up to `limit` bytes; `absent` stands for an empty one. Raises `BadRequest`, `TooLarge`."""
        return self.decode(await body(request, limit) or absent, kind)

    def decode(self, raw: bytes, kind: type[S]) -> S:
        """JSON → struct; fields that it does not have are ignored. Raises `BadRequest`."""
        read = decode(raw, kind)
        with reading_json():  # of fields that it does not have the names were not looked at
            self._ignored.inc(unknown_fields(raw, kind))
        return read

    async def form(self, request: Request, kind: type[msgspec.Struct]) -> AsyncIterator[FormPart]:
        """The parts that are fields of a struct, in the order in which they come; others are ignored.

        `name[]`, as some clients call what they repeat, is `name`. Raises as `form_parts` does.
        """
        names = {field.encode_name.removesuffix("[]") for field in msgspec.structs.fields(kind)}
        async for part in form_parts(request, stall_s=self.stall_s):
            name = part.name.removesuffix("[]")
            if name in names:
                yield replace(part, name=name)
            else:
                self._ignored.inc()

    def refusing(self, told: ErrorResponse) -> ErrorResponse:
        """For a `Facade`: its answer to an error, counted."""

        def refuse(exc: AuscultError) -> Response:
            self._rejected.labels(code=exc.code).inc()
            return told(exc)

        return refuse
