"""Guards against text that nobody said, each a small function. `believed` applies those that every text must pass."""

from pipeline.types import Guard, Hypothesis, Word

NO_SPEECH_PROBABILITY = 0.6  # Whisper's own default (openai/whisper transcribe.py): silence if above, and …
SILENT_LOGPROB = -1.0  # … the words are this improbable as well
LOOP_REPEATS = 4  # the same phrase so often in a row is a decoder's loop, not a person
LOOP_PHRASE = 6  # longest phrase, in words, that is looked for
WEAK_SPEECH = 0.7  # mean probability of a segment's speech windows; Silero gives real speech 0.9 and more

# What Whisper writes about breath, doors and hum: captions of the videos it was trained on (Barański et al.,
# *Investigation of Whisper ASR Hallucinations Induced by Non-Speech Audio*, 2025; faster-whisper issue 843).
PHANTOMS = frozenset(
    {
        "thank you",
        "thanks for watching",
        "so",
        "the",
        "you",
        "oh",
        "bye",
        "bye bye",
        "okay",
        "thank you very much",
        "thank you for watching",
        "thank you so much for watching",
        "thanks for watching and ill see you next time",
        "please subscribe",
        "please subscribe to my channel",
        "subscribe",
        "ill see you in the next video",
        "see you next time",
        "subtitles by the amaraorg community",
        "transcription by castingwords",
        "silence",
        "music",
        "beep",
        "applause",
    }
)


def believed(hypothesis: Hypothesis) -> tuple[tuple[Word, ...], Guard | None]:
    """The words of a hypothesis that can be believed, and the guard that took others away."""
    if hypothesis.words and is_silence(hypothesis):
        return (), Guard.SILENCE
    words = without_loops(hypothesis.words)
    return words, Guard.LOOP if len(words) < len(hypothesis.words) else None


def is_silence(hypothesis: Hypothesis) -> bool:
    """Whether the recogniser itself doubts that anybody spoke."""
    return hypothesis.no_speech_prob > NO_SPEECH_PROBABILITY and hypothesis.avg_logprob < SILENT_LOGPROB


def is_phantom(words: tuple[Word, ...], speech_probability: float) -> bool:
    """Whether this is what Whisper writes about noise, where voice activity detection was in doubt as well.

    `speech_probability`: mean probability of the windows that count as speech. People do say "thank you": in a clear
    voice it stays.
    """
    return speech_probability < WEAK_SPEECH and _plain(words) in PHANTOMS


def without_loops(words: tuple[Word, ...]) -> tuple[Word, ...]:
    """Each phrase that is repeated at least `LOOP_REPEATS` times in a row, once."""
    kept: list[Word] = []
    at = 0
    while at < len(words):
        length, repeats = _loop_at(words, at)
        kept.extend(words[at : at + length])
        at += length * repeats
    return tuple(kept)


def _plain(words: tuple[Word, ...]) -> str:
    """Letters and digits in lower case and single spaces."""
    text = " ".join(word.text for word in words).lower().replace("-", " ")
    return " ".join("".join(c for c in text if c.isalnum() or c == " ").split())


def _loop_at(words: tuple[Word, ...], at: int) -> tuple[int, int]:
    """(phrase length, repeats) of the loop that begins at `at`; (1, 1) where none does."""
    for length in range(1, LOOP_PHRASE + 1):
        phrase = [word.text for word in words[at : at + length]]
        repeats = 1
        while [w.text for w in words[at + repeats * length : at + (repeats + 1) * length]] == phrase:
            repeats += 1
        if repeats >= LOOP_REPEATS and any(map(str.isalpha, "".join(phrase))):  # a number may well be 5555
            return length, repeats
    return 1, 1
