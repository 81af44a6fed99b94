"""The server's own values: what an encounter is, how far it is, what can be read of it."""

from enum import StrEnum
from typing import Annotated, Self, TypeAlias

import msgspec
from msgspec import Meta

from pipeline.notes.beside.coding import Coding
from pipeline.notes.note import Note
from pipeline.notes.request import SHORTEST_TRANSCRIPT
from pipeline.speakers import Speaker
from pipeline.types import SAMPLE_RATE, AudioFormat, Checkpoint, Ear, RestartPoint, Role, Utterance
from server.intake import NOTHING, Intake
from server.settings import Origins

Hours: TypeAlias = Annotated[float, Meta(ge=0, le=87_600)]
"""Ten years at most."""


class Scope(StrEnum):
    """What a credential may be used for."""

    ALL = "all"  # an API key: everything of its tenant
    CONSOLE = "console"  # open sessions, and reach all that its key, or any token of it, opened
    STREAM = "stream"  # open sessions, and reach only those that it opened
    ENCOUNTER = "encounter"  # reach the one that it names
    FOLLOW = "follow"  # only read the one that it names

    @property
    def names_one(self) -> bool:
        """Whether a credential of this scope names the one encounter that it is for."""
        return self in (Scope.ENCOUNTER, Scope.FOLLOW)


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who a valid API key, or a token made with it, belongs to."""

    tenant_id: str
    key_id: str
    scope: Scope = Scope.ALL
    encounter: str = ""  # the only one it may reach, with `Scope.ENCOUNTER` and `Scope.FOLLOW`
    token_id: str = ""  # empty: the key itself
    expires_at: float | None = None  # seconds since 1970; None: a key, which does not expire

    def may_reach(self, row: "EncounterRow") -> bool:
        """Whether an encounter exists for this caller."""
        if row.tenant_id != self.tenant_id:
            return False
        match self.scope:
            case Scope.ALL:
                return True
            case Scope.CONSOLE:
                return row.key_id == self.key_id
            case Scope.STREAM:
                return row.token_id == self.token_id
            case Scope.ENCOUNTER | Scope.FOLLOW:
                return row.id == self.encounter

    @property
    def may_feed(self) -> bool:
        """Whether it may do more with what it reaches than read it."""
        return self.scope is not Scope.FOLLOW


class Stage(StrEnum):
    """How far an encounter is, in order. Façades translate it; `percentage` belongs to it."""

    CREATED = "created"
    QUEUED = "queued"  # accepted, its first chunk is stored
    STARTED = "started"  # a process works on it
    DECODING = "decoding"  # bytes are being decoded
    TRANSCRIBING = "transcribing"  # audio is being heard
    TRANSCRIBED = "transcribed"  # every final is stored
    DONE = "done"  # the note is stored, or will not be written
    FAILED = "failed"

    @property
    def percentage(self) -> int:
        """Progress at the moment the stage is reached; never falls from stage to stage."""
        return _PERCENTAGE[self]


_PERCENTAGE = {
    Stage.CREATED: 0,
    Stage.QUEUED: 0,
    Stage.STARTED: 5,
    Stage.DECODING: 10,
    Stage.TRANSCRIBING: 20,
    Stage.TRANSCRIBED: 80,
    Stage.DONE: 100,
    Stage.FAILED: 100,
}


class State(StrEnum):
    """Who may still do what with an encounter."""

    LIVE = "live"  # takes audio
    GATHERING = "gathering"  # a recording whose segments come one by one
    QUEUED = "queued"  # a recording that waits for its turn
    WORKING = "working"  # a recording that a process is at work on
    CLOSING = "closing"  # the end was received; the closing job is at work
    DONE = "done"
    FAILED = "failed"


FINISHED = (State.DONE, State.FAILED)


class Source(StrEnum):
    """What the words of an encounter come from."""

    LIVE = "live"  # audio that was sent as people talked
    RECORDING = "recording"  # audio that was there from the start, as files
    TEXT = "text"  # no audio: typed, or transcribed elsewhere


class StreamSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One audio stream as declared when the encounter was opened."""

    name: str
    role: Role = Role.UNSPECIFIED
    encoding: str = "container"
    sample_rate: int = 16_000
    channels: int = 1

    @property
    def format(self) -> AudioFormat:
        return AudioFormat(encoding=self.encoding, sample_rate=self.sample_rate, channels=self.channels)


class EncounterOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the client asked for when it opened the encounter."""

    api: str  # façade that opened it: it decides what a closed connection means
    streams: tuple[StreamSpec, ...]
    language: str = "en"  # as the client wrote it ("de-CH")
    template: str = ""  # empty: the operator's default
    style: str = ""  # auto | paragraphs | bullet_points; empty: the operator's default
    glossaries: tuple[str, ...] = ()
    split_by_sentence: bool = False
    split_by_problem: bool = False  # of the note
    note: bool = True  # whether a note is wanted at the end
    kept: bool = True  # whether it outlives its answer; if not, nobody else is told of it
    resumable: bool = True  # whether the client may come back after its connection ended
    expected_speakers: int = 0  # people in the room, 1 to 6; 0: the operator's default
    speaker_hints: tuple[Role, ...] = ()  # of a stream's channels, in order; one: they are one room; none: listen
    attended: bool = False  # whether a connection stays with it while it is heard; else it lives by single requests
    recording: bool = False  # whether its audio was there from the start, as files (`parts`)
    segments: int = 0  # of a recording in several uploads, once it is known how many there are
    least_words: int = SHORTEST_TRANSCRIPT  # of talk, for a note of it
    least_audio_ms: int = 0  # of a recording: with less, or without speech, it has failed; 0: that is an empty result
    max_minutes: int = 0  # of a recording, where its API takes less than the operator; 0: as the operator says

    @property
    def base_language(self) -> str:
        """ISO 639-1: "de" of "de-CH"."""
        return base_language(self.language)

    @property
    def source(self) -> Source:
        """What its words come from."""
        if self.recording:
            return Source.RECORDING
        return Source.LIVE if self.streams else Source.TEXT


def base_language(code: str) -> str:
    """ISO 639-1: "de" of "de-CH"."""
    return code.split("-")[0].lower()


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """Where one encounter's result is wanted."""

    url: str
    extra: dict[str, str] = {}  # what its API's dialect is to say there


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an encounter, or its note, failed: our own words, safe to log."""

    code: str
    message: str


class TenantSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an operator set for one tenant; None: as the settings file says for all."""

    streams: Annotated[int, Meta(ge=0, le=100_000)] | None = None  # audio streams of live sessions at the same time
    requests_per_minute: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    minutes_per_month: Annotated[int, Meta(ge=0, le=100_000_000)] | None = None  # of audio
    priority: Annotated[int, Meta(ge=-1_000, le=1_000)] | None = None  # of its recordings
    upload_audio_hours: Hours | None = None  # how long is kept: files, once they are transcribed …
    live_audio_hours: Hours | None = None  # … the audio of live sessions …
    result_hours: Hours | None = None  # … transcript and note, after completion …
    patient_context_hours: Hours | None = None  # … and patients' contexts, after they were last used
    cors_origins: Origins | None = None


ENTRY_SPACING = 60 * SAMPLE_RATE  # samples; a minute is decoded in a quarter of a second
ENTRY_WARM_UP = SAMPLE_RATE  # samples behind an entry that a decoder needs to come to itself


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a stream's progress: where its session and its decoder can go on."""

    checkpoint: Checkpoint = msgspec.field(default_factory=Checkpoint)  # of the stream, or of its left channel
    right: Checkpoint | None = None  # of its right channel, where the two are two people
    restart: RestartPoint = msgspec.field(default_factory=RestartPoint)
    begin: int | None = None  # sample of the session at which it begins; None: stored before that was kept
    files: tuple[int, ...] = ()  # bytes at which other files begin in it, once its log is archived
    entries: tuple[RestartPoint, ...] = ()  # where a container can be entered, about a minute apart

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """One, or left and right."""
        return (self.checkpoint,) if self.right is None else (self.checkpoint, self.right)

    @property
    def audio_from(self) -> int:
        """First sample that is to be decoded again."""
        return min(each.audio_from for each in self.checkpoints)

    def behind(self, checkpoint: Checkpoint) -> Self:
        """The progress of one session of the stream is now this."""
        if checkpoint.ear is Ear.RIGHT:
            return msgspec.structs.replace(self, right=checkpoint)
        return msgspec.structs.replace(self, checkpoint=checkpoint)

    def decoded_from(self, restart: RestartPoint, *, entered: bool) -> Self:
        """Its decoder can go on from here; `entered`: whether such places are kept, for who wants to hear a part."""
        last = self.entries[-1].position if self.entries else 0
        kept = entered and restart.position >= last + ENTRY_SPACING
        return msgspec.structs.replace(
            self, restart=restart, entries=(*self.entries, restart) if kept else self.entries
        )

    def entry(self, position: int) -> RestartPoint | None:
        """The last place from which the sample at `position` can be decoded; None: none is kept."""
        ready = (each for each in reversed(self.entries) if each.position + ENTRY_WARM_UP <= position)
        return next(ready, None)


class StoredChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk of the log, opened."""

    seq: int
    offset: int
    body: bytes


class EncounterRow(msgspec.Struct, frozen=True, kw_only=True):
    """An encounter as stored, without its words."""

    id: str
    tenant_id: str
    key_id: str  # of the key that opened it
    token_id: str  # of the token that opened it; empty: the key itself
    options: EncounterOptions
    state: State
    stages: dict[Stage, float]
    percentage: int
    failure: Failure | None
    warnings: tuple[str, ...]
    epoch: int
    owner: str  # executor id; empty: nobody's at present
    audio_ms: int = 0
    priority: int = 0
    data_key: bytes | None
    last_key: str | None  # the last chunk's, so that a repeat is recognised when the log is archived
    resumptions: int  # lowest number of a resume token that is still good
    created_at: float
    active_at: float
    completed_at: float | None
    fetched_at: float | None

    @property
    def stage(self) -> Stage:
        """The stage reached last."""
        return max(self.stages, key=list(Stage).index)


class Review(StrEnum):
    """What a provider says of a note."""

    DRAFT = "draft"
    APPROVED = "approved"


class StoredNote(msgspec.Struct, frozen=True, kw_only=True):
    """A note, or why there is none."""

    note: Note | None = None
    absence: Failure | None = None
    style: str = ""  # asked for: auto | paragraphs | bullet_points
    review: Review = Review.DRAFT
    edited_at: float | None = None  # when a provider changed what it says; None: it is as it was written
    edited_from: int = 0  # the version that was changed; 0: none


class NoteVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One of an encounter's notes. What it says stays: whatever is written anew, or edited, is another version."""

    version: int  # from 1
    created_at: float
    stored: StoredNote
    tag: str  # another one whenever it was changed; says nothing of what it holds


class EncounterView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a façade may show of an encounter."""

    row: EncounterRow
    items: tuple[Utterance, ...] = ()
    speakers: tuple[Speaker, ...] = ()
    note: StoredNote | None = None
    intake: Intake = NOTHING
    expires_at: float | None = None  # seconds since 1970: when it goes; None: it is not over
    coding: Coding | None = None  # of the note, where it was worked out beforehand
    summary: str | None = None  # for the patient, likewise


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which encounters are wanted; empty: all."""

    states: tuple[State, ...] = ()
    api: str = ""
    language: str = ""  # "de" also finds "de-CH"
    created_from: float | None = None  # seconds since 1970
    created_before: float | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page ends: the encounter that was shown last. What is opened later comes before it, and moves nothing."""

    created_at: float
    encounter: str
