"""The same audio at the same pace to others' servers and to ours, in one run: one table, and what it comes to.

Every server gets the same model directory, int8, VAD on and no prompts. It is judged by the moment it says that an
item's text is final, or, where it never says so, by the moment from which on the text did not change any more
(`bench.screens`). Both moments are figures of their own.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import msgspec
from rich.console import Console

from bench.ladder import Carried, Ladder
from bench.lines import ClientFailed
from bench.load import Limits, median, p95, speaking, watched
from bench.ours import OurTarget
from bench.peers.catalogue import LEFT_OUT, PEERS, Peer, Setting
from bench.peers.environments import PeerUnavailable, cache_directory, environment
from bench.peers.servers import PeerTarget
from bench.recordings import Recording
from bench.rounds import Round, Speech, Target
from bench.tables import number

COMPUTE_TYPE = "int8"  # what all of them can be made to use on a CPU


@dataclass(frozen=True, slots=True, kw_only=True)
class PeersOptions:
    """Whom to compare, with which model and how much at once."""

    model: Path
    peers: Sequence[str] = tuple(peer.name for peer in PEERS)
    windows: Sequence[str] = ("full", "dynamic")  # of our encoder
    streams: Sequence[int] = (1, 2, 4)
    speech: Speech = field(default_factory=Speech)
    limits: Limits = field(default_factory=Limits)
    most: int = 64  # streams that are tried to find how many a server carries; 0: that is not asked
    trials: bool = True  # which setting of a peer is best is tried out; else the first one listed is taken
    minutes: float = 60.0  # no round is begun later
    cache: Path = field(default_factory=cache_directory)


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A setting, with as many streams as it is tried with."""

    setting: str
    round: Round


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One server's figures."""

    name: str
    setting: str
    trials: tuple[Trial, ...] = ()
    rounds: tuple[Round, ...]  # by their number of streams
    comfort_ms: float | None  # TTFS p95 with one stream, as the server is judged; None where too much was lost
    carried: Carried | None  # within the limits
    comfortable: Carried | None = None  # at its own comfort, of peers


class AtComfort(msgspec.Struct, frozen=True, kw_only=True):
    """How many streams ours carries with the TTFS p95 that a peer has with one."""

    peer: str
    ours: str
    comfort_ms: float
    carried: Carried


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured in one run."""

    recording: str
    seconds: float  # of speech of each stream, at most
    apart: bool  # each stream is one microphone
    speaking: float  # share of a stream in which somebody speaks
    streams: tuple[int, ...]  # numbers that everybody is measured with
    limits: Limits
    peers: tuple[Server, ...]
    ours: tuple[Server, ...]
    at_comfort: tuple[AtComfort, ...]
    left_out: dict[str, str]  # and why


async def run(options: PeersOptions, console: Console) -> Report:
    """Install what is missing, measure everybody. A peer that cannot run is left out, with the reason."""
    comparison = _Comparison(options, console)
    peers: list[Server] = []
    left_out: dict[str, str] = {}
    for name in options.peers:
        try:
            peers.append(await comparison.peer(name))
        except PeerUnavailable as exc:
            left_out[name] = exc.reason
        except (ClientFailed, TimeoutError) as exc:
            left_out[name] = f"it could not be measured: {str(exc) or 'it took too long'}"
    ours: list[Server] = []
    at_comfort: list[AtComfort] = []
    for window in options.windows:
        server, carried = await comparison.ours(window, peers)
        ours.append(server)
        at_comfort += carried
    return Report(
        recording=options.speech.recording,
        seconds=options.speech.seconds,
        apart=options.speech.apart,
        speaking=speaking(options.speech),
        streams=tuple(options.streams),
        limits=options.limits,
        peers=tuple(peers),
        ours=tuple(ours),
        at_comfort=tuple(at_comfort),
        left_out=left_out,
    )


class _Comparison:
    """What all servers of one run have in common."""

    def __init__(self, options: PeersOptions, console: Console) -> None:
        self._options = options
        self._console = console
        self._language = Recording.load(options.speech.recording).language
        self._deadline = time.monotonic() + options.minutes * 60

    async def peer(self, name: str) -> Server:
        """Measure a peer in its best setting. Raises: `PeerUnavailable`."""
        peer = next((peer for peer in PEERS if peer.name == name), None)
        if peer is None:
            raise PeerUnavailable(name, LEFT_OUT.get(name, "there is no driver for it"))
        with self._console.status(f"{peer.name}: its environment"):
            python = await environment(peer.project, self._options.cache)
        trials = [await self._try(peer, setting, python) for setting in self._settings(peer)]
        setting, ladder, _ = min(trials, key=lambda trial: _badness(trial[1].rounds.get(self._tried_with(peer)[-1])))
        await self._climb(ladder)
        carried = await self._carried(ladder, self._within_limits)
        comfort_ms = _comfort_ms(ladder)
        return Server(
            name=peer.name,
            setting=setting.name,
            trials=tuple(Trial(setting=tried.name, round=each) for tried, _, rounds in trials for each in rounds),
            carried=carried,
            comfort_ms=comfort_ms,
            comfortable=None if comfort_ms is None else await self._carried(ladder, _comfortable(comfort_ms)),
            rounds=_ordered(ladder),
        )

    async def ours(self, window: str, peers: Sequence[Server]) -> tuple[Server, list[AtComfort]]:
        """Measure ours with one encoder window, and what it carries at each peer's comfort."""
        target = OurTarget(
            name=f"auscult, {window}",
            recogniser="whisper",
            model=str(self._options.model),
            compute_type=COMPUTE_TYPE,
            encoder_window=window,
            prompt=False,
            admission=False,
        )
        ladder = self._ladder(target)
        await self._climb(ladder)
        carried = await self._carried(ladder, self._within_limits)
        at_comfort = [
            AtComfort(peer=peer.name, ours=target.name, comfort_ms=peer.comfort_ms, carried=found)
            for peer in peers
            if peer.comfort_ms is not None
            and (found := await self._carried(ladder, _comfortable(peer.comfort_ms))) is not None
        ]
        server = Server(
            name=target.name, setting="", carried=carried, comfort_ms=_comfort_ms(ladder), rounds=_ordered(ladder)
        )
        return server, at_comfort

    def _settings(self, peer: Peer) -> Sequence[Setting]:
        return peer.settings if self._options.trials else peer.settings[:1]

    def _tried_with(self, peer: Peer) -> Sequence[int]:
        return peer.tried_with if self._options.trials else (1,)

    async def _try(self, peer: Peer, setting: Setting, python: Path) -> tuple[Setting, Ladder, list[Round]]:
        target = PeerTarget(
            peer=peer, setting=setting, python=python, model=self._options.model, language=self._language
        )
        ladder = self._ladder(target)
        tried = [await ladder.round(streams) for streams in self._tried_with(peer)]
        return setting, ladder, [each for each in tried if each is not None]

    def _ladder(self, target: Target) -> Ladder:
        measure = watched(target, self._options.speech, self._console)

        async def told(streams: int) -> Round:
            measured = await measure(streams)
            self._console.print(one_line(measured), highlight=False, soft_wrap=True)
            return measured

        return Ladder(told, most=max(1, self._options.most), deadline=self._deadline)

    async def _climb(self, ladder: Ladder) -> None:
        for streams in self._options.streams:
            await ladder.round(streams)

    async def _carried(self, ladder: Ladder, fits: Callable[[Round], bool]) -> Carried | None:
        return await ladder.carried(fits) if self._options.most else None

    def _within_limits(self, measured: Round) -> bool:
        limits = self._options.limits
        return _comfortable(limits.ttfs_ms)(measured) and measured.age is not None and measured.age.p95 <= limits.age_ms


def _comfort_ms(ladder: Ladder) -> float | None:
    """TTFS p95 with one stream; None where too much of it is lost to speak of comfort."""
    alone = ladder.rounds.get(1)
    return p95(alone.judged_ttfs) if alone is not None and alone.served else None


def _comfortable(ttfs_ms: float) -> Callable[[Round], bool]:
    """Whether everybody was served, and 95 of 100 items as soon as that."""

    def fits(measured: Round) -> bool:
        latest_ms = p95(measured.judged_ttfs)
        return measured.served and latest_ms is not None and latest_ms <= ttfs_ms

    return fits


def _badness(measured: Round | None) -> tuple[int, float]:
    """What the settings of a peer are chosen by: lost items, then TTFS."""
    if measured is None or measured.judged_ttfs is None:
        return (1, inf)
    return (int(not measured.served), measured.judged_ttfs.p95)


def _ordered(ladder: Ladder) -> tuple[Round, ...]:
    return tuple(ladder.rounds[streams] for streams in sorted(ladder.rounds))


def one_line(measured: Round) -> str:
    """A round as soon as it is over."""
    final = f"final {number(median(measured.final_ttfs))} / {number(p95(measured.final_ttfs))} ms"
    rest = f"at rest {number(median(measured.ttfs))} / {number(p95(measured.ttfs))} ms"
    lost = f"lost {measured.lost_items}, misheard {measured.misheard} of {measured.items}"
    return f"{measured.server}, {measured.streams}: {final}, {rest}, {lost}"
