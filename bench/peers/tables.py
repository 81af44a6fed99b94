"""How a comparison is printed: everybody's figures, what they come to, and how many times ours they are."""

from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from bench.ladder import Carried
from bench.load import complaints, median, p95, wide
from bench.peers.compare import Report, Server
from bench.rounds import Round
from bench.score import Spread
from bench.tables import NOTHING, number, share


def show(report: Report, console: Console) -> None:
    """Print it."""
    who = "one microphone" if report.apart else "both voices"
    console.print(
        f"{report.recording} · each stream {report.seconds:g} s of {who}, who speak {report.speaking:.0%} of the time",
        style="bold",
        soft_wrap=True,
    )
    console.print("Final: the server said that the text would not change. At rest: it did not change any more.")
    console.print("A server is judged by its finals (TTFS), or, where it tells none, by its texts at rest.")
    wide(console).print(_figures(report))
    limits = f"TTFS p95 ≤ {report.limits.ttfs_ms:g} ms and partial age p95 ≤ {report.limits.age_ms:g} ms"
    console.print(
        "\nStreams at the same time: as quick (TTFS p95) as the server itself with one, ours as quick as that;"
    )
    console.print(f"and within {limits}", soft_wrap=True)
    wide(console).print(_capacities(report))
    console.print("\nTTFS, how many times ours; lost: not everything came")
    wide(console).print(_ratios(report, lambda measured: measured.judged_ttfs))
    console.print("\nTexts at rest, how many times ours; an early guess that happened to be right counts")
    wide(console).print(_ratios(report, lambda measured: measured.ttfs))
    console.print()
    for peer in report.peers:
        console.print(f"{peer.name} ran with {peer.setting}.", soft_wrap=True)
    for server in (*report.peers, *report.ours):
        for complaint in (complaint for measured in server.rounds for complaint in complaints(measured)):
            console.print(complaint, style="red", markup=False, soft_wrap=True)
    for name, reason in report.left_out.items():
        console.print(f"{name} is left out: {reason}.", style="yellow", markup=False, soft_wrap=True)


def _figures(report: Report) -> Table:
    """A row for each round with as many streams as were asked for, and one for each setting that was only tried."""
    table = _table(
        "server", "streams", "final p50", "p95, ms", "rest p50", "p95, ms", "age p95", "lost", "misheard", "WER"
    )
    for head in ("cores", "others", "MB", "load"):
        table.add_column(head, justify="right", no_wrap=True)
    for server in (*report.peers, *report.ours):
        for trial in server.trials:
            if trial.setting != server.setting:
                table.add_row(f"({server.name}: {trial.setting})", *_row(trial.round), style="dim")
        for each in server.rounds:
            if each.streams in report.streams:
                table.add_row(server.name, *_row(each))
    return table


def _row(each: Round) -> tuple[str, ...]:
    return (
        str(each.streams),
        number(median(each.final_ttfs)),
        number(p95(each.final_ttfs)),
        number(median(each.ttfs)),
        number(p95(each.ttfs)),
        number(p95(each.age)),
        f"{each.lost_items}/{each.items}",
        str(each.misheard),
        share(each.words.rate, 0),
        number(each.cpu, 2),
        number(each.other_cpu, 2),
        number(each.peak_rss_mb),
        number(each.load_average, 1),
    )


def _capacities(report: Report) -> Table:
    """How many streams each carries, and ours where a peer is at ease."""
    ours = [server.name for server in report.ours]
    table = _table("server", "p95 of 1, ms", "as quick", *ours, "within limits")
    for server in (*report.peers, *report.ours):
        there = {at.ours: at.carried for at in report.at_comfort if at.peer == server.name}
        table.add_row(
            server.name,
            number(server.comfort_ms),
            _carried(server.comfortable),
            *(_carried(there.get(name)) for name in ours),
            _carried(server.carried),
        )
    return table


def _ratios(report: Report, moments: Callable[[Round], Spread | None]) -> Table:
    """How many times as long as with ours it takes with others."""
    table = _table(
        "others ÷ ours", "streams", *(f"{o.name} {figure}" for o in report.ours for figure in ("p50", "p95"))
    )
    for peer in report.peers:
        for streams in report.streams:
            theirs = _round(peer, streams)
            own = [_round(ours, streams) for ours in report.ours]
            cells = [_times(theirs, each, moments, figure) for each in own for figure in (median, p95)]
            table.add_row(peer.name, str(streams), *cells)
    return table


def _round(server: Server, streams: int) -> Round | None:
    return next((each for each in server.rounds if each.streams == streams), None)


def _carried(carried: Carried | None) -> str:
    if carried is None:
        return NOTHING
    return str(carried.streams) if carried.too_many is not None else f"≥ {carried.streams}"


def _times(
    theirs: Round | None,
    ours: Round | None,
    moments: Callable[[Round], Spread | None],
    figure: Callable[[Spread | None], float | None],
) -> str:
    """A ratio of two delays. Delays below nothing have none: those words were there before they were over."""
    if theirs is None or ours is None:
        return NOTHING
    if not (theirs.served and ours.served):
        return "lost"
    one, other = figure(moments(theirs)), figure(moments(ours))
    return f"{one / other:.1f}" if one is not None and other is not None and one > 0 and other > 0 else NOTHING


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for head in heads:
        table.add_column(head, justify="left" if head == heads[0] else "right", no_wrap=True)
    return table
