"""The embedded note writer as a `NoteWriter`: pure code that computes, in a thread of its own."""

from collections.abc import AsyncGenerator, Sequence
from functools import partial

import anyio.from_thread
import anyio.to_thread

from pipeline.notes.extract.extractive import LANGUAGE, check_language, write_note
from pipeline.notes.note import EXTRACT
from pipeline.notes.request import NoteRequest, NoteUpdate
from pipeline.types import Utterance

# Notes that are written at the same time: they all want the same interpreter, which audio needs, too.
PRESSING = 2  # of talks that have ended
OTHERS = 1  # asked for, and drafts


class EmbeddedWriter:
    """Always there. Writes English."""

    name = "embedded"
    generator = EXTRACT
    languages = (LANGUAGE,)

    def __init__(self) -> None:
        self._pressing = anyio.CapacityLimiter(PRESSING)
        self._others = anyio.CapacityLimiter(OTHERS)

    @property
    def writing(self) -> int:
        """Notes that are being written."""
        return int(self._pressing.borrowed_tokens + self._others.borrowed_tokens)

    def check(self, language: str) -> None:
        """Raises `NoteLanguageUnsupported`."""
        check_language(language)

    async def write(self, request: NoteRequest, items: Sequence[Utterance]) -> AsyncGenerator[NoteUpdate]:
        """See `NoteWriter`. The writing stops where nobody waits for it any more."""
        write = partial(
            write_note,
            items,
            request.template,
            language=request.language,
            style=request.style,
            split_by_problem=request.split_by_problem,
            least_words=request.least_words,
            wanted=anyio.from_thread.check_cancelled,
        )
        note = await anyio.to_thread.run_sync(write, limiter=self._pressing if request.pressing else self._others)
        for section in note.sections:
            yield section
        yield note
