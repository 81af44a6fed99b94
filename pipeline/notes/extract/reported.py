"""Where to note what a patient says, or answers. Tried from the surest rule to the vaguest."""

from collections.abc import Sequence
from typing import Final

from pipeline.notes.english.cues import Cue, cues
from pipeline.notes.english.questions import lead_length
from pipeline.notes.english.vocabulary import word_set
from pipeline.notes.english.wording import SIDES
from pipeline.notes.extract.exchanges import Answer, Exchange, Passage
from pipeline.notes.extract.placing import EXAM_FROM, FIRST_PERSON, Found, Place, has
from pipeline.notes.note import Topic

HISTORY_SCORE = 1.0
ADJACENT = 0.4  # what follows the story belongs to it more likely

# Diseases that are the present complaint more often than a past one.
ACUTE: Final = word_set("cold flu virus viral infection sprain strain covid fracture tear broken bronchitis")
ONGOING: Final = word_set("have has had diagnosed history with i've got as")
UNSURE: Final = word_set("wonder wondering worried afraid scared concerned thought might maybe could if think")
PRESENT_TAKING: Final = word_set("take takes taking use using on i'm")
PAST_TAKING: Final = word_set("took tried stopped used ran quit gave")

PRIOR: Final = word_set("prior previous past")

RELATIVES: Final = word_set(
    """
    mother father mom mum dad brother sister brothers sisters parents grandmother grandfather grandma grandpa aunt
    uncle cousin son daughter wife husband kids children
    """
)
THEM: Final = word_set("he he's she she's his her they they're")
BARE_VERBS: Final = word_set("has had was died")  # the subject was named before
DEAD: Final = frozenset({"died", "deceased"})  # never the patient
AFFLICTED: Final = word_set("died passed healthy alive well deceased")
MEDICAL: Final = (Cue.ALLERGY, Cue.DRUG, Cue.MEDICATION, Cue.SURGERY, Cue.CONDITION, Cue.VACCINE, Cue.OBSTETRIC)

FOLLOWS_ON: Final = word_set("it it's that that's they this those these")
INHERITED: Final = frozenset({Topic.ALLERGIES, Topic.MEDICATIONS, Topic.FAMILY, Topic.SURGICAL, Topic.PAST_MEDICAL})


def reported(passage: Passage, found: Found, before: Topic | None) -> Place | None:
    """The place of a patient's statement or answer; `before` is the topic of the passage before it."""
    if before is not None and goes_on(passage, before):
        return Place(before)
    return _family(passage, found) or _past(passage, found) or _present(passage, found, before)


def goes_on(passage: Passage, before: Topic) -> bool:
    """Whether a statement speaks of what the one before it named: "It gave me a rash", "He died at 60"."""
    if isinstance(passage, Exchange):
        return False
    first = passage.words[0]
    if before is Topic.FAMILY and first == "my" and not RELATIVES.isdisjoint(passage.words[1:2]):
        return True
    if before is Topic.FAMILY and FIRST_PERSON.isdisjoint(passage.words):
        return first in THEM or first in BARE_VERBS or first in FOLLOWS_ON
    return before in INHERITED and first in FOLLOWS_ON


def _family(passage: Passage, found: Found) -> Place | None:
    said = passage.words
    others = FIRST_PERSON.isdisjoint(said)
    if others and (DEAD.intersection(said) or (_names_relative(said) and has(found, *MEDICAL))):
        return Place(Topic.FAMILY, 2.0 + found[Cue.CONDITION])
    afflicted = found[Cue.KIN] and (found[Cue.CONDITION] or AFFLICTED.intersection(said)) and not found[Cue.ALLERGY]
    if found[Cue.FAMILY] or afflicted:
        return Place(Topic.FAMILY, 2.0 + found[Cue.CONDITION])
    return None


def _names_relative(said: Sequence[str]) -> bool:
    """Whether a relative is the subject: "my wife is allergic to nuts"."""
    begin = lead_length(said)
    return said[begin : begin + 1] == ("my",) and not RELATIVES.isdisjoint(said[begin + 1 : begin + 3])


def _past(passage: Passage, found: Found) -> Place | None:
    """Allergies, births, vaccines, operations, diseases."""
    said = frozenset(passage.words)
    if found[Cue.ALLERGY] and "seasonal" not in said and not _only_asks_of_allergies(passage):
        return Place(Topic.ALLERGIES, 3.0)
    if found[Cue.OBSTETRIC]:
        return Place(Topic.OBSTETRIC, 2.0)
    if found[Cue.VACCINE]:
        return Place(Topic.IMMUNIZATIONS, 2.0)
    if found[Cue.SURGERY] and (found[Cue.RECEIVED] or said & PRIOR or isinstance(passage, Exchange)):
        return Place(Topic.SURGICAL, 2.0 + found[Cue.TIME])
    return None


def _only_asks_of_allergies(passage: Passage) -> bool:
    """Whether a question names allergies beside what it asks for: "any shortness of breath with the allergies"."""
    if not isinstance(passage, Exchange) or cues(passage.replied)[Cue.ALLERGY]:
        return False
    return cues(passage.asked)[Cue.SYMPTOM] > 0


def _present(passage: Passage, found: Found, before: Topic | None) -> Place | None:
    """Medicines, habits, diseases and the story itself."""
    said = frozenset(passage.words)
    if (
        isinstance(passage, Exchange)
        and found[Cue.MANOEUVRE]
        and not found[Cue.CONDITION]
        and passage.position > EXAM_FROM
    ):
        return Place(Topic.EXAM)
    if _takes_now(passage, found):
        return Place(Topic.MEDICATIONS, 1.5 + found[Cue.DRUG])
    if found[Cue.SOCIAL] and not found[Cue.SYMPTOM]:
        return Place(Topic.SOCIAL, 1.5 + min(2, found[Cue.SOCIAL]))
    if found[Cue.CONDITION] and not found[Cue.SYMPTOM] and said & ONGOING and not said & (ACUTE | UNSURE):
        return Place(Topic.PAST_MEDICAL, 1.5 + found[Cue.CONDITION])
    score = _history_score(passage, found) + (ADJACENT if before is Topic.HISTORY else 0.0)
    return Place(Topic.HISTORY, score) if score >= HISTORY_SCORE else None


def _takes_now(passage: Passage, found: Found) -> bool:
    """Whether a medicine is taken at present, not one that was tried for the complaint."""
    if isinstance(passage, Exchange) and found[Cue.MEDICATION]:
        return True
    said = frozenset(passage.words)
    named = found[Cue.DRUG] or (found[Cue.MEDICATION] and said & FIRST_PERSON)
    if not named or has(found, Cue.COURSE, Cue.SYMPTOM):
        return False
    return bool(said & PRESENT_TAKING) and not said & PAST_TAKING


def _history_score(passage: Passage, found: Found) -> float:
    """How much a passage tells of the present illness; what comes early tells more."""
    score = (
        min(3, found[Cue.SYMPTOM] + min(1, found[Cue.CONDITION]))
        + 0.5 * min(2, found[Cue.BODY])
        + 0.5 * min(2, found[Cue.COURSE])
        + 0.3 * min(2, found[Cue.TIME])
        + 0.7 * min(1, found[Cue.DRUG])
        + (0.5 if found[Cue.BODY] and SIDES.intersection(passage.words) else 0.0)
        + 0.5 * (1.0 - passage.position)
    )
    if isinstance(passage, Exchange) and (found[Cue.COURSE] or passage.answer is not Answer.OTHER):
        score += 0.3
    return score - 0.6 * found[Cue.CHATTER]
