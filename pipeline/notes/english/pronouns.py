"""The pronouns of the patient, where the doctor said which: "a 58 year old male", "Mrs Smith". Nobody guesses."""

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Final

from pipeline.notes.english.persons import KIN, PLURAL_PRONOUNS
from pipeline.notes.english.units import Unit
from pipeline.notes.english.verbs import is_adverb, third_person
from pipeline.notes.english.vocabulary import word_set
from pipeline.types import Role

NAMED_BY = 0.15  # part of the talk in which a doctor greets the patient by title and name
AGE_REACH = 4  # words between "year old" and "male"
SINGULAR_PRONOUNS: Final = word_set("he he's he'd he'll him his himself she she's she'd she'll her hers herself")
OTHERS: Final = KIN | SINGULAR_PRONOUNS | PLURAL_PRONOUNS | word_set("baby child kids children twins boy girl")


class Sex(StrEnum):
    """Of the patient, as the doctor said it."""

    FEMALE = "female"
    MALE = "male"


NOUNS: Final = {
    **dict.fromkeys(("male", "man", "gentleman", "boy"), Sex.MALE),
    **dict.fromkeys(("female", "woman", "lady", "girl"), Sex.FEMALE),
}
TITLES: Final = {"mr": Sex.MALE, "mister": Sex.MALE, **dict.fromkeys(("mrs", "ms", "miss", "misses"), Sex.FEMALE)}
_FORMS: Final = {
    Sex.MALE: {"they": "he", "them": "him", "their": "his", "theirs": "his", "themselves": "himself"},
    Sex.FEMALE: {"they": "she", "them": "her", "their": "her", "theirs": "hers", "themselves": "herself"},
}


def stated_sex(units: Iterable[Unit]) -> Sex | None:
    """The sex that the talk gives the patient; None where nobody says it, or where it is said in two ways.

    What a patient says is about other people, and so is what a doctor says of relatives.
    """
    said = {
        sex
        for unit in units
        if unit.role is not Role.PATIENT and KIN.isdisjoint(unit.words)
        for sex in (*_with_age(unit.words), *(_titled(unit.words) if unit.position <= NAMED_BY else ()))
    }
    return said.pop() if len(said) == 1 else None


def _with_age(said: Sequence[str]) -> Iterable[Sex]:
    for at, word in enumerate(said):
        if word == "old" or word.endswith("-old"):
            yield from (NOUNS[near] for near in said[at + 1 : at + 1 + AGE_REACH] if near in NOUNS)


def _titled(said: Sequence[str]) -> Iterable[Sex]:
    """Titles in front of a name; "miss" alone is also a verb."""
    for at, word in enumerate(said[:-1] if said[-1:] == ("miss",) else said):
        if word in TITLES and (word != "miss" or at == 0 or said[at - 1] in ("hi", "hello", "morning", "afternoon")):
            yield TITLES[word]


def told_of(text: str, source: Collection[str], sex: Sex | None) -> str:
    """A sentence about the patient with the pronouns of their sex; as it is where somebody else is spoken of.

    `source`: the words that were said. A sentence takes its "they" from the writer only where the source has none.
    """
    if sex is None or not OTHERS.isdisjoint(source):
        return text
    forms = _FORMS[sex]
    told = text.split(" ")
    for at, token in enumerate(told):
        bare = token.strip("\"'.,;:!?").lower()
        if bare not in forms:
            continue
        if bare == "they":
            verb = next((place for place in range(at + 1, len(told)) if not is_adverb(told[place].lower())), 0)
            form = third_person(told[verb].strip(".,;:").lower()) if verb else None
            if form is None:
                return text
            told[verb] = told[verb].replace(told[verb].strip(".,;:"), form)
        form = forms[bare]
        told[at] = token.lower().replace(bare, form.capitalize() if token[0].isupper() else form)
    return " ".join(told)


def names_others(source: Collection[str]) -> bool:
    """Whether words speak of anybody beside doctor and patient, whom "he" or "she" could mean as well."""
    return not OTHERS.isdisjoint(source)


def going_on(text: str, sex: Sex) -> str:
    """A sentence behind another one about the patient: "Patient has a cough." → "She has a cough."."""
    subject, possessive = _FORMS[sex]["they"], _FORMS[sex]["their"]
    for opening, told in (
        ("Patient's ", f"{possessive} "),
        ("Patient ", f"{subject} "),
        ("Reports ", f"{subject} reports "),
        ("Denies ", f"{subject} denies "),
    ):
        if text.startswith(opening):
            told += text.removeprefix(opening)
            return told[:1].upper() + told[1:]
    return text
