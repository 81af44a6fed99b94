"""Whether a transcript over a network holds what was said: every word, once, and at its time."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import jiwer
import msgspec
import numpy as np

from bench.recordings import Recording, TruthItem
from bench.score import in_order
from bench.words import normalise
from pipeline.types import SAMPLE_RATE, Pcm

Event = dict[str, Any]

MISHEARD = 0.25  # share of words: the recogniser's, and a browser's on a busy machine, not the network's
A_PIECE = 3  # words in a row: a chunk that is lost or heard twice is more than a recogniser's slip
OFF_MS = 400.0


def with_pauses(
    recording: Recording, pauses: Mapping[float, float], until_s: float
) -> tuple[list[Pcm], list[TruthItem]]:
    """The channels of a recording until then, with longer silences in it; and what is said when.

    `pauses`: of how many seconds, by when they begin in the recording; nothing may be said there.
    """
    channels = [voice[: round(until_s * SAMPLE_RATE)] for voice in recording.channels()]
    said = said_before(recording, until_s)
    for at_s, pause_s in sorted(pauses.items(), reverse=True):  # later ones do not move what is before them
        at, silence = round(at_s * SAMPLE_RATE), np.zeros(round(pause_s * SAMPLE_RATE), np.float32)
        channels = [np.concatenate([voice[:at], silence, voice[at:]]) for voice in channels]
        assert not any(item.start_ms < at_s * 1000 < item.end_ms for item in said)
        said = [item if item.end_ms <= at_s * 1000 else later(item, round(pause_s * 1000)) for item in said]
    return channels, said


def later(item: TruthItem, by_ms: int) -> TruthItem:
    """The same, said so much later."""
    return msgspec.structs.replace(item, start_ms=item.start_ms + by_ms, end_ms=item.end_ms + by_ms)


def said_before(recording: Recording, seconds: float) -> list[TruthItem]:
    """What was said completely by then."""
    return [item for item in recording.items if item.end_ms <= seconds * 1000]


def finals_of(events: Sequence[Event]) -> list[Event]:
    """In the order of their start."""
    finals = [event for event in events if event["type"] == "final"]
    assert len({event["id"] for event in finals}) == len(finals)
    return sorted(finals, key=lambda event: int(event["start_ms"]))


def assert_heard_once(finals: Sequence[Event], said: Sequence[TruthItem]) -> None:
    """No piece of what was said is missing, none is there twice."""
    meant, heard = normalise(in_order(said)), normalise(" ".join(event["text"] for event in finals))
    words = jiwer.process_words(meant, heard)
    runs = [
        max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
        for chunk in words.alignments[0]
        if chunk.type in ("delete", "insert")
    ]
    assert max(runs, default=0) < A_PIECE, jiwer.visualize_alignment(words)
    assert words.wer <= MISHEARD, jiwer.visualize_alignment(words)


def assert_times_hold(finals: Sequence[Event], said: Sequence[TruthItem], *, still_s: float = 0.0) -> None:
    """Times never drift: all of them are those of the recording, but for the moment at which it began.

    `still_s`: of silence, in which somebody may begin to take the microphone's sound, which plays already.
    """
    first = finals[0]["start_ms"] - said[0].start_ms
    offsets = [first + _nearest(event["start_ms"] - first, said) for event in finals]
    began = median(offsets)
    assert -1000 - still_s * 1000 < began <= 200, began
    assert all(abs(offset - began) < OFF_MS for offset in offsets), offsets


def _nearest(start_ms: int, said: Sequence[TruthItem]) -> int:
    """How much later it starts than what was said about then; negative: earlier."""
    return min((start_ms - item.start_ms for item in said), key=abs)
