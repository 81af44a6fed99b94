"""Contractions in full, as notes are written: "doesn't" → "does not", "it's been" → "it has been"."""

from collections.abc import Sequence
from typing import Final

from pipeline.notes.english.verbs import is_adverb
from pipeline.notes.english.vocabulary import word_set

NEGATED: Final = {"can't": "cannot", "won't": "will not", "shan't": "shall not"}
ENDINGS: Final = {"'re": "are", "'ve": "have", "'ll": "will"}
SUBJECTS: Final = word_set("it that there he she what here where how who this they we you i")
BEHIND_HAS: Final = word_set("been got had gone come gotten become")  # "it's been"; "it's done" may be either


def in_full(text: str) -> str:
    """A sentence without contractions, where there is one way to read each; quotations stay as they were said."""
    if "'" not in text or '"' in text:
        return text
    words = text.split(" ")
    return " ".join(_full(words, at) for at in range(len(words)))


def _full(words: Sequence[str], at: int) -> str:
    token = words[at]
    bare = token.strip("\"'.,;:!?()")
    word = bare.lower()
    if "'" not in word:
        return token
    if word.endswith("n't"):
        full = NEGATED.get(word, f"{bare[:-3]} not")
    else:
        subject, ending = bare.split("'", 1)
        verb = ENDINGS.get(f"'{ending.lower()}", "")
        if ending.lower() == "s" and subject.lower() in SUBJECTS:
            verb = _is_or_has([word.strip(".,;:").lower() for word in words[at + 1 : at + 4]])
        elif subject.lower() not in SUBJECTS:
            verb = ""
        if not verb:
            return token
        full = f"{subject} {verb}"
    if bare[0].isupper():
        full = full[0].upper() + full[1:]
    return token.replace(bare, full)


def _is_or_has(following: Sequence[str]) -> str:
    """What "'s" stands for before these words; empty where it may be either: "it's improved"."""
    behind = next((word for word in following if not is_adverb(word) and word != "not"), "")
    if behind in BEHIND_HAS:
        return "has"
    return "" if behind.endswith("ed") else "is"
