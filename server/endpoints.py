"""The one route table: every HTTP endpoint with what it takes and gives. Routes and OpenAPI document are made of it.

Sockets are beside it, with their messages.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from inspect import cleandoc
from typing import Literal, TypeAlias

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from server.errors import MethodNotAllowed
from server.http import ErrorResponse, Handler, guarded

JSON = "application/json"
FORM = "multipart/form-data"
EVENTS = "text/event-stream"
TEXT = "text/plain"

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


@dataclass(frozen=True, slots=True)
class Header:
    """Of an answer."""

    name: str
    about: str
    schema: object = str


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
    gives: Mapping[int, Content | Sequence[Content] | None]  # by status; several: one of these
    refuses: Sequence[int] = ()  # statuses of refusals, besides those of `COMMON`
    parameters: Sequence[Parameter] = ()
    headers: Mapping[int, Sequence[Header]] = field(default_factory=dict)  # of answers, by status
    secured: bool = True  # whether a key or a token is needed

    @property
    def about(self) -> str:
        """In one line."""
        return cleandoc(self.handler.__doc__ or "").partition("\n")[0]

    @property
    def more(self) -> str:
        """What the handler's docstring says behind that."""
        return cleandoc(self.handler.__doc__ or "").partition("\n")[2].strip()

    @property
    def answers(self) -> dict[int, Sequence[Content]]:
        """What it gives, and what refusals are, by status."""
        given = {
            status: [] if content is None else [content] if isinstance(content, Content) else content
            for status, content in self.gives.items()
        }
        return {**given, **{status: [self.facade.refusal] for status in self.statuses}}

    @property
    def statuses(self) -> list[int]:
        """Of refusals, in order."""
        common = SECURED if self.secured else ()
        return sorted({*self.refuses, *common, *COMMON} - set(self.gives))


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """A socket, by the messages that go over it: types that msgspec has a schema for."""

    name: str
    about: str
    paths: Sequence[str]
    sub_protocol: str = ""
    receives: object | None = None  # what clients send; None: nothing
    sends: object


COMMON = (405, 500, 503)  # any endpoint may answer so: overloaded, or its database is away
SECURED = (401, 403, 429)


def routes(endpoints: Iterable[Endpoint]) -> list[Route]:
    """A route for each path, in the order in which the table first names it."""
    paths: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, []).append(endpoint)
    return [Route(each, _Methods(own), name=each) for path, own in paths.items() for each in _spelled(path)]


def _spelled(path: str) -> tuple[str, ...]:
    """A path, and without the slash at its end. A redirect would name an address of the client's making (`Host`)."""
    return (path, bare) if (bare := path.rstrip("/")) not in (path, "") else (path,)


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
            if response.status_code == HTTPStatus.UNAUTHORIZED:
                response.headers.setdefault("WWW-Authenticate", "Bearer")  # RFC 9110 §11.6.1
        await response(scope, receive, send)
