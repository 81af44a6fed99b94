"""Glossaries: words that a recogniser should expect. One term a line in `config/glossaries/NAME.txt`.

Lines that begin with "#" are comments. "term | sounds like" is allowed; what it sounds like is for people so far.
"""

from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import InvalidGlossary


def parse_glossary(text: str) -> tuple[str, ...]:
    """The terms in a file's text, in its order, each once."""
    lines = (line.partition("|")[0].strip() for line in text.splitlines() if not line.lstrip().startswith("#"))
    return tuple(dict.fromkeys(line for line in lines if line))


def read_glossaries(directory: Path) -> Mapping[str, tuple[str, ...]]:
    """Every glossary of a directory: name → terms. Raises `InvalidGlossary`, naming the file."""
    return {file.stem: parse_glossary(_text(file)) for file in sorted(directory.glob("*.txt"))}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidGlossary(f"Glossary file {file.name} cannot be read as UTF-8 text.") from exc
