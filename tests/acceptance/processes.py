"""Several server processes on one PostgreSQL, and a load balancer in front of them that knows nothing."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from pathlib import Path

import httpx

from bench.server import RunningServer, running_server


def shared(folder: Path, url: str) -> dict[str, str]:
    """What processes have in common: the database, the key, the recordings."""
    return {
        "AUSCULT_STORE_URL": url,
        "AUSCULT_STORE_KEY_FILE": str(folder / "key"),
        "AUSCULT_BLOBS_DIRECTORY": str(folder / "blobs"),
    }


@asynccontextmanager
async def processes(
    folder: Path, environment: Mapping[str, str], roles: tuple[str, ...], *, recogniser: str = "scripted"
) -> AsyncIterator[list[RunningServer]]:
    """Servers with these roles, each with a data directory of its own; the first one's key is good for all."""
    async with AsyncExitStack() as stack:
        running: list[RunningServer] = []
        for number, role in enumerate(roles):
            started = running_server(
                recogniser=recogniser,
                data_dir=folder / f"process{number}",
                key=running[0].key if running else "",
                environment={**environment, "AUSCULT_SERVER_ROLE": role},
            )
            running.append(await stack.enter_async_context(started))
        yield running


class RoundRobin(httpx.BaseTransport):
    """A load balancer: each request goes to the next server that takes connections."""

    def __init__(self, servers: list[RunningServer]) -> None:
        self._servers = cycle(servers)
        self._count = len(servers)
        self._http = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for _ in range(self._count):
            url = httpx.URL(next(self._servers).base_url)
            request.url = request.url.copy_with(host=url.host, port=url.port)
            try:
                return self._http.handle_request(request)
            except httpx.ConnectError:
                continue
        raise httpx.ConnectError("no server takes connections", request=request)


def balanced(servers: list[RunningServer]) -> httpx.Client:
    """A client of all of them."""
    headers = {"Authorization": f"Bearer {servers[0].key}"}
    return httpx.Client(base_url="http://balanced", headers=headers, transport=RoundRobin(servers), timeout=30)
