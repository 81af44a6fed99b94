"""HTTP to a language model's server: it carries what was set and no more, and takes no more than was bargained for."""

import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import httpx2

from pipeline.errors import ModelBrokenAnswer, ModelUnavailable

# What the client library tells about this machine, or takes from variables that were set for another program.
UNASKED: Final = ("x-stainless-", "openai-organization", "openai-project")
USER_AGENT: Final = "auscult"
CONNECTIONS: Final = 64


def open_client(
    *, headers: Mapping[str, str], keyed: bool, ca: str, timeout_s: float, most_bytes: int
) -> httpx2.AsyncClient:
    """A client that follows no redirect and uses no proxy: what a patient said goes to the address that was set.

    `keyed`: whether there is a key; `ca`: a PEM file with the certificates that are trusted besides the usual ones;
    `most_bytes`: of one answer. Raises `ModelUnavailable` where the file cannot be used.
    """
    transport = httpx2.AsyncHTTPTransport(
        verify=_trusted(ca), trust_env=False, limits=httpx2.Limits(max_connections=CONNECTIONS)
    )
    return httpx2.AsyncClient(
        transport=_Bounded(transport, headers=headers, keyed=keyed, most_bytes=most_bytes),
        timeout=httpx2.Timeout(timeout_s),
        follow_redirects=False,
        trust_env=False,
    )


def _trusted(ca: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca:
        try:
            context.load_verify_locations(Path(ca))
        except (OSError, ssl.SSLError) as exc:
            raise ModelUnavailable("note_model.ca names no file with certificates in PEM.") from exc
    return context


class _Bounded(httpx2.AsyncBaseTransport):
    """Sends the headers that were set, and gives up on an answer without end."""

    def __init__(
        self, transport: httpx2.AsyncBaseTransport, *, headers: Mapping[str, str], keyed: bool, most_bytes: int
    ) -> None:
        self._transport = transport
        self._headers = headers
        self._keyed = keyed
        self._most_bytes = most_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        for name in list(request.headers):
            if name.lower().startswith(UNASKED):
                del request.headers[name]
        if not self._keyed:
            del request.headers["authorization"]
        request.headers["user-agent"] = USER_AGENT
        request.headers.update(self._headers)
        response = await self._transport.handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _BoundedStream(response.stream, self._most_bytes)
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, most_bytes: int) -> None:
        self._stream = stream
        self._left = most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._left -= len(chunk)
            if self._left < 0:
                raise ModelBrokenAnswer("The language model's answer is too long.")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
