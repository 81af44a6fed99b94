"""Where another sentence begins inside unmarked or run-on speech."""

from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.notes.english.questions import (
    ASKED_MIDWAY,
    AUXILIARIES,
    WH_WORDS,
    lead_length,
    opens_midway,
    opens_question,
)
from pipeline.notes.english.vocabulary import word_set
from pipeline.notes.english.wording import FUNCTION_WORDS, MARKS
from pipeline.types import Role

RUN_ON_WORDS = 14  # an unmarked sentence longer than this is cut at discourse markers
MARKED_RUN_ON_WORDS = 42  # the same for a sentence with marks, where no mark stands at the place
SHORT_WORDS = 8  # an unmarked sentence longer than this is cut before "I think"
CLAUSE_WORDS = 4  # nothing is cut shorter than this, but questions
CONDITION_LEAD = 2  # words that may stand before the "if" that opens a clause
CONDITION_WORDS = 10  # "… but if you get a fever", said with a pause behind

# Where unmarked speech may be cut: before these words, when one of the words given follows (None: any).
_PRONOUNS: Final = "i i'm i've i'll i'd he he's she she's it it's they they're we we're we'll there's"
_GOES_ON: Final = word_set(
    """
    so and then now well but i i'm let's we do have any what how great alright okay your
    """
)
DISCOURSE_MARKERS: Final = {
    "and": word_set(f"{_PRONOUNS} then also so you're you've do have are did what how"),
    "but": word_set(f"{_PRONOUNS} then now when the my you"),
    "so": word_set(f"{_PRONOUNS} you you're that the let's what do have are did"),
    "then": word_set("i i'm i'll we we'll we're you"),
    "okay": _GOES_ON,
    "alright": _GOES_ON,
    "let's": None,
}
INTENTS: Final = frozenset(
    {
        ("i'm", "going"),
        ("we're", "going"),
        ("i", "want"),
        ("i'd", "like"),
        ("i", "think"),
        ("i", "will"),
        ("we", "will"),
    }
)
BINDS_AN_INTENT: Final = word_set(
    """
    that think and so but if because what where said guess say know like when as which until
    """
)
CONDITIONALS: Final = frozenset({"if", "unless"})
CIRCUMSTANCES: Final = CONDITIONALS | {"when", "after", "while"}
ANSWERS: Final = word_set("yes no yeah nope yep none nothing")
BEHIND_AN_ANSWER: Final = word_set("i i'm i've it it's just not no there my that")
# Behind a question these begin its answer, where nobody says who speaks.
REPLYING: Final = word_set("i i'm i've i'd my it's")
ASKED_WORDS = 3  # a shorter clause is no question that an answer can follow
BEFORE_A_SUBJECT: Final = AUXILIARIES | word_set(
    """
    that if when and or but because as than while the what how why where whether until since after before once unless
    think know say said feel mean see believe guess notice remember tell want mind sure hope wonder like need
    """
)
BEFORE_AN_OBJECT: Final = word_set(
    "to of for with about on in at from by"
)  # "… for my pain", but "… live with | I live"
EXAMINED: Final = word_set(
    """
    blood heart lung lungs abdomen belly respiratory temperature oxygen lower upper pulse pulses throat ears eyes
    neck labs hemoglobin skin x-ray
    """
)  # "… bilaterally your lower legs …": a doctor goes on to the next finding
EXAMINING: Final = word_set(
    """
    check examine feel hear see watch monitor look listen take press move keep lower raise checking checked measure
    measuring measured monitoring taking takes lowers lowering raises raising affects affect affecting control controls
    controlling increase increases decrease decreases help helps make makes damage damages protect protects
    """
)
POSSIBLE: Final = frozenset[str]().union(
    DISCOURSE_MARKERS,
    ANSWERS,
    REPLYING,
    ASKED_MIDWAY,
    WH_WORDS,
    ("any", "is", "it", "your"),
    (one for one, _ in INTENTS),
)  # no other word begins a clause


def cuts(sentence: Sequence[str], role: Role) -> Iterator[int]:
    """Indexes at which another clause begins in a sentence (words in lower case, and marks)."""
    speech = _Speech(sentence, role)
    begin = 0
    for at, word in enumerate(sentence):
        if at and word in POSSIBLE and (speech.asks(begin, at) or speech.goes_on(begin, at)):
            yield at
            begin = at


def asks_on_condition(said: Sequence[str]) -> bool:
    """Whether words ask about a circumstance they begin with: "if you stay still do you feel better"."""
    lead = lead_length(said)
    begins = lead < len(said) and said[lead] in CIRCUMSTANCES
    return begins and any(opens_midway(said, at, at) for at in range(lead + CLAUSE_WORDS - 1, len(said)))


def awaits_consequence(said: Sequence[str]) -> bool:
    """Whether speech ends with a condition whose consequence was not said yet: "… but if you get a fever"."""
    lead = lead_length(said)
    if said[lead : lead + 1] == ["when"] and len(said) <= CONDITION_WORDS:
        return True
    for at in range(len(said) - 1, max(-1, len(said) - 1 - CONDITION_WORDS), -1):
        if said[at] in CONDITIONALS:
            return at <= lead or said[at - 1] in ("and", "but", "so", "then")
    return False


class _Speech:
    """One sentence as the recogniser gave it."""

    __slots__ = ("_count", "_doctor", "_marked", "_role", "_words")

    def __init__(self, sentence: Sequence[str], role: Role) -> None:
        marks = sum(map(MARKS.__contains__, sentence))
        self._words = sentence
        self._role = role
        self._doctor = role is not Role.PATIENT  # or may be one
        self._marked = marks > 1
        self._count = len(sentence) - marks

    def asks(self, begin: int, at: int) -> bool:
        """Whether a question, or another speaker's answer, begins at `at`."""
        if self._marked:
            return False
        if self._role is Role.UNSPECIFIED and (self._answers(at) or self._replies(begin, at)):
            return True
        depends = not CIRCUMSTANCES.isdisjoint(self._words[begin:at])
        return self._doctor and not depends and opens_midway(self._words, at, begin)

    def goes_on(self, begin: int, at: int) -> bool:
        """Whether the speaker goes on to something else at `at`."""
        if at - begin < CLAUSE_WORDS or len(self._words) - at < CLAUSE_WORDS or self._waits(begin, at):
            return False
        pauses = self._marked and self._words[at - 1] in MARKS and self._count > RUN_ON_WORDS
        long = len(self._words) - begin > (MARKED_RUN_ON_WORDS if self._marked else RUN_ON_WORDS)
        if (long or (pauses and self._words[at] != "but")) and self._follows_marker(at):
            return True  # what follows a "but" may take back what stands before it
        if self._doctor and self._intends(at) and (long or pauses or self._is_plain()):
            return True
        return self._doctor and long and self._turns_to_finding(at)

    def _is_plain(self) -> bool:
        return not self._marked and self._count > SHORT_WORDS

    def _follows_marker(self, at: int) -> bool:
        if self._words[at] not in DISCOURSE_MARKERS:
            return False
        allowed = DISCOURSE_MARKERS[self._words[at]]
        return allowed is None or self._next(at) in allowed

    def _intends(self, at: int) -> bool:
        return (self._words[at], self._next(at)) in INTENTS and self._words[at - 1] not in BINDS_AN_INTENT

    def _turns_to_finding(self, at: int) -> bool:
        before = self._words[at - 1]
        names = self._words[at] == "your" and self._next(at) in EXAMINED
        return names and before not in FUNCTION_WORDS and before not in EXAMINING

    def _answers(self, at: int) -> bool:
        """Whether another speaker's answer begins at `at`, in an item that holds both sides."""
        return self._words[at] in ANSWERS and self._next(at) in BEHIND_AN_ANSWER and self._words[at - 1] != "there's"

    def _replies(self, begin: int, at: int) -> bool:
        """Whether a question ends before `at`, and its answer begins there."""
        it_is = self._words[at] == "it" and self._next(at) in ("is", "was", "hurts", "started", "comes")
        if at - begin < ASKED_WORDS or not (it_is or self._words[at] in REPLYING):
            return False
        before = self._words[at - 1]
        if before in BEFORE_A_SUBJECT or (self._words[at] in ("my", "it") and before in BEFORE_AN_OBJECT):
            return False
        return opens_question(self._words, begin + lead_length(self._words[begin:at]))

    def _waits(self, begin: int, at: int) -> bool:
        """Whether what begins at `at` happens only in the case that was just named."""
        clause = self._words[begin:at]
        if CONDITIONALS.isdisjoint(clause):
            return False
        condition = next(place for place, word in enumerate(clause) if word in CONDITIONALS)
        return condition <= CONDITION_LEAD or self._words[at] not in ("and", "but")

    def _next(self, at: int) -> str:
        return self._words[at + 1] if at + 1 < len(self._words) else ""
