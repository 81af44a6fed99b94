"""A picture of `auscult-bench load`: how late texts come, by the number of streams."""

from math import nan
from pathlib import Path

from matplotlib.figure import Figure

from bench.load import Report


def plot(report: Report, path: Path) -> None:
    """Draw it. The file's suffix says in which format."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    streams = [each.streams for each in report.rounds]
    finals = [each.timed_ttfs for each in report.rounds]
    ages = [each.age for each in report.rounds]
    axes.plot(streams, [nan if each is None else each.median for each in finals], marker="o", label="final, median")
    axes.plot(streams, [nan if each is None else each.p95 for each in finals], marker="o", label="final, p95")
    axes.plot(streams, [nan if each is None else each.p95 for each in ages], marker=".", label="partial's age, p95")
    axes.axhline(report.limits.ttfs_ms, linestyle="--", linewidth=1, color="grey")
    axes.set_xscale("log", base=2)
    axes.set_xticks(streams, [str(each) for each in streams])
    axes.set_xlabel("streams at the same time")
    axes.set_ylabel("after it was spoken, ms")
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.savefig(path)
