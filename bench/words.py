"""Words: what makes two of them the same, and how many of those said were understood. Pure.

A text is brought into a *form* before its words are compared. There are three:

`normalise`: lower case without punctuation, in any language; everything else counts.

`whisper_form`: OpenAI's own (Radford et al. 2022, appendix C), by which Whisper's published figures are made; needed
to compare with them. In consultations it hides some errors and invents others: "oh" is the digit 0, "two three days"
are "23 days", "positive two weeks ago" is "+2 weeks ago", "nine o'clock" is "90 clock", "twenty pounds" are £20, and
"mm-hmm" (a yes) and "mm" (a unit) are nothing, while "okay" and "ok", "yeah" and "yes", "mum" and "mom" differ.

`medical_form`: ours. Two texts are the same if a clinician would act on them in the same way and only spelling differs:

- sounds of hesitation go; "mm-hmm" and "uh-uh", which answer questions, stay, each in one spelling;
- the pairs in `SPELLINGS`, British and American spelling, and contractions have one form; negations stay words;
- a number is its value and a unit its abbreviation, read as `pipeline.notes.english.numerals` does: "eighty
  milligrams" are "80 mg". Nothing is merged with a word that is no number, and what can be read in two ways stays in
  words;
- names of medicines and diseases stay as they are: one wrong letter is an error.

English only: other languages have the plain form for `medical_form`, and Whisper's basic one for `whisper_form`.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from types import MappingProxyType
from typing import Final, TypeAlias

import jiwer
import msgspec
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishSpellingNormalizer, EnglishTextNormalizer

from pipeline.notes.english.numerals import digits

Form: TypeAlias = Callable[[str], str]
"""Text → words, separated by single spaces."""

ENGLISH: Final = "en"

# What differs in spelling alone. Not "k" for "okay" (vitamin K), nor paracetamol for acetaminophen (another word).
SPELLINGS: Final = MappingProxyType(
    {
        "okay": "ok",
        "okey": "ok",
        "yeah": "yes",
        "yea": "yes",
        "yep": "yes",
        "yup": "yes",
        "nope": "no",
        "nah": "no",
        "mum": "mom",
        "mum's": "mom's",
        "mummy": "mommy",
        "alright": "all right",
        "goodbye": "bye",
        "gonna": "going to",
        "wanna": "want to",
        "gotta": "got to",
        "kinda": "kind of",
        "sorta": "sort of",
        "dunno": "do not know",
        "cause": "because",  # "'cause"; the noun is rarer in talk, and the same on both sides
        "dr": "doctor",
        "mr": "mister",
        "mrs": "missus",
        "percent": "per cent",
        "o'clock": "oclock",
        # British medical words that Whisper's list of spellings lacks
        "oedema": "edema",
        "oedematous": "edematous",
        "dyspnoea": "dyspnea",
        "orthopnoea": "orthopnea",
        "apnoea": "apnea",
        "haematuria": "hematuria",
        "haemoptysis": "hemoptysis",
        "haematemesis": "hematemesis",
        "haematoma": "hematoma",
        "haemorrhoids": "hemorrhoids",
        "ischaemia": "ischemia",
        "ischaemic": "ischemic",
        "coeliac": "celiac",
        "hyperlipidaemia": "hyperlipidemia",
        "hypoglycaemia": "hypoglycemia",
        "hyperglycaemia": "hyperglycemia",
        "paraesthesia": "paresthesia",
        "sulphate": "sulfate",
    }
)

_CONTRACTIONS: Final = (
    (re.compile(r"\bcan(?:no|')t\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\blet's\b"), "let us"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"(?<=i)'m\b"), " am"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"\b(i|you|he|she|it|we|they|that|there)'d\b"), r"\1 would"),
    # Elsewhere it is the genitive: "the patient's".
    (re.compile(r"\b(it|that|he|she|what|there|here|where|who|how)'s\b"), r"\1 is"),
)
_AFFIRMING: Final = re.compile(r"\bm+[- ]?hu?m+\b|\buh+[- ]?huh+\b")
_DENYING: Final = re.compile(r"\bm+-m+\b|\b(?:n?uh)-uh\b")
_SPELLED_OUT: Final = re.compile(r"\b[a-z]\.(?:\s*[a-z]\.)+")  # "m. r. i."
_X_RAY: Final = re.compile(r"\bx[-. ]+(?=rays?\b)")
_HESITATION: Final = re.compile(r"\b(?:u+h+m*|u+m+|h+m+|m{3,}|a+h+|e+h+|er+m+)\b")  # not "er" (a place), not "mm"
_THOUSANDS: Final = re.compile(r"(?<=\d),(?=\d{3}\b)")
_UNIT_BEHIND_DIGIT: Final = re.compile(r"(?<=\d)(?=(?:mg|mcg|g|kg|ml|l|mm|cm)\b)")
_PERCENT: Final = re.compile(r"\s*%|\bper cent\b")
_BETWEEN_WORDS: Final = re.compile(r"[^\w'./]|(?<!\d)[./]|[./](?!\d)|_")

# A full stop or comma inside a number belongs to it; an apostrophe joins ("don't" is "dont"); all else separates.
_JOINING: Final = re.compile(r"(?<=\w)['’](?=\w)")
_SEPARATING: Final = re.compile(r"(?<=\d)[.,](?!\d)|(?<!\d)[.,]|[^\w\s.,]|_")


class WordErrors(msgspec.Struct, frozen=True, kw_only=True):
    """Edits that turn what was said into what was transcribed."""

    words: int  # that were said
    substitutions: int
    deletions: int
    insertions: int

    @property
    def rate(self) -> float | None:
        """The word error rate: edits ÷ words said; None where nothing was said."""
        edits = self.substitutions + self.deletions + self.insertions
        return edits / self.words if self.words else None

    def __add__(self, other: "WordErrors") -> "WordErrors":
        return WordErrors(
            words=self.words + other.words,
            substitutions=self.substitutions + other.substitutions,
            deletions=self.deletions + other.deletions,
            insertions=self.insertions + other.insertions,
        )


NO_ERRORS: Final = WordErrors(words=0, substitutions=0, deletions=0, insertions=0)


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """Word errors and their rate, as reports have them."""

    rate: float | None
    errors: WordErrors

    @classmethod
    def of(cls, errors: WordErrors) -> "Words":
        return cls(rate=None if errors.rate is None else round(errors.rate, 4), errors=errors)


def compare(said: str, heard: str) -> WordErrors:
    """The fewest edits between two texts in one form."""
    edits = jiwer.process_words(said, heard)
    return WordErrors(
        words=edits.hits + edits.substitutions + edits.deletions,
        substitutions=edits.substitutions,
        deletions=edits.deletions,
        insertions=edits.insertions,
    )


def normalise(text: str) -> str:
    """The plain form: lower case, no punctuation, numbers as they are, single spaces."""
    plain = unicodedata.normalize("NFKC", text).lower()
    return " ".join(_SEPARATING.sub(" ", _JOINING.sub("", plain)).split())


def whisper_form(language: str) -> Form:
    """Whisper's form for texts in a language (ISO 639-1)."""
    normaliser = _whisper_english() if language == ENGLISH else _whisper_basic()
    return lambda text: " ".join(normaliser(text).split())


def medical_form(language: str) -> Form:
    """The medical form for texts in a language (ISO 639-1)."""
    return _medical if language == ENGLISH else normalise


def _medical(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    for pattern, form in _CONTRACTIONS:
        plain = pattern.sub(form, plain)
    plain = _SPELLED_OUT.sub(lambda letters: re.sub(r"[.\s]", "", letters[0]) + " ", plain)
    plain = _HESITATION.sub(" ", _DENYING.sub("nuh", _AFFIRMING.sub("mhm", plain)))
    plain = _PERCENT.sub(" percent", _THOUSANDS.sub("", _X_RAY.sub("x", plain)))
    tokens = _BETWEEN_WORDS.sub(" ", _UNIT_BEHIND_DIGIT.sub(" ", plain)).split()
    spelled = [word for token in tokens if token.strip("'") for word in _spelled(token.strip("'"))]
    return " ".join(_numbered(spelled))


def _spelled(word: str) -> list[str]:
    word = SPELLINGS.get(word, word)
    return [_american().get(part, part) for part in word.split()]


def _numbered(words: Sequence[str]) -> Iterator[str]:
    """The words with numbers as values; "1" as the word that it mostly is in talk: "no one", "this one"."""
    for token in digits(list(words)):
        for part in token.lower().replace("%", " per cent").replace("/", " ").split():
            yield "one" if part == "1" else part.replace("'", "")


@cache
def _whisper_english() -> Form:
    normaliser: Form = EnglishTextNormalizer()
    return normaliser


@cache
def _whisper_basic() -> Form:
    normaliser: Form = BasicTextNormalizer()
    return normaliser


@cache
def _american() -> dict[str, str]:
    """British → American, as Whisper has it, which takes "mhm" for a spelling of "hmm"."""
    mapping: dict[str, str] = EnglishSpellingNormalizer().mapping
    return {british: american for british, american in mapping.items() if british != "mhm"}
