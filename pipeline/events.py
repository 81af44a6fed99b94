"""What a session emits, in order. `Event` is the whole protocol."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import AuscultError
from pipeline.types import Checkpoint, Guard, Role, StreamOptions, Utterance, Voiceprints


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """What an open segment says so far: committed words and a tail that may still change. Replaces the last one."""

    id: str  # id of the item that the segment becomes
    stream: str
    role: Role
    start: int
    end: int
    text: str
    committed: int = 0  # how many leading words will not change any more; a mark may yet be set behind the last


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialWithdrawn:
    """A segment that was shown as partial turned out to hold no words."""

    id: str
    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A segment is done: its utterances (none for silence or noise) are final, and the stream can restart here."""

    stream: str
    utterances: tuple[Utterance, ...]
    checkpoint: Checkpoint
    segment: int = -1  # its ordinal in the stream; -1: no segment, only a place to restart from
    start: int = 0  # first sample of the segment
    voices: Voiceprints | None = field(default=None, compare=False)  # of the segment, where they are known
    energy: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(0, np.float32), compare=False
    )  # mean square of each of its windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """How far a stream is; told where other streams may wait for it (`StreamOptions.reports`)."""

    stream: str
    until: int  # everything said before this sample is committed
    position: int  # first sample not yet heard


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelsSplit:
    """A stream's channels are two people. From now on its words come under the names of two streams, left and right."""

    stream: str
    streams: tuple[StreamOptions, StreamOptions]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerRenamed:
    """Finals that were told have another speaker or role than was said: the only way in which a label changes."""

    speaker: str  # who spoke them …
    role: Role  # … in which role
    items: tuple[str, ...]  # their ids


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleDoubted:
    """What is said on a stream is overwhelmingly unlike the role that was declared for it. The role stays."""

    stream: str
    declared: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class BleedDropped:
    """Words of another stream's speaker were heard on this one, too, and left out. Which words is not said."""

    stream: str
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentLost:
    """A segment could not be recognised, not even on a second try. The stream goes on."""

    stream: str
    start: int
    end: int
    error: AuscultError


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A guard took words of a closed segment away. Which words is not said."""

    stream: str
    guard: Guard


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFinished:
    """Everything the stream said is committed."""

    stream: str
    duration: int  # samples received


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFailed:
    """The stream cannot go on; what was committed stays."""

    stream: str
    error: AuscultError


Event: TypeAlias = (
    Partial
    | PartialWithdrawn
    | Committed
    | Heard
    | ChannelsSplit
    | SpeakerRenamed
    | RoleDoubted
    | BleedDropped
    | SegmentLost
    | Guarded
    | StreamFinished
    | StreamFailed
)


def relabelled(item: Utterance, event: SpeakerRenamed) -> Utterance:
    """A final that the event names, as it is from now on."""
    return replace(item, speaker=event.speaker, role=event.role)


def renames(items: Iterable[Utterance]) -> list[SpeakerRenamed]:
    """That these finals have the labels that they have: one event for each label."""
    named: dict[tuple[str, Role], list[str]] = {}
    for item in items:
        named.setdefault((item.speaker, item.role), []).append(item.id)
    return [SpeakerRenamed(speaker=speaker, role=role, items=tuple(ids)) for (speaker, role), ids in named.items()]
