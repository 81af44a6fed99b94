"""Whether the recogniser knows a language. It never guesses in another one."""

from pipeline.errors import LanguageUnsupported
from pipeline.ports import Recogniser
from server.domain import base_language


def check_language(recogniser: Recogniser, language: str) -> None:
    """Raises `LanguageUnsupported`, naming the recogniser and the command that mends it."""
    if base_language(language) not in recogniser.languages:
        raise LanguageUnsupported(
            f"The recogniser {recogniser.name} ({recogniser.model}) does not know the language {language}: "
            "fetch a model that does with `auscult models fetch small`, then start again."
        )
