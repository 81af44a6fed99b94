"""All streams of one encounter: whose words are whose. Sans-I/O, behind the sessions and before anything is stored.

Every event of every session goes through it. Finals come out with a speaker and a role; what is found out later comes
out as `SpeakerRenamed`, which is the only way in which a label that was told changes.

The surest source decides: a declared role, then the channel, then the voice, then the wording. A stream with a declared
role, and a channel of two, is one speaker's. On any other stream voices are told apart (`clustering`), and its
segments are cut where the voice changes (`turns`). What each speaker says speaks for their role (`attribution`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.attribution.roles import Evidence, assign, doubted
from pipeline.attribution.wording import RoleWording, role_wording
from pipeline.clustering import Clustering, ClusterState, Scale
from pipeline.crosstalk import Crosstalk
from pipeline.events import (
    ChannelsSplit,
    Committed,
    Event,
    Heard,
    Partial,
    RoleDoubted,
    SpeakerRenamed,
)
from pipeline.ports import VoiceEmbedder
from pipeline.transcript import spoken
from pipeline.turns import Turn, nearest, overlapping, turns
from pipeline.types import Role, StreamOptions, Utterance, Word

REMEMBERED = 2_000  # finals whose voiceprint is kept, to look at them again: 2 MB
EARLY = 40  # of them that are stored, while the voices are not known well: 20 kB
SURE = 2.0  # natural log-odds from which a final is another speaker's than was said …
SURE_AT_END = 1.0  # … when all is known
FAMILIAR = 15.0  # windows, 6 s, from which a voice is known well
GIVEN = 12  # finals from which on a declared role may be doubted

Vector: TypeAlias = NDArray[np.float16]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationOptions:
    """What is expected of those who talk."""

    expected_speakers: int = 2  # 1 to 6
    language: str = "en"  # ISO 639-1; empty: unknown
    same: float = 0.77  # cosine of two voiceprints of one speaker …
    different: float = 0.47  # … and of two: see `VoiceEmbedder`

    def heard_by(self, embedder: VoiceEmbedder | None) -> "ConversationOptions":
        """With the cosines that are usual for this embedder."""
        return self if embedder is None else replace(self, same=embedder.same, different=embedder.different)


@dataclass(slots=True, kw_only=True, eq=False)
class _Stream:
    """One stream, or one channel of one that was split."""

    options: StreamOptions
    clustering: Clustering | None  # None: whoever speaks here is one person, or nobody can tell
    sibling: str = ""  # the other channel
    by_voice: bool  # whether the voice says who speaks; else the stream itself
    familiar: bool = False  # whether its voices are known well

    @property
    def name(self) -> str:
        return self.options.stream


@dataclass(slots=True, kw_only=True, eq=False)
class _Final:
    """A final that was told: what it counts for, and what it was said to be."""

    id: str
    stream: str
    speaker: str
    log_odds: float
    words: int
    told: tuple[str, Role]  # speaker and role, as told last
    vector: Vector | None = None  # to look at it again
    early: bool = False  # whether it was told before the voices were known well


class _State(msgspec.Struct, frozen=True, kw_only=True):
    """See `Conversation.state`."""

    clusters: dict[str, ClusterState]
    labels: dict[str, str]  # of a cluster's number, or of a stream's name → speaker
    by_voice: list[str]
    split: dict[str, str]  # channel → the other one
    roles: dict[str, Role]
    doubted: list[str]
    corrected: dict[str, Role] = {}  # of a speaker; older states have none
    early: dict[str, bytes]  # voiceprints of finals that were told before the voices were known well


@dataclass(slots=True, kw_only=True)
class _Tally:
    """What one speaker said."""

    log_odds: float = 0.0
    words: int = 0
    finals: int = 0


class Conversation:
    """See the module. One per encounter; made again from `state` and the finals told so far, it goes on."""

    def __init__(
        self,
        options: ConversationOptions,
        state: bytes = b"",
        items: Sequence[Utterance] = (),
        wording: RoleWording | None = None,
    ) -> None:
        self._options = options
        self._wording = wording or role_wording()
        kept = msgspec.msgpack.decode(state, type=_State) if state else None
        self._crosstalk = Crosstalk()
        self._streams: dict[str, _Stream] = {}
        self._clusters = dict(kept.clusters) if kept else {}  # of streams that were not opened yet
        self._labels = dict(kept.labels) if kept else {}
        self._by_voice = set(kept.by_voice) if kept else set()
        self._split = dict(kept.split) if kept else {}
        self._roles = dict(kept.roles) if kept else {}
        self._doubted = set(kept.doubted) if kept else set()
        self._corrected = dict(kept.corrected) if kept else {}  # of a speaker: what somebody who knows says
        numbers = (number for cluster in self._clusters.values() for number in cluster.speakers)
        self._numbers = count(1 + max([0, *numbers, *(int(key) for key in self._labels if key.isdecimal())]))
        self._finals: dict[str, _Final] = {}
        self._spoken: set[str] = set()  # streams on which something was said
        self._tallies: dict[str, _Tally] = {}
        self._before = ""  # what was said last
        self._events: list[Event] = []
        early = kept.early if kept else {}
        for item in items:
            vector = np.frombuffer(early[item.id], "<f2") if item.id in early else None
            self._take(item, vector, early=vector is not None)

    # What goes in

    def open(self, stream: StreamOptions) -> None:
        """A stream of the encounter will be heard. Harmless for one that is known."""
        if stream.stream in self._streams:
            return
        self._crosstalk.open(stream.stream)
        shared = stream.voices and stream.role is Role.UNSPECIFIED
        scale = Scale(
            same=self._options.same, different=self._options.different, expected=self._options.expected_speakers
        )
        sibling = self._split.get(stream.stream, "")
        self._streams[stream.stream] = _Stream(
            options=stream,
            clustering=Clustering(scale, self._numbers, self._clusters.get(stream.stream)) if shared else None,
            sibling=sibling,
            by_voice=stream.stream in self._by_voice or (not sibling and stream.role is Role.UNSPECIFIED),
        )

    def receive(self, event: Event) -> None:
        """Take an event of any session."""
        if isinstance(event, ChannelsSplit):
            left, right = event.streams
            self._split |= {left.stream: right.stream, right.stream: left.stream}
            self.open(left)
            self.open(right)
        for released in self._crosstalk.receive(event):
            self._pass(released)

    def correct(self, roles: Mapping[str, Role]) -> None:
        """Somebody who knows says what role speakers have: it stands, whatever else speaks against it."""
        self._corrected |= roles
        self._roles = self._assigned(self._roles)
        self._tell_changes()

    def end(self) -> None:
        """Every stream is finished: the labels are looked at for the last time."""
        for released in self._crosstalk.release():
            self._pass(released)
        for stream in self._streams.values():
            self._look_again(stream, SURE_AT_END, early_only=True)
        given = self._assigned({})
        taken = set(given.values()) - {Role.UNSPECIFIED}
        kept = {speaker: role for speaker, role in self._roles.items() if role not in taken}
        self._roles = kept | {speaker: role for speaker, role in given.items() if role is not Role.UNSPECIFIED}
        self._tell_changes()

    # What comes out

    def events(self) -> list[Event]:
        """Events since the last call, in order: those of one stream keep their order."""
        taken, self._events = self._events, []
        return taken

    def state(self) -> bytes:
        """What must be stored with the events taken so far, for another process to go on. Holds voiceprints."""
        clusters = self._clusters | {
            name: stream.clustering.state()
            for name, stream in self._streams.items()
            if stream.clustering is not None and stream.clustering.speakers
        }
        return msgspec.msgpack.encode(
            _State(
                clusters=clusters,
                labels=self._labels,
                by_voice=sorted(self._by_voice),
                split=self._split,
                roles=self._roles,
                doubted=sorted(self._doubted),
                corrected=self._corrected,
                early=self._early(),
            )
        )

    def _early(self) -> dict[str, bytes]:
        """Of streams whose voices are not known well: there a label may still turn out to be wrong."""
        unsure = {name for name, stream in self._streams.items() if stream.clustering and not stream.familiar}
        finals = [
            final
            for final in self._finals.values()
            if final.stream in unsure and final.early and final.vector is not None
        ]
        return {final.id: np.asarray(final.vector, "<f2").tobytes() for final in finals[-EARLY:]}

    # Finals

    def _pass(self, event: Event) -> None:
        if isinstance(event, Heard):
            return
        stream = self._streams.get(getattr(event, "stream", ""))
        if stream is not None and isinstance(event, Committed) and event.utterances:
            self._commit(stream, event)
        elif stream is not None and isinstance(event, Partial) and not stream.by_voice:
            self._events.append(replace(event, role=self._role(self._labels.get(stream.name, ""), stream)))
        else:
            self._events.append(event)

    def _commit(self, stream: _Stream, event: Committed) -> None:
        if event.voices is not None and not event.voices.spans:
            event = replace(event, voices=None)
        regrouped = stream.clustering is not None and self._learn(stream, stream.clustering, event)
        items = self._items(stream, event)
        familiar = self._knows_well(stream)
        moved = regrouped or (familiar and not stream.familiar)
        stream.familiar = familiar
        for item in items:
            vector = None if stream.clustering is None else _vector(event, item)
            self._take(item, vector, early=not familiar)
        if moved:
            self._look_again(stream, SURE, early_only=not regrouped)
        before, self._roles = self._roles, self._assigned(self._roles)
        told = []
        for item in items:
            final = self._finals[item.id]
            final.told = (final.speaker, self._role(final.speaker, stream))
            told.append(replace(item, speaker=final.speaker, role=final.told[1]))
        self._events.append(replace(event, utterances=tuple(told)))
        self._forget(len(items))
        if moved or before != self._roles:
            self._tell_changes()
        self._doubt(stream)

    def _learn(self, stream: _Stream, clustering: Clustering, event: Committed) -> bool:
        """Take what the segment sounds like; whether what was said before may be somebody else's now."""
        if event.voices is None:
            return False
        known = list(clustering.speakers)
        merged = clustering.learn(event.voices)
        for pair in merged:
            self._merge(str(pair.gone), str(pair.into))
        return bool(merged) or known != clustering.speakers or self._shares(stream, clustering)

    def _knows_well(self, stream: _Stream) -> bool:
        """Whether a label of this stream needs no second look later."""
        clustering = stream.clustering
        if clustering is None or (not stream.by_voice and stream.sibling in self._spoken):
            return True
        known = sum(clustering.heard(speaker) >= FAMILIAR for speaker in clustering.speakers)
        return stream.by_voice and known >= max(self._options.expected_speakers, len(clustering.speakers))

    def _shares(self, stream: _Stream, clustering: Clustering) -> bool:
        """Whether one of two channels turns out to hold everybody, because the other one is dead."""
        if stream.by_voice or not stream.sibling or stream.options.role is not Role.UNSPECIFIED:
            return False
        earnest = [speaker for speaker in clustering.speakers if clustering.heard(speaker) >= FAMILIAR]
        if len(earnest) < 2 or stream.sibling in self._spoken:
            return False
        stream.by_voice = True
        self._by_voice.add(stream.name)
        return True

    def _items(self, stream: _Stream, event: Committed) -> list[Utterance]:
        """The segment's finals, each of one speaker."""
        clustering, voices = stream.clustering, event.voices
        overlaps = any(item.overlap for item in event.utterances)
        if not stream.by_voice or clustering is None or voices is None or not clustering.speakers:
            speaker = self._label(stream.name) if not stream.by_voice else ""
            return [replace(item, speaker=speaker) for item in event.utterances]
        likelihoods = clustering.log_likelihoods(voices.vectors)
        words = [word for item in event.utterances for word in item.words]
        muddled = overlapping(voices, likelihoods)
        parts = [
            (self._label(str(clustering.speakers[turn.voice])), turn.words, overlaps or _shared(turn, muddled))
            for turn in turns(words, voices, likelihoods)
        ]
        return spoken(stream.options, event.segment, parts)

    def _label(self, key: str) -> str:
        """The speaker's id: numbered in the order in which they first spoke."""
        if key not in self._labels:
            used = {*self._labels.values(), *self._tallies}  # also by finals: a merge takes labels away, not words
            self._labels[key] = f"s{1 + max((int(label[1:]) for label in used if label), default=0)}"
        return self._labels[key]

    def _take(self, item: Utterance, vector: Vector | None, *, early: bool) -> None:
        """A final counts for whoever spoke it."""
        log_odds = self._wording.log_odds(item.text, self._before, language=self._options.language)
        self._before = item.text
        final = _Final(
            id=item.id,
            stream=item.stream,
            speaker=item.speaker,
            log_odds=log_odds,
            words=len(item.words) or len(item.text.split()),
            told=(item.speaker, item.role),
            vector=vector,
            early=early,
        )
        self._finals[item.id] = final
        self._spoken.add(item.stream)
        self._count(final, 1)

    def _count(self, final: _Final, sign: int) -> None:
        tally = self._tallies.setdefault(final.speaker, _Tally())
        tally.log_odds += sign * final.log_odds
        tally.words += sign * final.words
        tally.finals += sign

    def _forget(self, new: int) -> None:
        """Keep voiceprints of the newest finals only, now that there are some more."""
        old = list(self._finals.values())[-REMEMBERED - new : -REMEMBERED]
        for final in old:
            final.vector = None

    # Second thoughts

    def _merge(self, gone: str, into: str) -> None:
        """Two voices were one: who spoke with either is the same speaker."""
        if gone not in self._labels:
            return
        if into not in self._labels:
            self._labels[into] = self._labels.pop(gone)
            return
        old, new = self._labels.pop(gone), self._labels[into]
        for final in self._finals.values():
            if final.speaker == old:
                self._move(final, new)
        self._roles.pop(old, None)
        if old in self._corrected:
            self._corrected.setdefault(new, self._corrected.pop(old))

    def _move(self, final: _Final, speaker: str) -> None:
        self._count(final, -1)
        final.speaker = speaker
        self._count(final, 1)

    def _look_again(self, stream: _Stream, sure: float, *, early_only: bool) -> None:
        """Whose finals were they, now that the voices are known better?"""
        clustering = stream.clustering
        if clustering is None or not stream.by_voice or not clustering.speakers:
            return
        finals = [
            final
            for final in self._finals.values()
            if final.stream == stream.name and final.vector is not None and (final.early or not early_only)
        ]
        if not finals:
            return
        vectors = np.stack([np.asarray(final.vector, np.float32) for final in finals])
        fit = clustering.log_likelihoods(vectors)
        for final, row in zip(finals, fit, strict=True):
            best = int(row.argmax())
            label = self._label(str(clustering.speakers[best]))
            current = [
                at for at, speaker in enumerate(clustering.speakers) if self._labels.get(str(speaker)) == final.speaker
            ]
            if label != final.speaker and (not current or row[best] - row[current[0]] >= sure):
                self._move(final, label)

    def _tell_changes(self) -> None:
        """Everything whose speaker or role is another one than was told."""
        changed: dict[tuple[str, Role], list[str]] = {}
        for final in self._finals.values():
            stream = self._streams.get(final.stream)
            role = self._corrected.get(final.speaker, final.told[1])
            now = (final.speaker, self._role(final.speaker, stream) if stream else role)
            if now != final.told:
                final.told = now
                changed.setdefault(now, []).append(final.id)
        for (speaker, role), ids in changed.items():
            self._events.append(SpeakerRenamed(speaker=speaker, role=role, items=tuple(ids)))

    # Roles

    def _role(self, speaker: str, stream: _Stream) -> Role:
        if speaker in self._corrected:
            return self._corrected[speaker]
        if stream.options.role is not Role.UNSPECIFIED:
            return stream.options.role
        return self._roles.get(speaker, Role.UNSPECIFIED) if speaker else Role.UNSPECIFIED

    def _assigned(self, given: dict[str, Role]) -> dict[str, Role]:
        return assign(list(self._evidence()), given)

    def _evidence(self) -> Iterator[Evidence]:
        declared = {
            self._labels[name]: stream.options.role for name, stream in self._streams.items() if name in self._labels
        } | self._corrected
        for speaker, tally in self._tallies.items():
            if speaker and tally.finals:
                role = declared.get(speaker, Role.UNSPECIFIED)
                yield Evidence(speaker=speaker, log_odds=tally.log_odds, words=tally.words, declared=role)

    def _doubt(self, stream: _Stream) -> None:
        """Warn, once, where what is said on a stream is unlike its role."""
        speaker = self._labels.get(stream.name, "")
        tally = self._tallies.get(speaker)
        if stream.options.role is Role.UNSPECIFIED or tally is None or stream.name in self._doubted:
            return
        if speaker in self._corrected:
            return
        evidence = Evidence(speaker=speaker, log_odds=tally.log_odds, declared=stream.options.role)
        if tally.finals >= GIVEN and doubted(evidence):
            self._doubted.add(stream.name)
            self._events.append(RoleDoubted(stream=stream.name, declared=stream.options.role))


def _vector(event: Committed, item: Utterance) -> Vector | None:
    if event.voices is None:
        return None
    return nearest(event.voices, item.start, item.end).astype(np.float16)


def _shared(turn: Turn, muddled: Sequence[tuple[int, int]]) -> bool:
    """Whether a turn lies in a stretch that holds two voices."""

    def within(word: Word) -> bool:
        return any(start <= word.middle < end for start, end in muddled)

    return any(within(word) for word in turn.words)
