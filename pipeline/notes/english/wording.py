"""Words of a transcript: cleaning that removes no meaning, stems, and what must survive any rewriting.

Cleaned text is a tuple of tokens: words as they were said (numbers in digits) and the marks . , ; : ? !
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from string import ascii_letters

from pipeline.notes.english.numerals import NUMBER_WORDS, digits
from pipeline.notes.english.vocabulary import word_list, word_set

WORDS_KEPT = 4096  # single words of which the stem and the like are remembered: more than an hour of talk has
MARKS = frozenset(".,;:?!…")
SENTENCE_ENDS = frozenset(".?!…")
TITLES = frozenset({"dr", "mr", "mrs", "ms", "st", "prof"})  # a full stop behind these ends nothing

# Sounds without meaning. Not "er" ("er positive"), not "right" ("on the right"), not "mm-hmm" (it may be a yes).
FILLERS = frozenset({"uh", "um", "uhm", "umm", "uhh", "hmm", "hm", "ah", "eh", "erm"})
BACK_CHANNELS = frozenset({"mm-hmm", "uh-huh", "mhm", "mmhmm", "mm", "huh", "uh-uh", "mm-mm"})
SPOKEN_FORMS = {
    "gonna": ("going", "to"),
    "wanna": ("want", "to"),
    "gotta": ("got", "to"),
    "cannot": ("can't",),
    "dunno": ("don't", "know"),
    "im": ("i'm",),
    "ive": ("i've",),
    "youre": ("you're",),
    "thats": ("that's",),
    **{
        f"{verb}nt": (f"{verb}n't",)
        for verb in word_list("do does did is are was were have has had would could should ca wo")
    },
}
SOUNDS = BACK_CHANNELS.union(FILLERS, MARKS)
# Phrases without meaning, each with the words behind which they have one ("do you know", "what I mean").
PHRASE_FILLERS = {
    ("you", "know"): word_set("do did don't didn't as if let so that what how would"),
    ("i", "mean"): word_set("what that do did which"),
}
NOISY = SOUNDS.union(SPOKEN_FORMS, ["you", "i"])  # any other word without a hyphen is kept as it is
SPELLED = word_set("gi iv iud icu ibs ibd hiv tia uti mri bid tid qid bmi pid sti")
LONE_LETTERS = frozenset(ascii_letters) - {"i", "a", "I", "A"}  # no words by themselves
LONGEST_SPELLED = 3  # letters
MAY_REPEAT = frozenset({"had", "that", "very", "really", "so", *MARKS})  # besides numbers
LONGEST_STUTTER = 3  # words
STUTTER_PASSES = 5  # a repetition may only show once another one is gone

NEGATIONS = word_set(
    """
    no not never none nothing nobody nowhere without neither nor nope nah denies deny denied negative hardly
    """
)
SIDES = frozenset({"left", "right", "bilateral", "bilaterally", "both"})

PREFIXES = word_set("re co de in un pre x")  # "re-recorded" is no stutter

INFLECTED = frozenset("sgde")  # last letters of words that may have an ending

UNPAUSED = word_set("of to the a an in for with from my your at by i some")  # a comma behind these marks a lost filler

# Words that say nothing clinical by themselves, and the few that a note adds.
FUNCTION_WORDS = word_set(
    """
    a an the and or but of to in on at for with from by as is are was were be been being am has have had having do
    does did doing done i you he she it we they me him her us them my your his its our their mine yours theirs
    this that these those there here so if then than just about also any some all will would can could should
    shall may might must s t d ll m re ve not no nor yes yeah okay ok well now oh like likes liked get gets got
    going go goes not don't doesn't didn't isn't aren't wasn't weren't haven't hasn't hadn't can't couldn't won't
    wouldn't shouldn't i'm i've i'll i'd you're you've you'll you'd he's she's it's that's there's we're we've
    we'll we'd they're they've they'll let's what's cannot myself yourself themselves who which what when where how why
    because up out very really too let one
    """
)
NOTE_WORDS = word_set(
    """
    patient patient's doctor doctor's reports report denies deny states asked answered advised said whether duration
    onset frequency severity location number amount plan
    """
)
SILENT = FUNCTION_WORDS | NOTE_WORDS

_TOKEN = re.compile(
    r"[^\W_]{1,8}+-(?=\s)"  # "w- we": a word broken off
    r"|[^\W_]++(?:(?:['’./%-]|,(?=\d{3}\b))[^\W_]++)*+[%+]?"
    r"|[.,;:?!…]"
)
_NUMBER = re.compile(r"\d+(?:[.,/]\d+)*")


def clean(text: str) -> tuple[str, ...]:
    """The tokens of what was said, without fillers, broken-off words and stutters, numbers in digits."""
    tokens = _TOKEN.findall(text.replace("’", "'").replace(" %", "%").replace(" n't", "n't"))
    return tuple(digits(_without_stutters(_without_noise(_without_spelling(tokens)))))


def split(text: str) -> tuple[str, ...]:
    """The tokens of a text that is clean already."""
    return tuple(_TOKEN.findall(text))


def _without_spelling(tokens: list[str]) -> list[str]:
    """Spelled abbreviations in one word: "m. r. i." → "MRI"; "x ray" → "x-ray"."""
    if LONE_LETTERS.isdisjoint(tokens):
        return tokens
    kept: list[str] = []
    at = 0
    while at < len(tokens):
        end = at
        while end + 1 < len(tokens) and len(tokens[end]) == 1 and tokens[end].isalpha() and tokens[end + 1] == ".":
            end += 2
        if end - at >= 4:
            kept.append("".join(tokens[at:end:2]).upper())
            at = end
        elif length := _spelled(tokens, at):
            kept.append("".join(tokens[at : at + length]).upper())
            at += length
        elif tokens[at].lower() == "x" and (length := _ray(tokens, at)):
            kept.append(f"{tokens[at]}-{tokens[at + length - 1]}")
            at += length
        else:
            kept.append(tokens[at])
            at += 1
    return kept


def _spelled(tokens: Sequence[str], at: int) -> int:
    """Letters of an abbreviation with an "i" in it at `at`, which is no pronoun there: "an upper g i bleed"; else 0."""
    for length in range(LONGEST_SPELLED, 1, -1):
        letters = tokens[at : at + length]
        if len(letters) == length and "".join(letters).lower() in SPELLED and all(len(one) == 1 for one in letters):
            return length
    return 0


def _ray(tokens: Sequence[str], at: int) -> int:
    """Length of "x ray" or "x. rays" at `at`, else 0."""
    for length in (2, 3):
        if [token.lower() for token in tokens[at + 1 : at + length]] in (
            ["ray"],
            ["rays"],
            [".", "ray"],
            [".", "rays"],
        ):
            return length
    return 0


def _without_noise(tokens: list[str]) -> list[str]:
    kept: list[str] = []
    lower = [token.lower() for token in tokens]
    only_sounds = SOUNDS.issuperset(lower)
    skip = False
    for at, (token, word) in enumerate(zip(tokens, lower, strict=True)):
        if skip:
            skip = False
        elif word not in NOISY and "-" not in word:
            kept.append(token)
        elif "-" in word[1:3] and (whole := _begun_twice(word)):
            skip = _is_phrase_filler([word[-whole:], *lower[at + 1 : at + 2]], 0)
            if not skip:
                kept.append(token[-whole:])
        elif word in MARKS:
            _add_mark(kept, token)
        elif word in FILLERS or word[-1] == "-" or (word in BACK_CHANNELS and not only_sounds):
            continue
        elif word in ("you", "i") and _is_phrase_filler(lower, at):
            skip = True
        elif word in SPOKEN_FORMS:
            kept.extend(SPOKEN_FORMS[word])
        else:
            kept.append(token)
    return kept


def _begun_twice(word: str) -> int:
    """Letters of the word that was begun twice: "y-you" → 3 of "you"; 0 where a hyphen joins two parts."""
    begun, _, whole = word.partition("-")
    return len(whole) if begun not in PREFIXES and whole.startswith(begun) and whole.isalpha() else 0


def _add_mark(kept: list[str], mark: str) -> None:
    """A mark, unless it stands at the beginning, behind a title or behind another mark."""
    if not kept or (mark == "." and kept[-1].lower() in TITLES):
        return
    if mark == "," and kept[-1].lower() in UNPAUSED:
        return
    if kept[-1] not in MARKS:
        kept.append(mark)
    elif mark in SENTENCE_ENDS and kept[-1] not in SENTENCE_ENDS:
        kept[-1] = mark


def _is_phrase_filler(lower: Sequence[str], at: int) -> bool:
    """Whether "you know" or "I mean" stands at `at` and only fills a pause."""
    pair = tuple(lower[at : at + 2])
    return pair in PHRASE_FILLERS and not (at and lower[at - 1] in PHRASE_FILLERS[pair])


def _without_stutters(tokens: list[str]) -> list[str]:
    """Immediate repetitions of up to three words, once: "i had i had" → "i had". Numbers stay as they are."""
    for _ in range(STUTTER_PASSES):
        lower = [token.lower() for token in tokens]
        kept: list[str] = []
        begin = 0
        for at in _recurring(lower):
            if at >= begin and (length := _repeated(lower, at)):
                kept.extend(tokens[begin:at])
                begin = at + length
        if not begin:
            break
        tokens = [*kept, *tokens[begin:]]
    return tokens


def _recurring(words: Sequence[str]) -> list[int]:
    """Where words stand that are said again within the reach of a stutter."""
    places: list[int] = []
    last: dict[str, int] = {}
    for at, word in enumerate(words):
        before = last.get(word, len(words))
        if 0 <= at - before <= LONGEST_STUTTER + 1 and word not in MARKS:
            places.append(before)
        last[word] = at
    return sorted(places)


def _repeated(words: Sequence[str], at: int) -> int:
    """Length of a phrase at `at` that is said again right behind it (a comma may stand between), else 0."""
    for length in range(1, LONGEST_STUTTER + 1):
        phrase = words[at : at + length]
        behind = at + length
        if words[behind : behind + 1] == [","]:
            behind += 1
        if phrase != words[behind : behind + length] or (length == 1 and phrase[0] in MAY_REPEAT):
            continue
        if words[at] in MARKS or any(word in NUMBER_WORDS or word[0].isdigit() for word in phrase):
            continue
        return behind - at
    return 0


def words(tokens: Iterable[str]) -> list[str]:
    """The words among the tokens, in lower case."""
    return [token.lower() for token in tokens if token not in MARKS]


def join(tokens: Iterable[str]) -> str:
    """Tokens as text, marks close to the word before them."""
    text = ""
    for token in tokens:
        text += token if token in MARKS or not text else f" {token}"
    return text


@lru_cache(WORDS_KEPT)
def stem(word: str) -> str:
    """A word without the endings of number and tense: "coughing", "coughs", "coughed" → "cough"."""
    if word.startswith("allerg"):  # "any allergies" – "I'm allergic"
        return "allerg"
    last = word[-1:]
    if last not in INFLECTED or len(word) < 4:
        return word
    if last == "s":
        return _without_s(word)
    if last == "g":
        return _without_doubling(word[:-3]) if word.endswith("ing") and len(word) > 5 else word
    if last == "d":
        return _without_doubling(word[:-2]) if word.endswith("ed") and len(word) > 4 else word
    return word[:-1]


def _without_s(word: str) -> str:
    if word.endswith("'s"):
        word = word[:-2]
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith("s") and word[-2:-1] not in ("s", "u", "a", "i"):
        word = word[:-1]
    return stem(word) if word[-1:] != "s" else word


def _without_doubling(base: str) -> str:
    doubled = len(base) > 3 and base[-1] == base[-2] and base[-1] not in "aeiousl"
    return base[:-1] if doubled else base.removesuffix("e")


@lru_cache(WORDS_KEPT)
def is_negation(word: str) -> bool:
    return word in NEGATIONS or word.endswith("n't") or word == "cannot"


def negations(lower_words: Iterable[str]) -> int:
    """How often something is denied."""
    return sum(map(is_negation, lower_words))


def numbers(lower_words: Iterable[str]) -> dict[str, int]:
    """Every number said and how often, also those that stayed in words."""
    return _counted(chain.from_iterable(map(_numbers_of, lower_words)))


@lru_cache(WORDS_KEPT)
def _numbers_of(word: str) -> tuple[str, ...]:
    return tuple(_NUMBER.findall(word)) or ((word,) if word in NUMBER_WORDS else ())


def sides(lower_words: Iterable[str]) -> dict[str, int]:
    """Left, right, both, and how often."""
    return _counted([word for word in lower_words if word in SIDES])


def _counted(each: Iterable[str]) -> dict[str, int]:
    """As a `Counter`, which takes longer to make than a few words take to count."""
    counts: dict[str, int] = {}
    for one in each:
        counts[one] = counts.get(one, 0) + 1
    return counts


def carries_content(word: str) -> bool:
    """Whether a word in lower case says something by itself."""
    return word not in SILENT and word not in MARKS


def content_words(lower_words: Iterable[str]) -> frozenset[str]:
    """Stems of the words that carry what a sentence says."""
    return frozenset(map(stem, frozenset(lower_words) - SILENT))
