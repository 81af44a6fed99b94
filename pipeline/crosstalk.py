"""Streams of one encounter hear each other: finals wait for what was said elsewhere at the same time. Sans-I/O.

A final is held while another stream is in the middle of speech that began before the final ended: it may be the same
words, overheard. Then the quieter one is left out. A stream of which nothing comes any more holds up nobody: what is
waited for is always the next audio of a stream, or its end.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pipeline.bleed import level_db, overheard
from pipeline.events import (
    BleedDropped,
    ChannelsSplit,
    Committed,
    Event,
    Guarded,
    Heard,
    Partial,
    PartialWithdrawn,
    StreamFinished,
)
from pipeline.types import SAMPLE_RATE, Utterance, Word, split_side

ABSENT = 5 * SAMPLE_RATE  # samples that a stream may lag behind another before it counts as silent
RECENT = 60 * SAMPLE_RATE  # samples for which it is known what was said
FEW_WORDS = 2  # so few are said by two people at once …
QUIETER_DB = 12.0  # … unless one is that much louder …
LOUDER_DB = 3.0  # … and more words only where one is louder at all
TOGETHER = SAMPLE_RATE * 3 // 10  # samples of two speakers at once that make an overlap


@dataclass(slots=True, kw_only=True, eq=False)
class _Stream:
    """What is known of one stream, and what of it is held."""

    until: int = 0  # all that was said before this sample came
    position: int = 0  # first sample not yet heard
    over: bool = False
    saying: Partial | None = None
    shown: set[str] = field(default_factory=set)  # ids of partials
    said: deque[Committed] = field(default_factory=deque)  # recently, as it was recognised
    held: deque[Event] = field(default_factory=deque)


class Crosstalk:
    """See the module. One stream alone is never held."""

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}

    def open(self, stream: str) -> None:
        """A stream of the encounter. Harmless for one that is known."""
        self._streams.setdefault(stream, _Stream())

    def receive(self, event: Event) -> list[Event]:
        """Take a stream's event; returns what is to be passed on now, of any stream, each in its order."""
        stream = self._streams.setdefault(getattr(event, "stream", ""), _Stream())
        if isinstance(event, Heard):
            stream.until, stream.position = max(stream.until, event.until), max(stream.position, event.position)
            return list(self._released())
        if isinstance(event, Partial | Guarded):
            if isinstance(event, Partial):
                stream.saying = event
                stream.shown.add(event.id)
            return [event, *self._released()]
        if isinstance(event, Committed) and event.utterances:
            self._remember(stream, event)
        if isinstance(event, StreamFinished):
            self._over(event.stream)
        if isinstance(event, ChannelsSplit):
            stream.over = True  # its channels go on under their own names
        stream.held.append(event)
        return list(self._released())

    def release(self) -> list[Event]:
        """Everything that is held: nothing more will come."""
        for stream in self._streams.values():
            stream.over = True
        return list(self._released())

    # Inside

    def _over(self, name: str) -> None:
        """Nothing more comes of a stream, nor of its channels."""
        for other, stream in self._streams.items():
            stream.over = stream.over or split_side(other)[0] == name

    def _remember(self, stream: _Stream, event: Committed) -> None:
        stream.said.append(event)
        end = event.utterances[-1].end
        stream.until = max(stream.until, end)
        stream.position = max(stream.position, end)
        if stream.saying is not None and stream.saying.end <= end:
            stream.saying = None
        while stream.said[0].utterances[-1].end < end - RECENT:
            stream.said.popleft()

    def _released(self) -> Iterator[Event]:
        for name, stream in self._streams.items():
            while stream.held:
                event = stream.held[0]
                if isinstance(event, Committed) and event.utterances:
                    others = [other for key, other in self._streams.items() if key != name]
                    if any(self._may_be_same(stream, event, other) for other in others):
                        break
                    stream.held.popleft()
                    yield from _own(stream, event, others)
                else:
                    yield stream.held.popleft()

    @staticmethod
    def _may_be_same(stream: _Stream, event: Committed, other: _Stream) -> bool:
        """Whether it is not known yet what was said on the other stream at that time."""
        start, end = event.utterances[0].start, event.utterances[-1].end
        silent = not other.position or other.position < stream.position - ABSENT
        if other.over or other.until >= end or silent:
            return False
        saying = other.saying
        if saying is not None and saying.start <= start and saying.end >= end:
            words = [Word(text=text, start=start, end=end) for text in saying.text.split()]
            alike = overheard([replace(word, start=start, end=end) for word in _words(event)], words)
            return any(alike)
        return True


def _own(stream: _Stream, event: Committed, others: Sequence[_Stream]) -> Iterator[Event]:
    """The event without what was only overheard."""
    kept: list[Utterance] = []
    dropped = 0
    for item in event.utterances:
        overheard_on = [_overheard(event, item, other) for other in others]
        words = tuple(word for word, *elsewhere in zip(item.words, *overheard_on, strict=True) if not any(elsewhere))
        dropped += len(words) < len(item.words)
        if words or not item.words:
            kept.append(replace(_with(item, words), overlap=any(_together(words, other) for other in others)))
    shown = event.utterances[0].id
    if not kept and shown in stream.shown:
        yield PartialWithdrawn(id=shown, stream=event.stream)
    stream.shown.difference_update(item.id for item in event.utterances)
    if dropped:
        yield BleedDropped(stream=event.stream, items=dropped)
    yield replace(event, utterances=tuple(kept))


def _overheard(event: Committed, item: Utterance, other: _Stream) -> list[bool]:
    nothing = [False] * len(item.words)
    near = [each for each in other.said if each.utterances[0].start < item.end and each.utterances[-1].end > item.start]
    words = [word for each in near for word in _words(each)]
    same = overheard(item.words, words)
    if not any(same) or not near:
        return nothing
    mine = level_db(event.energy, event.start, item.start, item.end)
    theirs = max(level_db(each.energy, each.start, item.start, item.end) for each in near)
    louder = theirs - mine
    if louder < (QUIETER_DB if sum(same) <= FEW_WORDS else LOUDER_DB):
        return nothing
    return same


def _together(words: Sequence[Word], other: _Stream) -> bool:
    """Whether somebody spoke on the other stream while these words were said."""
    both = 0
    for each in other.said:
        for theirs in _words(each):
            both += sum(max(0, min(word.end, theirs.end) - max(word.start, theirs.start)) for word in words)
    return both >= TOGETHER


def _words(event: Committed) -> list[Word]:
    return [word for item in event.utterances for word in item.words]


def _with(item: Utterance, words: tuple[Word, ...]) -> Utterance:
    if len(words) == len(item.words):
        return item
    text = " ".join(word.text for word in words)
    return replace(item, words=words, text=text, start=words[0].start, end=words[-1].end)
