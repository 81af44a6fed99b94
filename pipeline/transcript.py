"""Words of a segment → utterances, and their order in an encounter."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from uuid import UUID, uuid5

from pipeline.types import Role, StreamOptions, Utterance, Word

ITEM_NAMESPACE = UUID("6a5f2f0e-6b1b-4d5e-9a51-1f8f3c2f7a10")  # ours; item ids are UUIDs as in Nabla's data
SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！")
ELLIPSES = ("...", "…")
OPENING, CLOSING = "\"'“‘„«([", "\"'”’“»)]"  # marks around a sentence, or around a word
# What never ends a sentence: more has to follow.
ABBREVIATIONS = frozenset(
    {
        "dr.", "mr.", "mrs.", "ms.", "mx.", "prof.", "st.", "e.g.", "i.e.", "vs.", "approx.", "mme.", "mlle.",
        "z.b.", "d.h.", "bzw.", "ca.", "nr.", "evtl.", "ggf.", "inkl.",
    }
)  # fmt: skip
# What ends one where the next word begins like a sentence does. So do letters with dots ("p.m.", "b.i.d.").
MAYBE_ENDS = frozenset(
    {
        "etc.", "jr.", "sr.", "inc.", "mg.", "mcg.", "ml.", "kg.", "lbs.", "min.", "max.", "hr.", "hrs.", "tab.",
        "tabs.", "usw.",
    }
)  # fmt: skip
LETTERS_WITH_DOTS = re.compile(r"(?:[^\W\d_]\.){2,}")


def item_id(options: StreamOptions, segment: int, sentence: int = 0) -> str:
    """The id of an item: the same for the same place in the same encounter, also after a restart."""
    return str(uuid5(ITEM_NAMESPACE, f"{options.encounter}/{options.stream}/{segment}/{sentence}"))


def utterances(options: StreamOptions, role: Role, segment: int, words: tuple[Word, ...]) -> tuple[Utterance, ...]:
    """The items of one segment: one, or one per sentence where that was asked for; none without words."""
    groups = sentences(words) if options.split_by_sentence else iter([words] if words else [])
    return tuple(_utterance(options, role, segment, index, group) for index, group in enumerate(groups))


def _utterance(options: StreamOptions, role: Role, segment: int, index: int, words: tuple[Word, ...]) -> Utterance:
    return Utterance(
        id=item_id(options, segment, index),
        stream=options.stream,
        role=role,
        start=words[0].start,
        end=words[-1].end,
        text=" ".join(word.text for word in words),
        words=words,
    )


def spoken(
    options: StreamOptions, segment: int, parts: Sequence[tuple[str, tuple[Word, ...], bool]]
) -> list[Utterance]:
    """The items of one segment in which several spoke: who, which words, whether at once with somebody else."""
    groups = [
        (speaker, group, overlap)
        for speaker, words, overlap in parts
        for group in (sentences(words) if options.split_by_sentence else [words])
    ]
    return [
        replace(_utterance(options, options.role, segment, index, group), speaker=speaker, overlap=overlap)
        for index, (speaker, group, overlap) in enumerate(groups)
    ]


def ends_sentence(words: tuple[Word, ...]) -> bool:
    """Whether the last word ends a sentence. Never true of a recogniser without punctuation."""
    return bool(words) and ends(words[-1].text, "")


def sentences(words: tuple[Word, ...]) -> Iterator[tuple[Word, ...]]:
    """Split after words that end a sentence. A recogniser without punctuation yields one group."""
    begin = 0
    for index, word in enumerate(words, 1):
        if ends(word.text, words[index].text if index < len(words) else ""):
            yield words[begin:index]
            begin = index
    if begin < len(words):
        yield words[begin:]


def ends(word: str, after: str) -> bool:
    """Whether a word ends a sentence; `after` is the one behind it, empty for none."""
    text = word.rstrip(CLOSING)
    known = text.lstrip(OPENING).lower()
    if not text.endswith(SENTENCE_ENDS) or known in ABBREVIATIONS:
        return False
    if not after:
        return True
    begins = after.lstrip(OPENING)[:1].isupper()
    if text.endswith(ELLIPSES):  # perhaps somebody only hesitated: "I... I do not know"
        return begins and re.split("['’]", after)[0] != "I"
    return begins or not (known in MAYBE_ENDS or LETTERS_WITH_DOTS.fullmatch(known))


def chronological(items: Iterable[Utterance]) -> list[Utterance]:
    """Items in the order in which they were spoken."""
    return sorted(items, key=lambda item: (item.start, item.end, item.id))
