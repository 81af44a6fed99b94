"""Which problem each sentence of a section is about, and the names of problems, both in the words of the talk."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from pipeline.notes.cues import Cue, cues, spans
from pipeline.notes.note import NoteSentence
from pipeline.notes.wording import negations, split, stem, words

Stems: TypeAlias = tuple[str, ...]

UNNAMED: Final = frozenset({("symptoms",), ("symptom",), ("blood",), ("breath",), ("sick",), ("fall",), ("fell",)})
MENTIONS = 2  # of a symptom that make it a problem of its own, and not one more sign of another


def symptoms(lower_words: Sequence[str]) -> list[str]:
    """The symptoms that words name, in order, each with the part of the body before it: "back pain"."""
    named: list[str] = []
    owned = 0  # words before this one belong to a symptom already named
    for begin, end, kinds in spans(lower_words):
        if Cue.SYMPTOM not in kinds or tuple(lower_words[begin:end]) in UNNAMED:
            continue
        while begin > owned and Cue.BODY in cues(("my", lower_words[begin - 1])):  # "back", too, is one here
            begin -= 1  # never with a side: a slip of the tongue is put right later in the talk
        named.append(" ".join(lower_words[begin:end]))
        owned = end
    return named


def by_problem(sentences: Sequence[NoteSentence]) -> tuple[NoteSentence, ...]:
    """The sentences of a section, those of one problem together, in the order in which the problems came up.

    A problem is a symptom that the first sentence names, or that is named more than once; never where it is denied. A
    sentence that names none is about the one before it. Where there are fewer than two, nothing is changed.
    """
    named = [_named(sentence) for sentence in sentences]
    counted = Counter(stems for each in named for stems, _ in each)
    opening = next((each for each in named if each), [])
    problems: dict[Stems, str] = {}
    for each in named:
        for stems, name in each:
            if ((stems, name) in opening or counted[stems] >= MENTIONS) and _about(stems, problems) is None:
                problems[stems] = name
    if len(problems) < 2:
        return tuple(sentences)
    current = next(iter(problems))
    told: dict[Stems, list[NoteSentence]] = {}
    for sentence, each in zip(sentences, named, strict=True):
        mentioned = [about for stems, _ in each if (about := _about(stems, problems)) is not None]
        if mentioned and current not in mentioned:
            current = mentioned[0]
        told.setdefault(current, []).append(replace(sentence, problem=_headed(problems[current])))
    return tuple(sentence for each in told.values() for sentence in each) if len(told) > 1 else tuple(sentences)


def _named(sentence: NoteSentence) -> list[tuple[Stems, str]]:
    """The symptoms that a sentence names, each with the stems of its words; none where it denies anything."""
    said = words(split(sentence.text))
    return [] if negations(said) else [(tuple(map(stem, name.split())), name) for name in symptoms(said)]


def _about(stems: Stems, problems: Iterable[Stems]) -> Stems | None:
    """The problem that these words name, also where they leave out the part of the body: "the pain"."""
    return next((each for each in problems if each[-len(stems) :] == stems), None)


def _headed(name: str) -> str:
    return name[:1].upper() + name[1:]
