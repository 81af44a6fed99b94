"""Whether notes affirm what was affirmed and deny what was denied, judged without the writer's own rules. Pure.

Three witnesses: the items that a sentence cites, what was answered to questions, and the note of a clinician. The last
two are compared by medical words that a text only affirms or only denies; they are no proof, as a word may be denied of
one thing and affirmed of another, but what they name is worth reading.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Final, TypeAlias

from bench.notes_vocabulary import medical_words
from pipeline.notes.english.vocabulary import word_set
from pipeline.notes.english.wording import clean, stem, words
from pipeline.notes.evidence.grounding import Wording, wording
from pipeline.types import Utterance

Polarity: TypeAlias = Mapping[str, bool]
"""Medical words as stems → whether they are only affirmed (true) or only denied."""

YES: Final = word_set("yes yeah yep yup mm-hmm uh-huh mhm definitely absolutely correct")
NO: Final = word_set("no nope nah uh-uh never none")
_QUOTED: Final = re.compile(r'(?P<asked>[^:]*): "(?P<reply>.*)"\.?')
_SENTENCE: Final = re.compile(r"[^.;?!\n]+[.;?!\n]?")


def flipped(sentence: str, cited: Iterable[str]) -> bool:
    """Whether a sentence denies without a denial in its items, or affirms what they only deny."""
    said, items = wording(sentence), [wording(text) for text in cited]
    if said.negations and not any(item.negations for item in items):
        return True
    affirmed, denied = _told(items)
    return bool((said.affirmed - said.denied) & (denied - affirmed))


def polarity_of(text: str) -> Polarity:
    """Of a note. What stands before a quoted reply is what was asked: 'Cough: "no, not really".'"""
    affirmed, denied = set[str](), set[str]()
    for line in text.splitlines():
        quoted = _QUOTED.fullmatch(line)
        if quoted is not None:
            _add_asked(wording(quoted["asked"]).content, quoted["reply"], affirmed, denied)
        for sentence in _SENTENCE.findall(quoted["reply"] if quoted is not None else line):
            said = wording(sentence)
            affirmed |= said.affirmed
            denied |= said.denied
    return _only(frozenset(affirmed), frozenset(denied))


def polarity_of_talk(items: Sequence[Utterance]) -> Polarity:
    """Of a consultation: what a question names is affirmed or denied by the first word of the reply, and else neither.

    Words that are asked for and not answered so are left out.
    """
    affirmed, denied = set[str](), set[str]()
    for item, reply in zip(items, [*items[1:], None], strict=True):
        sentences = _SENTENCE.findall(item.text)
        for at, sentence in enumerate(sentences):
            said = wording(sentence)
            if not sentence.endswith("?"):
                affirmed |= said.affirmed
                denied |= said.denied
                continue
            answered = at == len(sentences) - 1 and reply is not None and reply.role is not item.role
            _add_asked(said.content, reply.text if answered and reply is not None else "", affirmed, denied)
    return _only(frozenset(affirmed), frozenset(denied))


def contradicted(text: str, witness: Polarity) -> frozenset[str]:
    """Medical words that a note only affirms and the witness only denies, or the other way round."""
    noted = polarity_of(text)
    return frozenset(word for word in noted.keys() & witness.keys() if noted[word] != witness[word])


def compared(text: str, witness: Polarity) -> int:
    """How many words note and witness both know."""
    return len(polarity_of(text).keys() & witness.keys())


def _add_asked(asked: frozenset[str], reply: str, affirmed: set[str], denied: set[str]) -> None:
    """Words that were asked for, where the reply puts them; in both where it does not say."""
    answer = _answer(reply)
    affirmed |= asked if answer is not False else frozenset()
    denied |= asked if answer is not True else frozenset()


def _answer(reply: str) -> bool | None:
    """Whether a reply begins with a yes or a no; None where it does not say."""
    first = next(iter(words(clean(reply))), "")
    return True if first in YES else False if first in NO else None


def _told(texts: Iterable[Wording]) -> tuple[frozenset[str], frozenset[str]]:
    """Stems that any of the texts affirms, and that any denies."""
    known = list(texts)
    affirmed = frozenset[str]().union(*(one.affirmed for one in known))
    denied = frozenset[str]().union(*(one.denied for one in known))
    return affirmed, denied


def _only(affirmed: frozenset[str], denied: frozenset[str]) -> Polarity:
    return {word: word in affirmed for word in (affirmed ^ denied) & _medical()}


@cache
def _medical() -> frozenset[str]:
    return frozenset(map(stem, medical_words()))
