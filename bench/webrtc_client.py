"""The clients of `auscult-bench webrtc`, in a process of their own: `python -m bench.webrtc_client`, fed with a plan.

The first line of standard input is the plan. Then, for each client, its offer goes out and the answer comes in; when
all are connected it says so, plays until standard input ends, and says what it saw. One line of JSON is one message.
"""

import sys
import time
from dataclasses import replace
from typing import TypeAlias

import aioice.ice
import anyio
import anyio.to_thread
import msgspec
import numpy as np

from bench.recordings import Recording
from bench.rtc import HZ, Client, Network, Packets, encode
from bench.score import Spread
from pipeline.types import SAMPLE_RATE

CONNECT_TIMEOUT_S = 30.0
FACTOR = HZ // SAMPLE_RATE


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to play, over which network."""

    peers: int
    loss: float
    late: float
    twice: float
    recording: str


class Offered(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An offer; the next line of standard input is the answer."""

    sdp: str


class Connected(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All clients are connected and play."""

    connect_ms: Spread | None  # making the offer → connected


class Played(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What each client sent, and what all of them cost."""

    sent: tuple[int, ...]  # packets
    lost: tuple[int, ...]  # of them, by the network
    cpu: float  # cores, while all of them played


Line: TypeAlias = Offered | Connected | Played


class Parent:
    """The other process, as whoever answers."""

    async def answer(self, offer: str) -> str:
        """Its answer, over standard output and input."""
        say(Offered(sdp=offer))
        return msgspec.json.decode(await anyio.to_thread.run_sync(sys.stdin.readline), type=str)


def say(line: Line) -> None:
    print(msgspec.json.encode(line).decode(), flush=True)


async def play(plan: Plan) -> None:
    """Connect one client after the other, play, and report. Raises: `TimeoutError`."""
    packets = encode(_speech(plan.recording))
    network = Network(loss=plan.loss, late=plan.late, twice=plan.twice)
    clients: list[Client] = []
    connect_ms: list[float] = []
    for number in range(plan.peers):
        at = number * 1_009 % len(packets)  # each is elsewhere in the consultation
        client = Client(Packets(packets[at:] + packets[:at]))
        clients.append(client)
        begun = time.perf_counter()
        with anyio.fail_after(CONNECT_TIMEOUT_S):
            await client.connect(Parent(), replace(network, seed=number))
        connect_ms.append((time.perf_counter() - begun) * 1000)
    say(Connected(connect_ms=Spread.of(connect_ms)))
    begun, begun_cpu = time.perf_counter(), time.process_time()
    await anyio.to_thread.run_sync(sys.stdin.read)
    cpu = (time.process_time() - begun_cpu) / (time.perf_counter() - begun)
    for client in clients:
        await client.aclose()
    links = [client.link for client in clients if client.link is not None]
    say(Played(sent=tuple(link.sent for link in links), lost=tuple(link.lost for link in links), cpu=round(cpu, 3)))


def _speech(name: str) -> "np.ndarray[tuple[int, int], np.dtype[np.int16]]":
    """Both voices, left and right, at 48 kHz."""
    voices = np.stack(list(Recording.load(name).channels()))
    times = np.arange(voices.shape[1] * FACTOR) / FACTOR
    louder = np.stack([np.interp(times, np.arange(len(voice)), voice) for voice in voices])
    return (louder * 32_767).clip(-32_768, 32_767).astype(np.int16)


def main() -> None:
    """Play the plan on the first line of standard input, over loopback, which aioice leaves out of itself."""
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    anyio.run(play, msgspec.json.decode(sys.stdin.readline(), type=Plan), backend_options={"use_uvloop": True})


if __name__ == "__main__":
    main()
