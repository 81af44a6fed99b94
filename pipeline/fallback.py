"""When a text looks wrong: whether to decode its audio again at a higher temperature, and which of the texts to keep.

Source: openai/whisper transcribe.py, `decode_with_fallback` (Radford et al., *Robust Speech Recognition via Large-Scale
Weak Supervision*, 2022, §4.5). There one bad text keeps all that follows waiting; here the next try waits its turn.
"""

from collections.abc import Sequence

from pipeline.hallucination import is_silence
from pipeline.types import Hypothesis

COMPRESSION_RATIO = 2.4  # Whisper's own default: a text that compresses better repeats itself
IMPROBABLE = -1.0  # Whisper's own default: a mean log-probability below this is a guess


def looks_wrong(hypothesis: Hypothesis) -> bool:
    """Whether another try may give a better text. Where nobody spoke there is none."""
    if not hypothesis.words or is_silence(hypothesis):
        return False
    return _loops(hypothesis) or hypothesis.avg_logprob < IMPROBABLE


def next_temperature(tries: Sequence[Hypothesis], temperatures: Sequence[float]) -> float | None:
    """The temperature of the next try, behind those that there were; None where the last one is good, or was the last.

    `temperatures`: what the engine decodes with, in order; the first try was made with the first.
    """
    if looks_wrong(tries[-1]) and len(tries) < len(temperatures):
        return temperatures[len(tries)]
    return None


def best(tries: Sequence[Hypothesis]) -> Hypothesis:
    """The answer: a text that looks right, else the most probable of those that do not repeat themselves, or of all."""
    return max(tries, key=lambda made: (not looks_wrong(made), not _loops(made), made.avg_logprob))


def _loops(hypothesis: Hypothesis) -> bool:
    return hypothesis.compression_ratio > COMPRESSION_RATIO
