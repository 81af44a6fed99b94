"""Successive hypotheses of an open segment → a committed prefix that never changes, and a replaceable tail.

LocalAgreement-2 (Macháček, Dabre, Bojar: *Turning Whisper into Real-Time Transcription System*, 2023, §3): words on
which two successive hypotheses agree from the beginning are committed. The last word of a hypothesis may be half of
one, so it is never committed. What is committed is a beginning of every later text, the final one included: a
recogniser that changes its mind about it changes it too late. One that cannot decode behind a text (pocketsphinx) does
so often, and would lose a word in fifty by it: for such a one nothing is committed before the final.
"""

from pipeline.types import Word


class LocalAgreement:
    """The commit rule for one segment."""

    def __init__(self, *, commits: bool = True) -> None:
        self.committed: tuple[Word, ...] = ()
        self._commits = commits
        self._last: tuple[Word, ...] = ()

    @property
    def text(self) -> str:
        """The committed words."""
        return " ".join(word.text for word in self.committed)

    def receive(self, words: tuple[Word, ...]) -> tuple[Word, ...]:
        """Take the next hypothesis; return committed words followed by its tail."""
        words = self.settle(words)
        agreed = len(self.committed)
        limit = min(len(words), len(self._last)) - 1
        while agreed < limit and words[agreed].text == self._last[agreed].text:
            agreed += 1
        if self._commits and agreed > len(self.committed):
            self.committed = words[:agreed]
        self._last = words
        return words

    def settle(self, words: tuple[Word, ...]) -> tuple[Word, ...]:
        """A hypothesis that begins with what is committed: as it is, or with the committed words put in its place."""
        if self._continues(words):
            return words
        end = self.committed[-1].end
        return self.committed + tuple(word for word in words if word.start + word.end > 2 * end)

    def _continues(self, words: tuple[Word, ...]) -> bool:
        """Whether the words begin with the committed ones; a mark may have been set behind the last of them."""
        count = len(self.committed)
        if not count:
            return True
        before, last = self.committed[:-1], self.committed[-1].text
        if len(words) < count or any(new.text != old.text for new, old in zip(words, before, strict=False)):
            return False
        mark = words[count - 1].text.removeprefix(last)
        return words[count - 1].text.startswith(last) and not any(map(str.isalnum, mark))
