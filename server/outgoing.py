"""Calls to addresses that somebody else gave: files to fetch, callbacks. They must not reach the operator's network.

A name is resolved here, every address is checked, and the connection is made to the very address that was checked, so
that a name which changes its answer between two look-ups gains nothing; certificates and Host still go by the name.
Every redirect is checked anew. No proxy, cookie or credential is used (OWASP, Server-Side Request Forgery Prevention).
"""

import socket
import ssl
import string
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TypeAlias
from urllib.parse import quote, urljoin, urlsplit

import anyio
import anyio.to_thread
import httpcore
import httpx
import msgspec

from pipeline.errors import AuscultError
from server.addresses import Address, AddressRefused, AllowedHosts, addresses_of, read_url
from server.errors import TooLarge

ANSWER_BYTES = 65_536  # of an answer that are read; nothing in it matters but that it came
LOOKUPS = 64  # names that are resolved at the same time
MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
LATE = "The address did not answer in time."
LATER = frozenset({408, 425, 429, *range(500, 600)})  # statuses of what may work another time

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host name."""


class FetchFailed(AuscultError):
    """The file cannot be fetched from its address."""

    code = "fetch_failed"

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back on a POST, as far as it matters."""

    status: int | None  # None: nothing came
    error: str | None  # code of what went wrong where nothing came
    retry_after: str | None
    duration_ms: int


class Resolver:
    """As the system resolves names, in threads of its own: one whose name server hangs holds nobody else up.

    The event loop's own resolver has four threads (libuv), and everything else waits for them.
    """

    def __init__(self) -> None:
        self._threads = anyio.CapacityLimiter(LOOKUPS)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a name. Raises `OSError`, or `UnicodeError` for what can be no name."""
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await anyio.to_thread.run_sync(look_up, abandon_on_cancel=True, limiter=self._threads)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _Guarded(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses alone."""

    def __init__(self, allowed: AllowedHosts, lookup: Resolve) -> None:
        self._allowed = allowed
        self._resolve = lookup
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Each address in turn, within the time for all. Raises `AddressRefused`, `httpcore.ConnectError`, or that it
        took too long: `httpcore.ConnectTimeout`, `TimeoutError`.
        """
        with anyio.fail_after(timeout) as limit:
            addresses = await self.checked(host, port)
            failed: Exception = httpcore.ConnectError("no address")
            for number, address in enumerate(addresses):
                share_s = (limit.deadline - anyio.current_time()) / (len(addresses) - number)  # the next get theirs
                try:
                    return await self._inner.connect_tcp(str(address), port, share_s, local_address, socket_options)
                except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                    failed = exc
            raise failed

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's)
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise AddressRefused

    async def sleep(self, seconds: float) -> None:
        """Between httpcore's own tries."""
        await anyio.sleep(seconds)

    async def checked(self, host: str, port: int) -> list[Address]:
        """Every address of a host, all of them fit to be called. Raises `AddressRefused`, `httpcore.ConnectError`."""
        try:
            addresses = addresses_of(await self._resolve(host, port))
        except (OSError, ValueError) as exc:
            raise httpcore.ConnectError("The name is not known.") from exc
        self._allowed.check(host, port, addresses)
        return addresses


class Outgoing:
    """See the module. One per process."""

    def __init__(
        self,
        allow_hosts: Iterable[str] = (),
        *,
        connect_timeout_s: float = 10.0,
        stall_timeout_s: float = 30.0,
        fetch_timeout_s: float = 3600.0,
        lookup: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._fetch_timeout_s = fetch_timeout_s
        self._allowed = AllowedHosts(allow_hosts)
        self._backend = _Guarded(self._allowed, lookup or Resolver())
        self._tls = tls or httpx.create_ssl_context()  # once: reading the authorities takes longer than a call

    def check(self, url: str) -> None:
        """What can be told before a call: raises `AddressRefused` where none will ever be made."""
        self._allowed.check_url(url)

    async def fetch(self, url: str, *, max_bytes: int) -> AsyncGenerator[bytes]:
        """A file, in pieces. Raises `AddressRefused`, `FetchFailed`, `TooLarge`."""
        until = anyio.current_time() + self._fetch_timeout_s
        for _ in range(MAX_REDIRECTS + 1):
            async with AsyncExitStack() as stack:
                try:
                    head_s = min(self._stall_timeout_s, until - anyio.current_time())
                    with anyio.fail_after(head_s):  # for all of the head, which may come byte by byte
                        response = await stack.enter_async_context(self._call("GET", url, self._stall_timeout_s))
                except TimeoutError as exc:
                    raise FetchFailed(LATE, retryable=anyio.current_time() < until) from exc
                if response.status in REDIRECTS:
                    url = _redirected(url, response)
                    continue
                if response.status != 200:
                    raise FetchFailed(
                        f"The file's address answered with status {response.status}.",
                        retryable=response.status in LATER,
                    )
                async for piece in _limited(response, max_bytes):
                    if anyio.current_time() > until:  # a single read has its own limit
                        raise FetchFailed("Fetching the file took too long.", retryable=False)
                    yield piece
                return
        raise FetchFailed("The file's address redirects too often.", retryable=False)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Answer:
        """Send something, and see whether it was taken. Redirects are not followed. Raises nothing."""
        began = time.monotonic()
        status, error, retry_after = None, None, None
        try:
            with anyio.fail_after(timeout_s):
                async with self._call("POST", url, timeout_s, body, headers) as response:
                    status = response.status
                    retry_after = _header(response, b"retry-after")
                    read = 0
                    async for piece in response.aiter_stream():
                        read += len(piece)
                        if read >= ANSWER_BYTES:
                            break
        except TimeoutError:
            error = "timeout" if status is None else None  # it has answered; the rest of it does not matter
        except AuscultError as exc:
            error = exc.code if status is None else None
        took = round((time.monotonic() - began) * 1000)
        return Answer(status=status, error=error, retry_after=retry_after, duration_ms=took)

    @asynccontextmanager
    async def _call(
        self, method: str, url: str, stall_s: float, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[httpcore.Response]:
        """One request over a connection of its own. Raises `AddressRefused`, `FetchFailed`."""
        read_url(url)
        timeout = {"connect": self._connect_timeout_s, "read": stall_s, "write": stall_s, "pool": stall_s}
        sent = {"Accept-Encoding": "identity", "User-Agent": "Auscult", **(headers or {})}
        if method == "POST":
            sent["Content-Length"] = str(len(body))
        try:
            async with (
                httpcore.AsyncConnectionPool(
                    ssl_context=self._tls, network_backend=self._backend, max_connections=1, http2=False
                ) as pool,
                pool.stream(
                    method, url, headers=_with_host(url, sent), content=body or None, extensions={"timeout": timeout}
                ) as response,
            ):
                yield response
        except (httpcore.TimeoutException, TimeoutError) as exc:
            raise FetchFailed(LATE, retryable=True) from exc
        except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as exc:
            raise FetchFailed("The address could not be reached, or broke off.", retryable=True) from exc


def _redirected(url: str, response: httpcore.Response) -> str:
    location = _header(response, b"location")
    if not location:
        raise FetchFailed("The file's address redirects nowhere.", retryable=False)
    try:
        target = urljoin(url, quote(location, safe=string.punctuation, encoding="latin-1"))
    except ValueError:
        raise FetchFailed("The file's address redirects nowhere.", retryable=False) from None
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise AddressRefused("The address redirects from https to http.")
    return target


async def _limited(response: httpcore.Response, max_bytes: int) -> AsyncIterator[bytes]:
    received, said = 0, _header(response, b"content-length")
    async for piece in response.aiter_stream():
        received += len(piece)
        if received > max_bytes:
            raise TooLarge("The file at this address is larger than the server takes.")
        yield piece
    if said is not None and said.isdigit() and received < int(said):
        raise FetchFailed("The address broke off before the end of the file.", retryable=True)


def _header(response: httpcore.Response, name: bytes) -> str | None:
    found = next((value for key, value in response.headers if key.lower() == name), None)
    return None if found is None else found.decode("latin-1")


def _with_host(url: str, headers: Mapping[str, str]) -> list[tuple[str, str]]:
    parts = urlsplit(url)
    return [("Host", parts.netloc), *headers.items()]
