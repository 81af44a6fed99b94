"""What the callers of a load test say: stretches of one recording, each from elsewhere in it.

An excerpt begins in the pause before an item and ends in the pause behind another, so that nobody is cut short. The
recording goes on from its beginning where it ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bench.clients import SAMPLE_BYTES, to_s16le
from bench.recordings import Recording, TruthItem
from pipeline.types import SAMPLE_RATE, Role

PAUSE_MS = 300  # at most, of what is recorded before the first item and behind the last
BYTES_PER_MS = SAMPLE_RATE // 1000 * SAMPLE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Excerpt:
    """Raw s16le audio at 16 kHz, and what is said in it, with times from its beginning."""

    audio: bytes
    items: tuple[TruthItem, ...]

    @property
    def seconds(self) -> float:
        return len(self.audio) / BYTES_PER_MS / 1000


def excerpts(recording: Recording, *, callers: int, seconds: float, apart: bool = False) -> list[Excerpt]:
    """One for each caller, with beginnings spread over the whole recording; the first has the recording's own.

    Both voices are in one stream, or, where they are to be `apart`, every other caller is the doctor's microphone and
    the rest are the patient's. Raises: `ValueError` where nothing that is said is as short as `seconds`.
    """
    tracks = _tracks(recording, apart=apart)
    places = [number / callers for number in range(callers)]
    return [
        _excerpt(*tracks[number % len(tracks)], place, round(seconds * 1000)) for number, place in enumerate(places)
    ]


def _tracks(recording: Recording, *, apart: bool) -> list[tuple[bytes, list[TruthItem]]]:
    """What microphones hear, and what is said into them."""
    if not apart:
        return [(to_s16le(recording.mono()), list(recording.items))]
    return [
        (to_s16le(pcm), [item for item in recording.items if item.speaker is role])
        for pcm, role in zip(recording.channels(), (Role.DOCTOR, Role.PATIENT), strict=True)
    ]


def _excerpt(track: bytes, said: Sequence[TruthItem], place: float, longest_ms: int) -> Excerpt:
    """`place`: where it begins, as a share of the items."""
    length_ms = len(track) // BYTES_PER_MS
    turns = 2 + longest_ms // length_ms
    items = [_later(item, turn * length_ms) for turn in range(turns) for item in said]
    first = int(place * len(said))
    while first and items[first].start_ms < items[first - 1].end_ms:
        first += 1
    before_ms = items[first - 1].end_ms if first else 0
    begin_ms = max(before_ms, items[first].start_ms - PAUSE_MS)
    ends = [
        number + 1
        for number in range(first, len(items) - 1)
        if items[number].end_ms <= min(items[number + 1].start_ms, begin_ms + longest_ms)
    ]
    if not ends:
        raise ValueError(f"{longest_ms / 1000:g} s are too short for anything that is said there")
    end_ms = min(items[ends[-1]].start_ms, items[ends[-1] - 1].end_ms + PAUSE_MS)
    whole = track[: length_ms * BYTES_PER_MS] * turns
    return Excerpt(
        audio=whole[begin_ms * BYTES_PER_MS : end_ms * BYTES_PER_MS],
        items=tuple(_later(item, -begin_ms) for item in items[first : ends[-1]]),
    )


def _later(item: TruthItem, by_ms: int) -> TruthItem:
    return msgspec.structs.replace(item, start_ms=item.start_ms + by_ms, end_ms=item.end_ms + by_ms)
