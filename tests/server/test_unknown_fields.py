"""Fields that clients send and no struct has are ignored, and counted."""

import json
from typing import Any

import msgspec
import pytest

from server.wire import unknown_fields


class Inner(msgspec.Struct):
    name: str = ""


class Outer(msgspec.Struct, rename={"kind": "type"}):
    kind: str = ""
    inner: Inner | None = None
    several: list[Inner] | None = None
    either: list[str | Inner] | str | None = None
    anything: Any = None


@pytest.mark.parametrize(
    ("given", "unknown"),
    [
        ({}, 0),
        ({"type": "a", "inner": {"name": "b"}}, 0),
        ({"kind": "a"}, 1),
        ({"inner": {"name": "b", "age": 3, "more": {"c": 1, "d": 2}}}, 2),
        ({"inner": None, "several": [{"name": "b"}, {"nome": "b"}]}, 1),
        ({"either": ["a", {"x": 1}, {"name": "b"}]}, 1),
        ({"either": "a", "anything": {"x": [{"y": 1}]}}, 0),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_fields_that_a_struct_has_not_are_counted_at_any_depth(
    given: dict[str, object], unknown: int, indent: int | None
) -> None:
    raw = json.dumps(given, indent=indent).encode()
    msgspec.json.decode(raw, type=Outer)
    assert unknown_fields(raw, Outer) == unknown
