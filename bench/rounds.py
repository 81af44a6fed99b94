"""One round: so many callers at the same time to one fresh server, and what came of it. The same for every server.

What a screen shows, when it is settled and how old it is are stated in `bench.screens`; what a final is, in
`bench.score`. Callers are a process of their own (`bench.load_client`).

An item without text was lost by the server, or the model mishears it. So a caller who missed something calls again
when all others are gone: what the same words do not bring then either is *misheard*, all the rest is *lost*.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import anyio
import msgspec
import numpy as np
import psutil

from bench.calls import Endpoint, Heard
from bench.excerpts import Excerpt, excerpts
from bench.lines import Lines
from bench.load_client import Connected, Line, Plan, Spoken, WireName
from bench.recordings import Recording, TruthItem
from bench.resources import Meter
from bench.score import Spread, final_delays, lost
from bench.screens import Verdict, judge, settled, whole
from bench.words import NO_ERRORS, Words

LINE_BYTES = 64 * 2**20  # a caller's whole transcript, as often as it changed
MAY_BE_MISHEARD = 0.1  # share of the items: where more is missing, delays of the rest say little
CALLED_AGAIN = 8  # callers at most: what others missed counts as lost
PATIENCE_S = 300.0  # for connecting, warming up, falling silent and telling the rest


class Serving(Protocol):
    """A server that runs."""

    @property
    def endpoint(self) -> Endpoint: ...

    def family(self) -> Sequence[psutil.Process]:
        """Its process and those it started, as of now."""
        ...

    async def unheard(self) -> int | None:
        """Segments of speech that it gave up, as it says itself; None where it says nothing."""
        ...


class Target(Protocol):
    """A kind of server that can be started, as often as there are rounds."""

    @property
    def name(self) -> str: ...

    @property
    def wire(self) -> WireName: ...

    def running(self) -> AbstractAsyncContextManager[Serving]:
        """A fresh one, ready."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What callers say, and when."""

    recording: str = "cough"
    seconds: float = 30.0  # of each caller, at most
    apart: bool = False  # each caller is one microphone of the two
    stagger_s: float = 4.0  # between the first and the last beginning


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. Times are milliseconds."""

    server: str
    streams: int
    refused: int  # callers that the server did not take
    broken: tuple[str, ...]  # why other calls did not last
    items: int  # truth items of those it took
    lost_items: int  # of these, the ones that no screen shows in the end, though it does for a caller alone
    misheard: int = 0  # … and the ones that it does not show for a caller alone either
    unheard: int | None = None  # segments that the server says it gave up
    ttfs: Spread | None  # true end of an item → its text at the client, not to change again
    final_ttfs: Spread | None  # … → its text at the client, said to be final
    timed_ttfs: Spread | None  # … → final that covers the item in time, of servers that say when it was spoken
    lost_finals: int  # as `lost_items`, without a final: neither in its place, nor at its time where times are told
    age: Spread | None  # spoken word → first screen that reaches it, of the newest word on each screen
    lag: Spread | None  # the same of every word
    words: Words  # of the last screens
    cpu: float  # cores of the server and all it started, from the first word to the last
    client_cpu: float
    other_cpu: float  # cores that others on this machine used meanwhile: they disturb
    peak_rss_mb: float
    load_average: float  # of the machine, over the last minute, before the round
    lateness_p95: float  # how late the client itself sent its chunks

    @property
    def judged_ttfs(self) -> Spread | None:
        """What the server is judged by: its finals where it tells any, else the moments its texts came to rest."""
        return self.final_ttfs or self.ttfs

    @property
    def served(self) -> bool:
        """Whether everybody was taken and nothing was lost, nor too much misheard."""
        complete = not (self.refused or self.broken or self.lost_items)
        return complete and self.misheard <= MAY_BE_MISHEARD * self.items

    @property
    def finished(self) -> bool:
        """Whether what was taken on was also finished: no call broke, no final was lost, no segment given up."""
        return not (self.broken or self.lost_finals or self.unheard)


async def measure(target: Target, speech: Speech, streams: int) -> Round:
    """Start the server, let the callers call, end it.

    Raises: `ClientFailed`, `TimeoutError`, and what keeps the target from starting.
    """
    recording = Recording.load(speech.recording)
    said = excerpts(recording, callers=streams, seconds=speech.seconds, apart=speech.apart)
    load_average = os.getloadavg()[0]
    async with target.running() as server:
        plan = Plan(
            endpoint=server.endpoint,
            wire=target.wire,
            recording=speech.recording,
            language=recording.language,
            seconds=speech.seconds,
            apart=speech.apart,
            callers=streams,
            stagger_s=speech.stagger_s,
        )
        with anyio.fail_after(speech.seconds + speech.stagger_s + PATIENCE_S):
            cost, heard = await _call(server, plan)
        unheard = await server.unheard()
        calls = [Judged.of(said[each.caller], each) for each in heard if not each.refused]
        missed = [call.heard.caller for call in calls if not call.heard.error and (call.missing | call.without_final)]
        alone: list[Judged] = []
        for caller in missed[:CALLED_AGAIN]:
            with anyio.fail_after(speech.seconds + PATIENCE_S):
                _, again = await _call(server, msgspec.structs.replace(plan, only=caller))
            alone += [Judged.of(said[caller], each) for each in again if not (each.refused or each.error)]
    return tell(target.name, heard, calls, cost, load_average, alone=alone, unheard=unheard)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """A call that was taken, against what was said in it."""

    heard: Heard
    items: Sequence[TruthItem]
    shown: Verdict  # of all that the screens show
    final: Verdict  # of what does not change any more

    @classmethod
    def of(cls, said: Excerpt, heard: Heard) -> "Judged":
        """Compare."""
        shown, final = judge(said.items, whole(heard.shown)), judge(said.items, settled(heard.shown))
        return cls(heard=heard, items=said.items, shown=shown, final=final)

    @property
    def missing(self) -> frozenset[TruthItem]:
        """What no screen shows in the end."""
        return frozenset(self.shown.lost)

    @property
    def without_final(self) -> frozenset[TruthItem]:
        """What has no final: neither words in its place, nor any at its time where times are told."""
        return frozenset(lost(self.final.lost, self.heard.finals))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What was used from the first word to the last."""

    seconds: float
    server_s: float  # of processors
    client_s: float
    machine_s: float
    peak_rss: int


async def _call(server: Serving, plan: Plan) -> tuple[Cost, list[Heard]]:
    command = [sys.executable, "-m", "bench.load_client"]
    async with await anyio.open_process(command, stderr=subprocess.PIPE) as child:
        assert child.stdin is not None
        await child.stdin.send(msgspec.json.encode(plan))
        await child.stdin.aclose()
        lines = Lines(child, Line, most_bytes=LINE_BYTES)
        await lines.next(Connected)
        meter, begun, machine_s = Meter(server), time.monotonic(), _machine_s()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(meter.watch)
            await lines.arrival()
            tasks.cancel_scope.cancel()
        meter.sample()
        cost = Cost(
            seconds=time.monotonic() - begun,
            server_s=meter.cpu_s,
            client_s=(await lines.next(Spoken)).cpu_s,
            machine_s=_machine_s() - machine_s,
            peak_rss=meter.peak_rss,
        )
        return cost, [await lines.next(Heard) for _ in plan.calling]


def _machine_s() -> float:
    """Processor seconds that everything on this machine has used."""
    times = psutil.cpu_times()
    return float(sum(times[:3])) + sum(getattr(times, name, 0.0) for name in ("irq", "softirq"))  # user, nice, system


def tell(
    server: str,
    heard: Sequence[Heard],
    calls: Sequence[Judged],
    cost: Cost,
    load_average: float,
    *,
    alone: Sequence[Judged] = (),
    unheard: int | None = None,
) -> Round:
    """Put the figures of one round together. `calls`: those that were taken; `alone`: of who called again."""
    nothing: frozenset[TruthItem] = frozenset()
    misheard = {call.heard.caller: call.missing for call in alone}
    never_final = {call.heard.caller: call.without_final for call in alone}
    lost_items = sum(len(call.missing - misheard.get(call.heard.caller, nothing)) for call in calls)
    others_s = cost.machine_s - cost.server_s - cost.client_s
    return Round(
        server=server,
        streams=len(heard),
        refused=len(heard) - len(calls),
        broken=tuple(each.error for each in heard if each.error),
        items=sum(len(call.items) for call in calls),
        lost_items=lost_items,
        misheard=sum(len(call.missing) for call in calls) - lost_items,
        unheard=unheard,
        ttfs=Spread.of([ms for call in calls for ms in call.shown.ttfs_ms]),
        final_ttfs=Spread.of([ms for call in calls for ms in call.final.ttfs_ms]),
        timed_ttfs=Spread.of([ms for call in calls for ms in final_delays(call.items, call.heard.finals)]),
        lost_finals=sum(len(call.without_final - never_final.get(call.heard.caller, nothing)) for call in calls),
        age=Spread.of([ms for call in calls for ms in call.shown.ages_ms]),
        lag=Spread.of([ms for call in calls for ms in call.shown.lags_ms]),
        words=Words.of(sum((call.shown.errors for call in calls), NO_ERRORS)),
        cpu=round(cost.server_s / cost.seconds, 3),
        client_cpu=round(cost.client_s / cost.seconds, 3),
        other_cpu=round(max(0.0, others_s) / cost.seconds, 3),
        peak_rss_mb=round(cost.peak_rss / 1e6, 1),
        load_average=round(load_average, 2),
        lateness_p95=round(float(np.percentile([ms for each in heard for ms in each.lateness_ms] or [0.0], 95)), 1),
    )
