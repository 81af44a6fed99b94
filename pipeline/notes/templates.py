"""Note templates: which sections a note has, in which order, and what goes into each.

A template is a TOML file in `config/templates/`, named after the template. Unknown keys are errors.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from pipeline.errors import InvalidTemplate, UnknownTemplate
from pipeline.notes.note import Style, Topic


class SectionTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One section."""

    key: str  # what an API prints: "CHIEF_COMPLAINT"
    title: dict[str, str]  # language → title in sentence case: {en = "Chief complaint"}
    topics: tuple[Topic, ...] = ()  # in the order in which their sentences appear; none: only a model fills it
    style: Style = Style.PARAGRAPHS  # how it is laid out when the style asked for is "auto"
    guidance: str = ""  # what a writer should put here, for people and models


class Template(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A note's sections, in order."""

    name: str
    title: dict[str, str]  # language → title of the whole note
    languages: tuple[str, ...]  # ISO 639-1 codes of the titles; the first is used for any other language
    sections: tuple[SectionTemplate, ...]

    def in_language(self, titles: Mapping[str, str], language: str) -> str:
        """The title for a language tag ("en-US"), or the one in the template's first language."""
        return titles.get(primary_language(language)) or titles[self.languages[0]]


def primary_language(tag: str) -> str:
    """The language of a tag, without country: "en" for "en-US"."""
    return tag.replace("_", "-").split("-")[0].lower()


def parse_template(name: str, text: str) -> Template:
    """The template in a file's text; `name` is the file's name without its ending.

    Raises: `InvalidTemplate`, naming the file and what is wrong.
    """
    try:
        template = msgspec.toml.decode(text, type=Template)
    except msgspec.DecodeError as exc:
        raise InvalidTemplate(f"Template file {name}.toml: {exc}") from exc
    if fault := _fault(name, template):
        raise InvalidTemplate(f"Template file {name}.toml: {fault}.")
    return template


def read_templates(directory: Path) -> Mapping[str, Template]:
    """Every template of a directory, by name. Raises `InvalidTemplate`."""
    files = sorted(directory.glob("*.toml"))
    return {file.stem: parse_template(file.stem, _text(file)) for file in files}


def choose_template(templates: Mapping[str, Template], name: str) -> Template:
    """The template of this name. Raises `UnknownTemplate`, which names those there are."""
    try:
        return templates[name]
    except KeyError:
        known = ", ".join(sorted(templates)) or "none"
        raise UnknownTemplate(f"There is no note template of this name. Known templates: {known}.") from None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidTemplate(f"Template file {file.name} cannot be read as UTF-8 text.") from exc


def _fault(name: str, template: Template) -> str:
    """What is wrong with a template whose fields are all of the right kind; empty when nothing is."""
    if template.name != name:
        return f'its name is "{template.name}", which must be the name of the file'
    if not template.languages:
        return "`languages` is empty"
    if not template.sections:
        return "there are no sections"
    keys = [section.key for section in template.sections]
    if repeated := _first_repeated(keys):
        return f'section "{repeated}" is there twice'
    if repeated := _first_repeated([str(topic) for section in template.sections for topic in section.topics]):
        return f'topic "{repeated}" goes into two sections'
    for place, titles in [("the note", template.title), *((s.key, s.title) for s in template.sections)]:
        if set(titles) != set(template.languages):
            return f"the languages of the title of {place} are not those in `languages`"
    for section in template.sections:
        if section.style is Style.AUTO:
            return f'the style of section "{section.key}" must be "paragraphs" or "bullet_points"'
    return ""


def _first_repeated(values: list[str]) -> str:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return ""
