"""Many callers at once, in a process of their own: `python -m bench.load_client`, fed with a plan on standard input.

All of them connect before the first one speaks; then they begin one after the other. What is printed is a line of JSON
for each moment the parent waits for, and one for each caller.
"""

import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from uuid import uuid4

import anyio
import msgspec
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bench.calls import Call, Endpoint, Heard, Wire, connected
from bench.excerpts import Excerpt, excerpts
from bench.nabla_wire import NablaWire
from bench.peers.wires import RealtimeSttWire, WhisperLiveKitWire, WhisperLiveOptions, WhisperLiveWire
from bench.recordings import Recording

WireName: TypeAlias = Literal["nabla", "whisperlive", "realtimestt", "whisperlivekit"]

CONNECTING = 4  # sockets that are opened at the same time
WARM_UP_S = 3.0  # of speech before anything is measured: models load, caches fill
LEAD_S = 0.5  # between the last connection and the first word
UNAVAILABLE = (429, 503)  # refusals by HTTP


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to call, how often at once, and what to say."""

    endpoint: Endpoint
    wire: WireName
    recording: str
    language: str
    seconds: float  # of speech, at most, of each caller
    apart: bool  # each caller is one microphone
    callers: int
    stagger_s: float  # between the first and the last beginning
    only: int | None = None  # number of the one who calls, alone

    @property
    def calling(self) -> range:
        """Numbers of those who call."""
        return range(self.callers) if self.only is None else range(self.only, self.only + 1)


class Connected(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Everybody is connected, refused or failed; they are going to speak."""


class Spoken(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The last excerpt is over; from now on there is silence."""

    cpu_s: float  # of the client itself, since `Connected`


Line: TypeAlias = Connected | Spoken | Heard


@dataclass(slots=True, kw_only=True, eq=False)
class Start:
    """When everybody begins: known once all are connected."""

    at: float = 0.0  # monotonic
    known: anyio.Event = field(default_factory=anyio.Event)

    def give(self) -> None:
        self.at = time.monotonic() + LEAD_S
        self.known.set()


@dataclass(slots=True, kw_only=True, eq=False)
class Caller:
    """One of them. Both events are set in any case, by the end of `run`."""

    number: int
    wire: Wire
    excerpt: Excerpt
    delay_s: float  # after the start
    opened: anyio.Event = field(default_factory=anyio.Event)
    spoken: anyio.Event = field(default_factory=anyio.Event)
    heard: Heard | None = None

    async def run(self, endpoint: Endpoint, start: Start, connecting: anyio.CapacityLimiter) -> None:
        """From connecting to the last word; what went wrong is in `heard`."""
        try:
            await self._converse(endpoint, start, connecting)
        except InvalidStatus as exc:
            refused = exc.response.status_code in UNAVAILABLE
            self.heard = Heard(
                caller=self.number, refused=refused, error="" if refused else f"HTTP {exc.response.status_code}"
            )
        except (OSError, ConnectionClosed) as exc:  # TimeoutError is an OSError
            self.heard = Heard(caller=self.number, error=f"{type(exc).__name__} while connecting")
        finally:
            self.opened.set()
            self.spoken.set()

    async def _converse(self, endpoint: Endpoint, start: Start, connecting: anyio.CapacityLimiter) -> None:
        async with AsyncExitStack() as stack:
            async with connecting:
                socket = await stack.enter_async_context(connected(endpoint))
                call = Call(wire=self.wire, socket=socket, excerpt=self.excerpt, spoken=self.spoken)
                taken = await call.open()
            self.opened.set()
            await start.known.wait()
            if taken:
                await call.talk(start.at + self.delay_s)
            self.heard = call.heard(self.number)


async def play(plan: Plan) -> None:
    """Warm the server up, run the plan, say what begins when and what was heard."""
    recording = Recording.load(plan.recording)
    (first,) = excerpts(recording, callers=1, seconds=min(WARM_UP_S, plan.seconds), apart=plan.apart)
    await _converse(plan, {0: first}, tell=False)
    said = excerpts(recording, callers=plan.callers, seconds=plan.seconds, apart=plan.apart)
    for heard in await _converse(plan, {number: said[number] for number in plan.calling}, tell=True):
        _say(heard)


async def _converse(plan: Plan, said: Mapping[int, Excerpt], *, tell: bool) -> list[Heard]:
    callers = [
        Caller(
            number=number,
            wire=_wire(plan),
            excerpt=excerpt,
            delay_s=plan.stagger_s * place / len(said),
        )
        for place, (number, excerpt) in enumerate(said.items())
    ]
    start, connecting = Start(), anyio.CapacityLimiter(CONNECTING)
    async with anyio.create_task_group() as tasks:
        for caller in callers:
            tasks.start_soon(caller.run, plan.endpoint, start, connecting)
        for caller in callers:
            await caller.opened.wait()
        if tell:
            _say(Connected())
        start.give()
        begun_s = time.process_time()
        for caller in callers:
            await caller.spoken.wait()
        if tell:
            _say(Spoken(cpu_s=time.process_time() - begun_s))
    return [caller.heard for caller in callers if caller.heard is not None]


def _wire(plan: Plan) -> Wire:
    """A new conversation in the protocol of the plan."""
    match plan.wire:
        case "nabla":
            return NablaWire()
        case "whisperlive":
            return WhisperLiveWire(options=WhisperLiveOptions(uid=uuid4().hex, language=plan.language))
        case "realtimestt":
            return RealtimeSttWire()
        case "whisperlivekit":
            return WhisperLiveKitWire()


def _say(line: Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.flush()


def main() -> None:
    """Read the plan and run it."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    anyio.run(play, plan, backend_options={"use_uvloop": True})


if __name__ == "__main__":
    main()
