"""Summaries made of a note, or of several visits' notes: extracts again, which say nothing that is not there. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.notes.beside.plain import plainly
from pipeline.notes.english.wording import content_words
from pipeline.notes.note import Note, Topic
from pipeline.notes.templates import primary_language

_NEXT: Final = (Topic.PLAN, Topic.PRESCRIPTION, Topic.APPOINTMENTS)
_BULLET: Final = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_BETWEEN: Final = re.compile(r"(?<=[.!?])(?<!\bDr\.)(?<!\bMr\.)(?<!\bMrs\.)\s+(?=[A-Z])")  # sentences


TITLES: Final = {  # by language: why they came, what was thought, what comes next
    "en": ("Why you came", "What was said about it", "What comes next"),
    "fr": ("Pourquoi vous êtes là", "Ce qui en a été dit", "La suite"),
    "de": ("Weshalb Sie kamen", "Was dazu gesagt wurde", "Wie es weitergeht"),
}
PLAIN: Final = "en"


def patient_summary(note: Note) -> str:
    """What a patient may take home of a note: why they came, what was thought, what comes next. In English in plain
    language; a note in another one (a model's, or a provider's) is quoted as it stands. Empty: it says nothing of it.
    """
    language = primary_language(note.language)
    why = _texts(note, (Topic.COMPLAINT,))[:1]
    thought = _texts(note, (Topic.ASSESSMENT,))
    then = _texts(note, _NEXT)
    explained: set[str] = set()
    parts = zip(TITLES.get(language, TITLES[PLAIN]), (why, thought, then), strict=True)

    def told(text: str) -> list[str]:
        return plainly(text, explained) if language == PLAIN else [text]

    return "\n".join(
        f"{title}: {' '.join(plain for text in texts for plain in told(text))}" for title, texts in parts if texts
    )


def _texts(note: Note, topics: Sequence[Topic]) -> list[str]:
    sections = [section for section in note.sections if any(topic in topics for topic in section.topics)]
    return [sentence.text for section in sections for sentence in section.sentences]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One of a patient's visits, as its client has it: its note's parts, a summary, or both."""

    date: str  # ISO 8601
    provider: str = ""
    summary: str = ""
    subjective: str = ""
    objective: str = ""
    assessment: str = ""
    plan: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitSummary:
    """Several visits at a glance."""

    narrative: str  # a line for each visit, the oldest first
    findings: tuple[str, ...]  # what was measured or found, the newest first
    diagnoses: tuple[str, ...]  # the assessment of the last visit that has one


def visit_summary(visits: Iterable[Visit], focus: str = "") -> VisitSummary:
    """`focus`: only sentences with one of its words, unless there is none in all visits."""
    ordered = sorted(visits, key=lambda visit: visit.date)
    wanted = content_words(focus.lower().split())

    def about(sentence: str) -> bool:
        return not wanted.isdisjoint(content_words(sentence.lower().strip(".,;:!?").split()))

    focused = _summarised(ordered, about)
    return focused if focused.narrative or focused.findings else _summarised(ordered, lambda _: True)


def _summarised(visits: Sequence[Visit], about: Callable[[str], bool]) -> VisitSummary:
    told = [(visit, [*filter(about, _narrated(visit))]) for visit in visits]
    assessed = [[*filter(about, _sentences(visit.assessment))] for visit in visits]
    return VisitSummary(
        narrative="\n".join(f"{_headed(visit)}: {' '.join(sentences)}" for visit, sentences in told if sentences),
        findings=tuple(
            dict.fromkeys(each for visit in reversed(visits) for each in _sentences(visit.objective) if about(each))
        ),
        diagnoses=tuple(dict.fromkeys(next((each for each in reversed(assessed) if each), ()))),
    )


def _headed(visit: Visit) -> str:
    return f"{visit.date} ({visit.provider})" if visit.provider else visit.date


def _narrated(visit: Visit) -> Iterator[str]:
    if visit.summary:
        yield from _sentences(visit.summary)
    else:
        for part in (visit.subjective, visit.assessment, visit.plan):
            yield from _sentences(part)


def _sentences(text: str) -> list[str]:
    found = [each for line in text.splitlines() for each in _BETWEEN.split(_BULLET.sub("", line).strip()) if each]
    return [each if each.endswith((".", "!", "?")) else f"{each}." for each in found]
