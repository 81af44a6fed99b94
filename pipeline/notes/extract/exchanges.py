"""Questions and their answers. A yes or a no is believed only when the whole reply agrees; else the reply is quoted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias

from pipeline.notes.english.cues import Cue, cues
from pipeline.notes.english.drugs import is_drug
from pipeline.notes.english.questions import ends_with_tag, is_yes_no, lead_length, opens_question
from pipeline.notes.english.units import Unit
from pipeline.notes.english.vocabulary import word_set
from pipeline.notes.english.wording import (
    FUNCTION_WORDS,
    MARKS,
    SIDES,
    content_words,
    is_negation,
    negations,
    stem,
    words,
)
from pipeline.types import Role

LONGEST_EXCHANGE = 25  # words of a reply to a yes/no question that is quoted although it begins with neither
LONGEST_ANSWER = 12  # words of a reply to "how long", "where", …
LONGEST_QUOTE = 30  # words; a longer reply stands for itself
MOST_ITEMS = 4  # transcript items under one sentence
MOST_LISTED = 4  # "any fever? any chills?" – "No.": so many questions share one answer
SELF_STANDING_WORDS = 4
LONGEST_TAG = 4  # words: "is that still right"

YES: Final = word_set("yes yeah yep yup yea correct absolutely definitely exactly")
NO: Final = word_set("no nope nah never none nothing")
SPOKEN_YES: Final = frozenset({"i do", "i am", "i have", "i did", "i was", "it is", "it does", "it has", "of course"})
SPOKEN_NO: Final = frozenset(
    {"i don't", "i haven't", "i'm not", "i didn't", "i wasn't", "it doesn't", "i do not", "i have not", "i am not",
     "i did not", "not at all"}
)  # fmt: skip
OPENS_YES: Final = YES | SPOKEN_YES
OPENS_NO: Final = NO | SPOKEN_NO
REPLY_LEADS: Final = word_set("well oh so okay and gosh actually honestly oh")
# Words that only repeat a yes or no. What is not here (or in the question) makes a reply more than that.
AGREEING: Final = word_set(
    """
    i do don't not have haven't has hasn't am i'm did didn't was wasn't is isn't are aren't were it it's does
    doesn't any at all there that that's of those them these ever sir ma'am doctor thank you thanks i've had been
    nothing anything either like so a the my course whatsoever
    """
)
ASKERS_OWN: Final = word_set("i i'm i've i'd i'll me my mine we us our")
SECOND_PERSON: Final = word_set("you you're you've your")
CLAUSE_OPENERS: Final = word_set("i i'm i've it it's there my that he she they we")
SELF_STANDING: Final = word_set("i i'm i've i'd i'll my")
OPENS_AN_OBJECT: Final = word_set("a an the some any my been had no very really just also")
# Openings of a choice: "no" to "is it dry or wet" says nothing; to "any A, B or C" it denies them all.
CHOOSING: Final = word_set("is was does has can could would will should it it's you your")
OF_THE_PATIENT: Final = word_set("any have do did are were")  # openings to which "it is" is no answer
# Questions that ask nothing by themselves.
EMPTY: Final = word_set(
    """
    right mind com els anyth sound plan kind thing sens mak tell describ correct happen feel lik
    """
)
# A question that begins with a circumstance is not the same question without it.
CIRCUMSTANCES: Final = word_set("when if after while during since with before until once unless")


MERE_OPINION: Final = frozenset(
    {"think", "guess", "hope", "believ", "know", "sur"}
)  # "I don't think so, but I could be"
MURMURED: Final = word_set("okay ok alright right good great sure see")
# A doctor's statement that begins with one of these may only ask: "no chest pain".
BARE_DENIALS: Final = word_set("no never any")
TAKING_BACK: Final = word_set("well actually oh")
HALF_DENIALS: Final = word_set("just only once sometimes except but a some i've")


class Answer(StrEnum):
    """What a reply says."""

    YES = "yes"
    NO = "no"
    OTHER = "other"  # anything else: it is quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A doctor's question and the patient's whole reply."""

    question: tuple[str, ...]  # tokens of the question itself, without lead-in
    reply: tuple[str, ...]  # tokens of the reply
    answer: Answer
    question_items: tuple[str, ...]
    reply_items: tuple[str, ...]
    position: float  # 0 at the beginning of the talk, 1 at its end
    asked: tuple[str, ...]  # the words of the question, in lower case
    replied: tuple[str, ...]  # the same of the reply

    @property
    def words(self) -> tuple[str, ...]:
        return self.asked + self.replied

    @property
    def role(self) -> Role:
        """Whose knowledge it is."""
        return Role.PATIENT

    @property
    def items(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.question_items, *self.reply_items)))


Passage: TypeAlias = Unit | Exchange


def passages(units: Sequence[Unit]) -> Iterator[Passage]:
    """Statements, and questions joined with their replies. Questions that nobody answered are left out."""
    at = 0
    while at < len(units):
        contradicted = at + 1 < len(units) and _is_contradicted(units[at], units[at + 1])
        if not units[at].question and not contradicted:
            yield units[at]
            at += 1
            continue
        asked = at
        at += contradicted
        while at < len(units) and _asks_patient(units[at]):
            at += 1
        replied = at
        while at < len(units) and not units[at].question and _may_reply(units[at], units[replied]):
            at += 1
        if asked == replied:  # a patient's question
            at += 1
        elif replied < at:
            yield from _answered(units[asked:replied], units[replied:at])


def _asks_patient(unit: Unit) -> bool:
    """Whether a doctor asks, or somebody unknown who asks nothing of themselves."""
    unknown = unit.role is Role.UNSPECIFIED and ASKERS_OWN.isdisjoint(unit.words)
    return unit.question and (unit.role is Role.DOCTOR or unknown)


def _may_reply(unit: Unit, first: Unit) -> bool:
    """Whether a statement belongs to a reply that `first` begins: what somebody unknown says, only by itself."""
    return unit.role is Role.PATIENT or (unit.role is Role.UNSPECIFIED and unit is first)


def _is_contradicted(unit: Unit, reply: Unit) -> bool:
    """Whether a doctor's statement about the patient was taken for a question, and its reply does not plainly agree.

    "You've never had surgery before." – "Yes, I have." What a doctor plans or advises is none.
    """
    if unit.role is reply.role or unit.role is Role.PATIENT or reply.role is Role.DOCTOR:
        return False
    if reply.question or unit.question:
        return False
    opening = unit.words[lead_length(unit.words) :][:1]
    about_patient = SECOND_PERSON.intersection(unit.words) or BARE_DENIALS.intersection(opening)
    if not about_patient:
        return False
    found = cues(unit.words)
    shown = found[Cue.RESULT] and (found[Cue.IMAGING] or found[Cue.LAB])
    if shown or found[Cue.INTENT] or found[Cue.DUTY] or found[Cue.CONDITIONAL]:
        return False
    said = reply.words
    if said[0] in TAKING_BACK and len(said) > 1:
        said = said[1:]
    if not negations(unit.words):
        return _polarity(said) is Answer.NO or said[0] == "not"
    if said[0] in NO or said[0] in YES:
        return not _only_agrees(said)
    return said[0] in HALF_DENIALS or said is not reply.words


def _only_agrees(said: Sequence[str]) -> bool:
    """Whether a reply to a statement that denies something only agrees: "no", "correct"; not "yes, I have"."""
    affirms = any(" ".join(said[at : at + 2]) in SPOKEN_YES for at in range(1, len(said)))
    return not affirms and all(word in AGREEING or word in YES or word in NO or word in MURMURED for word in said)


def core_question(tokens: Sequence[str]) -> tuple[str, ...]:
    """A question without what leads to it: "okay and, well, do you have a fever?" → "do you have a fever"."""
    kept = list(tokens)
    while kept and kept[-1] in MARKS:
        kept.pop()
    lower = [token.lower() for token in kept]
    begin = 0
    while begin < len(kept) and (kept[begin] in MARKS or lead_length(lower[begin:]) or lower[begin] == "like"):
        begin += lead_length(lower[begin:]) or 1
    tagged = ends_with_tag(words(kept))
    for at in range(begin + 1, len(kept) - (LONGEST_TAG if tagged else 0)):
        boundary = kept[at - 1] in MARKS or lower[at - 1] in ("and", "but", "so", "about")
        if boundary and opens_question(lower, at) and not CIRCUMSTANCES.intersection(lower[begin:at]):
            begin = at
    return tuple(kept[begin:])


def agreed_answer(question: Sequence[str], said: Sequence[str]) -> Answer:
    """Yes or no when every word of the reply agrees with it, else OTHER.

    "No. Yeah, I vomited" is no denial, and "I don't think so" is no clear one.
    Shapes: the question's tokens; the reply's words in lower case.
    """
    asked = words(question)
    answer = _polarity(said)
    topic = content_words(asked)
    if answer is Answer.OTHER or negations(asked) or SIDES.intersection(asked):
        return Answer.OTHER
    if "it" in said and "it" not in asked and asked[0] in OF_THE_PATIENT:
        return Answer.OTHER  # "yes it is" answers something else
    if not all(word in AGREEING or word in YES or word in NO or stem(word) in topic for word in said):
        return Answer.OTHER
    if answer is Answer.YES:
        return Answer.OTHER if negations(said) or "or" in asked else answer
    if YES.intersection(said) or ("or" in asked and asked[0] in CHOOSING):
        return Answer.OTHER
    rest = said[1:] if said[0] in NO else said
    affirms = bool(rest) and rest[0] in CLAUSE_OPENERS and not negations(rest)
    return Answer.OTHER if affirms and topic.intersection(map(stem, rest)) else answer


def _polarity(said: Sequence[str]) -> Answer:
    """What the first words of a reply say."""
    openings = {" ".join(said[:length]) for length in (1, 2, 3)}
    if not OPENS_NO.isdisjoint(openings):
        return Answer.NO
    return Answer.OTHER if OPENS_YES.isdisjoint(openings) else Answer.YES


def _answered(questions: Sequence[Unit], reply: Sequence[Unit]) -> Iterator[Passage]:
    """What a reply makes of the questions before it."""
    asked = [(unit, core_question(unit.tokens)) for unit in questions][-MOST_LISTED:]
    unit, question = asked[-1]
    said = _without_lead([word for one in reply for word in one.words])
    if content_words(words(question)) <= EMPTY or not (content_words(said) or _polarity(said) is not Answer.OTHER):
        yield from reply
        return
    answer = agreed_answer(question, said) if is_yes_no(words(question)) else Answer.OTHER
    if answer is Answer.NO and all(words(core)[:1] == ["any"] for _, core in asked):
        for one, core in asked:
            yield from _exchange(one, core, reply, answer)
    elif answer is not Answer.OTHER:
        yield from _exchange(unit, question, reply, answer)
    elif _is_quoted(question, said):
        yield from _exchange(unit, _whole_list(asked), reply, answer)
    else:
        yield _without_answer(reply[0])
        yield from reply[1:]


def _whole_list(asked: Sequence[tuple[Unit, tuple[str, ...]]]) -> tuple[str, ...]:
    """What a reply answers that is no plain yes or no: a row of "any …?" as one question, else the last question."""
    unit, last = asked[-1]
    row = [core for one, core in asked if one.items == unit.items and words(core)[:1] == ["any"]]
    if len(row) < len(asked):
        return last
    return tuple(token for at, core in enumerate(row) for token in ((",",) if at else ()) + tuple(core))


def _without_lead(said: list[str]) -> list[str]:
    while len(said) > 1 and said[0] in REPLY_LEADS:
        said = said[1:]
    return said


def _is_quoted(question: Sequence[str], said: Sequence[str]) -> bool:
    """Whether a reply that is no plain yes or no makes sense only beside its question."""
    asked = words(question)
    named = not {word for word in asked if is_drug(word)} <= set(said)  # a medicine that the reply is about
    tells = not content_words(said) <= MERE_OPINION
    alone = said[0] in SELF_STANDING and len(said) >= SELF_STANDING_WORDS and tells and not named
    if not is_yes_no(asked):
        return len(said) <= (LONGEST_QUOTE if named else LONGEST_ANSWER) and not alone
    if said[0] in YES or said[0] in NO:
        repeated = _answer_is_repeated(said) and not negations(asked) and not named
        return len(said) <= LONGEST_QUOTE and not repeated
    return len(said) <= LONGEST_EXCHANGE and not alone


def _answer_is_repeated(said: Sequence[str]) -> bool:
    """Whether what follows a yes or no says it again, in a clause of its own: "no, I have never smoked"."""
    rest = said[1:]
    if len(rest) < SELF_STANDING_WORDS or rest[0] not in SELF_STANDING or rest[0] == "my":  # "yes, my father, at 45"
        return False
    if bool(negations(rest)) is not (said[0] in NO):
        return False
    verb = next((at for at in range(1, len(rest)) if rest[at] not in FUNCTION_WORDS and not is_negation(rest[at])), 0)
    between = [word for word in rest[1:verb] if not is_negation(word)]
    return verb > 0 and (len(between) <= 1 or between[-1] in OPENS_AN_OBJECT)


def _without_answer(unit: Unit) -> Unit:
    """A reply's first clause without its "yes" or "no", where the clause says it again."""
    if not _answer_is_repeated(unit.words):
        return unit
    begin = 1 if unit.tokens[1] not in MARKS else 2
    return replace(unit, tokens=unit.tokens[begin:], words=unit.words[1:])


def _exchange(unit: Unit, question: tuple[str, ...], reply: Sequence[Unit], answer: Answer) -> Iterator[Passage]:
    """The exchange, or the bare reply where both were spoken in too many items to be cited."""
    told = tuple(token for one in reply for token in one.tokens)
    exchange = Exchange(
        question=question,
        reply=told,
        asked=tuple(words(question)),
        replied=tuple(words(told)),
        answer=answer,
        question_items=unit.items,
        reply_items=tuple(dict.fromkeys(item for one in reply for item in one.items)),
        position=unit.position,
    )
    if question and len(exchange.items) <= MOST_ITEMS:
        yield exchange
    else:
        yield from reply
