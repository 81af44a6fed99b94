"""A network between a WebRTC client and a server on loopback that can be cut and mended, for UDP.

The relay stands between the two by rewriting the candidates they tell each other (`Relays.outward` an offer or a
trickled fragment, `Relays.inward` an answer), so that each knows only the relay's addresses:

async with relayed() as relays:
    offer = await relays.outward(offer)       # the server hears of the relay instead of the client
    answer = await relays.inward(answer)      # and the client of the relay instead of the server
    relays.cut()
    relays.mend()
"""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
from anyio.abc import SocketAttribute, TaskGroup, UDPSocket

HOST = "127.0.0.1"
# RFC 8839 5.1: foundation, component, transport, priority, address, port. The browser writes "udp", aioice too.
CANDIDATE = re.compile(r"^(a=candidate:\S+ \d+ )(\S+)( \d+ )(\S+) (\d+)", re.MULTILINE)
NEW_OFFER = "v=0"  # a trickled fragment has no version line


class Relay:
    """One client, one server. Datagrams pass between the socket that faces the client and that facing the server."""

    def __init__(self, facing_client: UDPSocket, facing_server: UDPSocket, relays: "Relays") -> None:
        self._client = facing_client
        self._server = facing_server
        self._relays = relays
        self._client_at: tuple[str, int] | None = None  # learned from its first datagram
        self.server_at: tuple[str, int] | None = None  # from the answer

    @property
    def seen_by_client(self) -> int:
        return int(self._client.extra(SocketAttribute.local_port))

    @property
    def seen_by_server(self) -> int:
        return int(self._server.extra(SocketAttribute.local_port))

    async def to_server(self) -> None:
        async for datagram, sender in self._client:
            self._client_at = sender
            if self.server_at is not None and self._relays.passes():
                await self._server.sendto(datagram, *self.server_at)

    async def to_client(self) -> None:
        async for datagram, _ in self._server:
            if self._client_at is not None and self._relays.passes():
                await self._client.sendto(datagram, *self._client_at)


class Relays:
    """A relay for each connection that is negotiated; they are cut and mended together."""

    def __init__(self, owner: TaskGroup, stack: AsyncExitStack) -> None:
        self._owner = owner
        self._stack = stack
        self._made: list[Relay] = []
        self._cut = False
        self._dropping = anyio.Event()
        self.passed = 0  # datagrams
        self.dropped = 0

    def cut(self) -> None:
        """Drop every datagram, in both directions."""
        self._cut = True

    def mend(self) -> None:
        self._cut = False

    async def drop(self, count: int) -> None:
        """Wait until so many datagrams more have been dropped: a voice is 50 a second."""
        until = self.dropped + count
        while self.dropped < until:
            self._dropping = anyio.Event()
            await self._dropping.wait()

    def passes(self) -> bool:
        """Whether a datagram does, and count it."""
        self.dropped += self._cut
        if self._cut:
            self._dropping.set()
        self.passed += not self._cut
        return not self._cut

    async def outward(self, sdp: str) -> str:
        """What the client tells the server, with a relay in the client's place; an offer gets a new one."""
        if sdp.startswith(NEW_OFFER):
            self._made.append(await self._make())
        return CANDIDATE.sub(rf"\g<1>\g<2>\g<3>{HOST} {self._made[-1].seen_by_server}", sdp)

    async def inward(self, sdp: str) -> str:
        """The server's answer, with the relay in its place. Of several candidates of the server the first is used."""
        relay = self._made[-1]
        found = next((one for one in CANDIDATE.finditer(sdp) if one[2].lower() == "udp"), None)
        assert found is not None, "the answer has no candidate"
        relay.server_at = (found[4], int(found[5]))
        kept: list[str] = []
        for line in sdp.splitlines(keepends=True):
            one = CANDIDATE.match(line)
            if one is None:
                kept.append(line)
            elif (one[4], int(one[5])) == relay.server_at:
                kept.append(CANDIDATE.sub(rf"\g<1>\g<2>\g<3>{HOST} {relay.seen_by_client}", line))
        return "".join(kept)

    async def _make(self) -> Relay:
        facing_client, facing_server = [await self._stack.enter_async_context(await _bound()) for _ in range(2)]
        relay = Relay(facing_client, facing_server, self)
        self._owner.start_soon(relay.to_server)
        self._owner.start_soon(relay.to_client)
        return relay


@asynccontextmanager
async def relayed() -> AsyncIterator[Relays]:
    """A whole network."""
    async with AsyncExitStack() as stack, anyio.create_task_group() as owner:
        yield Relays(owner, stack)
        owner.cancel_scope.cancel()


async def _bound() -> UDPSocket:
    return await anyio.create_udp_socket(local_host=HOST)
