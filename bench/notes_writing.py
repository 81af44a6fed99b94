"""Writers under test, and what they take: milliseconds a note and an hour of talk, megabytes."""

import gc
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from statistics import median
from typing import Final, TypeAlias

import msgspec
import psutil

from bench.notes_sets import Visit
from pipeline.errors import TranscriptTooShort
from pipeline.notes.note import Note
from pipeline.notes.templates import Template
from pipeline.types import Utterance

Write: TypeAlias = Callable[[Sequence[Utterance]], Awaitable[Note]]
"""A writer: transcript items in spoken order → the note. Raises `TranscriptTooShort` when there is nothing to write."""

HOUR_WORDS: Final = 9000  # of talk, at 150 words a minute
ROUNDS: Final = 3  # of the hour; its time is the median
LANGUAGE: Final = "en-US"


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What the writer takes beside its notes."""

    hour_words: int
    hour_ms: float  # median
    added_mb: float  # resident memory of this process, from before the writer was loaded to behind its longest note


def embedded(template: Template) -> Write:
    """The embedded writer; it writes of anything, however short."""
    from pipeline.notes.extractive import write_note  # what it loads counts as its memory

    async def write(items: Sequence[Utterance]) -> Note:
        return write_note(items, template, language=LANGUAGE, least_words=1)

    return write


async def written(write: Write, items: Sequence[Utterance]) -> tuple[Note | None, float]:
    """The note, if there is anything to write, and the seconds that it took."""
    begun = time.perf_counter()
    try:
        note = await write(items)
    except TranscriptTooShort:
        note = None
    return note, time.perf_counter() - begun


def resident_mb() -> float:
    """Memory of this process."""
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1e6


async def measure(write: Write, visits: Iterable[Visit], before_mb: float) -> Cost:
    """An hour of talk, made of visits one after the other."""
    items = tuple(hour(visits))
    took = [(await written(write, items))[1] for _ in range(ROUNDS)]
    return Cost(
        hour_words=sum(len(item.text.split()) for item in items),
        hour_ms=median(took) * 1000,
        added_mb=resident_mb() - before_mb,
    )


def hour(visits: Iterable[Visit]) -> Iterator[Utterance]:
    """So many items as are said in an hour, fewer where the visits are shorter together."""
    words, shift = 0, 0
    for number, visit in enumerate(visits, 1):
        for item in visit.items:
            if words >= HOUR_WORDS:
                return
            words += len(item.text.split())
            yield replace(item, id=f"{number}.{item.id}", start=item.start + shift, end=item.end + shift)
        shift += max((item.end for item in visit.items), default=0)
