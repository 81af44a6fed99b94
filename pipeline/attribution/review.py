"""Labels of a whole stream looked at once more: what a diarisation of all of it knows better than we did live.

A name in the diarisation means nothing by itself. Its speakers are matched with the conversation's by the words that
they share, each with at most one, so that most words agree; a voice that is left over belongs to the speaker whom it
shares nearly all of its words with. An item then is its voice's speaker's. No speaker appears by a review, and
doctor and patient keep their words where the diarisation knows nobody who could be them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import permutations

from pipeline.events import SpeakerRenamed, renames
from pipeline.types import Role, SpokenSpan, Utterance

MAX_SPEAKERS = 6  # that are matched: those with the most words; 720 ways
MAJORITY = 0.6  # of an item's time that is anybody's, for a voice to be the item's
HEARD = 0.5  # of an item's time that must be anybody's at all
SAME = 2 / 3  # of a left-over voice's words, for it to be a second name of their speaker
ROUNDS = 8  # of matching what the last one found; two are enough for what people say


def review(items: Sequence[Utterance], spans: Sequence[SpokenSpan]) -> list[SpeakerRenamed]:
    """What changes of a stream's finals, none of them of a declared role. Applied, a second review finds nothing."""
    before = {item.id: item for item in items}
    voices = _voices(items, spans)
    current = list(items)
    for _ in range(ROUNDS):
        changed = _relabelled(current, voices)
        if changed == current:
            return renames(item for item in current if item != before[item.id])
        current = changed
    return []  # the diarisation contradicts itself: nothing is better than anything


def _voices(items: Iterable[Utterance], spans: Sequence[SpokenSpan]) -> Mapping[str, tuple[str, int]]:
    """Whose voice each item is in the diarisation, and for how many samples; items without a clear one are not in it.

    Stretches where two people talk say little of who said the words: they count where there is nothing else.
    """
    clear = [span for span in spans if not span.overlap]
    found: dict[str, tuple[str, int]] = {}
    for item in items:
        total = sum(end - start for start, end in _times(item))
        times = _shares(item, clear) or _shares(item, spans)
        if not times or times.total() < HEARD * total:
            times = _shares(item, spans)
        if not times:
            continue
        voice, most = times.most_common(1)[0]
        if most >= MAJORITY * times.total() and times.total() >= HEARD * total:
            found[item.id] = (voice, total)
    return found


def _shares(item: Utterance, spans: Iterable[SpokenSpan]) -> Counter[str]:
    """Samples of an item's words in each voice."""
    times: Counter[str] = Counter()
    near = [span for span in spans if span.start < item.end and span.end > item.start]
    for start, end in _times(item):
        for span in near:
            if (shared := min(end, span.end) - max(start, span.start)) > 0:
                times[span.speaker] += shared
    return times


def _times(item: Utterance) -> list[tuple[int, int]]:
    return [(word.start, word.end) for word in item.words if word.end > word.start] or [(item.start, item.end)]


def _relabelled(items: Sequence[Utterance], voices: Mapping[str, tuple[str, int]]) -> list[Utterance]:
    """One round: match, then give every item to its voice's speaker."""
    shared: Counter[tuple[str, str]] = Counter()  # (speaker, voice) → samples
    for item in items:
        if item.speaker and item.id in voices:
            voice, samples = voices[item.id]
            shared[item.speaker, voice] += samples
    matched = _matched(shared)
    roles = _roles(items)
    known = set(matched.values())
    return [_given(item, voices, matched, roles, known) for item in items]


def _given(
    item: Utterance,
    voices: Mapping[str, tuple[str, int]],
    matched: Mapping[str, str],
    roles: Mapping[str, Role],
    known: set[str],
) -> Utterance:
    if item.id not in voices or (speaker := matched.get(voices[item.id][0])) is None:
        return item
    if item.speaker not in known and item.role is not Role.UNSPECIFIED:
        return item  # its speaker is nobody whom the diarisation knows
    return replace(item, speaker=speaker, role=roles[speaker])


def _matched(shared: Counter[tuple[str, str]]) -> dict[str, str]:
    """The speaker of each voice, where it has one."""
    speakers, voices = _largest(shared, 0), _largest(shared, 1)
    if len(speakers) <= len(voices):
        ways = [list(zip(speakers, order, strict=True)) for order in permutations(voices, len(speakers))]
    else:
        ways = [list(zip(order, voices, strict=True)) for order in permutations(speakers, len(voices))]
    best = max(ways, key=lambda pairs: sum(shared[both] for both in pairs))
    matched = {voice: speaker for speaker, voice in best if shared[speaker, voice]}
    for voice in {voice for _, voice in shared} - set(matched):
        times = Counter({speaker: samples for (speaker, other), samples in shared.items() if other == voice})
        speaker, most = times.most_common(1)[0]
        if most >= SAME * times.total():
            matched[voice] = speaker
    return matched


def _largest(shared: Counter[tuple[str, str]], side: int) -> list[str]:
    """The speakers (side 0) or voices (side 1) with the most words, the names in order."""
    times: Counter[str] = Counter()
    for both, samples in shared.items():
        times[both[side]] += samples
    return sorted(sorted(times, key=lambda name: (-times[name], name))[:MAX_SPEAKERS])


def _roles(items: Iterable[Utterance]) -> dict[str, Role]:
    """The role in which each speaker said most."""
    times: dict[str, Counter[Role]] = {}
    for item in items:
        times.setdefault(item.speaker, Counter())[item.role] += item.end - item.start + 1
    return {speaker: max(counted, key=lambda role: (counted[role], role)) for speaker, counted in times.items()}
