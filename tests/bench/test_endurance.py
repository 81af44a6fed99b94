"""The beginning and the end of long streams, by arithmetic."""

import pytest

from bench.endurance import endurance
from bench.recordings import TruthItem
from pipeline.types import Role

MINUTE = 60_000


def said(end_minute: float) -> TruthItem:
    end_ms = round(end_minute * MINUTE)
    return TruthItem(speaker=Role.DOCTOR, start_ms=end_ms - 500, end_ms=end_ms, text="x")


def test_the_last_five_minutes_are_compared_with_the_first_five() -> None:
    timed = [(said(1), 300.0), (said(4.9), 340.0), (said(30), 9000.0), (said(55.1), 350.0), (said(59), 354.0)]
    figures = endurance(timed, [], minutes=60)
    assert figures.first_ttfs_ms is not None
    assert figures.last_ttfs_ms is not None
    assert (figures.first_ttfs_ms.median, figures.last_ttfs_ms.median) == (320, 352)
    assert figures.ttfs_change == pytest.approx(0.1)  # 352 / 320


def test_halves_of_a_short_stream_are_compared() -> None:
    figures = endurance([(said(1), 300.0), (said(3), 270.0)], [], minutes=4)
    assert figures.ttfs_change == pytest.approx(-0.1)


def test_memory_counts_from_the_end_of_the_first_minute() -> None:
    memory = [(0.5, 900_000_000), (1.1, 100_000_000), (1.2, 300_000_000), (1.3, 110_000_000), (5.0, 500_000_000)]
    memory += [(9.6, 119_000_000), (9.8, 121_000_000), (9.9, 400_000_000), (10.2, 700_000_000)]
    figures = endurance([], memory, minutes=10)
    # medians of 100, 300, 110 and of 119, 121, 400
    assert (figures.warm_rss_mb, figures.last_rss_mb, figures.rss_growth_mb) == (110.0, 121.0, 11.0)


def test_a_stream_that_is_too_short_has_no_growth() -> None:
    figures = endurance([], [(1.1, 100), (1.4, 100)], minutes=2)
    assert figures.rss_growth_mb is None
    assert figures.ttfs_change is None
