"""`auscult-bench speakers`: is it told right who spoke, by voice and by role, with perfect words or recognised ones?"""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import anyio
import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from bench.offline import Engine
from bench.speaker_scores import SOON_S, Score, pooled, score
from bench.speaking import SETS, Outcome, Player, samples
from bench.tables import NOTHING, number, share
from pipeline.errors import AuscultError
from pipeline.ports import Recogniser
from server.engines import live_options, make_embedder, make_recogniser, make_voice_activity
from server.settings import Settings

TARGETS = {  # of the share of words with the right role, and of purity
    "ours": ("right", 0.97),
    "ours-stereo": ("right", 1.0),
    "mono": ("right", 0.97),
    "noisy": ("right", 0.92),
    "stereo": ("right", 1.0),
    "dialogues": ("purity", 0.95),
    "clips": ("purity", 0.95),
}


class NoScorer(AuscultError):
    """The scorers are missing: pip install "pyannote.metrics>=4,<5" "meeteval>=0.4,<0.5" (meeteval needs gcc)."""

    code = "no_scorer"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakersOptions:
    """What is played."""

    kinds: tuple[str, ...] = SETS
    only: str = ""  # a part of the names
    recognised: bool = False  # the recogniser's words, not those of the truth
    engine: Engine
    expected: int = 2


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything measured."""

    words: str  # truth, or the recogniser's name
    embedder: str
    added_mb: float  # of this process, by telling voices apart
    scores: list[Score]


async def run(options: SpeakersOptions, console: Console) -> Report:
    """Play the samples, one after the other. Raises `NoScorer`, `RecogniserUnavailable`, `VoicesUnavailable`."""
    try:
        import pyannote.metrics.diarization  # noqa: F401
    except ModuleNotFoundError:
        raise NoScorer from None
    data = os.environ.get("AUSCULT_TEST_DATA")
    chosen = [s for s in samples(options.kinds, Path(data) if data else None) if options.only in s.name]
    scores: list[Score] = []
    async with _player(options) as (player, words, added):
        for sample in chosen:
            scores.append(score(sample, await player.play(sample)))
            console.print(_line(scores[-1]))
        embedder = NOTHING if player.embedder is None else player.embedder.model
    return Report(words=words, embedder=embedder, added_mb=added, scores=scores)


@asynccontextmanager
async def _player(options: SpeakersOptions) -> AsyncIterator[tuple[Player, str, float]]:
    settings: Settings = options.engine.settings()
    recogniser: Recogniser = make_recogniser(settings)
    try:
        if options.recognised:
            await recogniser.start()
        before = psutil.Process().memory_info().rss
        embedder = make_embedder(settings)
        if embedder is not None:
            await embedder.start()
        added = (psutil.Process().memory_info().rss - before) / 1e6
        player = Player(
            options=live_options(settings, recogniser),
            voice_activity=make_voice_activity(settings),
            embedder=embedder,
            recogniser=recogniser if options.recognised else None,
            expected_speakers=options.expected,
        )
        yield player, recogniser.model if options.recognised else "truth", added
    finally:
        with anyio.CancelScope(shield=True):
            await recogniser.aclose()


FIGURES = (
    "target",
    "words told",
    "right role, by words",
    "… of words alone",
    "… as told first",
    "without a role",
    "purity, by words",
    "DER, collar 0.25 s",
    "… as told first",
    "… its confusion",
    "… without overlap",
    "DER, no collar",
    "cpWER",
    "tcpWER, collar 5 s",
    "roles changed, by an event",
    "… without one",
    f"roles known in {SOON_S:.0f} s",
    "of a core, embedding",
)


def show(report: Report, console: Console) -> None:
    """A column for each set."""
    kinds = [kind for kind in SETS if any(each.kind == kind for each in report.scores)]
    table = Table("", box=None, pad_edge=False)
    for kind in kinds:
        table.add_column(kind, justify="right")
    columns = [_row(kind, [each for each in report.scores if each.kind == kind]) for kind in kinds]
    for at, figure in enumerate(FIGURES):
        table.add_row(figure, *(column[at] for column in columns))
    console.print(table)
    console.print(f"words: {report.words}; voices: {report.embedder}, which added {report.added_mb:.0f} MB")


def _row(kind: str, of: Sequence[Score]) -> list[str]:
    told, said, spoken = [e.words for e in of], [e.said for e in of], [e.spoken_s for e in of]
    what, target = TARGETS[kind]
    soon = [each.known_s is not None and each.known_s <= SOON_S for each in of if each.right is not None]
    return [
        f"{what} {target:.0%}",
        share(sum(told) / max(1, sum(said))),
        share(pooled([each.right for each in of], told)),
        share(pooled([each.alone for each in of], told)),
        share(pooled([each.right_first for each in of], told)),
        share(pooled([each.unspecified for each in of], told)),
        share(pooled([each.purity for each in of], told)),
        share(pooled([each.der.total for each in of], spoken)),
        share(pooled([each.der_first.total for each in of], spoken)),
        share(pooled([each.der.confusion for each in of], spoken)),
        share(pooled([each.der_alone.total for each in of], spoken)),
        share(pooled([each.der_strict.total for each in of], spoken)),
        share(pooled([each.cp_wer for each in of], said)),
        share(pooled([each.tcp_wer for each in of], said)),
        str(sum(each.flips for each in of)),
        str(sum(each.unexplained for each in of)),
        share(fmean(soon), 0) if soon else NOTHING,
        share(fmean(each.embedding_share for each in of), 2),
    ]


def _line(one: Score) -> str:
    known = NOTHING if one.known_s is None else f"{one.known_s:.0f} s"
    return (
        f"{one.kind}/{one.name}: {one.speakers} speakers, roles {share(one.right)} (first {share(one.right_first)}),"
        f" purity {share(one.purity)}, DER {share(one.der.total)}, known {known}, flips {one.flips},"
        f" overheard {one.dropped}, state {number(one.state_bytes)} B"
    )


async def odd(options: SpeakersOptions, console: Console) -> None:
    """What is told of recordings that are no conversation of two: labels, and never an exception."""
    from bench.odd_speakers import oddities

    async with _player(options) as (player, _, _):
        for name, sample in oddities():
            outcome = await player.play(sample)
            console.print(f"{name}: {_labels(outcome)}")


def _labels(outcome: Outcome) -> str:
    found = sorted({(told.item.speaker or "nobody", told.item.role.value) for told in outcome.told.values()})
    said = ", ".join(f"{speaker} {role}" for speaker, role in found) or "nothing said"
    return f"{said}; {len(outcome.told)} finals, state {outcome.state_bytes} B"


__all__ = ["SETS", "Report", "SpeakersOptions", "odd", "run", "show"]
