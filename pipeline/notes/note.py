"""What a note is: sections of sentences, each sentence with the transcript items it rests on."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from pipeline.notes.proposals import Proposal

# Who wrote a note: the values of `Note.generator`.
EXTRACT: Final = "embedded-extractive"
MODEL: Final = "model:"  # and the model's name behind it
PROVIDER: Final = "provider"


class Topic(StrEnum):
    """What a sentence is about. A template says which topics go into which of its sections."""

    COMPLAINT = "complaint"  # why the patient came
    HISTORY = "history"  # the present illness, in the patient's words
    PAST_MEDICAL = "past_medical"
    SURGICAL = "surgical"
    OBSTETRIC = "obstetric"
    FAMILY = "family"
    SOCIAL = "social"
    ALLERGIES = "allergies"
    MEDICATIONS = "medications"  # what the patient takes now
    IMMUNIZATIONS = "immunizations"
    VITALS = "vitals"
    LABS = "labs"
    IMAGING = "imaging"
    EXAM = "exam"
    ASSESSMENT = "assessment"
    PLAN = "plan"
    PRESCRIPTION = "prescription"
    APPOINTMENTS = "appointments"


class Style(StrEnum):
    """How a section is laid out. The values are the ones of Nabla's `section_style`."""

    AUTO = "auto"  # each section as its template says
    PARAGRAPHS = "paragraphs"
    BULLET_POINTS = "bullet_points"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSentence:
    """One sentence and its evidence."""

    text: str
    # Ids of 1 to 4 transcript items that hold its content words, in spoken order; none where a provider wrote it.
    items: tuple[str, ...]
    problem: str = ""  # what it is about, where its section is split by problem: the heading above it
    faults: tuple[str, ...] = ()  # codes of what its items do not bear out; it is shown all the same (a setting)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSection:
    """A section about which something was said: it has at least one sentence."""

    key: str
    title: str
    sentences: tuple[NoteSentence, ...]
    style: Style = Style.PARAGRAPHS  # never AUTO
    topics: tuple[Topic, ...] = ()  # that its template puts there

    @property
    def text(self) -> str:
        """The sentences as one paragraph, or one bullet point each; of each problem below its name."""
        problems = groupby(self.sentences, key=lambda sentence: sentence.problem)
        return "\n\n".join(
            f"{name}:\n{self._laid_out(of_it)}" if name else self._laid_out(of_it) for name, of_it in problems
        )

    def _laid_out(self, sentences: Iterable[NoteSentence]) -> str:
        if self.style is Style.BULLET_POINTS:
            return "\n".join(f"- {sentence.text}" for sentence in sentences)
        return " ".join(sentence.text for sentence in sentences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A clinical note. It is an extract of what was said when `generator` is "embedded-extractive", written by a
    language model when it is "model:" and the model's name, and "provider" when somebody edited it.
    """

    template: str
    title: str  # the complaint in a few words where one was named, else the template's title
    language: str  # of the sentences, as asked for ("en-US")
    sections: tuple[NoteSection, ...]
    generator: str = EXTRACT
    fallback: str = ""  # code of the error for which the embedded writer wrote it, and not the model; empty: none
    left_out: int = 0  # sentences that a writer wrote and that were dropped, because their items did not bear them out
    proposals: tuple[Proposal, ...] = ()  # billing codes that a model returned with it
