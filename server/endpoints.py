"""The one route table: every HTTP endpoint with what it takes and gives. Routes and OpenAPI document are made of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from server.errors import MethodNotAllowed
from server.http import ErrorResponse, Handler, guarded

JSON = "application/json"
FORM = "multipart/form-data"
EVENTS = "text/event-stream"

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Where: TypeAlias = Literal["path", "query", "header"]


@dataclass(frozen=True, slots=True)
class Content:
    """The body of a request or an answer. Of a form, `schema` is a struct of its fields, with `bytes` for files."""

    schema: object = bytes  # a type that msgspec has a schema for
    media_type: str = JSON


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value beside the body."""

    name: str
    where: Where
    about: str
    schema: object = str
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facade:
    """What the endpoints of one API have in common."""

    name: str
    about: str
    refuse: ErrorResponse  # a refusal in this API's words
    refusal: Content  # what such an answer holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method of one path. The first line of the handler's docstring says what it does."""

    facade: Facade
    method: Method
    path: str
    handler: Handler
    takes: Sequence[Content] = ()  # one of these
    gives: Mapping[int, Content | None]  # by status
    refuses: Sequence[int] = ()  # statuses of refusals, besides those of `COMMON`
    parameters: Sequence[Parameter] = ()
    secured: bool = True  # whether a key or a token is needed

    @property
    def about(self) -> str:
        """In one sentence."""
        return (self.handler.__doc__ or "").strip().partition("\n")[0]

    @property
    def statuses(self) -> list[int]:
        """Of refusals, in order."""
        common = SECURED if self.secured else ()
        return sorted({*self.refuses, *common, *COMMON} - set(self.gives))


COMMON = (405, 500, 503)  # any endpoint may answer so: overloaded, or its database is away
SECURED = (401, 403, 429)


def routes(endpoints: Iterable[Endpoint]) -> list[Route]:
    """A route for each path, in the order in which the table first names it."""
    paths: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, []).append(endpoint)
    return [Route(path, _Methods(own), name=path) for path, own in paths.items()]


class _Methods:
    """The endpoints of one path as an ASGI application, which refuses other methods in the words of their API."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._refuse = endpoints[0].facade.refuse
        self._handlers: dict[str, Handler] = {
            each.method: guarded(each.handler, each.facade.refuse) for each in endpoints
        }
        if "GET" in self._handlers:
            self._handlers["HEAD"] = self._handlers["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        handler = self._handlers.get(request.method)
        if handler is None:
            response = self._refuse(MethodNotAllowed())
            response.headers["Allow"] = ", ".join(sorted(self._handlers))  # RFC 9110 §15.5.6
        else:
            response = await handler(request)
        await response(scope, receive, send)
