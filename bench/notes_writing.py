"""Writers under test, and what they take: milliseconds a note and an hour of talk, megabytes."""

import gc
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from statistics import median
from typing import Final, TypeAlias

import msgspec
import psutil

from bench.notes_sets import Visit
from pipeline.errors import TranscriptTooShort
from pipeline.notes.evidence.checking import Checker, Unsupported
from pipeline.notes.note import Note, NoteSection, NoteSentence
from pipeline.notes.request import NoteRequest
from pipeline.notes.templates import Template
from pipeline.ports import NoteWriter
from pipeline.types import Utterance

HOUR_WORDS: Final = 9000  # of talk, at 150 words a minute
ROUNDS: Final = 3  # of the hour; its time is the median
LANGUAGE: Final = "en-US"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A sentence that the server's check would not let stand."""

    fault: str
    section: str  # key
    sentence: NoteSentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A note as a server shows it."""

    note: Note | None  # None: there is nothing to write, or nothing that may stand
    refused: tuple[Refused, ...] = ()
    took_s: float = 0.0  # to write it
    cpu_s: float = 0.0  # processor time of this process meanwhile
    check_s: float = 0.0  # processor time to check it


Write: TypeAlias = Callable[[Sequence[Utterance]], Awaitable[Outcome]]
"""Transcript items in spoken order → the note."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What the writer takes beside its notes."""

    hour_words: int
    hour_ms: float  # median, to write
    hour_cpu_ms: float  # median, processor time of it: what else the machine does is not in it
    hour_check_ms: float  # median, processor time to check it
    added_mb: float  # resident memory of this process, from before the writer was loaded to behind its longest note


def embedded() -> NoteWriter:
    """The writer that is always there."""
    from server.writers import EmbeddedWriter  # what it loads counts as its memory

    return EmbeddedWriter()


def writing(writer: NoteWriter, template: Template, *, checked: bool) -> Write:
    """The writer with a template, for talks however short. `checked`: without sentences that a server would drop."""
    request = NoteRequest(template=template, language=LANGUAGE, least_words=1)

    async def write(items: Sequence[Utterance]) -> Outcome:
        begun, begun_cpu = time.perf_counter(), time.process_time()
        note = await _note(writer, request, items)
        took_s, done_cpu = time.perf_counter() - begun, time.process_time()
        left = _checked(note, items) if note is not None and checked else Outcome(note=note)
        return replace(left, took_s=took_s, cpu_s=done_cpu - begun_cpu, check_s=time.process_time() - done_cpu)

    return write


async def _note(writer: NoteWriter, request: NoteRequest, items: Sequence[Utterance]) -> Note | None:
    note: Note | None = None
    try:
        async with aclosing(writer.write(request, items)) as updates:
            async for update in updates:
                note = update if isinstance(update, Note) else note
    except TranscriptTooShort:
        return None
    return note


def _checked(note: Note, items: Sequence[Utterance]) -> Outcome:
    """What is left of a note, as a server does it."""
    checker = Checker(items, language=LANGUAGE, unsupported=Unsupported.FLAG)
    sections: list[NoteSection] = []
    refused: list[Refused] = []
    for section in note.sections:
        flagged = checker.check(section).section
        sentences = flagged.sentences if flagged is not None else ()
        for one in sentences:
            refused.extend(Refused(fault=fault, section=section.key, sentence=one) for fault in one.faults[:1])
        if sound := tuple(one for one in sentences if not one.faults):
            sections.append(replace(section, sentences=sound))
    return Outcome(note=replace(note, sections=tuple(sections)) if sections else None, refused=tuple(refused))


def resident_mb() -> float:
    """Memory of this process."""
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1e6


async def measure(write: Write, visits: Iterable[Visit], before_mb: float) -> Cost:
    """An hour of talk, made of visits one after the other."""
    items = tuple(hour(visits))
    outcomes = [await write(items) for _ in range(ROUNDS)]
    return Cost(
        hour_words=sum(len(item.text.split()) for item in items),
        hour_ms=median(one.took_s for one in outcomes) * 1000,
        hour_cpu_ms=median(one.cpu_s for one in outcomes) * 1000,
        hour_check_ms=median(one.check_s for one in outcomes) * 1000,
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
