import pytest
from msgspec.structs import replace
from rich.console import Console

from bench.durability_report import Between, Queued, Report, Uploads, held, rows, show
from bench.score import Spread


def spread(*values: float) -> Spread:
    found = Spread.of(values)
    assert found is not None
    return found


REPORT = Report(
    database="postgresql",
    idle_cpu=(0.011, 0.029, 0.0),
    webhook_ms=spread(0, 999),
    uploads=Uploads(mb=115, mb_per_s=150, disk_mb_per_s=900, memory_mb=49, poll_ms=spread(49), polls_per_s=200),
    between=Between(chunk_ms=spread(5), forwarded_ms=spread(7.9), takeover_ms=spread(100, 1_999)),
    queued=Queued(alone_s=1, beside_s=2.9, waiting=30),
)


def test_figures_below_their_targets_hold() -> None:
    assert held(REPORT)


@pytest.mark.parametrize(
    "missed",
    [
        replace(REPORT, idle_cpu=(0.01, 0.03)),
        replace(REPORT, webhook_ms=spread(0, 1_000)),
        replace(REPORT, uploads=replace(REPORT.uploads, memory_mb=50)),
        replace(REPORT, uploads=replace(REPORT.uploads, poll_ms=spread(50))),
        replace(REPORT, between=Between(chunk_ms=spread(5), forwarded_ms=spread(8), takeover_ms=spread(1))),
        replace(REPORT, between=Between(chunk_ms=spread(5), forwarded_ms=spread(5), takeover_ms=spread(2_000))),
        replace(REPORT, queued=replace(REPORT.queued, beside_s=3)),
        replace(REPORT, queued=replace(REPORT.queued, waiting=0)),
    ],
)
def test_one_figure_that_misses_its_target_or_says_nothing_is_enough(missed: Report) -> None:
    assert not held(missed)
    assert sum(not row.kept for row in rows(missed)) == 1


def test_the_table_says_what_was_kept_and_what_was_missed() -> None:
    console = Console(record=True, width=100)

    show(replace(REPORT, idle_cpu=(0.031,)), console)

    text = console.export_text()
    assert "3.1%" in text
    assert "< 3%" in text
    assert text.count("missed") == 1


def test_one_process_alone_forwards_nothing() -> None:
    assert not any("forwarded" in row.name for row in rows(replace(REPORT, between=None)))
