"""Questions by their opening words, because many recognisers write no question marks."""

from collections.abc import Sequence
from typing import Final

from pipeline.notes.english.vocabulary import word_set
from pipeline.notes.english.wording import FUNCTION_WORDS, MARKS

LEADS: Final = word_set(
    """
    and so but okay ok alright all now then well great good perfect right yeah oh sorry sure also hey hi hello
    thanks thank excellent fine wonderful anyway gosh wow gotcha um
    """
)
PAIRED_LEADS: Final = frozenset({("all", "right"), ("thank", "you")})
DESCRIBING: Final = word_set("all well great good perfect right fine sure excellent wonderful")  # "great toe"
AUXILIARIES: Final = word_set(
    """
    do does did have has are is was were can could would will should don't doesn't didn't haven't hasn't aren't
    isn't wasn't weren't can't couldn't wouldn't
    """
)
SUBJECTS: Final = word_set(
    """
    you it that there he she they this your the these those anyone anybody anything i my we both
    """
)
BEHIND_WHAT: Final = word_set(
    """
    brings brought kind about time type else seems happened makes made other medications medication medicines dose
    part side helps sort color colour caused causes happens
    """
)
BEHIND_HOW: Final = word_set(
    """
    long often much many bad old far about come severe soon high frequently badly
    """
)
NOT_BEHIND_WHICH: Final = word_set("is was are were i you we means makes would will can has had it he she")
NOT_BEHIND_ANY: Final = word_set("time way day one more case event rate on in of at for to with")
CONTRACTED: Final = word_set("what's how's where's when's who's how'd what're how're")
ASKING_ALONE: Final = word_set("anything anybody anyone")

# "have you" that asks nothing: "we'll have you come back"
LETS_YOU: Final = word_set("we'll i'll will to i'd we'd would going")
BARE_VERBS: Final = word_set(
    """
    come see take do go follow return get start stop lie sit lay stay call schedule
    """
)
WH_WORDS: Final = word_set("what how when where which who why")
WH_REACH = 5  # words between a wh-word and its auxiliary: "how many cigarettes a day do you smoke"

# An auxiliary asks in the middle of unpunctuated speech only before "you" and its kind.
ASKED_MIDWAY: Final = word_set("do did have are were does has can could would")
ASKED_OF: Final = word_set("you your anyone anybody it")
HELD_BY_VERB: Final = word_set(
    """
    notice noticed notices noticing experience experienced experiencing see seen hear hearing feel feeling take
    taking taken using use used give given want wanted need needed drink eat doing getting report reported
    appreciate find found saw show shows need without cause make during after before
    """
)  # "any" behind one of these (or behind a function word) belongs to it


FELT: Final = word_set("painful tender sore okay ok right better worse normal comfortable uncomfortable hurting")
INSTRUCTIONS: Final = {
    "call": word_set("an 911 999 112 us me the your for"),
    "ring": word_set("us me 999 the"),
    "come": word_set("back in straight"),
    "go": word_set("to straight"),
    "let": word_set("us me"),
    "seek": word_set("help medical care"),
}  # what a doctor tells to do, by its first word
HOLDS_AN_INFINITIVE: Final = word_set("to and can i could would should did do")
TAG_SUBJECTS: Final = word_set("you it that there he she they")
AGREEMENT_TAGS: Final = frozenset({"right", "correct"})
# "on the right", "left or right", "all right", "that's right", "look right"
BEFORE_A_SIDE: Final = word_set(
    """
    the your his her my on to and or left upper lower all that's that not is are was be looks look go turn far a
    it's exactly you're seems than
    """
)
TAGGED_WORDS = 3  # a statement as short as this has no tag


OPENS_A_CLAUSE: Final = SUBJECTS.union(
    AUXILIARIES,
    CONTRACTED,
    WH_WORDS,
    word_set(
        "i'm i've i'll i'd it's that's there's he's she's we're we'll we've they're you're you've let's let any no if"
    ),
)


def lead_length(words: Sequence[str]) -> int:
    """How many words at the beginning only lead in: "okay so", "all right then"; not "right knee", "great toe"."""
    at = 0
    while at < len(words) and words[at] in LEADS:
        pair = tuple(words[at : at + 2])
        if pair in PAIRED_LEADS:
            at += 2
        elif only_leads(words, at):
            at += 1
        else:
            break
    return at


def only_leads(words: Sequence[str], at: int) -> bool:
    """Whether a word that may lead in does so at `at`, and does not describe what follows."""
    following = words[at + 1] if at + 1 < len(words) else ""
    free = not following or following in MARKS or following in LEADS or following in OPENS_A_CLAUSE
    return free or words[at] not in DESCRIBING


def opens_question(words: Sequence[str], at: int = 0) -> bool:
    """Whether a sentence that begins at `at` asks."""
    first, second, third = (*words[at : at + 3], "", "", "")[:3]
    if first in CONTRACTED or first in ASKING_ALONE:
        return True
    if first == "what":
        return second in AUXILIARIES or second in BEHIND_WHAT
    if first == "how":
        return second in AUXILIARIES or second in BEHIND_HOW
    if first == "which":
        return bool(second) and second not in NOT_BEHIND_WHICH
    if first in WH_WORDS:
        return second in AUXILIARIES
    if first == "any":
        return bool(second) and second not in NOT_BEHIND_ANY and not _ends_in_an_instruction(words, at)
    if (first, second) in (("tell", "me"), ("on", "a")):
        return first == "tell" or third == "scale"
    return _inverts(first, second, third)


def _ends_in_an_instruction(words: Sequence[str], at: int) -> bool:
    """Whether "any …" names what to do something about: "any black stools or fainting, call an ambulance"."""
    return any(
        words[place] in INSTRUCTIONS
        and words[place + 1] in INSTRUCTIONS[words[place]]
        and words[place - 1] not in SUBJECTS
        for place in range(at + 2, len(words) - 1)
        if words[place - 1] not in HOLDS_AN_INFINITIVE
    )


def opens_midway(words: Sequence[str], at: int, begin: int) -> bool:
    """Whether a question begins at `at` in the middle of a clause without marks that began at `begin`."""
    before = words[at - 1] if at else ""
    if not WH_WORDS.isdisjoint(words[max(0, at - WH_REACH) : at]):
        return False
    if words[at] == "any":
        listing = at == begin + (lead := lead_length(words[begin:at])) or opens_question(words, begin + lead)
        return listing and opens_question(words, at) and before not in FUNCTION_WORDS and before not in HELD_BY_VERB
    following = words[at + 1] if at + 1 < len(words) else ""
    if words[at] in WH_WORDS:
        asks = opens_question(words, at) and (following in AUXILIARIES or following in BEHIND_HOW)
        return asks and before not in ("know", "see", "that's", "of", "about", "is")
    if following == "that" and _asks_of_that(words, at):
        return True
    if words[at] in ("is", "are") and list(words[at + 1 : at + 3]) == ["there", "any"]:
        return True
    if words[at] not in ASKED_MIDWAY or following not in ASKED_OF or before in LETS_YOU:
        return False
    return (following != "it" or words[at] in ("does", "did")) and opens_question(words, at)


def _asks_of_that(words: Sequence[str], at: int) -> bool:
    """Whether "does that hurt", "is that painful" begins at `at`; not "the good news is that …"."""
    behind = words[at + 2] if at + 2 < len(words) else ""
    return words[at] in ("does", "did") or (words[at] == "is" and behind in FELT)


def ends_with_tag(words: Sequence[str]) -> bool:
    """Whether a statement asks for agreement at its end: "you take warfarin, don't you", "your left arm, right"."""
    last, before = words[-1:], words[-2:-1]
    if any(
        words[at] in ("is", "isn't") and words[at + 1] == "that" for at in range(max(0, len(words) - 4), len(words) - 2)
    ):
        return last[0] in ("right", "correct", "true", "so")
    if len(words) <= TAGGED_WORDS or not before:
        return False
    if last[0] in TAG_SUBJECTS and before[0] in AUXILIARIES and before[0].endswith("n't"):
        return True
    return last[0] in AGREEMENT_TAGS and before[0] not in BEFORE_A_SIDE


def is_yes_no(words: Sequence[str]) -> bool:
    """Whether a question (without its lead) can be answered by yes or no."""
    first, second = (words[at] if at < len(words) else "" for at in range(2))
    if second == "about":  # "how about a cough"
        return True
    return bool(first) and first not in WH_WORDS and first not in CONTRACTED and first not in ("tell", "on")


def _inverts(first: str, second: str, third: str) -> bool:
    if first not in AUXILIARIES or second not in SUBJECTS:
        return False
    return not (first == "have" and second == "you" and third in BARE_VERBS)
