"""A language model's answer, read while it is written: each section as soon as its last bracket has come.

Tolerant of what models of one's own put around it (thoughts in <think> tags, code fences, a sentence before or behind),
of numbers written as texts, and of sections nobody asked for; strict about its size and about what is no JSON.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from pipeline.errors import ModelBrokenAnswer

T = TypeVar("T")

DEEPEST = 8  # brackets within brackets; an answer has five
TAIL = 32  # characters that are kept while the beginning is looked for
MOST_SENTENCES = 500  # of a section
MOST_CODES = 50  # of a note
LONGEST_CODE = 16  # characters
LONGEST_DESCRIPTION = 200  # characters
LONGEST_SENTENCE = 1_000  # characters; longer ones are no sentences
LONGEST_NAME = 200  # characters of a title, and of a problem
MOST_NUMBERS = 16  # lines that a sentence or a code may name; four of them are cited at most
_BEGINS: Final = re.compile(r"\{\s*\"(?:sections|title)\"\s*:")
_THINKS: Final = re.compile(r"<(think|thinking|thought|reasoning)>")
_SECTIONS: Final = re.compile(r"\"sections\"\s*:\s*$")
_NUMBER: Final = re.compile(r"\d{1,6}")


class _Sentence(msgspec.Struct):
    text: str
    items: list[int | str | float] = []
    problem: str | None = ""


class _Section(msgspec.Struct):
    key: str
    sentences: list[_Sentence | str] = []


class _Code(msgspec.Struct):
    system: str
    code: str
    description: str | None = ""
    items: list[int | str | float] = []


class _Rest(msgspec.Struct):
    title: str | None = ""
    codes: msgspec.Raw = msgspec.Raw(b"[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredSentence:
    """One sentence as the model wrote it."""

    text: str
    numbers: tuple[int, ...]  # of the lines that it names
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredCode:
    """One billing code as the model wrote it; system and code may be anything."""

    system: str
    code: str
    description: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredSection:
    """One section as the model wrote it; the key may be any."""

    key: str
    sentences: tuple[AnsweredSentence, ...]


class Answer:
    """Is fed the pieces of one answer."""

    def __init__(self, longest: int) -> None:
        """`longest`: characters of the answer, thoughts included."""
        self.title = ""
        self.codes: tuple[AnsweredCode, ...] = ()
        self.finished = False  # whether the last bracket has come
        self._longest = longest
        self._length = 0
        self._before = ""  # the tail of what came before the JSON began
        self._closing = ""  # the tag that ends the model's thoughts
        self._text = ""  # the JSON so far
        self._at = 0  # how much of it was looked at
        self._open: list[tuple[str, int]] = []  # brackets, and where they stand
        self._in_string = False
        self._escaped = False

    @property
    def begun(self) -> bool:
        """Whether any JSON has come."""
        return bool(self._text)

    def feed(self, piece: str) -> Iterator[AnsweredSection]:
        """Sections that this piece finishes. Raises `ModelBrokenAnswer`."""
        self._length += len(piece)
        if self._length > self._longest:
            raise ModelBrokenAnswer("The language model's answer is too long.")
        if self.finished:
            return
        if self._text:
            self._text += piece
        elif not self._begin(piece):
            return
        yield from self._scan()

    def end(self) -> None:
        """No more pieces come. Raises `ModelBrokenAnswer` where the answer is not whole."""
        if not self.finished:
            raise ModelBrokenAnswer("The language model's answer is not whole.")

    def _begin(self, piece: str) -> bool:
        """Look for the beginning of the JSON, behind whatever the model thinks aloud."""
        self._before += piece
        while True:
            if self._closing:
                _, closed, rest = self._before.partition(self._closing)
                self._before = rest if closed else self._before[-TAIL:]
                if not closed:
                    return False
                self._closing = ""
            thinks, begins = _THINKS.search(self._before), _BEGINS.search(self._before)
            if begins is not None and (thinks is None or begins.start() < thinks.start()):
                self._text, self._before = self._before[begins.start() :], ""
                return True
            if thinks is None:
                # A brace with nothing but spaces behind it may be the beginning.
                brace = self._before.rfind("{")
                self._before = self._before[max(0, len(self._before) - 4 * TAIL, brace) if brace >= 0 else -TAIL :]
                return False
            self._closing, self._before = f"</{thinks[1]}>", self._before[thinks.end() :]

    def _scan(self) -> Iterator[AnsweredSection]:
        """Follow the brackets; a section is what closes within the list of sections."""
        while self._at < len(self._text) and not self.finished:
            mark = self._text[self._at]
            if self._in_string:
                self._in_string, self._escaped = self._escaped or mark != '"', mark == "\\" and not self._escaped
            elif mark == '"':
                self._in_string = True
            elif mark in "{[":
                self._open.append((mark, self._at))
                if len(self._open) > DEEPEST:
                    raise ModelBrokenAnswer
            elif mark in "}]":
                yield from self._close(mark)
            self._at += 1

    def _close(self, mark: str) -> Iterator[AnsweredSection]:
        opened, begin = self._open.pop()
        if opened != {"}": "{", "]": "["}[mark]:
            raise ModelBrokenAnswer
        if not self._open:
            rest = _decoded(self._text[: self._at + 1], _Rest)
            self.title = _name(rest.title)
            self.codes = _codes(rest.codes)
            self.finished = True
        elif mark == "}" and len(self._open) == 2 and self._is_list_of_sections():
            yield _section(_decoded(self._text[begin : self._at + 1], _Section))

    def _is_list_of_sections(self) -> bool:
        """Whether the second bracket that is open begins the value of "sections"."""
        begin = self._open[1][1]
        return _SECTIONS.search(self._text[max(0, begin - 4 * TAIL) : begin]) is not None


def _section(section: _Section) -> AnsweredSection:
    sentences = [_Sentence(text=one) if isinstance(one, str) else one for one in section.sentences[:MOST_SENTENCES]]
    return AnsweredSection(key=section.key, sentences=tuple(map(_sentence, sentences)))


def _codes(raw: msgspec.Raw) -> tuple[AnsweredCode, ...]:
    """The codes, or none where they cannot be read: a note is worth more than they are."""
    try:
        return tuple(map(_code, msgspec.json.decode(raw, type=list[_Code])[:MOST_CODES]))
    except msgspec.DecodeError:
        return ()


def _code(code: _Code) -> AnsweredCode:
    return AnsweredCode(
        system=code.system.strip(),
        code=code.code.strip()[:LONGEST_CODE],
        description=" ".join((code.description or "")[:LONGEST_DESCRIPTION].split()),
        numbers=_numbers(code.items),
    )


def _sentence(sentence: _Sentence) -> AnsweredSentence:
    return AnsweredSentence(
        text=" ".join(sentence.text[:LONGEST_SENTENCE].split()),
        numbers=_numbers(sentence.items),
        problem=_name(sentence.problem),
    )


def _name(text: str | None) -> str:
    return " ".join((text or "")[:LONGEST_NAME].split())


def _numbers(items: Sequence[int | str | float]) -> tuple[int, ...]:
    """Numbers of lines, however they are written."""
    found = [_NUMBER.search(str(item)) for item in items[:MOST_NUMBERS]]
    return tuple(dict.fromkeys(int(number[0]) for number in found if number))


def _decoded(text: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as exc:
        raise ModelBrokenAnswer from exc
