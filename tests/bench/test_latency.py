"""What is put together for a live stream."""

from pathlib import Path

import pytest

from bench.latency import looped
from bench.manifest import Entry
from bench.recordings import TruthItem
from pipeline.types import Role

SECOND = 32_000  # bytes
TURN = Entry(
    id="one",
    seconds=10.0,
    language="en",
    text="first second",
    items=(
        TruthItem(speaker=Role.DOCTOR, start_ms=1000, end_ms=3000, text="first"),
        TruthItem(speaker=Role.PATIENT, start_ms=6000, end_ms=9000, text="second"),
    ),
    exact=True,
    mono=Path("one.flac"),
)
AUDIO = b"\1\2" * (10 * SECOND // 2)


def test_a_recording_is_repeated_until_the_time_is_full() -> None:
    long, audio = looped(TURN, AUDIO, 24)
    assert len(audio) == 24 * SECOND
    assert audio == (AUDIO * 3)[: 24 * SECOND]
    assert [(item.start_ms, item.text) for item in long.items] == [
        (1000, "first"),
        (6000, "second"),
        (11_000, "first"),
        (16_000, "second"),
        (21_000, "first"),
    ]
    assert long.text == "first second first second first"
    assert long.seconds == 24


def test_who_would_be_cut_short_says_nothing() -> None:
    long, audio = looped(TURN, AUDIO, 17.5)
    assert [item.start_ms for item in long.items] == [1000, 6000, 11_000]
    assert audio == (AUDIO * 2)[: 16 * SECOND] + bytes(round(1.5 * SECOND))


@pytest.mark.parametrize("seconds", [3.0, 10.0])
def test_one_turn_or_less_is_cut_too(seconds: float) -> None:
    long, audio = looped(TURN, AUDIO, seconds)
    assert audio == AUDIO[: round(seconds * SECOND)]
    assert all(item.end_ms <= seconds * 1000 for item in long.items)
