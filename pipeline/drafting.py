"""What is known of the words of the open segment: partials, what is committed, and a guess at its final."""

from dataclasses import dataclass

from pipeline.agreement import LocalAgreement
from pipeline.segmenter import Segment
from pipeline.transcript import ends_sentence
from pipeline.types import Hypothesis, RecognitionRequest


@dataclass(slots=True, kw_only=True)
class Speculation:
    """The segment recognised as if it had ended, while its speaker pauses: its final, unless they go on."""

    request: RecognitionRequest
    answered: bool = False
    hypothesis: Hypothesis | None = None  # None: not answered, or the recogniser failed

    @property
    def complete(self) -> bool:
        """Whether a sentence was finished, so that a shorter pause is enough to end the segment."""
        return self.hypothesis is not None and ends_sentence(self.hypothesis.words)


@dataclass(slots=True, kw_only=True)
class Draft:
    """One open segment. The next one has a draft of its own."""

    agreement: LocalAgreement
    asked: int = 0  # samples of the segment when it was last sent to the recogniser
    answered: int = 0  # samples of the longest answer so far
    speculation: Speculation | None = None

    @property
    def awaits_verdict(self) -> bool:
        """Whether it is not yet known what a speaker said before they paused."""
        return self.speculation is not None and not self.speculation.answered

    @property
    def complete(self) -> bool:
        return self.speculation is not None and self.speculation.complete

    def speculates(self, request: RecognitionRequest) -> bool:
        """Whether this request is the guess that is still wanted."""
        return self.speculation is not None and self.speculation.request is request

    def final_of(self, segment: Segment) -> Hypothesis | None:
        """What was recognised of the segment, where the guess turned out to be about just this audio."""
        guess = self.speculation
        return guess.hypothesis if guess is not None and len(guess.request.pcm) == len(segment.pcm) else None
