"""The embedded note writer: an extract of what was said, put into sections by rules and small learned weights.

It needs no network, and writes the same note for the same transcript. It infers nothing: every sentence
is a passage of the talk in the third person, or a quotation, with the items that hold its words.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from pipeline.errors import NoteLanguageUnsupported, TranscriptTooShort
from pipeline.notes.english.contractions import in_full
from pipeline.notes.english.cues import Cue, spans
from pipeline.notes.english.pronouns import Sex, going_on, names_others, stated_sex, told_of
from pipeline.notes.english.units import units
from pipeline.notes.english.wording import clean, negations, split
from pipeline.notes.evidence.grounding import Wording, cite_wording, grounded_wording, wording_of
from pipeline.notes.extract.answers import answered, as_spoken
from pipeline.notes.extract.antecedents import with_antecedents
from pipeline.notes.extract.dictation import is_dictated
from pipeline.notes.extract.exchanges import Exchange, Passage, passages
from pipeline.notes.extract.extraction import measurements, medications
from pipeline.notes.extract.phrasing import quotation, statement
from pipeline.notes.extract.selection import Candidate, Selection
from pipeline.notes.extract.speakers import with_guessed_roles
from pipeline.notes.extract.topics import Placed, place
from pipeline.notes.note import Note, NoteSection, NoteSentence, Style, Topic
from pipeline.notes.problems import by_problem, symptoms, told_by_problem
from pipeline.notes.request import SHORTEST_TRANSCRIPT
from pipeline.notes.templates import Template, primary_language
from pipeline.types import Role, Utterance

T = TypeVar("T")

LANGUAGE = "en"
MOST_IN_TITLE = 3  # symptoms
PROSE: Final = frozenset({Topic.HISTORY, Topic.ASSESSMENT, Topic.PLAN})  # topics told, not listed
SURE_SIGNS: Final = frozenset(
    {
        Cue.SYMPTOM, Cue.CONDITION, Cue.DRUG, Cue.MEDICATION, Cue.SURGERY, Cue.OBSTETRIC, Cue.VACCINE, Cue.ALLERGY,
        Cue.VITAL, Cue.FINDING,
    }
)  # fmt: skip
VAGUE_SIGNS: Final = frozenset(
    {Cue.BODY, Cue.LAB, Cue.IMAGING, Cue.REFERRAL, Cue.VISIT, Cue.SOCIAL, Cue.ADVICE, Cue.FAMILY}
)
LANGUAGE_TAG: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


def write_note(
    utterances: Sequence[Utterance],
    template: Template,
    *,
    language: str,
    style: str = "auto",
    split_by_problem: bool = False,
    least_words: int = SHORTEST_TRANSCRIPT,
    wanted: Callable[[], object] = lambda: None,
) -> Note:
    """A note of a consultation.

    `language` is a language tag ("en-US"); `style` one of `Style`. Utterances may come in any order and may lack marks,
    capitals and roles. A section about which nothing was said is left out. `split_by_problem`: whether the history is
    told problem by problem, each below its name, where there are several (Nabla's page names the sections). `wanted` is
    called again and again: what it raises ends the writing.

    Raises: `NoteLanguageUnsupported` for any language but English; `TranscriptTooShort` when fewer than
    `least_words` were said in all, or nothing that belongs into a section of the template.
    """
    check_language(language)
    layout = Style(style)
    spoken = sum(len(item.text.split()) for item in utterances)
    if spoken < least_words:
        raise TranscriptTooShort
    cleaned = {item.id: clean(item.text) for item in watching(utterances, wanted)}
    said = units(utterances, cleaned)
    dictated = is_dictated(said)
    spoken_units = said if dictated else with_guessed_roles(said)
    placed = place(watching(with_antecedents(passages(spoken_units)), wanted), dictated=dictated)
    if not _about_health(placed):
        raise TranscriptTooShort
    sex = stated_sex(spoken_units)
    selection = Selection(placed, _Writer(cleaned, sex, wanted), spoken, complete=dictated)
    sections = tuple(_sections(template, selection, language, layout, split_by_problem, sex))
    if not sections:
        raise TranscriptTooShort
    return Note(
        template=template.name,
        title=_title(placed) or template.in_language(template.title, language),
        language=language,
        sections=sections,
    )


def _about_health(placed: Iterable[Placed]) -> bool:
    """Whether a talk is about health as far as words tell: one sure sign, or two vague ones in different words."""
    vague: set[tuple[str, ...]] = set()
    for one in placed:
        said = one.passage.words
        for begin, end, kinds in spans(said):
            if kinds & VAGUE_SIGNS:
                vague.add(said[begin:end])
            if kinds & SURE_SIGNS or len(vague) > 1:
                return True
    return False


def check_language(language: str) -> None:
    """Raises `NoteLanguageUnsupported` for any language tag but English ones."""
    if primary_language(language) != LANGUAGE:
        named = language if LANGUAGE_TAG.fullmatch(language) else "this language"
        raise NoteLanguageUnsupported(f"The embedded note writer writes English only, not {named}.")


def watching(each: Iterable[T], wanted: Callable[[], object]) -> Iterator[T]:
    """The same, as long as it is wanted."""
    for one in each:
        wanted()
        yield one


class _Writer:
    """Makes sentences of placed passages, looking at each transcript item once."""

    def __init__(
        self, cleaned: Mapping[str, tuple[str, ...]], sex: Sex | None, wanted: Callable[[], object] = lambda: None
    ) -> None:
        self._cleaned = cleaned
        self._sex = sex
        self._wanted = wanted
        self._heard: dict[str, Wording] = {}  # items looked at so far, by id

    def __call__(self, placed: Placed) -> Iterator[Candidate]:
        """A passage as one or more sentences that rest on what was said; what does not is dropped."""
        self._wanted()
        passage = placed.passage
        around = {item: self._wording(item) for item in passage.items}
        for plain in _sentences(passage, placed.topic):
            for text in (in_full(told_of(plain, passage.words, self._sex)), _as_spoken(passage)):
                said = wording_of(split(text))
                cited = cite_wording(said, around, _always(passage)) or passage.items[:1]
                if grounded_wording(said, [around[item] for item in cited]):
                    yield Candidate(
                        sentence=NoteSentence(text=text, items=cited),
                        wording=said,
                        topic=placed.topic,
                        order=placed.order,
                        others=names_others(passage.words),
                    )
                    break

    def _wording(self, item: str) -> Wording:
        if item not in self._heard:
            self._heard[item] = wording_of(self._cleaned[item])
        return self._heard[item]


def _sentences(passage: Passage, topic: Topic) -> tuple[str, ...]:
    """What a passage says, in the style of a note."""
    if isinstance(passage, Exchange):
        return (answered(passage),)
    if topic is Topic.MEDICATIONS and passage.role is Role.PATIENT:
        return medications(passage.tokens) or (statement(passage, topic),)
    if topic is Topic.VITALS:
        pieces = measurements(passage.tokens) or (passage.tokens,)
        return tuple(statement(replace(passage, tokens=piece), topic) for piece in pieces)
    return (statement(passage, topic),)


def _as_spoken(passage: Passage) -> str:
    return as_spoken(passage) if isinstance(passage, Exchange) else quotation(passage.role, passage.tokens)


def _always(passage: Passage) -> tuple[str, ...]:
    """Items without which a sentence would not be true: a question and the reply to it."""
    return passage.items if isinstance(passage, Exchange) else ()


def _sections(
    template: Template, selection: Selection, language: str, layout: Style, split_by_problem: bool, sex: Sex | None
) -> Iterator[NoteSection]:
    """The template's sections about which something was said."""
    complaint: tuple[NoteSentence, ...] = ()  # that another section has
    for section in template.sections:
        taken = [one for topic in section.topics for one in selection.take(topic)]
        kept = tuple(_as_prose(taken, sex))
        if split_by_problem and told_by_problem(section.key, language):
            kept = by_problem(kept, [one.topic for one in taken], complaint)
        elif Topic.COMPLAINT in section.topics:
            complaint = kept
        if kept:
            yield NoteSection(
                key=section.key,
                title=template.in_language(section.title, language),
                sentences=kept,
                style=section.style if layout is Style.AUTO else layout,
                topics=section.topics,
            )


def _as_prose(taken: Sequence[Candidate], sex: Sex | None) -> Iterator[NoteSentence]:
    """Sentences, with "he" or "she" for the patient behind a sentence of the same topic that names nobody else."""
    before: Candidate | None = None
    for one in taken:
        follows = before is not None and before.topic is one.topic and not before.others and not one.others
        text = going_on(one.sentence.text, sex) if sex is not None and follows and one.topic in PROSE else ""
        yield replace(one.sentence, text=text) if text else one.sentence
        before = one


def _title(placed: Iterable[Placed]) -> str:
    """The symptoms that the complaint names, in its own words: "Cough and fever"; empty when it names none."""
    complaint = next((one.passage.words for one in placed if one.topic is Topic.COMPLAINT), ())
    if negations(complaint):
        return ""
    shown = list(dict.fromkeys(symptoms(complaint)))[:MOST_IN_TITLE]
    joined = " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
    return joined[:1].upper() + joined[1:]
