"""The client of `auscult-bench ingest`, in a process of its own: `python -m bench.ingest_client`, fed with a plan.

The plan comes on standard input. Many sockets send at real time, each several streams. One line of JSON is printed
when all of them run, one when the measured time is over and one with what was seen, so that the parent knows when to
look at the server.
"""

import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TypeAlias

import anyio
import msgspec
from websockets.exceptions import ConnectionClosed

from bench.clients import CHUNK_MS, SAMPLE_BYTES, NablaClient, Pace, connect_nabla, to_s16le
from bench.recordings import Recording
from bench.score import Spread
from bench.wires import ErrorMessage, ListenConfig, Stream
from pipeline.errors import AuscultError
from pipeline.types import SAMPLE_RATE

CHUNK_BYTES = SAMPLE_RATE * CHUNK_MS // 1000 * SAMPLE_BYTES
OFFSET_BYTES = 7 * CHUNK_BYTES  # between what neighbouring sessions say at the same time
CONNECTING = 8  # sockets that are opened at the same time
CONNECT_TIMEOUT_S = 60.0
DRAIN_TIMEOUT_S = 120.0  # until the server has closed every socket after its end
NORMAL = 1000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to play, to whom, how long."""

    base_url: str
    key: str
    sessions: int
    streams: int  # in each session
    warm_up_s: float
    seconds: float
    acknowledge: bool
    recording: str


class Steady(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All sockets run, and the warm-up is over: measure from now on."""


class Over(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The measured time is over; sockets are going to end."""


class Seen(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the client saw. Distributions are of the measured time, counts of the whole run."""

    chunks: int  # in the measured time
    acknowledgement_ms: Spread | None
    lateness_ms: Spread | None
    cpu_s: float  # of the client itself, in the measured time
    sent_chunks: int
    sent_bytes: int
    unacknowledged: int
    errors: int  # error messages
    broken: int  # sockets that were not closed with 1000


Line: TypeAlias = Steady | Over | Seen


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """One socket that plays the recording in an endless loop."""

    number: int
    plan: Plan
    loops: Sequence[memoryview]  # one for each voice, twice over, so that every chunk is one slice
    connected: anyio.Event = field(default_factory=anyio.Event)
    client: NablaClient | None = None
    lateness: list[float] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [f"stream{number}" for number in range(self.plan.streams)]

    async def run(self, connecting: anyio.CapacityLimiter, stop: anyio.Event) -> None:
        """Connect, play until `stop`, and listen until the server closes. Raises `Refused`, `OSError`."""
        config = ListenConfig(
            streams=[Stream(id=name) for name in self.names],
            output_objects=("transcript_item",),
            enable_audio_chunk_ack=self.plan.acknowledge,
        )
        async with AsyncExitStack() as stack:
            async with connecting:
                opening = connect_nabla(self.plan.base_url, self.plan.key, config)
                self.client = client = await stack.enter_async_context(opening)
            self.connected.set()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._play, client, stop)
                async for _ in client.messages():
                    pass
                tasks.cancel_scope.cancel()

    async def _play(self, client: NablaClient, stop: anyio.Event) -> None:
        """Sessions start their chunks evenly spread over a chunk's time, as independent microphones would."""
        phase_s = CHUNK_MS / 1000 * self.number / self.plan.sessions
        pace = Pace(CHUNK_MS / 1000, time.monotonic() + phase_s)
        self.lateness = pace.lateness
        at = self.number * OFFSET_BYTES
        try:
            while not stop.is_set():
                await pace.step()
                for number, name in enumerate(self.names):
                    loop = self.loops[number % len(self.loops)]
                    begin = (at + number // len(self.loops) * OFFSET_BYTES) % (len(loop) // 2)
                    await client.send_audio(name, loop[begin : begin + CHUNK_BYTES])
                at += CHUNK_BYTES
            await client.end()
        except ConnectionClosed:
            return  # counted as broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far everything was at one moment."""

    cpu_s: float
    sent: int
    acknowledgements: tuple[int, ...]
    steps: tuple[int, ...]

    @classmethod
    def now(cls, sessions: Sequence[Session]) -> "Mark":
        clients = [session.client for session in sessions if session.client is not None]
        return cls(
            cpu_s=time.process_time(),
            sent=sum(client.sent for client in clients),
            acknowledgements=tuple(len(client.acknowledgement_s) for client in clients),
            steps=tuple(len(session.lateness) for session in sessions),
        )


async def play(plan: Plan) -> None:
    """Run the plan, and say when what begins. Raises `Refused`, `OSError`, `TimeoutError`, in a group."""
    loops = [memoryview(to_s16le(channel) * 2) for channel in Recording.load(plan.recording).channels()]
    sessions = [Session(number=number, plan=plan, loops=loops) for number in range(plan.sessions)]
    connecting, stop = anyio.CapacityLimiter(CONNECTING), anyio.Event()
    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(CONNECT_TIMEOUT_S):
            for session in sessions:
                tasks.start_soon(session.run, connecting, stop)
            for session in sessions:
                await session.connected.wait()
        await anyio.sleep(plan.warm_up_s)
        _say(Steady())
        begun = Mark.now(sessions)
        await anyio.sleep(plan.seconds)
        over = Mark.now(sessions)
        _say(Over())
        stop.set()
        tasks.cancel_scope.deadline = anyio.current_time() + DRAIN_TIMEOUT_S
    _say(seen(sessions, begun, over))


def seen(sessions: Sequence[Session], begun: Mark, over: Mark) -> Seen:
    """What came of it, with distributions of what lies between two marks."""
    clients = [session.client for session in sessions if session.client is not None]
    delays = [client.acknowledgement_s for client in clients]
    return Seen(
        chunks=over.sent - begun.sent,
        acknowledgement_ms=Spread.of(_between(delays, begun.acknowledgements, over.acknowledgements)),
        lateness_ms=Spread.of(_between([session.lateness for session in sessions], begun.steps, over.steps)),
        cpu_s=over.cpu_s - begun.cpu_s,
        sent_chunks=sum(client.sent for client in clients),
        sent_bytes=sum(client.sent for client in clients) * CHUNK_BYTES,
        unacknowledged=sum(len(client.unacknowledged) for client in clients),
        errors=sum(isinstance(each.message, ErrorMessage) for client in clients for each in client.received),
        broken=sum(client.close_code != NORMAL for client in clients),
    )


def _between(seconds: Sequence[Sequence[float]], begun: Sequence[int], over: Sequence[int]) -> list[float]:
    """In milliseconds."""
    return [
        value * 1000 for values, first, last in zip(seconds, begun, over, strict=True) for value in values[first:last]
    ]


def _say(line: Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.flush()


def main() -> None:
    """Read the plan, run it; what goes wrong is one line on standard error."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    try:
        anyio.run(play, plan, backend_options={"use_uvloop": True})
    except* (AuscultError, OSError) as group:  # TimeoutError is an OSError
        first = group.exceptions[0]
        sys.exit(f"{type(first).__name__}: {first}")


if __name__ == "__main__":
    main()
