"""The words with which a language model is asked for a note: a file that operators may replace by one of their own.

It is TOML with two texts, `system` and `user`, in which {{names}} stand for what is put in. What was spoken or typed
goes into the user's text only: nothing that a patient says is ever a part of the orders.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from pipeline.errors import InvalidPrompt

DATA: Final = frozenset({"transcript", "background"})  # what somebody said or typed
NEEDED: Final = DATA | {"sections", "language", "form"}
KNOWN: Final = NEEDED | {"template", "style", "problems", "portion"}
_NAME: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class Prompt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The two texts."""

    system: str
    user: str

    def filled(self, values: Mapping[str, str]) -> tuple[str, str]:
        """System and user text with the values put in. Values are put in as they are, names within them stay."""
        return _filled(self.system, values), _filled(self.user, values)


def read_prompt(file: Path) -> Prompt:
    """The prompt of a file. Raises `InvalidPrompt`, naming the file and what is wrong."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidPrompt(f"Prompt file {file.name} cannot be read as UTF-8 text.") from exc
    return parse_prompt(file.name, text)


def parse_prompt(name: str, text: str) -> Prompt:
    """The prompt in a file's text. Raises as `read_prompt`."""
    try:
        prompt = msgspec.toml.decode(text, type=Prompt)
    except msgspec.DecodeError as exc:
        raise InvalidPrompt(f"Prompt file {name}: {exc}") from exc
    if fault := _fault(prompt):
        raise InvalidPrompt(f"Prompt file {name}: {fault}.")
    return prompt


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _NAME.sub(lambda name: values[name[1]], text).strip()


def _fault(prompt: Prompt) -> str:
    """What is wrong with it; empty when nothing is."""
    system, user = (set(_NAME.findall(text)) for text in (prompt.system, prompt.user))
    if unknown := sorted((system | user) - KNOWN):
        return f"there is nothing to put in for {{{{{unknown[0]}}}}}; known names: {', '.join(sorted(KNOWN))}"
    if misplaced := sorted(system & DATA):
        return f"{{{{{misplaced[0]}}}}} must stand in `user`: what was said is data, and the system's text is orders"
    if missing := sorted(NEEDED - system - user):
        return f"{{{{{missing[0]}}}}} is missing"
    return ""
