"""Guards against text that nobody said. Each is a small function; `heard` is the paragraph that applies them."""

from pipeline.types import Hypothesis, Word

NO_SPEECH_PROBABILITY = 0.6  # Whisper's own default (openai/whisper transcribe.py): silence if above, and …
SILENT_LOGPROB = -1.0  # … the words are this improbable as well
LOOP_REPEATS = 4  # the same phrase so often in a row is a decoder's loop, not a person
LOOP_PHRASE = 6  # longest phrase, in words, that is looked for


def heard(hypothesis: Hypothesis) -> tuple[Word, ...]:
    """The words of a hypothesis that can be believed."""
    if is_silence(hypothesis):
        return ()
    return without_loops(hypothesis.words)


def is_silence(hypothesis: Hypothesis) -> bool:
    """Whether the recogniser itself doubts that anybody spoke."""
    return hypothesis.no_speech_prob > NO_SPEECH_PROBABILITY and hypothesis.avg_logprob < SILENT_LOGPROB


def without_loops(words: tuple[Word, ...]) -> tuple[Word, ...]:
    """Each phrase that is repeated at least `LOOP_REPEATS` times in a row, once."""
    kept: list[Word] = []
    at = 0
    while at < len(words):
        length, repeats = _loop_at(words, at)
        kept.extend(words[at : at + length])
        at += length * repeats
    return tuple(kept)


def _loop_at(words: tuple[Word, ...], at: int) -> tuple[int, int]:
    """(phrase length, repeats) of the loop that begins at `at`; (1, 1) where none does."""
    for length in range(1, LOOP_PHRASE + 1):
        phrase = [word.text for word in words[at : at + length]]
        repeats = 1
        while [w.text for w in words[at + repeats * length : at + (repeats + 1) * length]] == phrase:
            repeats += 1
        if repeats >= LOOP_REPEATS:
            return length, repeats
    return 1, 1
