"""How figures look in a table."""

from bench.score import Spread

NOTHING = "–"


def number(value: float | None, digits: int = 0) -> str:
    """A figure, or a dash where there is none."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def share(value: float | None, digits: int = 1) -> str:
    """A share in per cent."""
    return NOTHING if value is None else f"{value:.{digits}%}"


def spread(values: Spread | None, digits: int = 0) -> tuple[str, str, str, str]:
    """Median, p95, p99 and maximum."""
    figures = (None,) * 4 if values is None else (values.median, values.p95, values.p99, values.max)
    median, p95, p99, most = (number(figure, digits) for figure in figures)
    return median, p95, p99, most
