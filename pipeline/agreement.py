"""Successive hypotheses of an open segment → a committed prefix that never shrinks, and a replaceable tail.

LocalAgreement-2 (Macháček, Dabre, Bojar: *Turning Whisper into Real-Time Transcription System*, 2023, §3): words on
which two successive hypotheses agree from the beginning are committed.
"""

from pipeline.types import Word


class LocalAgreement:
    """The commit rule for one segment."""

    def __init__(self) -> None:
        self.committed: tuple[Word, ...] = ()
        self._last: tuple[Word, ...] = ()

    def receive(self, words: tuple[Word, ...]) -> tuple[Word, ...]:
        """Take the next hypothesis; return committed words followed by its tail."""
        agreed = len(self.committed)
        limit = min(len(words), len(self._last))
        while agreed < limit and words[agreed].text == self._last[agreed].text:
            agreed += 1
        self.committed += words[len(self.committed) : agreed]
        self._last = words
        return self.committed + words[len(self.committed) :]
