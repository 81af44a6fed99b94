"""All streams of one encounter: whose words are whose. Sans-I/O, behind the sessions and before anything is stored.

Every event of every session goes through it. Finals come out with a speaker and a role; what is found out later comes
out as `SpeakerRenamed`, which is the only way in which a label that was told changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.events import Event
from pipeline.types import StreamOptions, Utterance


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationOptions:
    """What is expected of those who talk."""

    expected_speakers: int = 2  # 1 to 6
    language: str = "en"  # ISO 639-1; empty: unknown
    same: float = 0.83  # cosine of two voiceprints of one speaker …
    different: float = 0.56  # … and of two: see `VoiceEmbedder`


class Conversation:
    """See the module. One per encounter; made again from `state` and the finals told so far, it goes on."""

    def __init__(self, options: ConversationOptions, state: bytes = b"", items: Sequence[Utterance] = ()) -> None:
        self._options = options
        self._events: list[Event] = []

    def open(self, stream: StreamOptions) -> None:
        """A stream of the encounter will be heard. Harmless for one that is known."""

    def receive(self, event: Event) -> None:
        """Take an event of any session."""
        self._events.append(event)

    def end(self) -> None:
        """Every stream is finished: the labels are looked at for the last time."""

    def events(self) -> list[Event]:
        """Events since the last call, in order: those of one stream keep their order."""
        taken, self._events = self._events, []
        return taken

    def state(self) -> bytes:
        """What must be stored with the events taken so far, for another process to go on."""
        return b""
