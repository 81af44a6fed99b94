"""Notes: which templates and writers there are, and writing one from what was said."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import structlog

from pipeline.errors import NoteError, NoteLanguageUnsupported, TranscriptTooShort
from pipeline.notes.note import NoteSection, Style
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


class Uncounted:
    """Nobody counts."""

    def written(self, writer: str, outcome: str) -> None:
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
        observer: NoteObserver | None = None,
    ) -> None:
        """`template` and `style` are used where a client names none; `model_drafts`: whether the model, too, writes
        drafts of talks that go on. Raises `UnknownTemplate`.
        """
        self.templates = templates
        self.default_template = template
        self.default_style = style
        self._embedded = EmbeddedWriter()
        self._model = model
        self._model_drafts = model_drafts
        self._observer = observer or Uncounted()
        self.require(template)

    def known(self, template: str) -> bool:
        """Whether there is such a template."""
        return template in self.templates

    def require(self, template: str) -> None:
        """Raises `UnknownTemplate`, naming those there are."""
        choose_template(self.templates, template)

    def check_language(self, options: EncounterOptions) -> None:
        """Raises `NoteLanguageUnsupported` where no note can be written in this language."""
        if self._model is None:
            self._embedded.check(options.base_language)

    async def write(
        self, options: EncounterOptions, items: Sequence[Utterance], intake: Intake = NOTHING, *, writer: str = ""
    ) -> StoredNote:
        """The note, or why there is none: a failed note never fails the transcript."""
        stored = StoredNote(absence=FAILED)
        async with aclosing(self.writing(options, items, intake, writer=writer)) as updates:
            async for update in updates:
                if isinstance(update, StoredNote):
                    stored = update
        return stored

    async def writing(
        self, options: EncounterOptions, items: Sequence[Utterance], intake: Intake = NOTHING, *, writer: str = ""
    ) -> AsyncGenerator[Written]:
        """As `write`, section by section. `writer`: "embedded" or "model"; empty: the model where there is one."""
        request = self._request(options, intake)
        said = chronological(items)
        failure: Failure | None = None  # of the model
        for each in self._writers(writer):
            sections: tuple[NoteSection, ...] = ()
            try:
                async with aclosing(each.write(request, said)) as updates:
                    async for update in updates:
                        if isinstance(update, NoteSection):
                            sections = (*sections, update)
                            yield Draft(sections=sections, writer=each.name)
                        else:
                            note = replace(update, fallback="" if failure is None else failure.code)
                            yield StoredNote(note=note, style=request.style)
                self._observer.written(each.name, "written")
                return
            except NoteError as exc:
                absence = Failure(code=exc.code, message=str(exc))
            except Exception as exc:  # a bug in the writer ends this note, not the transcript
                log.error("note.failed", writer=each.name, type=type(exc).__name__)
                absence = FAILED
            self._observer.written(each.name, absence.code)
            if absence.code == TranscriptTooShort.code:  # for any writer
                failure = absence
                break
            if failure is None or absence.code != NoteLanguageUnsupported.code:
                failure = absence
        yield StoredNote(absence=failure, style=request.style)

    @property
    def drafter(self) -> str:
        """Who writes drafts of talks that go on."""
        return "model" if self._model is not None and self._model_drafts else "embedded"

    def check_writer(self, name: str) -> None:
        """Raises `BadRequest` for a writer that is not there."""
        if name == "model" and self._model is None:
            raise BadRequest(
                "No model is set up for notes: set notes.model.url and notes.model.name, or ask for embedded."
            )

    def _writers(self, name: str) -> list[NoteWriter]:
        """Who is asked, in this order, until one of them can."""
        return [self._embedded] if name == "embedded" or self._model is None else [self._model, self._embedded]

    def _request(self, options: EncounterOptions, intake: Intake) -> NoteRequest:
        return NoteRequest(
            template=self.templates[options.template or self.default_template],
            language=options.language,
            style=Style(options.style or self.default_style),
            split_by_problem=options.split_by_problem,
            least_words=options.least_words,
            background=background(intake),
        )
