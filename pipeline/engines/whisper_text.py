"""Text ⇄ Whisper's tokens: what the model reads before it writes, and the words in what it wrote.

The sequence is `<|startofprev|>` glossary, text before `<|startoftranscript|>` language, task, `<|notimestamps|>`
committed text, and then what the model writes. In one batch CTranslate2 wants the start of the transcript at the same
position everywhere, so what is before it comes in few lengths.
"""

import re
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import median

import numpy as np
import tokenizers
from faster_whisper.tokenizer import Tokenizer

from pipeline.types import SAMPLE_RATE, Word

CONTEXT = 448  # positions of the decoder
WRITTEN = CONTEXT // 2  # tokens of a text at most, by training and by CTranslate2
PROMPT = WRITTEN - 1  # tokens before the transcript, less the one that marks them, as in training
HOTWORDS = 100  # of these; what was said before gets the rest
CONTEXT_LENGTHS = (0, 8, 16, 32, 48, 64, 96, PROMPT - HOTWORDS)  # tokens of what was said before: the last so many
TOKENS_PER_SECOND = 10  # a fast speaker's 6 words a second in 1.5 tokens each; training has 224 in 30 s at most
TOKENS_AT_LEAST = 10  # however short the audio: a long name in small pieces
ROOM = 8  # tokens that can always be written behind the committed ones
SAMPLES_PER_POSITION = 320  # 20 ms: a position of the encoder, to which words are aligned
LONG_WORD = 0.7 * SAMPLE_RATE  # samples; faster-whisper's bound of the median of a word's length
UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})  # as faster-whisper: languages written without spaces
CLOSING = "\"'.。,，!！?？:：”)]}、"  # as faster-whisper: marks that belong to the word before
SENTENCE_END = (".", "。", "!", "！", "?", "？")
FOREIGN_GAP = re.compile(r"(?<=[^\x00-\x7f]) (?=[^\x00-\x7f])")


# Before it writes


class Prompter:
    """Tokens of the glossary and of what was said before."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._mark = tokenizer.token_to_id("<|startofprev|>")
        self._hotwords = lru_cache(maxsize=64)(self._hotword_tokens)  # streams share their glossaries

    def before(self, prompt: str, glossary: tuple[str, ...]) -> tuple[int, ...]:
        """All that comes before the start of the transcript; empty for nothing."""
        said = _tokens(self._tokenizer, prompt.strip())
        length = CONTEXT_LENGTHS[bisect_right(CONTEXT_LENGTHS, len(said)) - 1]
        tokens = (*self._hotwords(glossary), *said[len(said) - length :])
        return (self._mark, *tokens) if tokens and self._mark is not None else ()

    def _hotword_tokens(self, glossary: tuple[str, ...]) -> tuple[int, ...]:
        """As many terms as there is room for, the first ones first."""
        kept: list[str] = []
        room = HOTWORDS
        for term in glossary:
            room -= len(_tokens(self._tokenizer, f"{term},"))
            if room < 0:
                break
            kept.append(term)
        return _tokens(self._tokenizer, ", ".join(kept))


def prefix(tokenizer: Tokenizer, committed: str) -> tuple[int, ...]:
    """Tokens of the text that the answer must begin with; none where it is so long that nothing could follow."""
    if tokenizer.language_code in UNSPACED:  # its words were joined by spaces that it does not have
        committed = FOREIGN_GAP.sub("", committed)
    tokens = _tokens(tokenizer.tokenizer, committed.strip())
    return tokens if len(tokens) + ROOM <= WRITTEN else ()


def limit(samples: int, prefixed: int) -> int:
    """Tokens of a text at most, those of its prefix included: a loop must not cost more than fast speech would."""
    spoken = TOKENS_AT_LEAST + TOKENS_PER_SECOND * samples // SAMPLE_RATE
    return min(max(spoken, prefixed + ROOM), WRITTEN)


def max_length(start: int, tokens: int) -> int:
    """What CTranslate2 calls so, for a text of so many tokens at most behind `start` others.

    It lets a text have half of it, and ends a sequence at it.
    """
    return min(max(2 * tokens, start + tokens), CONTEXT)


def _tokens(tokenizer: tokenizers.Tokenizer, text: str) -> tuple[int, ...]:
    """Tokens of words within a text; none for none, nor for a control token that somebody spells out."""
    if not text:
        return ()
    end = tokenizer.token_to_id("<|endoftext|>")  # the first control token
    ids = tokenizer.encode(f" {text}", add_special_tokens=False).ids
    return tuple(token for token in ids if end is None or token < end)


# What it wrote


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A word as a range of a text's tokens."""

    text: str
    first: int
    end: int  # behind its last token
    spoken: int  # behind its last letter: marks take no time


def spans(tokenizer: Tokenizer, tokens: Sequence[int]) -> list[Span]:
    """The words of a text. Their texts, joined by single spaces, are the text."""
    spaced = tokenizer.language_code not in UNSPACED
    found: list[Span] = []
    at = 0
    for text, parts in zip(*tokenizer.split_to_word_tokens(list(tokens)), strict=True):
        end = at + len(parts)
        if found and _goes_on(found[-1].text, text, spaced=spaced):
            before = found[-1]
            spoken = end if _has_letters(text) or not _has_letters(before.text) else before.spoken
            found[-1] = replace(before, text=before.text + text, end=end, spoken=spoken)
        else:
            found.append(Span(text=text, first=at, end=end, spoken=end))
        at = end
    return [replace(span, text=text) for span in found if (text := span.text.replace("\ufffd", "").strip())]


def _goes_on(before: str, text: str, *, spaced: bool) -> bool:
    """Whether a piece of text belongs to the word before: "-one" to "twenty", ".5" to "3", "." to either."""
    if spaced:
        return not text.startswith(" ")
    latin = f"{before[-1:]}{text[:1]}"
    return text in CLOSING or (latin.isascii() and latin.isalnum())


def _has_letters(text: str) -> bool:
    return any(map(str.isalnum, text))


def timed(
    found: Sequence[Span], alignment: Sequence[tuple[int, int]], probabilities: Sequence[float], length: int
) -> tuple[Word, ...]:
    """Words with times and probabilities.

    `alignment`: pairs of token and encoder position, as CTranslate2 aligns a text of `len(probabilities)` tokens;
    `length`: of the audio, in samples. A pause is aligned to the word behind it, so a word that is too long behind a
    pause starts later than it seems to (as in faster-whisper's `add_word_timestamps`).
    """
    starts = _starts(alignment, len(probabilities), length)
    lengths = [starts[span.spoken] - starts[span.first] for span in found]
    longest = 2 * min(LONG_WORD, median(filter(None, lengths))) if any(lengths) else 0
    words = []
    pause = True  # the audio begins with one
    for span in found:
        start, end = starts[span.first], starts[span.spoken]
        if pause:
            start = max(start, round(end - longest))
        probability = float(np.mean(probabilities[span.first : span.spoken]))
        words.append(Word(text=span.text, start=start, end=end, probability=min(1.0, max(0.0, probability))))
        pause = span.text.endswith(SENTENCE_END)
    return tuple(words)


def _starts(alignment: Sequence[tuple[int, int]], tokens: int, length: int) -> list[int]:
    """Sample at which each token begins, and one more for the end of the last. Never decreasing."""
    starts = [length] * (tokens + 1)
    for token, position in reversed(alignment):
        starts[token] = min(position * SAMPLES_PER_POSITION, length)
    return starts


def compression_ratio(text: str) -> float:
    """Length of a text against that of its zlib form, as Whisper defines it: more than 2.4 is repetition."""
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded))
