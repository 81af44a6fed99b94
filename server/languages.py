"""Whether the recogniser knows a language. It never guesses in another one."""

from pipeline.errors import LanguageUnsupported
from pipeline.ports import Recogniser
from server.domain import base_language


def knows(recogniser: Recogniser, language: str) -> bool:
    """Whether it does; an empty language is to be detected."""
    return not language or base_language(language) in recogniser.languages


def check_language(recogniser: Recogniser, language: str) -> None:
    """Raises `LanguageUnsupported`, naming the recogniser and the command that mends it."""
    if not knows(recogniser, language):
        raise LanguageUnsupported(
            f"The recogniser {recogniser.name} ({recogniser.model}) does not know the language {language}: "
            "fetch a model that does with `auscult models fetch small`, then start again."
        )
