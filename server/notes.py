"""Notes: which templates there are, and writing one from what was said."""

from collections.abc import Callable, Mapping, Sequence

import structlog

from pipeline.errors import NoteError
from pipeline.notes.extractive import check_language, write_note
from pipeline.notes.templates import Template, choose_template
from pipeline.transcript import chronological
from pipeline.types import Utterance
from server.domain import EncounterOptions, Failure, StoredNote

log = structlog.get_logger()

FALLBACK = "SOAP"  # for a template nobody here knows, together with a warning


class Notes:
    """Writes notes from finals, with the embedded writer."""

    def __init__(self, templates: Mapping[str, Template], *, template: str = FALLBACK, style: str = "auto") -> None:
        """`template` and `style` are used where a client names none. Raises `UnknownTemplate`."""
        self.templates = templates
        self.default_template = template
        self.default_style = style
        self.require(template)

    def known(self, template: str) -> bool:
        """Whether there is such a template."""
        return template in self.templates

    def require(self, template: str) -> None:
        """Raises `UnknownTemplate`, naming those there are."""
        choose_template(self.templates, template)

    def check_language(self, options: EncounterOptions) -> None:
        """Raises `NoteLanguageUnsupported` where no note can be written in this language."""
        check_language(options.base_language)

    def write(
        self,
        options: EncounterOptions,
        items: Sequence[Utterance],
        *,
        wanted: Callable[[], object] = lambda: None,
    ) -> StoredNote:
        """The note, or why there is none: a failed note never fails the transcript. `wanted`: see `write_note`."""
        template = self.templates[options.template or self.default_template]
        style = options.style or self.default_style
        try:
            language = options.base_language
            note = write_note(
                chronological(items),
                template,
                language=language,
                style=style,
                split_by_problem=options.split_by_problem,
                least_words=options.least_words,
                wanted=wanted,
            )
        except NoteError as exc:
            return StoredNote(absence=Failure(code=exc.code, message=str(exc)))
        except Exception as exc:  # a bug in the writer ends this note, not the transcript
            log.error("note.failed", type=type(exc).__name__)
            return StoredNote(absence=Failure(code="note_failed", message="The note could not be written."))
        return StoredNote(note=note, style=style)
