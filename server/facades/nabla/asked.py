"""What a client of the REST API asked for, and what became of it: the same in all generations. Pure."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import msgspec

from pipeline.errors import TranscriptTooShort
from pipeline.notes.note import Note
from pipeline.transcript import chronological
from pipeline.typed import Turn
from pipeline.types import Utterance
from server.domain import Callback, EncounterOptions, EncounterView, Failure, State, StoredNote
from server.errors import BadRequest, NotFound
from server.intake import NOTHING, Intake

API = "nabla"
KEY = "nabla"  # of `Asked` in what the store keeps of an encounter
ENCOUNTER = re.compile("[0-9a-f]{24}")


class Kind(StrEnum):
    """Which endpoint opened an encounter; of asynchronous ones also what their events are called."""

    LISTEN = "listen"
    LISTEN_ASYNC = "listen_async"
    DIGEST = "digest"
    DIGEST_ASYNC = "digest_async"
    NOTE = "generate_note"
    NOTE_ASYNC = "generate_note_async"


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be answered. Stored sealed, in the encounter's intake."""

    kind: Kind
    transcript: bool = False
    client_request_id: str | None = None
    generation: str = "B"
    styles: dict[str, str] = {}  # of sections, in C
    places: tuple[int, ...] = ()  # of a text's items in the request, where some of those were empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An encounter to be opened."""

    options: EncounterOptions
    asked: Asked
    intake: Intake
    turns: Sequence[Turn] = ()  # of a text

    @property
    def client_key(self) -> str | None:
        """By which a repeated request is known. It tells nothing: a client's own id may be a person's name."""
        if not self.asked.client_request_id:  # an empty one is no name: what has it is not the same request
            return None
        return f"{API}/{self.asked.kind}/{hashlib.sha256(self.asked.client_request_id.encode()).hexdigest()}"


def wanted(
    options: EncounterOptions,
    asked: Asked,
    turns: Sequence[Turn] = (),
    known: Intake = NOTHING,
) -> Wanted:
    """With what is `known` beside the talk. Raises `TranscriptTooShort` where a text says nothing."""
    if not options.streams and not options.recording:
        places = tuple(place for place, turn in enumerate(turns) if turn.text.strip())
        if not places:
            raise TranscriptTooShort
        if len(places) < len(turns):
            asked = msgspec.structs.replace(asked, places=places)
    intake = msgspec.structs.replace(known, extra={KEY: msgspec.to_builtins(asked)})
    return Wanted(options=options, asked=asked, intake=intake, turns=turns)


def callback(url: str, kind: Kind) -> Callback:
    """Where the result is wanted. Raises `BadRequest`."""
    if not url:
        raise BadRequest("callback_url is empty.")
    return Callback(url=url, extra={"kind": kind})


def request_id(encounter: str) -> str:
    """An encounter's id as a UUID, which it is in the vendor's examples: version 8 (RFC 9562 §5.8), last bits zero."""
    return str(UUID(f"{encounter[:12]}8{encounter[12:15]}8{encounter[15:]}000000"))


def encounter_of(request: str) -> str:
    """The encounter of a request's id. Raises `NotFound` for what is none."""
    try:
        digits = UUID(request).hex
    except ValueError:
        raise NotFound from None
    encounter = digits[:12] + digits[13:16] + digits[17:26]
    if not ENCOUNTER.fullmatch(encounter) or UUID(request_id(encounter)).hex != digits:
        raise NotFound
    return encounter


def asked_of(view: EncounterView) -> Asked | None:
    """What was asked for; None for what did not come by this API's REST."""
    if view.row.options.api != API or KEY not in view.intake.extra:
        return None
    return msgspec.convert(view.intake.extra[KEY], Asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of it."""

    items: Sequence[Utterance] | None = None  # None: not asked for, or everything failed
    note: Note | None = None
    problem: Failure | None = None  # why something that was asked for is missing


def result(view: EncounterView, asked: Asked) -> Result:
    """Of an encounter that is over. A note that failed takes nothing else with it."""
    if view.row.state is State.FAILED:
        unknown = Failure(code="failed", message="The request failed.")
        return Result(problem=view.row.failure or unknown)
    stored = StoredNote()
    if view.row.options.note:
        stored = view.note or StoredNote(absence=Failure(code="note_failed", message="The note could not be written."))
    items = chronological(view.items) if asked.transcript else None
    return Result(items=items, note=stored.note, problem=stored.absence)


def places(view: EncounterView, asked: Asked) -> dict[str, int]:
    """Where in the request an item of a text was."""
    return {item.id: asked.places[at] if asked.places else at for at, item in enumerate(chronological(view.items))}
