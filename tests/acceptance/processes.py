"""A load balancer in front of several server processes, which knows nothing of them."""

from itertools import cycle

import httpx

from bench.server import RunningServer


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
