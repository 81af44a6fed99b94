"""Successive hypotheses of an open segment → a committed prefix that never changes, and a replaceable tail.

LocalAgreement-2 (Macháček, Dabre, Bojar: *Turning Whisper into Real-Time Transcription System*, 2023, §3): words on
which two hypotheses agree from the beginning are committed, where the later one heard a second more, as in that paper,
and those between agree too. (Two that heard half a second more or less share their mistakes: one word in forty.) The
last word of a hypothesis may be half of one, so it is never committed. What is committed is a beginning of every later
text, the final one included: a recogniser that changes its mind about it changes it too late. One that cannot decode
behind a text (pocketsphinx) does so often, and would lose a word in fifty by it: for such a one nothing is committed
before the final.
"""

from pipeline.types import SAMPLE_RATE, Word

APART = SAMPLE_RATE  # samples of audio that two hypotheses must be apart, to agree independently


class LocalAgreement:
    """The commit rule for one segment."""

    def __init__(self, *, commits: bool = True) -> None:
        self.committed: tuple[Word, ...] = ()
        self._commits = commits
        self._recent: list[tuple[int, tuple[Word, ...]]] = []  # hypotheses, and how much of the segment they heard

    @property
    def text(self) -> str:
        """The committed words."""
        return " ".join(word.text for word in self.committed)

    def receive(self, words: tuple[Word, ...], heard: int) -> tuple[Word, ...]:
        """Take the next hypothesis, about `heard` samples; return committed words followed by its tail."""
        words = self.settle(words)
        if self._commits:
            earlier = [index for index, (samples, _) in enumerate(self._recent) if samples + APART <= heard]
            if earlier:
                del self._recent[: earlier[-1]]
                self._commit(words)
            self._recent.append((heard, words))
        return words

    def settle(self, words: tuple[Word, ...]) -> tuple[Word, ...]:
        """A hypothesis that begins with what is committed: as it is, or with the committed words put in its place."""
        if self._continues(words):
            return words
        end = self.committed[-1].end
        return self.committed + tuple(word for word in words if word.start + word.end > 2 * end)

    def _commit(self, words: tuple[Word, ...]) -> None:
        """Commit what the words have in common with all recent ones, but for the last word of each."""
        agreed = len(self.committed)
        others = [other for _, other in self._recent]
        limit = min(len(each) for each in (words, *others)) - 1
        while agreed < limit and all(other[agreed].text == words[agreed].text for other in others):
            agreed += 1
        if agreed > len(self.committed):
            self.committed = words[:agreed]

    def _continues(self, words: tuple[Word, ...]) -> bool:
        """Whether the committed text is a beginning of theirs: its last word may go on, "3" as "3.5"."""
        count = len(self.committed)
        if not count:
            return True
        before, last = self.committed[:-1], self.committed[-1].text
        same = len(words) >= count and all(new.text == old.text for new, old in zip(words, before, strict=False))
        return same and words[count - 1].text.startswith(last)
