"""What the conversation needs to know of a generation of Nabla's API: how it says things. One module for each."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import msgspec

from pipeline.errors import AuscultError
from pipeline.events import Partial, PartialWithdrawn
from pipeline.notes.note import Note
from pipeline.types import Utterance
from server.domain import EncounterOptions, Failure
from server.facades.nabla import schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a session is to be, as its first message says in any generation."""

    options: EncounterOptions
    streams: tuple[str, ...]  # the client's own ids, in their order
    tells_items: bool = True
    acknowledges: bool = False
    locale: str = ""  # of every item, where the generation has a name for it
    resumes: bool = False  # this socket goes on with a session that another one began
    zero: int = 0  # stream time from which this socket counts, in samples


class Dialect(Protocol):
    """How one generation says what all of them mean. Pure."""

    @property
    def sub_protocol(self) -> str:
        """What is echoed at the handshake."""
        ...

    @property
    def inbound(self) -> object:
        """The type of a client's messages, each of which is a `schema.ClientMessage`."""
        ...

    @property
    def outbound(self) -> object:
        """The type of what is answered."""
        ...

    def setup(self, message: schema.ClientMessage, max_streams: int, languages: Collection[str]) -> Setup:
        """The session that the first message asks for; `languages` (ISO 639-1) are those that the recogniser knows.

        Raises `BadRequest`.
        """
        ...

    def item(self, said: Utterance | Partial | PartialWithdrawn, setup: Setup) -> msgspec.Struct:
        """A transcript item: final, partial, or a partial that turned out to be nothing (empty text).

        Offsets count from `setup.zero`: those of an item that began before are negative.
        """
        ...

    def acknowledgement(self, number: int) -> msgspec.Struct:
        """Every chunk up to this number is on the disk."""
        ...

    def error(self, exc: AuscultError | Failure) -> msgspec.Struct:
        """What went wrong."""
        ...

    def note(self, written: Note) -> msgspec.Struct | None:
        """The note; None where a generation's socket has no such message and so cannot ask for one."""
        ...
