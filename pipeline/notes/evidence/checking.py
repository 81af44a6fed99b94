"""Whether a note's sentences rest on the items that they cite: the same check for every writer.

A sentence may put things in other words: most of its content words must have been said, or what means the same (see
`synonyms`). It may not have a number, a medicine, a diagnosis, a procedure or a side of its own, nor turn around what
was denied or affirmed. Questions are read in the light of their replies. What fails is dropped, or shown with its
faults.

In English, German and French all of that is checked; in other languages there is no list of denials and sides, so that
words, numbers and medicines are compared alone. A note must be in the language that was spoken.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from pipeline.notes.english.wording import MARKS, stem
from pipeline.notes.evidence.bonds import Bond, Kind, broken
from pipeline.notes.evidence.claims import Claims, claims, heard, in_light_of, parts, tokens_of
from pipeline.notes.evidence.grounding import LEAST_SUPPORT, MOST_ITEMS, Wording, cite_wording
from pipeline.notes.evidence.lexicon import UNKNOWN, Lexicon, lexicon
from pipeline.notes.note import NoteSection, NoteSentence, Topic
from pipeline.notes.templates import primary_language
from pipeline.types import Utterance

_QUOTATION: Final = re.compile(r'["“„«]([^"“”„«»]+)["”“»]')
_CLAUSE_END: Final = re.compile(r"[.:;!?]")
LONGEST_TITLE = 200  # characters; longer ones are no titles
LEAST_SUPPORT_UNKNOWN = 0.4  # in a language whose small words are not known, so that they count as content
LONGEST_ITEM = 120_000  # characters of an item that are looked at: two hours of talk
MOST_CITED = 64  # items of a sentence that are looked at
NEAR = 3  # items before and behind a cited one in which what a sentence lacks is looked for
MOST_QUESTIONS = 4  # one behind another that one reply answers
OPPOSITES: Final = tuple(
    (frozenset(map(stem, one)), frozenset(map(stem, other)))
    for one, other in (
        (("better", "improve", "improved", "improving"), ("worse", "worsen", "worsened", "worsening")),
        (("increase", "increased"), ("decrease", "decreased", "reduce", "reduced")),
        (("larger", "bigger"), ("smaller",)),
    )
)
COUNTED: Final = frozenset({Kind.TIME, Kind.MEASURE, Kind.RATE, Kind.DOSE, Kind.DAYTIME})
BEFORE_A_LIST: Final = ("any", "jegliche", "irgendwelche")  # questions that a "no" behind the last of them answers, too


class Unsupported(StrEnum):
    """What becomes of a sentence that its items do not bear out. The values are the settings'."""

    DROP = "drop"
    FLAG = "flag"  # it is shown, with the codes of its faults


class Fault(StrEnum):
    """What is wrong with a sentence; the gravest first."""

    UNCITED = "uncited"  # it names no item that exists
    POLARITY = "polarity"  # it affirms what was denied or only asked, or denies what was affirmed
    SIDE = "side"
    NUMBER = "number"
    DRUG = "drug"
    TERM = "term"  # a diagnosis or a procedure that nobody named
    CONDITION = "condition"  # it states what was only supposed
    PERSON = "person"  # it says of the patient what was said of a relative
    UNSUPPORTED = "unsupported"  # too few of its words were said


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What is left of a section, and how many sentences had which fault (each counts once, by its gravest)."""

    section: NoteSection | None  # None: nothing is left of it
    dropped: Counter[str] = field(default_factory=Counter)
    flagged: Counter[str] = field(default_factory=Counter)


class Checker:
    """Checks the sections of notes of one transcript. Items are looked at when they are first cited."""

    def __init__(
        self, items: Sequence[Utterance], *, language: str = "en", unsupported: Unsupported = Unsupported.DROP
    ) -> None:
        """`language`: the tag of the note's language. Items may come in any order."""
        self._items = sorted(map(_bounded, items), key=lambda item: (item.start, item.end))
        self._places = {item.id: place for place, item in enumerate(self._items)}
        self._lexicon = lexicon(primary_language(language))
        self._unsupported = unsupported
        self._heard: dict[int, _Heard] = {}
        self._said: dict[int, Claims] = {}
        self._one_speaker = len({_speaker(item) for item in items}) <= 1  # nobody could tell who spoke

    def check(self, section: NoteSection) -> Checked:
        """The section with the sentences that may stand, each with the fewest items that bear it out."""
        kept: list[NoteSentence] = []
        dropped: Counter[str] = Counter()
        flagged: Counter[str] = Counter()
        family = section.topics == (Topic.FAMILY,)
        for sentence in section.sentences:
            checked = self._check(sentence, family)
            if not checked.faults:
                kept.append(checked)
            elif self._unsupported is Unsupported.FLAG and checked.text:
                kept.append(checked)
                flagged[checked.faults[0]] += 1
            else:
                dropped[checked.faults[0]] += 1
        left = replace(section, sentences=self._with_sound_headings(kept)) if kept else None
        return Checked(section=left, dropped=dropped, flagged=flagged)

    def faults(self, sentence: NoteSentence) -> tuple[str, ...]:
        """Codes of what is wrong with a sentence, the gravest first; none: it may stand."""
        return self._check(sentence, False).faults

    def title(self, proposed: str, sections: Iterable[NoteSection], otherwise: str) -> str:
        """The title that a writer proposes, where the note says all of it; `otherwise`, where it does not."""
        if len(proposed) > LONGEST_TITLE:
            return otherwise
        claim = _Claim.of(_plain(proposed), self._lexicon)
        told = [claims(one.text, self._lexicon) for section in sections for one in section.sentences if not one.faults]
        held = claim.said.words <= _union(one.content for one in told)
        sound = held and not any(_faults(claim.said, told, self._lexicon, False))
        return claim.text if claim.said.words and sound else otherwise

    def _with_sound_headings(self, sentences: Sequence[NoteSentence]) -> tuple[NoteSentence, ...]:
        """The sentences; a problem stays their heading where the items of those below it, or near them, name it."""
        unsound = set[str]()
        for problem in {sentence.problem for sentence in sentences if sentence.problem}:
            cited = {item for sentence in sentences if sentence.problem == problem for item in sentence.items}
            words = claims(_plain(problem), self._lexicon).words
            near = self._near(self._places[item] for item in cited)
            if not words or not words <= _union(self._listen(place).claims.content for place in near):
                unsound.add(problem)
        return tuple(replace(one, problem="") if one.problem in unsound else one for one in sentences)

    def _check(self, sentence: NoteSentence, family: bool) -> NoteSentence:
        """The sentence with its citations put in order, and with its faults."""
        claim = _Claim.of(_plain(sentence.text), self._lexicon)
        cited = sorted({self._places[item] for item in sentence.items if item in self._places})[:MOST_CITED]
        if not cited or not claim.text:
            return replace(sentence, text=claim.text, items=(), faults=(Fault.UNCITED,))
        if len(cited) > MOST_ITEMS:
            cited = self._cite(claim.said.words, cited)
        found = self._faults(claim, cited, family)
        if found:
            # What speaks against a sentence is not got rid of by citing something else.
            kept = cited if Fault.POLARITY in found else ()
            again = self._cite(claim.said.words, self._near(cited), kept)
            if again and not self._faults(claim, again, family):
                cited, found = again, ()
        items = tuple(self._items[place].id for place in self._with_replies(cited))
        return replace(sentence, text=claim.text, items=items, faults=found)

    def _faults(self, claim: "_Claim", cited: Sequence[int], family: bool) -> tuple[str, ...]:
        replies = {reply for place in cited if (reply := self._listen(place).reply) is not None}
        heard_there = [self._listen(place).claims for place in sorted({*cited, *replies})]
        spoken = " ".join(self._spoken(place) for place in cited) if claim.quoted else ""
        said = claim.beside_quotes if claim.quotes(spoken, heard_there, self._lexicon) else claim.said
        return tuple(_faults(said, heard_there, self._lexicon, family))

    def _spoken(self, place: int) -> str:
        return _words(self._items[place].text, self._lexicon)

    def _near(self, cited: Iterable[int]) -> list[int]:
        reach = {place + step for place in cited for step in range(-NEAR, NEAR + 1)}
        return sorted(place for place in reach if 0 <= place < len(self._items))

    def _cite(self, words: frozenset[str], candidates: Iterable[int], always: Iterable[int] = ()) -> list[int]:
        """The fewest of the items that hold as much of the words as four can, in spoken order."""
        held = {str(place): _wording(self._listen(place).claims.content) for place in candidates}
        found = cite_wording(_wording(words), held, tuple(map(str, always)))
        return [int(place) for place in found] or list(candidates)[:MOST_ITEMS]

    def _with_replies(self, cited: Sequence[int]) -> list[int]:
        """The items, and as far as there is room the replies without which a question among them says nothing."""
        heard_there = [self._listen(place) for place in cited]
        replies = [one.reply for one in heard_there if one.decided and one.reply is not None and one.reply not in cited]
        return sorted({*cited, *replies[: MOST_ITEMS - len(cited)]})

    def _listen(self, place: int) -> "_Heard":
        if place not in self._heard:
            self._heard[place] = self._heard_at(place)
        return self._heard[place]

    def _heard_at(self, place: int) -> "_Heard":
        """What an item says; what it asks is read in the light of the reply."""
        said = self._say(place)
        if not said.question:
            return _Heard(said)
        reply = self._reply(place)
        if reply is None:
            return _Heard(in_light_of(said, (), self._lexicon))
        if reply > place + 1 and not set(said.question).intersection(BEFORE_A_LIST):
            return _Heard(said)  # another question was asked since
        answered = in_light_of(said, tokens_of(self._items[reply].text, self._lexicon), self._lexicon)
        return _Heard(answered, reply, answered is not said)

    def _say(self, place: int) -> Claims:
        """What an item says by itself."""
        if place not in self._said:
            self._said[place] = heard(self._items[place], self._lexicon)
        return self._said[place]

    def _reply(self, place: int) -> int | None:
        """Where the other one answers: behind this item, or behind further questions of the same speaker."""
        asking = self._items[place]
        for other in range(place + 1, min(place + 1 + MOST_QUESTIONS, len(self._items))):
            item = self._items[other]
            if self._one_speaker or _speaker(item) != _speaker(asking):
                return other
            if not self._say(other).question:
                return None
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """A sentence to be checked."""

    text: str
    said: Claims
    quoted: tuple[str, ...]  # the words of each quotation, separated by spaces
    beside_quotes: Claims  # as `said`, but what it affirms and denies is only what stands outside of quotations

    @classmethod
    def of(cls, text: str, known: Lexicon) -> "_Claim":
        said = claims(text, known)
        quotations = _QUOTATION.findall(text)
        told = claims(_beside_quotations(text), known) if quotations else said
        return cls(
            text=text,
            said=said,
            quoted=tuple(_words(quotation, known) for quotation in quotations),
            beside_quotes=replace(
                said,
                affirmed=told.affirmed,
                affirmations=told.affirmations,
                denials=told.denials,
                struck=told.struck,
                negated=told.negated,
            ),
        )

    def quotes(self, spoken: str, heard_there: Iterable[Claims], known: Lexicon) -> bool:
        """Whether its quotations are what was said, and leave out no denial: then they speak for themselves."""
        if not self.quoted or not all(f" {words} " in f" {spoken} " for words in self.quoted):
            return False
        denies = any(known.denies(word) for words in self.quoted for word in words.split())
        return denies or not any(one.negated for one in heard_there)


@dataclass(frozen=True, slots=True)
class _Heard:
    claims: Claims
    reply: int | None = None  # place of the item that answers a question
    decided: bool = False  # whether it makes the question a statement


def _faults(said: Claims, heard: Sequence[Claims], known: Lexicon, family: bool) -> Iterator[Fault]:
    """What a sentence says that the cited items do not."""
    content = _union(one.content for one in heard)
    if known is not UNKNOWN and _turned_around(said, heard):
        yield Fault.POLARITY
    drugs = _union(one.drugs for one in heard)
    bound = [one for one in said.bonds if one.kind is not Kind.DOSE or one.value in drugs]
    loose = set(broken(bound, frozenset[Bond]().union(*(one.bonds for one in heard))))
    if not _sides_agree(said, heard) or Kind.LEVEL in loose:
        yield Fault.SIDE
    if not _numbers_agree(said, heard) or not loose.isdisjoint(COUNTED):
        yield Fault.NUMBER
    if not said.drugs <= drugs:
        yield Fault.DRUG
    if not said.terms <= content:
        yield Fault.TERM
    told = _union(one.affirmed | one.denied for one in heard)
    if said.affirmed & (_union(one.supposed for one in heard) - told) and not said.warns:
        yield Fault.CONDITION
    of_others = _union(one.of_kin for one in heard) - _union(one.content - one.of_kin for one in heard)
    named = (said.terms | said.drugs) - said.denied
    if Kind.KIN in loose or (named & of_others and not (said.kin or family)):
        yield Fault.PERSON
    words = said.words
    if words and len(words & content) / len(words) < (LEAST_SUPPORT_UNKNOWN if known is UNKNOWN else LEAST_SUPPORT):
        yield Fault.UNSUPPORTED


def _turned_around(said: Claims, heard: Sequence[Claims]) -> bool:
    """Whether a sentence affirms what was denied or only asked, or denies what was affirmed.

    What it names is looked at one thing at a time: one is turned around by half of its words when it is affirmed, by
    all of them when it is denied ("no swelling of the knee" also says of what), and by the word next to a denial alone.
    """
    affirmed, denied = _union(one.affirmed for one in heard), _union(one.denied for one in heard)
    content = _union(one.content for one in heard)
    if not said.negated and not any(one.negated for one in heard):
        for one, other in (*OPPOSITES, *((b, a) for a, b in OPPOSITES)):
            if said.words & one and content & other and not content & one:
                return True  # "better" – "worse"
    former = _union(one.former for one in heard) - _union(one.affirmed - one.former for one in heard)
    if said.content & former and not (said.past or said.negated):
        return True  # "used to smoke" – "smokes"
    only_denied, only_affirmed = denied - affirmed, affirmed - denied
    if said.stops:
        only_affirmed -= former  # "quit smoking"
    struck = _union(one.struck for one in heard) - affirmed
    against = only_denied | (_union(one.asked for one in heard) - affirmed)
    told = affirmed | against
    if any(thing & struck or 2 * len(thing & against) >= len(thing & told) > 0 for thing in said.affirmations):
        return True
    if said.negated and not any(one.negated for one in heard):
        return True
    return any(thing & told and thing & told <= only_affirmed for thing in said.denials) or bool(
        said.struck & only_affirmed
    )


def _sides_agree(said: Claims, heard: Sequence[Claims]) -> bool:
    sides = _union(one.sides for one in heard)
    if {"left", "right"} <= sides:
        sides |= {"both"}
    return said.sides <= sides and _pairs_agree(said.placed, [one.placed for one in heard])


def _numbers_agree(said: Claims, heard: Sequence[Claims]) -> bool:
    numbers = parts(_union(one.numbers for one in heard))
    return parts(said.numbers) <= numbers and _pairs_agree(said.counted, [one.counted for one in heard])


def _pairs_agree(said: frozenset[tuple[str, str]], heard: Iterable[frozenset[tuple[str, str]]]) -> bool:
    """Whether what stood behind another side or number never stands behind one that was not said of it."""
    spoken = frozenset[tuple[str, str]]().union(*heard)
    behind = {word for _, word in spoken}
    return all(pair in spoken or pair[1] not in behind for pair in said)


def _bounded(item: Utterance) -> Utterance:
    return replace(item, text=item.text[:LONGEST_ITEM]) if len(item.text) > LONGEST_ITEM else item


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset[str]().union(*sets)


def _speaker(item: Utterance) -> tuple[str, ...]:
    return (item.role, item.stream, item.speaker)


def _words(text: str, known: Lexicon) -> str:
    return " ".join(token for token in tokens_of(text, known) if token not in MARKS)


def _beside_quotations(text: str) -> str:
    """The text without its quotations, and without what each is about: 'Fever: "a bit"'."""
    beside: list[str] = []
    at = 0
    for quotation in _QUOTATION.finditer(text):
        before = text[at : quotation.start()].rstrip()
        if before.endswith(":"):
            ends = [mark.end() for mark in _CLAUSE_END.finditer(before[:-1])]
            before = before[: ends[-1]] if ends else ""
        beside.append(before)
        at = quotation.end()
    return " ".join([*beside, text[at:]])


def _plain(text: str) -> str:
    """The text in one line, without control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _wording(content: frozenset[str]) -> Wording:
    return Wording(
        content=content, affirmed=content, denied=frozenset(), numbers=frozenset(), sides=frozenset(), negations=0
    )
