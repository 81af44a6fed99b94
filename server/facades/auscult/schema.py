"""The bytes of our own routes. Events are the same over a socket, as Server-Sent Events and on a data channel."""

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Struct


class ProblemDetails(Struct, kw_only=True):
    """Body of every HTTP error (RFC 9457). Branch on `code`; `detail` is for people."""

    type: str = "about:blank"  # RFC 9457 §4.2.1: nothing but what the status and the code say
    title: str  # the status in words
    status: int
    detail: str
    code: str


class Error(Struct, kw_only=True):
    """Why something failed. Branch on `code`; `message` is for people."""

    code: str
    message: str


class TokenRequest(Struct, kw_only=True):
    """`POST /api/tokens`."""

    scope: str  # console | stream | encounter | follow
    encounter_id: str | None = None  # with the scopes "encounter" and "follow"
    expires_in_s: int | None = None


class Token(Struct, kw_only=True):
    """A token, shown once."""

    token: str
    expires_at: str  # ISO 8601, UTC


class PatientInfo(Struct, kw_only=True):
    """Who is treated."""

    name: str = ""
    age: Annotated[int, msgspec.Meta(ge=0, le=150)] | None = None  # years
    birth_date: str = ""  # ISO 8601
    gender: str = ""
    medical_history: str = ""
    medications: list[str] = []
    allergies: list[str] = []


class Consent(Struct, kw_only=True):
    """That the patient agreed to be recorded, as the platform has it."""

    given_by: str
    at: str  # ISO 8601
    method: str  # such as "spoken" or "form"


class Hello(Struct, kw_only=True, tag_field="type", tag="hello"):
    """`/api/live`: the first message, once."""

    language: str = "en"
    template: str = ""  # empty: the operator's default
    glossary: list[str] = msgspec.field(default_factory=list)
    role: str = "unspecified"  # doctor | patient | unspecified
    note: bool = True
    encoding: str = "container"  # container | pcm_s16le
    sample_rate: int = 16_000  # only for pcm_s16le
    channels: int = 1  # only for pcm_s16le: 1 or 2
    expected_speakers: int = 0  # people in the room, 1 to 6; 0: the operator's default
    speaker_hints: list[str] = msgspec.field(default_factory=list)  # roles of a stereo stream's channels; one: one room
    chunk_numbers: bool = False  # whether each binary frame begins with its number
    encounter_id: str | None = None  # take part in this session
    resume_token: str | None = None  # continue a session whose connection broke
    split_by_sentence: bool = False  # whether each final is one sentence, and not all between two pauses
    style: str = ""  # auto | paragraphs | bullet_points; empty: the operator's default
    split_by_problem: bool = False  # whether the note's history is told problem by problem, in English
    patient: PatientInfo | None = None  # who is treated, for a model that writes the note
    context: str = ""  # what else is known, for the same
    instructions: str = ""  # wishes of the provider, for the same
    consent: Consent | None = None  # of the patient; kept with a session that is opened
    after: int = 0  # finals that the client already has
    drafts: bool = False  # whether drafts of the note are wanted, too


class End(Struct, kw_only=True, tag_field="type", tag="end"):
    """`/api/live`: no more audio."""


ClientMessage: TypeAlias = Hello | End


class Session(Struct, kw_only=True, tag_field="type", tag="session", omit_defaults=True):
    """`/api/live`: the answer to hello."""

    encounter_id: str
    resume_token: str
    chunks: int  # number of the next chunk that the server wants
    heard_ms: float  # where its audio begins: the end of this stream so far; of a container, of what was decoded of it
    warnings: list[str] = msgspec.field(default_factory=list)  # what was asked for and is not so


class Ack(Struct, kw_only=True, tag_field="type", tag="ack"):
    """`/api/live`: so many chunks, from the first on, are on the disk."""

    chunks: int


class Partial(Struct, kw_only=True, tag_field="type", tag="partial"):
    """What is being said; takes the place of the last one with its id."""

    id: str
    stream: str
    speaker: str
    text: str
    committed: int  # how many leading words stay
    start_ms: int
    end_ms: int


class Final(Struct, kw_only=True, tag_field="type", tag="final", omit_defaults=True):
    """What was said. Only `speaker` and `speaker_id` may change, by `speaker_renamed`."""

    id: str
    stream: str
    speaker: str  # doctor | patient | unspecified
    text: str
    start_ms: int
    end_ms: int
    speaker_id: str = ""  # who in this session, where that is known
    overlap: bool = False  # somebody else spoke at the same time


class SpeakerRenamed(Struct, kw_only=True, tag_field="type", tag="speaker_renamed"):
    """Finals that were told are another speaker's, or their speaker has another role."""

    speaker_id: str
    speaker: str  # doctor | patient | unspecified
    items: list[str]  # their ids


class Warning(Struct, kw_only=True, tag_field="type", tag="warning"):
    """Something that somebody should look at; the session goes on. Branch on `code`."""

    code: str  # role_doubted
    message: str


class Speaker(Struct, kw_only=True):
    """Who spoke how much. Times in milliseconds."""

    speaker_id: str  # empty: all of whom nobody can tell who they are
    speaker: str  # doctor | patient | unspecified
    talk_ms: int
    overlap_ms: int  # of it, while somebody else spoke as well
    turns: int
    words: int


class SpeakerSummary(Struct, kw_only=True):
    """`GET /api/encounters/{id}/speakers`, in the order in which they first spoke."""

    speakers: list[Speaker]


class Speakers(SpeakerSummary, kw_only=True, tag_field="type", tag="speakers"):
    """The same as an event, when everything is said."""


class Withdrawn(Struct, kw_only=True, tag_field="type", tag="withdrawn"):
    """A partial turned out to be nothing."""

    id: str


class Lagging(Struct, kw_only=True, tag_field="type", tag="lagging"):
    """The reader is slow: so many partials were left out, and never a final."""

    skipped_partials: int


class Interrupted(Struct, kw_only=True, tag_field="type", tag="interrupted"):
    """The connection that feeds a stream was lost."""

    stream: str


class Resumed(Struct, kw_only=True, tag_field="type", tag="resumed"):
    """It is back."""

    stream: str


class Sentence(Struct, kw_only=True, omit_defaults=True):
    """A sentence of the note and the ids of the finals it rests on."""

    text: str
    items: list[str]
    faults: list[str] = []  # what its finals do not bear out; only where the server is set to show such sentences


class Section(Struct, kw_only=True):
    key: str
    title: str
    text: str
    sentences: list[Sentence]


class NoteDraft(Struct, kw_only=True, tag_field="type", tag="note_draft"):
    """The note of a talk that goes on, or as far as it is written; told to who asked for `drafts`.

    Whoever keeps the sections by their keys, replaces those that are told, and drops those that `keys` does not name,
    has the whole draft.
    """

    title: str  # empty: not written yet
    keys: list[str]  # of all its sections, in order
    sections: list[Section]  # those that are new or say something else than in the draft before


class Note(Struct, kw_only=True, omit_defaults=True, tag_field="type", tag="note"):
    """The note, when it was asked for."""

    title: str
    sections: list[Section]
    generator: str = ""  # embedded-extractive (an extract of what was said), model:NAME, or provider
    fallback: str = ""  # why the embedded writer wrote it although there is a model: an error's code
    left_out: int = 0  # sentences that the writer wrote and that were left out: what was said does not bear them out


class ErrorEvent(Struct, kw_only=True, tag_field="type", tag="error"):
    """Something went wrong. Branch on `code`; `message` is for people."""

    code: str
    message: str


class Done(Struct, kw_only=True, tag_field="type", tag="done"):
    """The last event."""

    outcome: str  # done | failed


Event: TypeAlias = (
    Session
    | Ack
    | Partial
    | Final
    | SpeakerRenamed
    | Warning
    | Withdrawn
    | Lagging
    | Interrupted
    | Resumed
    | Speakers
    | NoteDraft
    | Note
    | ErrorEvent
    | Done
)


# Recordings and encounters over HTTP


class RecordingRequest(Struct, kw_only=True):
    """What a recording is to become; `urls` where it is to be fetched."""

    urls: list[str] = []
    callback_url: str = ""  # where the result is to be sent
    language: str = "en"
    template: str = ""
    glossary: list[str] = []
    note: bool = True
    expected_speakers: int = 0
    speaker_hints: list[str] = []
    role: str = "unspecified"  # of the only person in it
    split_by_sentence: bool = False  # as in a live session
    style: str = ""  # auto | paragraphs | bullet_points
    split_by_problem: bool = False
    patient: PatientInfo | None = None
    context: str = ""
    instructions: str = ""
    consent: Consent | None = None


class RecordingForm(Struct, kw_only=True):
    """The same with its files: one part `audio` for each, in order."""

    audio: list[bytes]
    options: RecordingRequest | None = None


class TypedItem(Struct, kw_only=True):
    """What was said at a time."""

    text: str
    speaker: str = "unspecified"  # doctor | patient | unspecified
    start_ms: int = 0
    end_ms: int = 0


class TypedRequest(Struct, kw_only=True):
    """`POST /api/encounters`: a transcript as text, of which a note is written."""

    transcript: str = ""  # lines that may begin with "Doctor:" or "Patient:"; or …
    items: list[TypedItem] = []  # … the same in parts
    callback_url: str = ""
    language: str = "en"
    template: str = ""
    style: str = ""  # auto | paragraphs | bullet_points
    split_by_problem: bool = False
    patient: PatientInfo | None = None
    context: str = ""
    instructions: str = ""
    consent: Consent | None = None


class Accepted(Struct, kw_only=True):
    """It is stored, and will be worked on."""

    encounter_id: str
    status_url: str
    status: str = "queued"  # closing: the transcript is complete


class Encounter(Struct, kw_only=True, omit_defaults=True):
    """How far an encounter is, and what is known of it."""

    encounter_id: str
    api: str  # by which it came
    source: str  # live | recording | text: what its words come from
    status: str  # live | gathering | queued | working | closing | done | failed
    percentage: int
    stage: str
    stages: dict[str, str]  # when each was reached
    created_at: str
    completed_at: str | None = None
    expires_at: str | None = None  # when it is erased, once it is over
    language: str = ""
    template: str = ""  # asked for; of each version of the note: `NoteVersion`
    audio_ms: int = 0  # heard, of all streams together
    warnings: list[str] = []
    error: Error | None = None
    items: list[Final] = []
    speakers: list[Speaker] = []
    note: Note | None = None
    note_absence: Error | None = None


class EncounterSummary(Struct, kw_only=True, omit_defaults=True):
    """An encounter in a list: nothing of what was said."""

    encounter_id: str
    api: str  # by which it came
    source: str  # live | recording | text: what its words come from
    status: str  # live | queued | working | closing | done | failed
    percentage: int
    stage: str
    created_at: str
    completed_at: str | None = None
    language: str = ""
    template: str = ""
    audio_ms: int = 0  # heard, of all streams together
    error: Error | None = None


class EncounterList(Struct, kw_only=True):
    """`GET /api/encounters`, newest first."""

    encounters: list[EncounterSummary]
    next_cursor: str | None  # of the next page; null: these are the last


class Transcript(Struct, kw_only=True):
    """`GET /api/encounters/{id}/transcript`, in the order in which it was spoken."""

    encounter_id: str
    status: str
    language: str
    items: list[Final]


class SpeakerCorrection(Struct, kw_only=True):
    """What role somebody has."""

    speaker_id: str
    speaker: str  # doctor | patient | unspecified


class SpeakerCorrections(Struct, kw_only=True):
    """`PATCH /api/encounters/{id}/speakers`: either `speakers`, or `swap`."""

    speakers: list[SpeakerCorrection] = []  # others stay as they are
    swap: bool = False  # the doctor is the patient, and the other way round


class ConsentState(Struct, kw_only=True):
    """`GET /api/encounters/{id}/consent`."""

    consent: Consent | None  # null: nothing was told


class NoteVersion(Struct, kw_only=True, omit_defaults=True):
    """A version of a note."""

    version: int  # from 1
    created_at: str
    template: str
    review_status: str  # draft | approved
    style: str = ""  # asked for: auto | paragraphs | bullet_points
    language: str = ""
    edited_at: str | None = None  # when a provider changed what it says
    edited_from: int = 0  # the version that they changed, which stays
    generator: str = ""  # embedded-extractive | model:NAME | provider
    fallback: str = ""  # why the embedded writer wrote it although there is a model: an error's code
    left_out: int = 0  # sentences of the writer that what was said does not bear out
    title: str = ""
    sections: list[Section] = []
    note_absence: Error | None = None  # why there is no note in it


class DraftedNote(Struct, kw_only=True):
    """`GET /api/encounters/{id}/notes/draft`: the note of what was said so far. It is stored nowhere."""

    template: str
    style: str
    language: str
    generator: str
    title: str
    sections: list[Section]


class NoteVersions(Struct, kw_only=True):
    """`GET /api/encounters/{id}/notes`, the oldest first."""

    versions: list[NoteVersion]


class PatientSummary(Struct, kw_only=True):
    """`GET /api/encounters/{id}/notes/{version}/summary`."""

    version: int
    review_status: str  # draft | approved: of the note that it is made of
    language: str
    text: str  # a line for each: why they came, what was said about it, what comes next; empty: the note says none


class BillingCode(Struct, kw_only=True, omit_defaults=True):
    """A code, and what is known of it."""

    code: str
    description: str  # the catalogue's; of what it does not know, the sentence in which it was spoken
    origin: str  # spoken | suggested | proposed (by a model)
    standing: (
        str  # billable | incomplete (a seventh character is missing, or more) | unknown (or nothing to check it by)
    )
    items: list[str]  # ids of the finals that it rests on
    score: float | None = None  # of a suggestion, 0.6 to 1: how much of what was said the code says, and no more
    problem: str = ""  # what it is suggested for, in the note's words …
    sentence: str = ""  # … and where it is named


class Abstention(Struct, kw_only=True):
    """A problem that is named, and why no code is suggested for it."""

    problem: str
    why: str  # denied | uncertain | family | past | unconfirmed | inexact
    sentence: str
    items: list[str]


class NoteCodes(Struct, kw_only=True):
    """`GET /api/encounters/{id}/notes/{version}/codes`."""

    version: int
    catalogue: str  # the release of ICD-10-CM
    notices: list[str]  # what to know of them
    icd10: list[BillingCode]
    cpt: list[BillingCode]
    abstentions: list[Abstention]


class FhirEntry(Struct, kw_only=True):
    """A resource of a document."""

    fullUrl: str  # noqa: N815
    resource: dict[str, Any]


class FhirBundle(Struct, kw_only=True):
    """A FHIR R4B document: http://hl7.org/fhir/R4B/documents.html."""

    resourceType: str  # noqa: N815
    type: str
    identifier: dict[str, Any]
    timestamp: str
    entry: list[FhirEntry]


class NoteRequest(Struct, kw_only=True):
    """`POST /api/encounters/{id}/notes`: empty: as it was asked for at first."""

    template: str = ""
    style: str = ""  # auto | paragraphs | bullet_points
    split_by_problem: bool | None = None  # whether the history is told problem by problem; null: as at first
    instructions: str = ""  # wishes of the provider, for a model; empty: as at first
    writer: str = ""  # embedded | model; empty: as the server is set


class EditedSentence(Struct, kw_only=True):
    """A sentence, and the ids of the finals it rests on, where it does."""

    text: str
    items: list[str] = []


class EditedSection(Struct, kw_only=True):
    """A section: its sentences, or its text in one piece."""

    key: str
    title: str = ""
    text: str = ""  # or …
    sentences: list[EditedSentence] = []  # … of which the text is made


class EditedNote(Struct, kw_only=True):
    """`PUT /api/encounters/{id}/notes/{version}`: what the note is to say, in a version of its own."""

    title: str
    sections: list[EditedSection]
    review_status: str = "draft"  # draft | approved


class NotePatch(Struct, kw_only=True):
    """`PATCH /api/encounters/{id}/notes/{version}`: what is not there stays as it is."""

    title: str | None = None
    sections: list[EditedSection] | None = None
    review_status: str | None = None


class Recogniser(Struct, kw_only=True):
    """What turns speech into words."""

    kind: str  # whisper | sphinx | remote (worker processes recognise) | scripted (made-up words, for tests)
    model: str  # for people
    languages: list[str]  # that it takes, ISO 639-1; empty: any, or it is still loading


class NoteTemplate(Struct, kw_only=True):
    """What a note may look like."""

    name: str  # to ask for it by
    title: str  # of the note
    languages: list[str]  # in which it has titles; in any other they are those of the first


class KeptHours(Struct, kw_only=True):
    """For how many hours what is kept, from the end of an encounter on; then it is erased."""

    upload_audio_hours: float  # files, when they are transcribed; 0: they are not kept
    live_audio_hours: float  # audio of live sessions
    result_hours: float  # transcript, note and all else


class Limits(Struct, kw_only=True):
    """How much may be sent, and how long may be waited."""

    max_recording_bytes: int  # of all files together
    max_recording_minutes: int
    max_recording_files: int
    max_session_minutes: int
    max_streams_per_session: int
    max_chunk_bytes: int  # of live audio, in one message
    stream_silence_timeout_s: float  # a socket without audio for this time ends its stream: a pause is sent as silence
    reconnect_timeout_s: float  # a live session without any connection ends after this time
    max_token_s: int  # how long a token can hold


class Capabilities(Struct, kw_only=True):
    """`GET /api/capabilities`: what this server can do for whoever asks."""

    version: str
    recogniser: Recogniser
    writer: str  # of notes, as they say it: embedded-extractive | model:NAME
    note_languages: list[str]  # in which notes can be written, ISO 639-1; empty: in any
    templates: list[NoteTemplate]
    default_template: str
    default_style: str  # auto | paragraphs | bullet_points
    retention: KeptHours
    limits: Limits


class Notification(Struct, kw_only=True):
    """What a webhook or callback gets when an encounter is over."""

    type: str  # encounter.completed | encounter.failed
    timestamp: str
    data: Encounter


class TestNotification(Struct, kw_only=True):
    """What `auscult webhooks test` sends."""

    type: str = "test"
    timestamp: str
    data: dict[str, str] = {}
