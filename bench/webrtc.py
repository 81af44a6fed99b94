"""What taking audio in over WebRTC costs, how soon a peer is connected, and how much a bad network takes away.

The peers are read in this process, with nothing behind them: what is measured is encryption, jitter, decoding and
16 kHz. The clients (`bench.webrtc_client`) are a process of their own, so that their work is not counted.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.lines import Lines
from bench.score import Spread
from bench.webrtc_client import CONNECT_TIMEOUT_S, Connected, Line, Offered, Plan, Played
from pipeline.types import SAMPLE_RATE
from server.ingest.webrtc import Heard, Peer
from server.settings import WebRtcSettings

LINE_BYTES = 1 << 20
WARM_UP_S = 2.0
DRAIN_TIMEOUT_S = 30.0
ENDS_S = 60.0  # of the measured time, at its begin and at its end: between them a delay may have grown


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRtcOptions:
    """How many peers, for how long, over which networks."""

    peers: int = 10
    seconds: float = 60.0  # measured, of each network
    losses: Sequence[float] = (0.0, 0.02, 0.05, 0.10)
    late: float = 0.0  # share of packets that are overtaken by two others
    twice: float = 0.0  # share of packets that come twice
    split: bool = False
    recording: str = "cough"


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured with one network."""

    loss: float  # as asked for
    lost_share: float  # of the packets sent, by the network
    used_share: float  # of the packets sent: decoded
    used_of_arrived: float  # the same, of those that the network delivered
    cpu_per_peer: float  # share of one core
    connect_ms: Spread | None
    delay_growth_ms: float  # median delay at the end of the measured time less that at its begin, the worst peer's
    undecodable: int
    restarts: int
    client_cpu: float  # cores


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured in one run."""

    peers: int
    streams: int  # in all
    seconds: float
    late: float
    twice: float
    rounds: tuple[Round, ...]


@dataclass(slots=True, eq=False)
class Ear:
    """Reads a peer, and notes how far behind the clock its audio is."""

    peer: Peer
    delays: list[tuple[float, float]] = field(default_factory=list)  # clock, and clock less media time
    media_s: float = 0.0

    async def listen(self) -> None:
        """Until the peer ends."""
        async for event in self.peer:
            if isinstance(event, Heard) and event.stream == 0:
                self.media_s += len(event.pcm) / 2 / SAMPLE_RATE
                now = time.monotonic()
                self.delays.append((now, now - self.media_s))

    def growth_ms(self, begun: float, ended: float) -> float:
        """How much later audio comes at the end than at the begin."""
        window = min(ENDS_S, (ended - begun) / 3)
        first = [delay for at, delay in self.delays if begun <= at < begun + window]
        last = [delay for at, delay in self.delays if ended - window <= at < ended]
        return float(np.median(last) - np.median(first)) * 1000 if first and last else float("nan")


async def run(options: WebRtcOptions, console: Console) -> Report:
    """Measure each network. Raises: `ClientFailed`, `TimeoutError`."""
    rounds = []
    for loss in options.losses:
        console.print(f"{options.peers} peers, {options.seconds:g} s, {loss:.0%} lost", style="dim")
        with anyio.fail_after(CONNECT_TIMEOUT_S * options.peers + options.seconds + DRAIN_TIMEOUT_S):
            rounds.append(await _measure(options, loss))
    return Report(
        peers=options.peers,
        streams=options.peers * (2 if options.split else 1),
        seconds=options.seconds,
        late=options.late,
        twice=options.twice,
        rounds=tuple(rounds),
    )


async def _measure(options: WebRtcOptions, loss: float) -> Round:
    plan = Plan(peers=options.peers, loss=loss, late=options.late, twice=options.twice, recording=options.recording)
    async with await anyio.open_process([sys.executable, "-m", "bench.webrtc_client"], stderr=subprocess.PIPE) as child:
        assert child.stdin is not None
        await child.stdin.send(msgspec.json.encode(plan) + b"\n")
        lines = Lines(child, Line, most_bytes=LINE_BYTES)
        ears = [Ear(Peer(WebRtcSettings(addresses=("127.0.0.1",)), split=options.split)) for _ in range(options.peers)]
        try:
            async with anyio.create_task_group() as tasks:
                for ear in ears:
                    answer = await ear.peer.answer((await lines.next(Offered)).sdp)
                    tasks.start_soon(ear.listen)
                    await child.stdin.send(msgspec.json.encode(answer) + b"\n")
                connected = await lines.next(Connected)
                await anyio.sleep(WARM_UP_S)
                begun, begun_cpu = time.monotonic(), time.process_time()
                await anyio.sleep(options.seconds)
                ended, cpu_s = time.monotonic(), time.process_time() - begun_cpu
                await child.stdin.aclose()
                played = await lines.next(Played)
        finally:
            for ear in ears:
                await ear.peer.aclose()
    counts = [ear.peer.counts for ear in ears]
    used = sum(count.received - count.discarded - count.dropped - count.undecodable for count in counts)
    sent, lost = sum(played.sent), sum(played.lost)
    return Round(
        loss=loss,
        lost_share=round(lost / sent, 4),
        used_share=round(used / sent, 4),
        used_of_arrived=round(used / (sent - lost), 4),
        cpu_per_peer=round(cpu_s / (ended - begun) / options.peers, 5),
        connect_ms=connected.connect_ms,
        delay_growth_ms=round(max(ear.growth_ms(begun, ended) for ear in ears), 1),
        undecodable=sum(count.undecodable for count in counts),
        restarts=sum(count.restarts for count in counts),
        client_cpu=played.cpu,
    )


def show(report: Report, console: Console) -> None:
    """Print the figures as a table, a column for each network."""
    console.print(
        f"{report.peers} peers, {report.streams} streams, {report.seconds:g} s each, {report.late:.0%} of the packets"
        f" late, {report.twice:.0%} twice",
        style="bold",
        soft_wrap=True,
    )
    table = Table("", *(f"{each.loss:.0%} lost" for each in report.rounds), box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    table.add_row("% of a core per peer", *(f"{each.cpu_per_peer:.2%}" for each in report.rounds))
    table.add_row("audio used", *(f"{each.used_share:.1%}" for each in report.rounds))
    table.add_row("  of what arrived", *(f"{each.used_of_arrived:.1%}" for each in report.rounds))
    table.add_row("delay, last less first, ms", *(f"{each.delay_growth_ms:+.0f}" for each in report.rounds))
    table.add_row("connected after, median, ms", *(_of(each.connect_ms, "median") for each in report.rounds))
    table.add_row("connected after, max, ms", *(_of(each.connect_ms, "max") for each in report.rounds))
    table.add_row("undecodable, restarts", *(f"{each.undecodable}, {each.restarts}" for each in report.rounds))
    table.add_row("clients, cores", *(f"{each.client_cpu:.2f}" for each in report.rounds))
    console.print(table)


def _of(spread: Spread | None, name: str) -> str:
    return "–" if spread is None else f"{getattr(spread, name):.0f}"
