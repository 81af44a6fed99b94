"""Note templates: which sections a note has, in which order, and what goes into each.

A template is a TOML file that is named after it. The sections come in the file's order. Unknown keys are errors, and
so is whatever would make a writer's instructions (they hold titles and guidance) longer than was bargained for.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import structs

from pipeline.errors import InvalidTemplate, UnknownTemplate
from pipeline.notes.note import Style, Topic

LARGEST_FILE: Final = 64 * 1024  # bytes
MOST_FILES: Final = 200  # in a directory
MOST_LANGUAGES: Final = 20
MOST_SECTIONS: Final = 40
LONGEST_TITLE: Final = 100  # characters
LONGEST_GUIDANCE: Final = 400  # characters: with 40 sections about 4,000 tokens of instructions

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")  # fits a name in a JSON schema, too
LANGUAGE: Final = re.compile(r"[a-z]{2,3}")
_AT: Final = re.compile(r" - at `\$\.?(?P<path>[^`]+)`$")
_SECTION: Final = re.compile(r"^sections\[(\d+)\]\.?")
_KINDS: Final = {
    "`str`": "text",
    "`array`": "a list",
    "`object`": "a table",
    "`int`": "a number",
    "`bool`": "true or false",
}

STYLES: Final = (Style.PARAGRAPHS, Style.BULLET_POINTS)  # of a section


class SectionTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One section."""

    key: str  # what an API prints: "CHIEF_COMPLAINT"
    title: dict[str, str]  # language tag → title in sentence case: {en = "Chief complaint"}
    topics: tuple[Topic, ...] = ()  # in the order in which their sentences appear; none: only a model fills it
    style: Style = Style.PARAGRAPHS  # how it is laid out when the style asked for is "auto"
    guidance: str = ""  # what a writer should put here and what not, for people and models


class Template(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A note's sections, in order."""

    name: str
    title: dict[str, str]  # language tag → title of the whole note
    # ISO 639 codes. Each title is there in each of them, and may be there for a country too ("en-GB"). The first is
    # used for any other language.
    languages: tuple[str, ...]
    sections: tuple[SectionTemplate, ...]

    def in_language(self, titles: Mapping[str, str], language: str) -> str:
        """The title for a language tag: for "en-GB" that one, else the one for "en", else that of the first language.

        Source: RFC 4647 §3.4 (lookup).
        """
        known = {_normal(tag): title for tag, title in titles.items()}
        return next((known[tag] for tag in _ranges(language) if tag in known), titles[self.languages[0]])


def primary_language(tag: str) -> str:
    """The language of a tag, without country: "en" for "en-US"."""
    return _normal(tag).split("-")[0]


def parse_template(name: str, text: str, file: str = "") -> Template:
    """The template in a file's text; `name` is the file's name without its ending, `file` its path.

    Raises: `InvalidTemplate`, which names the file and the place in it, what is wrong, and what would be right.
    """
    file = file or f"{name}.toml"
    if len(text.encode()) > LARGEST_FILE:
        raise _invalid(file, f"it is larger than {LARGEST_FILE // 1024} KiB")
    try:
        template = msgspec.toml.decode(text, type=Template)
    except msgspec.ValidationError as exc:
        raise _invalid(file, _told(str(exc))) from exc
    except msgspec.DecodeError as exc:
        raise _invalid(file, f"it is not TOML: {exc}") from exc
    if fault := next(_faults(name, template), ""):
        raise _invalid(file, fault)
    sections = tuple(structs.replace(each, guidance=" ".join(each.guidance.split())) for each in template.sections)
    return structs.replace(template, sections=sections)


def read_template(file: Path) -> Template:
    """The template of a file. Raises `InvalidTemplate`."""
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
        return parse_template(file.stem, content.decode("utf-8-sig"), str(file))
    except OSError as exc:
        raise _invalid(str(file), f"it cannot be read ({exc.strerror})") from exc
    except UnicodeDecodeError as exc:
        if len(content) > LARGEST_FILE:  # perhaps it is fine, and cut within a character
            raise _invalid(str(file), f"it is larger than {LARGEST_FILE // 1024} KiB") from exc
        raise _invalid(str(file), f"it is not UTF-8 text (at byte {exc.start})") from exc


def read_templates(directory: Path) -> Mapping[str, Template]:
    """Every template of a directory, by name. Files whose name begins with a dot are left alone.

    Raises: `InvalidTemplate`, also where there is no such directory.
    """
    if not directory.is_dir():
        raise InvalidTemplate(f"There is no directory {directory} to read note templates from: make it.")
    files = sorted(file for file in directory.glob("*.toml") if not file.name.startswith("."))
    if len(files) > MOST_FILES:
        raise InvalidTemplate(f"There are {len(files)} note templates in {directory}, at most {MOST_FILES} are read.")
    return {file.stem: read_template(file) for file in files}


def choose_template(templates: Mapping[str, Template], name: str) -> Template:
    """The template of this name. Raises `UnknownTemplate`, which names those there are."""
    try:
        return templates[name]
    except KeyError:
        known = ", ".join(sorted(templates)) or "none"
        raise UnknownTemplate(f"There is no note template of this name. Known templates: {known}.") from None


def _invalid(file: str, fault: str) -> InvalidTemplate:
    return InvalidTemplate(f"Template file {file}: {fault}.")


def _normal(tag: str) -> str:
    return tag.replace("_", "-").lower()


def _ranges(tag: str) -> Iterator[str]:
    """A language tag, then what is left of it without its last part, and so on: "en-gb", "en"."""
    parts = _normal(tag).split("-")
    return ("-".join(parts[:count]) for count in range(len(parts), 0, -1))


def _told(complaint: str) -> str:
    """msgspec's complaint, with the place as a person names it, and with what would be right."""
    at = _AT.search(complaint)
    path = at["path"].replace("[...]", "") if at else ""
    wrong = _AT.sub("", complaint)
    for kind, named in _KINDS.items():
        wrong = wrong.replace(kind, named)
    if section := _SECTION.match(path):
        path = f"section {int(section[1]) + 1} {_SECTION.sub('', path).partition('[')[0]}".strip()
    if "unknown field `order`" in wrong:
        wrong = "there is no `order`: sections come in the order in which the file has them"
    elif "unknown field" in wrong:
        fields = (SectionTemplate if section else Template).__struct_fields__
        wrong = wrong.replace("Object contains", "there is an") + f"; known ones: {', '.join(fields)}"
    elif "enum value" in wrong:
        known = STYLES if path.endswith("style") else tuple(Topic)
        wrong = wrong.replace("Invalid enum value", "there is no") + f"; known ones: {', '.join(known)}"
    elif path == "sections":
        wrong += "; write [[sections]] above each one"
    wrong = wrong.replace("Object missing", "it lacks the")
    return f"{path}: {wrong[:1].lower()}{wrong[1:]}" if path else wrong


def _faults(name: str, template: Template) -> Iterator[str]:
    """What is wrong with a template whose fields are all of the right kind."""
    if not NAME.fullmatch(name):
        yield "the name of the file, without .toml, must have 1 to 64 letters, digits, dots, dashes and underscores"
    if template.name != name:
        yield f'its name is "{template.name[:64]}", which must be the name of the file: write name = "{name}"'
    yield from _language_faults(template.languages)
    yield from _title_faults("the note", template.title, template.languages)
    if not 0 < len(template.sections) <= MOST_SECTIONS:
        yield f"it has {len(template.sections)} sections, which must be 1 to {MOST_SECTIONS}"
    for number, section in enumerate(template.sections, 1):
        yield from _section_faults(f'section {number} ("{section.key[:64]}")', section, template.languages)
    if repeated := _first_repeated(section.key for section in template.sections):
        yield f'section "{repeated}" is there twice: take one away, or give it another key'
    if repeated := _first_repeated(topic for section in template.sections for topic in section.topics):
        yield f'topic "{repeated}" is there twice: what is said goes into one section only'


def _language_faults(languages: tuple[str, ...]) -> Iterator[str]:
    if not 0 < len(languages) <= MOST_LANGUAGES:
        yield f'`languages` has {len(languages)} entries, which must be 1 to {MOST_LANGUAGES}, such as ["en", "fr"]'
    for language in languages:
        if not LANGUAGE.fullmatch(language):
            yield f'`languages` has "{language[:64]}", which must be a code of two or three small letters, such as "en"'
    if repeated := _first_repeated(languages):
        yield f'`languages` has "{repeated}" twice'


def _section_faults(place: str, section: SectionTemplate, languages: tuple[str, ...]) -> Iterator[str]:
    if not KEY.fullmatch(section.key):
        yield f"{place}: the key must have 1 to 64 letters, digits, dashes and underscores, and begin with a letter"
    if section.style not in STYLES:
        yield f"{place}: the style must be one of {', '.join(STYLES)}"
    if len(section.guidance) > LONGEST_GUIDANCE:
        yield f"{place}: the guidance has {len(section.guidance)} characters, at most {LONGEST_GUIDANCE} are taken"
    if not section.guidance.replace("\n", " ").isprintable():
        yield f"{place}: the guidance has a control character"
    yield from _title_faults(place, section.title, languages)


def _title_faults(place: str, titles: Mapping[str, str], languages: tuple[str, ...]) -> Iterator[str]:
    for language in languages:
        if language not in titles:
            yield f'{place}: there is no title in "{language}", which is one of `languages`'
    for tag, title in titles.items():
        if primary_language(tag) not in languages:
            yield f'{place}: there is a title in "{tag[:64]}", whose language is not one of `languages`'
        if not 0 < len(title.strip()) <= LONGEST_TITLE or title != title.strip() or not title.isprintable():
            yield f'{place}: the title in "{tag[:64]}" must be one line of 1 to {LONGEST_TITLE} characters'
    if repeated := _first_repeated(map(_normal, titles)):
        yield f'{place}: there are two titles in "{repeated[:64]}"'


def _first_repeated(values: Iterable[str]) -> str:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return ""
