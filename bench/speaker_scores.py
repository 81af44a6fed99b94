"""How well it is told who spoke: by words, by time, by text, and how steadily. Pure, but for the scorers' packages."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any

import msgspec

from bench.speaking import Outcome, Sample, SpokenWord, Told
from pipeline.types import SAMPLE_RATE, Role, Word

COLLAR_S = 0.25
TEXT_COLLAR_S = 5.0
NEAR = SAMPLE_RATE  # samples that a word of ours may lie from the word of the truth that it is
SOON_S = 30.0  # of dialogue, in which the roles should be known


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """Diarisation error rate and its parts, as shares of the time spoken (NIST md-eval; pyannote.metrics)."""

    total: float
    missed: float
    false_alarm: float
    confusion: float


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One sample."""

    name: str
    kind: str
    words: int  # that could be matched to the truth
    said: int  # words of the truth
    spoken_s: float  # what error rates of time are shares of, once for each who speaks
    right: float | None  # share of them with the right role in the end; None: nobody is doctor or patient
    right_first: float | None  # … as told first
    unspecified: float  # share without a role in the end
    purity: float  # share of words whose speaker says mostly such words
    coverage: float  # share of words that their true speaker's main label has
    alone: float | None  # as `right`, of the words that nobody speaks into
    flips: int  # finals whose role, once told, was told otherwise by an event
    unexplained: int  # … without one
    known_s: float | None  # from the first speech until both roles were told and right; None: never
    der: Errors  # collar 0.25 s, labels in the end
    der_first: Errors  # as told first
    der_strict: Errors  # no collar
    der_alone: Errors  # collar, without overlap
    cp_wer: float | None
    tcp_wer: float | None
    speakers: int
    embedding_share: float  # of a core, for a second of audio
    dropped: int
    state_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A word of ours and the one of the truth that it is."""

    word: Word
    told: Told
    truth: SpokenWord
    alone: bool  # nobody else spoke at that time


def pairs(sample: Sample, outcome: Outcome) -> list[Pair]:
    """Our words with those of the truth: the same text near in time, else the one that fills the same gap."""
    ours = sorted(
        ((word, told) for told in outcome.told.values() for word in told.item.words), key=lambda each: each[0].start
    )
    used: set[int] = set()
    found: list[Pair] = []
    mine, theirs = [_plain(word.text) for word, _ in ours], [_plain(word.text) for word in sample.words]
    matcher = SequenceMatcher(None, mine, theirs, autojunk=False)
    for tag, begin, end, first, last in matcher.get_opcodes():
        if tag in ("equal", "replace"):
            for mine_at, truth_at in zip(range(begin, end), range(first, last), strict=False):
                word, told = ours[mine_at]
                best = _same_nearby(word, sample.words, truth_at, used) if tag == "equal" else truth_at
                truth = sample.words[best]
                if abs(truth.start - word.start) <= NEAR:
                    used.add(best)
                    found.append(Pair(word=word, told=told, truth=truth, alone=_alone(truth, sample.words, best)))
    return found


def _same_nearby(word: Word, words: Sequence[SpokenWord], at: int, used: set[int]) -> int:
    """Of equal words close by, the one at the same time: two people say "yes" one behind the other."""
    near = [
        other
        for other in range(max(0, at - 3), min(len(words), at + 4))
        if other not in used and _plain(words[other].text) == _plain(word.text)
    ]
    return min(near, key=lambda other: abs(words[other].start - word.start), default=at)


def _alone(word: SpokenWord, words: Sequence[SpokenWord], at: int) -> bool:
    others = words[max(0, at - 12) : at + 13]
    return not any(o.speaker != word.speaker and o.start < word.end and o.end > word.start for o in others)


def score(sample: Sample, outcome: Outcome) -> Score:
    """All figures of one sample."""
    matched = pairs(sample, outcome)
    table = Counter((pair.told.item.speaker, pair.truth.speaker) for pair in matched)
    count = max(1, len(matched))
    right = [pair.told.item.role == pair.truth.speaker for pair in matched]
    alone = [good for good, pair in zip(right, matched, strict=True) if pair.alone]
    first = [pair.told.first[1] == pair.truth.speaker for pair in matched]
    texts = _texts(sample, outcome) if sample.transcribed else (None, None)
    return Score(
        name=sample.name,
        kind=sample.kind,
        words=len(matched),
        said=len(sample.words),
        spoken_s=sum(end - start for _, start, end in sample.spans) / SAMPLE_RATE,
        right=sum(right) / count if sample.roles else None,
        right_first=sum(first) / count if sample.roles else None,
        alone=sum(alone) / max(1, len(alone)) if sample.roles else None,
        unspecified=sum(pair.told.item.role is Role.UNSPECIFIED for pair in matched) / count,
        purity=_largest(table, 0) / count,
        coverage=_largest(table, 1) / count,
        flips=sum(_flipped(told) for told in outcome.told.values()),
        unexplained=outcome.unexplained,
        known_s=_known(sample, matched) if sample.roles else None,
        der=_errors(sample, outcome, _final, collar=COLLAR_S),
        der_first=_errors(sample, outcome, lambda told: told.first[0], collar=COLLAR_S),
        der_strict=_errors(sample, outcome, _final, collar=0.0),
        der_alone=_errors(sample, outcome, _final, collar=COLLAR_S, skip_overlap=True),
        cp_wer=texts[0],
        tcp_wer=texts[1],
        speakers=len({told.item.speaker for told in outcome.told.values()} - {""}),
        embedding_share=outcome.embedding_s / max(1e-9, outcome.duration / SAMPLE_RATE),
        dropped=outcome.dropped,
        state_bytes=outcome.state_bytes,
    )


def pooled(shares: Sequence[float | None], of: Sequence[float]) -> float | None:
    """One share of several samples, each by as much as it is a share of; samples that have none are left out."""
    known = [(one, much) for one, much in zip(shares, of, strict=True) if one is not None]
    total = sum(much for _, much in known)
    return sum(one * much for one, much in known) / total if total else None


def _final(told: Told) -> str:
    return told.item.speaker


def _plain(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def _largest(table: Counter[tuple[str, str]], by: int) -> int:
    """Of each row (0) or column (1) of a contingency table the largest cell, added up."""
    largest: dict[str, int] = {}
    for key, count in table.items():
        largest[key[by]] = max(largest.get(key[by], 0), count)
    return sum(largest.values())


def _flipped(told: Told) -> bool:
    roles = [told.first[1], *(role for _, _, role in told.renames)]
    known = [role for role in roles if role is not Role.UNSPECIFIED]
    return len(set(known)) > 1


def _known(sample: Sample, matched: Sequence[Pair]) -> float | None:
    """When the labels of most of both speakers' words were right for the last time that they were not."""
    begun = min((word.start for word in sample.words), default=0)
    moments = sorted({at for pair in matched for at in (pair.told.at, *(when for when, *_ in pair.told.renames))})
    known: int | None = None
    for moment in moments:
        said = [pair for pair in matched if pair.told.at <= moment]
        shares = []
        for role in (Role.DOCTOR, Role.PATIENT):
            theirs = [pair for pair in said if pair.truth.speaker == role]
            shares.append(sum(_role_at(pair.told, moment) == role for pair in theirs) / len(theirs) if theirs else 0.0)
        known = (moment if known is None else known) if min(shares) > 0.5 else None
    return None if known is None else (known - begun) / SAMPLE_RATE


def _role_at(told: Told, moment: int) -> Role:
    role = told.first[1]
    for when, _, renamed in told.renames:
        role = renamed if when <= moment else role
    return role


def _errors(
    sample: Sample, outcome: Outcome, label: Callable[[Told], str], *, collar: float, skip_overlap: bool = False
) -> Errors:
    from pyannote.core import Annotation, Segment
    from pyannote.metrics.diarization import DiarizationErrorRate

    truth, ours = Annotation(), Annotation()
    for at, (speaker, start, end) in enumerate(sample.spans):
        truth[Segment(start / SAMPLE_RATE, end / SAMPLE_RATE), at] = speaker
    for at, told in enumerate(outcome.told.values()):
        if told.item.end > told.item.start:
            ours[Segment(told.item.start / SAMPLE_RATE, told.item.end / SAMPLE_RATE), at] = label(told) or "nobody"
    # pyannote counts a collar as its whole width, NIST as half of it.
    rate = DiarizationErrorRate(collar=2 * collar, skip_overlap=skip_overlap)
    parts: dict[str, Any] = rate(truth.support(), ours.support(), detailed=True, uem=_all(outcome))
    total = max(1e-9, parts["total"])
    return Errors(
        total=parts["diarization error rate"],
        missed=parts["missed detection"] / total,
        false_alarm=parts["false alarm"] / total,
        confusion=parts["confusion"] / total,
    )


def _all(outcome: Outcome) -> Any:
    from pyannote.core import Segment, Timeline

    return Timeline([Segment(0, outcome.duration / SAMPLE_RATE)])


def _texts(sample: Sample, outcome: Outcome) -> tuple[float | None, float | None]:
    """Concatenated minimum-permutation WER, and the one constrained by time (meeteval)."""
    try:
        from meeteval.io import SegLST
        from meeteval.wer import cpwer, tcpwer
    except ModuleNotFoundError:
        return None, None

    logging.getLogger("error_rate").setLevel(logging.ERROR)  # finals of one speaker may touch

    def line(speaker: str, text: str, start: int, end: int) -> dict[str, object]:
        return {
            "session_id": sample.name,
            "speaker": speaker,
            "words": text,
            "start_time": start / SAMPLE_RATE,
            "end_time": max(end, start + 1) / SAMPLE_RATE,
        }

    truth = []
    for speaker in sorted({word.speaker for word in sample.words}):
        theirs = [word for word in sample.words if word.speaker == speaker]
        for _, run in groupby(theirs, key=lambda word: word.start // (10 * SAMPLE_RATE)):
            words = list(run)
            truth.append(line(speaker, " ".join(_plain(w.text) for w in words), words[0].start, words[-1].end))
    ours = [
        line(
            told.item.speaker or "nobody",
            " ".join(_plain(w.text) for w in told.item.words),
            told.item.start,
            told.item.end,
        )
        for told in outcome.told.values()
        if told.item.words
    ]
    if not ours:
        return 1.0, 1.0
    plain = cpwer(reference=SegLST(truth), hypothesis=SegLST(ours))[sample.name]
    timed = tcpwer(reference=SegLST(truth), hypothesis=SegLST(ours), collar=TEXT_COLLAR_S)[sample.name]
    return float(plain.error_rate), float(timed.error_rate)
