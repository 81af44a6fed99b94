"""Which problem each sentence of a section is about, and the names of problems, both in the words of the talk."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from pipeline.notes.english.cues import Cue, cues, spans
from pipeline.notes.english.vocabulary import phrase_set, word_set
from pipeline.notes.english.wording import negations, split, stem, words
from pipeline.notes.note import NoteSentence, Topic
from pipeline.notes.templates import primary_language

Stems: TypeAlias = tuple[str, ...]

BY_PROBLEM: Final = frozenset({"HISTORY_OF_PRESENT_ILLNESS", "SOAP_SUBJECTIVE"})  # sections, as on Nabla's page
TOLD: Final = frozenset({Topic.COMPLAINT, Topic.HISTORY})  # their topics that are told problem by problem
REST: Final = "Other history"  # heading of all else in such a section: medication, allergies, family, …
MENTIONS: Final = 2  # of a symptom that make it a problem of its own, and not one more sign of another


def _stems(name: str) -> Stems:
    return tuple(map(stem, name.split()))


def _all_stems(phrases: str) -> frozenset[Stems]:
    return frozenset(map(_stems, phrase_set(phrases)))


# Symptom words that name no problem alone.
_UNNAMED: Final = _all_stems(
    """
    symptom, blood, breath, breathing, sick, ill, illness, unwell, fall, fell, injured, injury, twisted, throat,
    swallow, sleep, sleeping, trouble, problems with, issues with, vision, appetite, mood, memory, temperature, urinate,
    pee, urine, periods, stool, stools, burn, racing, pounding, sore, tight, stiff, painful, hurt, bring up
    """
)
# Signs that go with something else, named or not, and pains in no place: no problem that others stand beside.
_SIGNS: Final = _all_stems(
    """
    fever, feverish, chills, chilling, sweats, night sweats, sweating, nausea, nauseous, nauseated, vomit, throw up,
    threw up, throwing up, swelling, swollen, numb, numbness, tingling, weak, weakness, bruising, bruise, thirst,
    thirsty, mucus, phlegm, sputum, pain, ache, achy, soreness, stiffness, limp, limping, popping, clicking, giving out,
    locking
    """
)
_FEELINGS: Final = word_set(  # followed by where they are: "pain in my left knee", named "knee pain"
    "pain ache soreness stiffness swelling numbness tingling weakness tightness burning cramps cramping"
)
_BEFORE_BODY: Final = word_set("sore stiff swollen numb painful itchy weak tight bloated blurry blurred")
_FUNCTIONS: Final = word_set("throat vision")  # named like parts of the body
_TROUBLE: Final = word_set("trouble difficulty problems")  # followed by what is hard: "trouble sleeping"
_JOINTS: Final = word_set("in on of around at my the his her their your patient's a left right both lower upper")
_OWNERS: Final = word_set("my his her their patient's")
_SPREADING: Final = word_set("goes go going down radiates radiating spreads spreading shoots shooting moves travels")
_VAGUE: Final = phrase_set("disease, disorder, syndrome, infection, virus, viral, strain, tear, broken, deficiency")


def symptoms(lower_words: Sequence[str]) -> list[str]:
    """The symptoms that words name, in order, each with the part of the body it is in: "back pain", "sore throat".

    Never with a side: a slip of the tongue is put right later in the talk.
    """
    named: list[str] = []
    owned = 0  # words before this one belong to a symptom already named
    for begin, end, kinds in spans(lower_words):
        if Cue.SYMPTOM not in kinds or begin < owned:
            continue
        name, begin, end = _named_symptom(lower_words, owned, begin, end)
        if _stems(name) not in _UNNAMED:
            named.append(name)
            owned = end
    return named


def told_by_problem(key: str, language: str) -> bool:
    """Whether a section can be split so, by any writer: two of them, in English (Nabla's page of listen_async)."""
    return key in BY_PROBLEM and primary_language(language) == "en"


def by_problem(
    sentences: Sequence[NoteSentence], topics: Sequence[Topic], before: Sequence[NoteSentence] = ()
) -> tuple[NoteSentence, ...]:
    """The sentences of a section, those of one problem together, in the order in which the problems came up.

    `topics`: of each sentence; what is not of `TOLD`, such as medication, comes last. `before`: what another section
    says of why the patient came. A problem is a symptom, or a disease that the patient calls theirs, that the first
    sentence names, or that is named several times; never where it is only denied. A sentence that is about none is
    about the one before it; one that brings up several stands above all headings. Where there are fewer than two,
    nothing is changed.
    """
    read = [_Sentence.of(each) for each, topic in zip(sentences, topics, strict=True) if topic in TOLD]
    rest = [each for each, topic in zip(sentences, topics, strict=True) if topic not in TOLD]
    problems = _problems([*map(_Sentence.of, before), *read])
    above: list[NoteSentence] = []
    told: dict[str, list[NoteSentence]] = {}
    introduced: set[Stems] = set()
    current: Stems | None = None
    for one in read:
        about = one.about(problems, current)
        new = [problem for problem in about if problem not in introduced]
        introduced.update(new)
        if len(new) > 1 or (not about and current is None):
            above.append(one.sentence)
            continue
        if about and current not in about:
            current = new[0] if new else about[0]
        assert current is not None
        told.setdefault(problems[current], []).append(replace(one.sentence, problem=problems[current]))
    if len(told) < 2:
        return tuple(sentences)
    ordered = (sentence for each in told.values() for sentence in each)
    return (*above, *ordered, *(replace(sentence, problem=REST) for sentence in rest))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sentence:
    """A sentence, and what it speaks of."""

    sentence: NoteSentence
    named: tuple[str, ...]  # problems it may bring up; none where it denies anything
    mentioned: tuple[Stems, ...]  # symptoms and diseases, also denied ones
    places: frozenset[str]  # stems of parts of the body
    spreads: bool  # whether a pain is said to go to one of those places

    @classmethod
    def of(cls, sentence: NoteSentence) -> "_Sentence":
        said = words(split(sentence.text))
        found = symptoms(said)
        body = [stem(said[at]) for begin, end, kinds in spans(said) if Cue.BODY in kinds for at in range(begin, end)]
        return cls(
            sentence=sentence,
            named=() if negations(said) else (*found, *_owned_diseases(said)),
            mentioned=tuple(map(_stems, (*found, *_diseases(said)))),
            places=frozenset((*body, *(stem(word) for word in said if word in _FUNCTIONS))),
            spreads=not _SPREADING.isdisjoint(said),
        )

    def about(self, problems: Iterable[Stems], current: Stems | None) -> list[Stems]:
        """The problems it speaks of: by their names or places, else by a name without the place: "the pain"."""
        problems = list(problems)
        if named := [each for each in problems if each in self.mentioned or not self.places.isdisjoint(each)]:
            return named
        implied = [each for each in problems if any(each[-len(bare) :] == bare for bare in self.mentioned)]
        if self.places and not self.spreads:  # a pain, but in another place
            return []
        return [current] if current in implied else implied[:1]


def _problems(read: Sequence[_Sentence]) -> dict[Stems, str]:
    """Problems with their headings, in the order in which they came up; "pain" is none beside "back pain"."""
    opening = next((one.named for one in read if one.named), ())
    problems: dict[Stems, str] = {}
    for name in dict.fromkeys(name for one in read for name in one.named):
        stems = _stems(name)
        known = any(each[-len(stems) :] == stems or each[0] == stems[0] for each in problems)
        if not known and (name in opening or sum(one.mentioned.count(stems) for one in read) >= MENTIONS):
            problems[stems] = name[:1].upper() + name[1:]
    return {
        stems: name
        for stems, name in problems.items()
        if stems not in _SIGNS and not any(each != stems and each[-len(stems) :] == stems for each in problems)
    }


def _named_symptom(lower_words: Sequence[str], owned: int, begin: int, end: int) -> tuple[str, int, int]:
    """A symptom's name, and where the words begin and end that it is made of."""
    while begin > owned and _is_body(lower_words[begin - 1]):
        begin -= 1
    name, word = " ".join(lower_words[begin:end]), lower_words[end - 1]
    following = end
    if word in _FEELINGS and end - begin == 1:
        while following < len(lower_words) and lower_words[following] in _JOINTS:
            following += 1
        if following > end and (place := _body_at(lower_words, following)):
            return f"{place} {word}", begin, following + 1
    if word in _BEFORE_BODY and (place := _body_at(lower_words, end)):
        return f"{name} {place}", begin, end + 1
    if word in _TROUBLE and end < len(lower_words) and lower_words[end].endswith("ing"):
        return f"{name} {lower_words[end]}", begin, end + 1
    return name, begin, end


def _body_at(lower_words: Sequence[str], at: int) -> str:
    word = lower_words[at] if at < len(lower_words) else ""
    return word if word and (_is_body(word) or word in _FUNCTIONS) else ""


def _is_body(word: str) -> bool:
    return Cue.BODY in cues(("my", word))  # "back", too, is one here


def _diseases(lower_words: Sequence[str]) -> Iterator[str]:
    return (
        " ".join(lower_words[begin:end])
        for begin, end, kinds in spans(lower_words)
        if Cue.CONDITION in kinds and Cue.SYMPTOM not in kinds
    )


def _owned_diseases(lower_words: Sequence[str]) -> Iterator[str]:
    """Diseases that are called the patient's own, never those that somebody only fears or a relative has."""
    if Cue.KIN in cues(lower_words):
        return
    for begin, end, kinds in spans(lower_words):
        name = " ".join(lower_words[begin:end])
        if Cue.CONDITION in kinds and begin and lower_words[begin - 1] in _OWNERS and name not in _VAGUE:
            yield name
