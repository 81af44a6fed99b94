"""The messages with which a language model is asked for a note.

What was said or typed is data. It stands in the user's message only, as JSON in which no character that could end the
data, or that a model's chat format gives a meaning, stands for itself: < > [ ] { } & | and the backtick are written as
\\u003c and so on. So nothing that is spoken in the room closes a tag, begins a message or looks like one.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from pipeline.notes.asking.prompt_file import Prompt
from pipeline.notes.note import Style
from pipeline.notes.problems import told_by_problem
from pipeline.notes.proposals import System
from pipeline.notes.request import Background, NoteRequest
from pipeline.notes.templates import SectionTemplate
from pipeline.types import Utterance

LONGEST_NAME = 60  # characters of a sender or of a field of the patient's
ESCAPED: Final = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>[]{}&|`"}
INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
PLANES: Final = (range(0x20000), range(0xE0000, 0xE1000))  # that have invisible characters, beside two for private use
_LANGUAGE: Final = re.compile(r"([a-z]{2,3})(?:-(hans|hant|latn|cyrl|arab))?(?:-([a-z]{2}))?(?![^-])")
UNKNOWN_LANGUAGE: Final = "the language of the transcript"
JOINERS: Final = "\u200c\u200d"  # scripts of Asia need them
LAYOUTS: Final = {
    Style.AUTO: "",
    Style.PARAGRAPHS: "Sentences of a section are printed as one paragraph.",
    Style.BULLET_POINTS: "Sentences of a section are printed as bullet points: make each of them short.",
}
FORM: Final = (
    '{"sections": [{"key": "KEY OF A SECTION", "sentences": [{"text": "One sentence.", "items": [3, 4]}]}],'
    ' "title": "What the visit was about, in at most six words that stand in the note"}'
)
CODES: Final = (
    ' "codes": [{"system": "ICD-10-CM or CPT", "code": "A00.0", "description": "What it stands for", "items": [3]}],'
)
FORM_BY_PROBLEM: Final = FORM.replace(
    '"items": [3, 4]}', '"items": [3, 4], "problem": "Name of the problem, or empty"}'
)
LAST_PORTION: Final = (
    "This is part {number} of {count} of a long talk. Write only what this part says; the parts are put together later."
)

JsonSchema: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message to a chat model."""

    role: Literal["system", "user"]
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """An item, or a part of a long one, under the number by which a model cites it."""

    number: int
    item: Utterance
    text: str
    encoded: str = field(repr=False)  # as the model sees it

    @classmethod
    def of(cls, number: int, item: Utterance, text: str) -> "Line":
        """The line with this text."""
        return cls(number, item, text, encoded({"n": number, "who": item.role.value, "text": text}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request for a note, or for the part of it that rests on a portion of the talk."""

    messages: tuple[Message, Message]
    schema: JsonSchema


def ask(
    prompt: Prompt,
    request: NoteRequest,
    lines: Sequence[Line],
    *,
    sections: Sequence[SectionTemplate],
    portion: tuple[int, int] = (1, 1),
    codes: bool = False,
) -> Asked:
    """The request for these sections of a note. `portion`: which part of the talk the lines are, and of how many;
    `codes`: whether billing codes are to be proposed, too.
    """
    by_problem = _by_problem(request, sections)
    system, user = prompt.filled(
        {
            "language": _language(request.language),
            "template": _title(request),
            "style": LAYOUTS[request.style],
            "problems": _problems(request, sections),
            "form": _form(by_problem, codes),
            "sections": "\n".join(_section(one, request) for one in sections),
            "background": _tagged("background", _background(request.background)),
            "transcript": _tagged("transcript", [line.encoded for line in lines]),
            "portion": LAST_PORTION.format(number=portion[0], count=portion[1]) if portion[1] > 1 else "",
        }
    )
    return Asked(
        messages=(Message(role="system", text=system), Message(role="user", text=user)),
        schema=schema([one.key for one in sections], by_problem=by_problem, codes=codes),
    )


def numbered(items: Iterable[Utterance], longest: int) -> list[Line]:
    """Items in spoken order under short numbers from 1 on; one of more than `longest` characters in several lines."""
    lines: list[Line] = []
    for number, item in enumerate((one for one in items if one.text.strip()), 1):
        text = item.text.strip()
        lines += [Line.of(number, item, text[begin : begin + longest]) for begin in range(0, len(text), longest)]
    return lines


def schema(keys: Sequence[str], *, by_problem: bool, codes: bool = False) -> JsonSchema:
    """What an answer must look like, as JSON Schema.

    Only what OpenAI's strict mode, llama.cpp's grammars and vLLM's backends all know: every field is required, no other
    is allowed, and there are no bounds. The title comes last, so that the first section comes soon.
    """
    sentence: JsonSchema = {
        "text": {"type": "string"},
        "items": {"type": "array", "items": {"type": "integer"}},
        **({"problem": {"type": "string"}} if by_problem else {}),
    }
    section: JsonSchema = {
        "key": {"type": "string", "enum": list(keys)},
        "sentences": {"type": "array", "items": _object(sentence)},
    }
    code: JsonSchema = {
        "system": {"type": "string", "enum": [system.value for system in System]},
        "code": {"type": "string"},
        "description": {"type": "string"},
        "items": {"type": "array", "items": {"type": "integer"}},
    }
    return _object(
        {
            "sections": {"type": "array", "items": _object(section)},
            **({"codes": {"type": "array", "items": _object(code)}} if codes else {}),
            "title": {"type": "string"},
        }
    )


def encoded(value: object) -> str:
    """A value as JSON in one line, in whose texts no character has a meaning for a model's chat format."""
    return json.dumps(_escaped(value), ensure_ascii=False, separators=(", ", ": ")).replace("\\\\u00", "\\u00")


def _form(by_problem: bool, codes: bool) -> str:
    form = FORM_BY_PROBLEM if by_problem else FORM
    return form.replace(' "title":', f'{CODES} "title":') if codes else form


def _object(properties: JsonSchema) -> JsonSchema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _escaped(value: object) -> object:
    if isinstance(value, str):
        return _UNSEEN.sub(" ", value).replace("\\", "/").translate(ESCAPED)
    if isinstance(value, dict):
        return {str(_escaped(key)): _escaped(member) for key, member in value.items()}
    return value


def _unseen() -> re.Pattern[str]:
    """Characters that show nothing and steer something: controls, directions, halves of pairs; not joiners."""
    letters = (chr(code) for plane in PLANES for code in plane)
    unseen = [one for one in letters if unicodedata.category(one) in INVISIBLE and one not in JOINERS]
    return re.compile(f"[{''.join(map(re.escape, unseen))}\U000f0000-\U0010ffff]")


_UNSEEN: Final = _unseen()


def _tagged(name: str, lines: Sequence[str]) -> str:
    """JSON lines between tags that nothing within them can close; nothing where there are none."""
    return "\n".join([f"<{name}>", *lines, f"</{name}>"]) if lines else ""


def _background(known: Background) -> list[str]:
    """What is known beside the talk, a line for each thing."""
    lines = [encoded({"patient": {name[:LONGEST_NAME]: value for name, value in known.patient}})] * bool(known.patient)
    for name, text in (
        ("earlier_visits", known.history),
        ("context", known.context),
        ("earlier_note", known.earlier_note),
        ("wishes_of_the_clinician", known.instructions),
    ):
        if text.strip():
            lines.append(encoded({name: text.strip()}))
    lines += [encoded({"wish_for_section": key, "text": wish}) for key, wish in known.sections]
    return lines + [encoded({"written_message_of": who[:LONGEST_NAME], "text": text}) for who, text in known.chat]


def _section(section: SectionTemplate, request: NoteRequest) -> str:
    """One line on a section: its key, its title and what belongs there, as the operator's template has it."""
    title = request.template.in_language(section.title, request.language)
    guidance = f": {' '.join(section.guidance.split())}" if section.guidance else ""
    points = "; bullet points" if request.style is Style.AUTO and section.style is Style.BULLET_POINTS else ""
    return f"- {section.key} ({title}{points}){guidance}"


def _language(tag: str) -> str:
    """Language, script and region of a tag, in its usual spelling. A client may write anything behind them."""
    found = _LANGUAGE.match(tag.replace("_", "-").lower())
    if found is None:
        return UNKNOWN_LANGUAGE
    language, script, region = found.groups(default="")
    return "-".join(part for part in (language, script.capitalize(), region.upper()) if part)


def _title(request: NoteRequest) -> str:
    return request.template.in_language(request.template.title, request.language)


def _by_problem(request: NoteRequest, sections: Sequence[SectionTemplate]) -> bool:
    return request.split_by_problem and any(told_by_problem(one.key, request.language) for one in sections)


def _problems(request: NoteRequest, sections: Sequence[SectionTemplate]) -> str:
    if not _by_problem(request, sections):
        return ""
    keys = ", ".join(one.key for one in sections if told_by_problem(one.key, request.language))
    return (
        f"In {keys}: where the patient has several problems, tell them one after the other, and give each sentence the"
        ' name of its problem in the words of the talk ("problem"); leave it empty everywhere else.'
    )
