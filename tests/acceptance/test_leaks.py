"""What tests use to look for leaks finds them, and networks that are cut are cut."""

import asyncio
import socket

import anyio
import httpx
import pytest

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.haidy import chunk, poll, post, wait
from tests.acceptance.leaks import nothing_left_here, nothing_left_in
from tests.acceptance.proxy import proxied
from tests.acceptance.test_haidy import wav
from tests.acceptance.udp_relay import relayed

OFFER = "v=0\r\na=candidate:1 1 udp 2130706431 192.0.2.1 {port} typ host\r\n"


def test_a_session_that_ended_leaves_nothing_and_one_that_did_not_is_found(
    scripted_server: RunningServer, api: httpx.Client, headache: Recording
) -> None:
    poll(api, "nothing")  # the client's connection stays, whatever comes
    with nothing_left_in(scripted_server):
        ended = post(api, chunk(wav(headache, 3), final=True)).json()["task_id"]
        wait(api, ended)
    with pytest.raises(AssertionError, match="1 × auscult_sessions"), nothing_left_in(scripted_server, polls=1):
        left = post(api, chunk(wav(headache, 3))).json()["task_id"]
    post(api, chunk(b"", left, final=True))
    wait(api, left)


async def test_a_task_and_a_socket_that_stay_are_found() -> None:
    async with nothing_left_here():
        with socket.socket():
            await asyncio.create_task(asyncio.sleep(0))
    looking = nothing_left_here(polls=1)
    await looking.__aenter__()
    waiting = asyncio.create_task(asyncio.Event().wait())
    with socket.socket(), pytest.raises(AssertionError, match=r"1 × socket, 1 × task Event\.wait"):
        await looking.__aexit__(None, None, None)
    waiting.cancel()


async def test_a_network_that_is_cut_resets_connections_until_it_is_mended(scripted_server: RunningServer) -> None:
    async with nothing_left_here(), proxied(scripted_server.base_url) as network, httpx.AsyncClient() as api:
        url = f"{network.base_url}/healthz"
        assert (await api.get(url)).is_success
        network.cut()
        for _ in range(2):
            with pytest.raises(httpx.TransportError):
                await api.get(url)
        network.mend()
        assert (await api.get(url)).is_success


async def test_a_connection_that_a_router_forgot_is_silent_while_a_new_one_passes(
    scripted_server: RunningServer,
) -> None:
    async with proxied(scripted_server.base_url) as network, httpx.AsyncClient(timeout=0.2) as api:
        url = f"{network.base_url}/healthz"
        assert (await api.get(url)).is_success
        network.swallow()
        with pytest.raises(httpx.ReadTimeout):
            await api.get(url)
        assert (await api.get(url)).is_success


async def test_datagrams_pass_both_ways_through_a_relay_until_it_is_cut() -> None:
    async with (
        nothing_left_here(),
        relayed() as relays,
        await anyio.create_udp_socket(local_host="127.0.0.1") as client,
        await anyio.create_udp_socket(local_host="127.0.0.1") as server,
    ):
        client_port, server_port = (end.extra(anyio.abc.SocketAttribute.local_port) for end in (client, server))
        told_server = await relays.outward(OFFER.format(port=client_port))
        told_client = await relays.inward(OFFER.format(port=server_port).replace("192.0.2.1", "127.0.0.1"))
        assert str(client_port) not in told_server
        relay = ("127.0.0.1", int(told_client.split()[6]))
        with anyio.fail_after(10):
            await client.sendto(b"to the server", *relay)
            heard, sender = await server.receive()
            assert (heard, str(sender[1])) == (b"to the server", told_server.split()[6])
            await server.sendto(b"to the client", *sender)
            assert await client.receive() == (b"to the client", relay)
            relays.cut()
            async with anyio.create_task_group() as both:
                both.start_soon(relays.drop, 1)
                await anyio.lowlevel.checkpoint()
                await client.sendto(b"lost", *relay)
            relays.mend()
            await client.sendto(b"heard", *relay)
            assert (await server.receive())[0] == b"heard"
