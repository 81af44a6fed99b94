"""What a sentence claims, and what an item says, in a form in which the two can be compared, in any language."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Final

from pipeline.notes.english.drugs import is_drug
from pipeline.notes.english.questions import is_yes_no, lead_length
from pipeline.notes.english.units import units
from pipeline.notes.english.vocabulary import word_set
from pipeline.notes.english.wording import MARKS, SENTENCE_ENDS, clean, split, stem
from pipeline.notes.evidence.bonds import Bond, bonds
from pipeline.notes.evidence.lexicon import ENGLISH, Lexicon
from pipeline.notes.evidence.stances import Stance, stances
from pipeline.notes.evidence.synonyms import same_meaning
from pipeline.types import Utterance

STEM_LETTERS = 6  # of words in languages without a stemmer here: "Kopfschmerzen" and "Kopfschmerz" begin alike
SHORTEST_CONTENT = 3  # letters, likewise
_NUMBER: Final = re.compile(r"\d+(?:[.,/:]\d+)*")
_PART: Final = re.compile(r"\d+(?:\.\d+)?")
_ELISION: Final = re.compile(r"\b([cdjlmnst]|qu)'", re.IGNORECASE)  # French: "l'asthme"

# Endings and words that make a diagnosis or a procedure: nobody may find one in a note that nobody named.
TERM_ENDINGS: Final = (
    "itis",
    "osis",
    "emia",
    "aemia",
    "oma",
    "opathy",
    "ectomy",
    "otomy",
    "ostomy",
    "oscopy",
    "plasty",
    "penia",
    "uria",
    "megaly",
    "sclerosis",
    "trophy",
    "lithiasis",
    "infarction",
    "embolism",
    "graphy",
)
PAST: Final = word_set("used former formerly previously previous past prior history was were had until ago ex quit")
NO_TERMS: Final = frozenset({"diagnosis", "prognosis", "dose"})  # fmt: skip
SHORTEST_BY_ENDING = 7  # letters
PERSONS: Final = word_set("i i'm i've my you your ich mir mein meine j je mon ma mes")  # who is no relative
TERMS: Final = frozenset(
    stem(word)
    for word in word_set(
        """
        flu pneumonia cancer carcinoma tumor tumour asthma copd diabetes diabetic stroke fracture sepsis migraine gout
        hypertension hypotension depression influenza covid hernia ulcer angina hiv dementia epilepsy seizure lupus
        melanoma lymphoma leukemia anemia hypothyroidism hyperthyroidism emphysema shingles eczema psoriasis glaucoma
        cataract sciatica concussion obesity pregnancy pregnant miscarriage overdose suicidal suicide allergy syncope
        anaphylaxis anaphylactic died deceased knee hip shoulder elbow wrist ankle
        mri ct ecg ekg eeg biopsy ultrasound endoscopy dialysis chemotherapy radiation amputation transplant
        """
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a text says. Words are stems."""

    words: frozenset[str] = frozenset()  # content words as they stand there
    content: frozenset[str] = frozenset()  # and what means the same
    affirmed: frozenset[str] = frozenset()  # surely
    denied: frozenset[str] = frozenset()  # surely
    struck: frozenset[str] = (
        frozenset()
    )  # denied, and the first word of what is: "no *fever* at night", "is not *sure*"
    affirmations: tuple[frozenset[str], ...] = ()  # the same, each thing that is named by itself, in its own words
    denials: tuple[frozenset[str], ...] = ()
    supposed: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()  # only asked for, and nobody answered
    of_kin: frozenset[str] = frozenset()  # said of a relative
    numbers: frozenset[str] = frozenset()  # in digits
    former: frozenset[str] = frozenset()  # what somebody used to do
    past: bool = False  # whether it tells of what was
    stops: bool = False  # whether it denies only by what was stopped: "quit smoking"
    drugs: frozenset[str] = frozenset()
    terms: frozenset[str] = frozenset()  # diagnoses and procedures among the content
    sides: frozenset[str] = frozenset()  # left, right, both
    placed: frozenset[tuple[str, str]] = frozenset()  # a side and what stands behind it: ("left", "knee")
    counted: frozenset[tuple[str, str]] = frozenset()  # a number and what stands behind it: ("3", "month")
    bonds: frozenset[Bond] = frozenset()
    negated: bool = False  # whether anything is denied
    warns: bool = False  # whether it says what to do in a case that is only supposed
    kin: bool = False  # whether a relative is named
    question: tuple[str, ...] = field(default=(), repr=False)  # tokens of the question at its end; empty: it asks none


def claims(text: str, lexicon: Lexicon) -> Claims:
    """What a sentence of a note says."""
    return _claims(tokens_of(text, lexicon), lexicon, written=True)


def heard(item: Utterance, lexicon: Lexicon) -> Claims:
    """What an item says, sentence by sentence. A question at its end waits in `question` for its reply."""
    sentences = _sentences(item, lexicon)
    read: dict[tuple[str, ...], Claims] = {}  # what is said twice, or looked at as a reply, too, is read once

    def said(tokens: Sequence[str]) -> Claims:
        key = tuple(tokens)
        if key not in read:
            read[key] = _claims(list(key), lexicon)
        return read[key]

    told: list[Claims] = []
    for (tokens, asks), following in zip_longest(sentences, sentences[1:]):
        if not asks:
            told.append(said(tokens))
            continue
        asking = _asking(tokens, said(tokens))
        told.append(_answered(asking, said(tokens), following[0], said, lexicon) if following else asking)
    return replace(_together(told), question=told[-1].question if sentences and sentences[-1][1] else ())


def in_light_of(asking: Claims, reply: Sequence[str], lexicon: Lexicon) -> Claims:
    """What is said that ends in a question, given the tokens of what the other one said then (none: nothing).

    A plain yes affirms what was asked and a plain no denies it; any other reply leaves it open.
    """

    def read(tokens: Sequence[str]) -> Claims:
        return _claims(tokens, lexicon)

    return _answered(asking, read(asking.question), reply, read, lexicon)


def _answered(
    asking: Claims, question: Claims, reply: Sequence[str], read: Callable[[Sequence[str]], Claims], lexicon: Lexicon
) -> Claims:
    """As `in_light_of`, where the question was read before."""
    asked = question.content
    said = [word for word in reply if word not in MARKS]
    if not said:
        yes_no = lexicon is not ENGLISH or is_yes_no(asking.question[lead_length(asking.question) :])
        return replace(asking, asked=asked - asking.affirmed - asking.denied) if yes_no else asking
    agreed = not lexicon.yes.isdisjoint(said[:2])
    more = read(reply).content - asked  # "no, just a little when I eat" is no plain no
    refused = not more and any(lexicon.denies(word) for word in said)
    turned = lexicon.yes.intersection(said) and lexicon.no.intersection(said)
    if turned or agreed == refused or any(lexicon.denies(word) for word in asking.question):
        # Nothing is sure, and where anything was denied it may have been this.
        denies = any(lexicon.denies(word) for word in (*said, *asking.question))
        return replace(asking, negated=True) if denies else asking
    if agreed:
        return replace(asking, affirmed=asking.affirmed | asked)
    return replace(asking, denied=asking.denied | asked, negated=True)


def tokens_of(text: str, lexicon: Lexicon) -> list[str]:
    """Words and marks in lower case, numbers in digits, accents folded where the lexicon's are."""
    if lexicon is ENGLISH:
        return [token.lower() for token in clean(text)]
    folded = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("’", "'"))
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter)).lower()
    return [lexicon.numerals.get(token, token) for token in split(_ELISION.sub(r"\1 ", plain))]


def _claims(tokens: Sequence[str], lexicon: Lexicon, *, written: bool = False) -> Claims:
    stood = list(stances(tokens, lexicon, written=written))
    words = [word for word, _, _ in stood]
    denying = [lexicon.denies(word) for word in words]
    stems = [_stem(word, lexicon) for word in words]
    content = [
        "" if denies or not _is_content(word, lexicon) else made
        for word, made, denies in zip(words, stems, denying, strict=True)
    ]
    telling = [(word, made) for word, made in zip(words, content, strict=True) if made]
    by_stance: dict[Stance, set[str]] = {stance: set() for stance in Stance}
    things: dict[tuple[Stance, int], list[str]] = {}
    for (word, stance, thing), made in zip(stood, content, strict=True):
        if made:
            by_stance[stance].add(made)
            if word not in lexicon.sides and not made[0].isdigit():
                things.setdefault((stance, thing), []).append(made)
    if lexicon is ENGLISH:
        for at, others in same_meaning(stems).items():  # "can't sleep" is no denial of insomnia
            by_stance[Stance.AFFIRMED if denying[at] else stood[at][1]].update(others)
    terms = frozenset(made for word, made in telling if _is_term(word, made))
    return Claims(
        words=frozenset(made for _, made in telling),
        content=frozenset[str]().union(*by_stance.values()),
        affirmed=_things(by_stance[Stance.AFFIRMED], lexicon),
        denied=_things(by_stance[Stance.DENIED], lexicon),
        struck=frozenset(one[0] for (stance, _), one in things.items() if stance is Stance.DENIED),
        affirmations=tuple(frozenset(one) for (stance, _), one in things.items() if stance is Stance.AFFIRMED),
        denials=tuple(frozenset(one) for (stance, _), one in things.items() if stance is Stance.DENIED),
        supposed=_things(by_stance[Stance.SUPPOSED] - by_stance[Stance.AFFIRMED], lexicon),
        of_kin=frozenset(_of_kin(tokens, lexicon)),
        numbers=frozenset(_numbers(words, stems, lexicon)),
        former=frozenset(_former(words, stems)) if lexicon is ENGLISH else frozenset(),
        past=not PAST.isdisjoint(words) or any(word.endswith("ed") for word, _ in telling),
        stops=any(word in lexicon.stopping for word in words) and not any(map(lexicon.denies_all, words)),
        drugs=frozenset(_drug(word) for word, _ in telling if is_drug(_drug(word))),
        terms=terms,
        bonds=bonds(tokens, terms, written=written) if lexicon is ENGLISH else frozenset(),
        sides=frozenset(lexicon.sides[word] for word in words if word in lexicon.sides),
        placed=frozenset(
            (lexicon.sides[word], behind)
            for word, behind in zip(words, content[1:], strict=False)
            if behind and word in lexicon.sides
        ),
        counted=frozenset(
            (found, behind)
            for word, behind in zip(words, content[1:], strict=False)
            if behind.isalpha() and (word[0].isdigit() or word in lexicon.numerals)
            for found in _NUMBER.findall(lexicon.numerals.get(word, word))[-1:]
        ),
        negated=any(denying),
        warns=not lexicon.warnings.isdisjoint(words),
        kin=not lexicon.kin.isdisjoint(words),
    )


def _former(words: Sequence[str], stems: list[str]) -> Iterator[str]:
    """What somebody used to do: "I used to smoke"."""
    meant = same_meaning(stems)
    for at in range(2, len(words)):
        if tuple(words[at - 2 : at]) == ("used", "to"):
            yield from (stems[at], *meant.get(at, ()))


def _things(stems: Collection[str], lexicon: Lexicon) -> frozenset[str]:
    """What can be affirmed or denied: sides and numbers only tell more of it."""
    return frozenset(made for made in stems if made not in lexicon.sides and not made[:1].isdigit())


def _stem(word: str, lexicon: Lexicon) -> str:
    if lexicon is ENGLISH:
        return stem(word)
    return word if any(map(str.isdigit, word)) else word[:STEM_LETTERS]


def _is_content(word: str, lexicon: Lexicon) -> bool:
    if word in lexicon.silent:
        return False
    return lexicon is ENGLISH or len(word) >= SHORTEST_CONTENT or word.isdigit()


def _drug(word: str) -> str:
    """A medicine's name in the form that languages share: "metformine" → "metformin"."""
    return word[:-1] if len(word) > SHORTEST_CONTENT and word.endswith("e") and is_drug(word[:-1]) else word


def _is_term(word: str, made: str) -> bool:
    ends = len(word) >= SHORTEST_BY_ENDING and word.endswith(TERM_ENDINGS) and word not in NO_TERMS
    return ends or made in TERMS


def _numbers(words: Sequence[str], stems: Sequence[str], lexicon: Lexicon) -> Iterator[str]:
    """Numbers in digits, and those that words stand for: "twice", "a week"."""
    for at, word in enumerate(words):
        if any(map(str.isdigit, word)):
            yield from (found.replace(",", "" if lexicon is ENGLISH else ".") for found in _NUMBER.findall(word))
        elif word in lexicon.numerals:
            yield lexicon.numerals[word]
        elif word in lexicon.articles and at + 1 < len(words):
            following = {words[at + 1], stems[at + 1]}
            if not lexicon.times.isdisjoint(following):
                yield "1"


def parts(numbers: Collection[str]) -> frozenset[str]:
    """Numbers and the numbers that they are made of: "120/80" holds 120 and 80."""
    return frozenset(numbers).union(*(_PART.findall(number) for number in numbers)) if numbers else frozenset()


def _of_kin(tokens: Sequence[str], lexicon: Lexicon) -> Iterator[str]:
    """What is said of a relative: the words behind one, up to the next person or the end of the sentence."""
    of_kin = False
    meant = same_meaning([_stem(word, lexicon) for word in tokens]) if lexicon is ENGLISH else {}
    for at, word in enumerate(tokens):
        if word in lexicon.kin:
            of_kin = True
        elif word in SENTENCE_ENDS or word in PERSONS:
            of_kin = False
        elif of_kin and _is_content(word, lexicon):
            yield from (_stem(word, lexicon), *meant.get(at, ()))


def _sentences(item: Utterance, lexicon: Lexicon) -> list[tuple[Sequence[str], bool]]:
    """An item's sentences in lower case, and whether each asks."""
    if lexicon is ENGLISH:
        return [
            ([token.lower() for token in unit.tokens], unit.question)
            for unit in units([item], {item.id: clean(item.text)})
        ]
    found: list[tuple[Sequence[str], bool]] = []
    sentence: list[str] = []
    for token in tokens_of(item.text, lexicon):
        sentence.append(token)
        if token in SENTENCE_ENDS:
            found.append((sentence, token == "?"))
            sentence = []
    return [*found, (sentence, False)] if sentence else found


def _asking(tokens: Sequence[str], named: Claims) -> Claims:
    """What a question says by itself: it names things, and says nothing of them."""
    return replace(
        named,
        affirmed=frozenset(),
        denied=frozenset(),
        struck=frozenset(),
        supposed=frozenset(),
        negated=False,
        question=tuple(tokens),
    )


def _together(told: Sequence[Claims]) -> Claims:
    """What several sentences say."""

    def of(sets: Iterable[frozenset[str]]) -> frozenset[str]:
        return frozenset[str]().union(*sets)

    return Claims(
        content=of(one.content for one in told),
        affirmed=of(one.affirmed for one in told),
        denied=of(one.denied for one in told),
        struck=of(one.struck for one in told),
        supposed=of(one.supposed for one in told),
        asked=of(one.asked for one in told),
        of_kin=of(one.of_kin for one in told),
        numbers=of(one.numbers for one in told),
        former=of(one.former for one in told) - of(one.affirmed - one.former for one in told),
        drugs=of(one.drugs for one in told),
        terms=of(one.terms for one in told),
        sides=of(one.sides for one in told),
        placed=frozenset[tuple[str, str]]().union(*(one.placed for one in told)),
        counted=frozenset[tuple[str, str]]().union(*(one.counted for one in told)),
        bonds=frozenset[Bond]().union(*(one.bonds for one in told)),
        negated=any(one.negated for one in told),
        warns=any(one.warns for one in told),
        kin=any(one.kin for one in told),
    )
