"""Who spoke how much: a summary of finals. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.transcript import chronological
from pipeline.types import Role, Utterance, to_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """One speaker of an encounter. Times are milliseconds."""

    id: str  # empty: all of whom nobody can tell who they are
    role: Role
    talk_ms: int  # time in which they spoke, whether alone or not
    overlap_ms: int  # of it, while somebody else spoke as well
    turns: int  # finals in a row count once
    words: int


def speakers(items: Iterable[Utterance]) -> tuple[Speaker, ...]:
    """The speakers of these finals, in the order in which they first spoke."""
    ordered = chronological(items)
    spoken: dict[str, list[Utterance]] = {}
    turns: dict[str, int] = {}
    before: str | None = None
    for item in ordered:
        spoken.setdefault(item.speaker, []).append(item)
        turns[item.speaker] = turns.get(item.speaker, 0) + (item.speaker != before)
        before = item.speaker
    talk = {speaker: _joined((item.start, item.end) for item in theirs) for speaker, theirs in spoken.items()}
    return tuple(
        Speaker(
            id=speaker,
            role=theirs[-1].role,
            talk_ms=to_ms(sum(end - start for start, end in talk[speaker])),
            overlap_ms=to_ms(
                _shared(talk[speaker], [span for o, spans in talk.items() if o != speaker for span in spans])
            ),
            turns=turns[speaker],
            words=sum(len(item.words) or len(item.text.split()) for item in theirs),
        )
        for speaker, theirs in spoken.items()
    )


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same time, in spans that do not touch."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _shared(mine: Sequence[tuple[int, int]], others: Iterable[tuple[int, int]]) -> int:
    """Samples of `mine`, which do not touch, that lie in one of the others."""
    theirs = _joined(others)
    shared = at = 0
    for start, end in mine:
        while at < len(theirs) and theirs[at][1] <= start:
            at += 1
        for index in range(at, len(theirs)):
            begin, stop = theirs[index]
            if begin >= end:
                break
            shared += min(end, stop) - max(start, begin)
    return shared
