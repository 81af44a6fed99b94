"""Whether figures are good enough."""

import pytest

from bench.notes_gates import Gate, gates
from bench.notes_headers import classified
from bench.notes_writing import Cost


@pytest.mark.parametrize(
    ("value", "bound", "kept"), [(0.68, "≥", True), (0.67, "≥", False), (0.68, "≤", True), (0.69, "≤", False)]
)
def test_a_bound_may_be_reached(value: float, bound: str, kept: bool) -> None:
    gate = Gate(figure="f", value=value, bound="≥" if bound == "≥" else "≤", limit=0.68)
    assert gate.kept is kept


def test_what_was_not_measured_is_neither() -> None:
    assert Gate(figure="f", value=None, bound="≥", limit=1).kept is None
    assert all(gate.kept is not False for gate in gates([], None, None, None))


def test_costs_and_sections_have_gates() -> None:
    found = gates(
        [],
        None,
        classified(["ROS"], ["GENHX"]),
        Cost(hour_words=9000, hour_ms=500, hour_cpu_ms=101, hour_check_ms=1, added_mb=59),
    )
    assert [gate.kept for gate in found][-3:] == [False, False, True]


def test_less_than_an_hour_says_nothing_of_an_hour() -> None:
    found = gates([], None, None, Cost(hour_words=500, hour_ms=1, hour_cpu_ms=1, hour_check_ms=1, added_mb=61))
    assert [gate.kept for gate in found][-2:] == [None, False]
