"""Notes: which templates and writers there are, and writing one from what was said."""

from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import anyio.to_thread
import structlog

from pipeline.errors import NoteError, NoteLanguageUnsupported, NoteUnsupported, TranscriptTooShort
from pipeline.notes.evidence.checking import Checker, Unsupported
from pipeline.notes.note import Note, NoteSection, Style
from pipeline.notes.request import NoteRequest
from pipeline.notes.templates import Template, choose_template
from pipeline.ports import NoteWriter
from pipeline.transcript import chronological
from pipeline.types import Utterance
from server.domain import EncounterOptions, Failure, StoredNote
from server.errors import BadRequest
from server.intake import NOTHING, Intake, background
from server.writers import EmbeddedWriter

log = structlog.get_logger()

FALLBACK = "SOAP"  # for a template nobody here knows, together with a warning
FAILED = Failure(code="note_failed", message="The note could not be written.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A note as far as it is written, or that of a talk as far as it went."""

    sections: tuple[NoteSection, ...] = ()
    title: str = ""  # empty: not written yet
    writer: str = ""  # who writes it: "embedded", "model"


Written: TypeAlias = Draft | StoredNote
"""Drafts, each in the place of the one before it; at last the note, or why there is none."""


class NoteObserver(Protocol):
    """Who counts notes."""

    def written(self, writer: str, outcome: str) -> None:
        """A writer is done: "written", or the code of what went wrong."""
        ...

    def checked(self, writer: str, outcome: str, sentences: int) -> None:
        """So many sentences were checked: "kept"; "dropped:" or "flagged:" and the code of the fault."""
        ...


class Uncounted:
    """Nobody counts."""

    def written(self, writer: str, outcome: str) -> None:
        pass

    def checked(self, writer: str, outcome: str, sentences: int) -> None:
        pass


class Notes:
    """Writes notes from finals: with a language model where there is one, else with the embedded writer."""

    def __init__(
        self,
        templates: Mapping[str, Template],
        *,
        template: str = FALLBACK,
        style: str = "auto",
        model: NoteWriter | None = None,
        model_drafts: bool = False,
        unsupported: Unsupported = Unsupported.DROP,
        fallback: bool = True,
        observer: NoteObserver | None = None,
    ) -> None:
        """`template` and `style` are used where a client names none; `model_drafts`: whether the model, too, writes
        drafts of talks that go on; `unsupported`: what becomes of sentences that what was said does not bear out;
        `fallback`: whether the embedded writer writes where the model cannot.

        Raises `UnknownTemplate`.
        """
        self.templates = templates
        self.default_template = template
        self.default_style = style
        self._embedded = EmbeddedWriter()
        self._model = model
        self._model_drafts = model_drafts
        self._unsupported = unsupported
        self._fallback = fallback
        self._observer = observer or Uncounted()
        self.require(template)

    def known(self, template: str) -> bool:
        """Whether there is such a template."""
        return template in self.templates

    def require(self, template: str) -> None:
        """Raises `UnknownTemplate`, naming those there are."""
        choose_template(self.templates, template)

    @property
    def generator(self) -> str:
        """Who writes notes that nobody asks another writer for, as they say it."""
        return self._embedded.generator if self._model is None else self._model.generator

    @property
    def languages(self) -> tuple[str, ...]:
        """In which languages notes can be written (ISO 639-1); none: in any."""
        return self._embedded.languages if self._model is None else ()

    def check_language(self, options: EncounterOptions) -> None:
        """Raises `NoteLanguageUnsupported` where no note can be written in this language."""
        if self._model is None:
            self._embedded.check(options.base_language)

    async def write(
        self,
        options: EncounterOptions,
        items: Sequence[Utterance],
        intake: Intake = NOTHING,
        *,
        writer: str = "",
        pressing: bool = True,
        draft: bool = False,
    ) -> StoredNote:
        """The note, or why there is none: a failed note never fails the transcript."""
        stored = StoredNote(absence=FAILED)
        async with aclosing(
            self.writing(options, items, intake, writer=writer, pressing=pressing, draft=draft)
        ) as updates:
            async for update in updates:
                if isinstance(update, StoredNote):
                    stored = update
        return stored

    async def writing(
        self,
        options: EncounterOptions,
        items: Sequence[Utterance],
        intake: Intake = NOTHING,
        *,
        writer: str = "",
        pressing: bool = True,
        draft: bool = False,
    ) -> AsyncGenerator[Written]:
        """As `write`, section by section.

        `writer`: "embedded" or "model"; empty: the model where there is one. `pressing`: whether a talk has ended and
        waits for it; else it is written behind such notes. `draft`: of a talk that goes on; never pressing.
        """
        try:
            request = replace(self._request(options, intake), pressing=pressing and not draft, draft=draft)
        except NoteError as exc:  # an own template that is there no more
            yield StoredNote(absence=Failure(code=exc.code, message=str(exc)))
            return
        said = chronological(items)
        failure: Failure | None = None  # of the model
        for each in self._writers(writer):
            review = _Review(request, said, self._unsupported)
            try:
                async with aclosing(each.write(request, said)) as updates:
                    async for update in updates:
                        if isinstance(update, Note):
                            note = await review.whole(update)
                            note = replace(note, fallback="" if failure is None else failure.code)
                            yield StoredNote(note=note, style=request.style)
                        elif sections := await review.more(update):
                            yield Draft(sections=sections, writer=each.name)
                self._observer.written(each.name, "written")
                self._count(each.name, review)
                return
            except NoteUnsupported as exc:  # of an extract nothing is left: there was nothing in it
                known = exc if each is self._model else TranscriptTooShort()
                absence = Failure(code=known.code, message=str(known))
            except NoteError as exc:
                absence = Failure(code=exc.code, message=str(exc))
            except Exception as exc:  # a bug in the writer ends this note, not the transcript
                log.error("note.failed", writer=each.name, type=type(exc).__name__)
                absence = FAILED
            self._observer.written(each.name, absence.code)
            if each is self._model:
                log.warning("note.model_failed", code=absence.code)
            if absence.code == TranscriptTooShort.code:  # for any writer
                failure = absence
                break
            if failure is None or absence.code != NoteLanguageUnsupported.code:
                failure = absence
        yield StoredNote(absence=failure, style=request.style)

    def _count(self, writer: str, review: "_Review") -> None:
        self._observer.checked(writer, "kept", review.kept)
        for fault, count in review.dropped.items():
            self._observer.checked(writer, f"dropped:{fault}", count)
        for fault, count in review.flagged.items():
            self._observer.checked(writer, f"flagged:{fault}", count)

    @property
    def drafter(self) -> str:
        """Who writes drafts of talks that go on."""
        return "model" if self._model is not None and self._model_drafts else "embedded"

    def check_writer(self, name: str) -> None:
        """Raises `BadRequest` for a writer that is not there."""
        if name == "model" and self._model is None:
            raise BadRequest(
                "No model is set up for notes: set note_model.url and note_model.name, or ask for embedded."
            )

    def _writers(self, name: str) -> list[NoteWriter]:
        """Who is asked, in this order, until one of them can."""
        if name == "embedded" or self._model is None:
            return [self._embedded]
        return [self._model, self._embedded] if self._fallback else [self._model]

    def _request(self, options: EncounterOptions, intake: Intake) -> NoteRequest:
        """Raises `UnknownTemplate`."""
        return NoteRequest(
            template=choose_template(self.templates, options.template or self.default_template),
            language=options.language,
            style=Style(options.style or self.default_style),
            split_by_problem=options.split_by_problem,
            least_words=options.least_words,
            background=background(intake),
        )


class _Review:
    """What a writer wrote, checked against what was said: the same way for all of them."""

    def __init__(self, request: NoteRequest, said: Sequence[Utterance], unsupported: Unsupported) -> None:
        self._template = request.template
        self._language = request.language
        self._checker = Checker(said, language=request.language, unsupported=unsupported)
        self._known: dict[NoteSection, NoteSection | None] = {}  # what was written → what is left of it
        self.dropped: Counter[str] = Counter()
        self.flagged: Counter[str] = Counter()

    @property
    def kept(self) -> int:
        """Sentences that may stand."""
        return sum(len(left.sentences) for left in self._known.values() if left) - self.flagged.total()

    async def more(self, section: NoteSection) -> tuple[NoteSection, ...]:
        """What is left of all sections so far, with one more."""
        if section not in self._known:
            checked = await anyio.to_thread.run_sync(self._checker.check, section)
            self._known[section] = checked.section
            self.dropped += checked.dropped
            self.flagged += checked.flagged
        return tuple(left for left in self._known.values() if left)

    async def whole(self, note: Note) -> Note:
        """What is left of the note. Raises `NoteUnsupported` where that is nothing."""
        for section in note.sections:
            await self.more(section)
        sections = tuple(left for section in note.sections if (left := self._known[section]))
        if not sections:
            raise NoteUnsupported
        otherwise = self._template.in_language(self._template.title, self._language)
        title = self._checker.title(note.title, sections, otherwise)
        return replace(note, title=title, sections=sections, left_out=self.dropped.total())
