"""SOAPNoteAPI's bytes, named as on the vendor's pages. What is ours beyond the pages is marked *extension*."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

# Requests. Nearly everything may be null: platforms send what their patient's record has.


class PatientInfo(Struct, kw_only=True):
    """Who is treated."""

    name: str | None = None
    age: Annotated[int, Meta(ge=0, le=150)] | None = None
    gender: str | None = None
    medical_history: str | None = None
    medications: list[str] | str | None = None
    allergies: list[str] | str | None = None


class ChatMessage(Struct, kw_only=True):
    """A message of the visit's chat. The page does not say what one looks like: any of these names will do."""

    text: str | None = None
    message: str | None = None
    content: str | None = None
    sender: str | None = None
    role: str | None = None


class Context(Struct, kw_only=True):
    """What is known beside the talk."""

    patient_info: PatientInfo | None = None
    patient_history: str | None = None
    custom_instructions: str | None = None
    chat_messages: list[str | ChatMessage] | None = None


class Consent(Struct, kw_only=True):
    """Extension: that the patient agreed to be recorded, as the platform has it."""

    given_by: str
    at: str  # ISO 8601
    method: str  # such as "spoken" or "form"


class Wanted(Struct, kw_only=True):
    """What all requests for a note have."""

    specialty: str | None = None  # required
    provider_type: str | None = None  # its older name
    template: str | None = None
    context: Context | None = None
    include_billing_codes: bool | None = None
    include_patient_summary: bool | None = None
    include_transcript: bool | None = None
    language: str | None = None  # extension: "en" where nothing is said
    consent: Consent | None = None


class NoteRequest(Wanted, kw_only=True):
    """`POST /v1/note` and `POST /v1/stream/note`."""

    transcript: str | None = None  # required
    shorthand_notes: str | None = None  # its older name


class Metadata(Wanted, kw_only=True):
    """The part `metadata` of an upload."""

    encounter_id: str | None = None  # extension: the consultation that this file is a segment of, …
    segment: Annotated[int, Meta(ge=1, le=100)] | None = None  # … which one, from 1 …
    final_segment: bool | None = None  # … and whether it is the last


class AudioForm(Struct, kw_only=True):
    """`PUT /v1/note/audio`."""

    audio: bytes
    metadata: Metadata | None = None
    specialty: str | None = None  # an older guide has this instead of metadata
    template: str | None = None


class SoapNote(Struct, kw_only=True):
    """A note as another system has it."""

    subjective: str | None = None
    objective: str | None = None
    assessment: str | None = None
    plan: str | None = None


class Visit(Struct, kw_only=True):
    """One of a patient's visits: its note, or a summary."""

    visit_date: str  # ISO 8601
    provider: str | None = None
    soap_note: SoapNote | None = None
    summary: str | None = None


class VisitSummaryRequest(Struct, kw_only=True):
    """`POST /v1/visit-summary`."""

    visits: list[Visit] | None = None  # required
    patient_info: PatientInfo | None = None
    focus: str | None = None


# Answers


class Accepted(Struct, kw_only=True):
    """An upload is stored and is being worked on."""

    noteId: str  # noqa: N815
    status: str = "processing"
    status_url: str


class Code(Struct, kw_only=True):
    """A billing code. One that no catalogue here knows is described by the sentence in which it was spoken."""

    code: str
    description: str
    origin: str  # extension: spoken | suggested | proposed (by a model)
    verified: bool  # extension: whether it is in the catalogue, complete; of CPT: in the operator's file
    score: float | UnsetType = UNSET  # extension, of a suggestion: 0.6 to 1
    problem: str | UnsetType = UNSET  # extension: what it is suggested for, in the note's words


class BillingCodes(Struct, kw_only=True):
    """Codes of the visit."""

    icd10: list[Code]
    cpt: list[Code]
    catalogue: str  # extension: release of ICD-10-CM that they were checked against
    notices: list[str]  # extension: what to know of them


class Said(Struct, kw_only=True):
    """A piece of the transcript. Its name and fields are not on the pages."""

    speaker: str  # doctor | patient | unspecified
    start: float  # seconds
    end: float
    text: str


class Note(Struct, kw_only=True):
    """A note. The four parts are always there: empty where nothing was said."""

    noteId: str  # noqa: N815
    subjective: str
    objective: str
    assessment: str
    plan: str
    transcript: str | UnsetType = UNSET  # of recordings, always
    billing_codes: BillingCodes | UnsetType = UNSET  # where they were asked for
    patient_summary: str | UnsetType = UNSET  # where it was asked for
    diarized_transcript: list[Said] | UnsetType = UNSET  # of recordings, where it was asked for
    expires_at: str | UnsetType = UNSET  # of one that is over
    status: str = "completed"
    review_status: str = "draft"  # extension: draft (a clinician must review it) | approved
    generator: str | UnsetType = UNSET  # extension: embedded-extractive (an extract), model:NAME, or provider
    fallback: str | UnsetType = UNSET  # extension: why the embedded writer wrote it although there is a model
    title: str | UnsetType = UNSET  # extension
    message: str | UnsetType = UNSET  # extension: why all parts are empty
    warnings: list[str] | UnsetType = UNSET  # extension: what was asked for and is not so


class Status(Struct, kw_only=True):
    """How far a note is, and the note once there is one."""

    noteId: str  # noqa: N815
    status: str  # processing | completed | failed
    percentage: int | UnsetType = UNSET  # extension
    note: Note | UnsetType = UNSET
    message: str | UnsetType = UNSET  # why it failed


class StreamEvent(Struct, kw_only=True):
    """A `data:` line of `POST /v1/stream/note`. The last one is `[DONE]`."""

    section: str  # subjective | objective | assessment | plan
    content: str  # more of it; the first of a section begins with its heading


class StreamError(Struct, kw_only=True):
    """Instead of more."""

    error: str


class SubTemplate(Struct, kw_only=True):
    """A way to write notes within a specialty."""

    id: str
    name: str


class Specialty(Struct, kw_only=True):
    """A specialty. The shape is not on the pages."""

    id: str
    name: str
    templates: list[SubTemplate]
    aliases: list[str]


class Specialties(Struct, kw_only=True):
    """`GET /v1/specialties`."""

    specialties: list[Specialty]


class VisitSummary(Struct, kw_only=True):
    """Several visits at a glance. The names of the fields are not on the pages."""

    summary: str
    key_findings: list[str]
    active_diagnoses: list[str]
    review_status: str = "draft"


class Detail(Struct, kw_only=True):
    """What is wrong with a field."""

    field: str
    message: str


class Error(Struct, kw_only=True):
    """Why a request was refused. Branch on `code`; `message` is for people."""

    code: str
    message: str
    details: list[Detail] | UnsetType = UNSET


class ErrorBody(Struct, kw_only=True):
    """Body of every error."""

    error: Error


# Webhooks


class Notification(Struct, kw_only=True):
    """`note.generated`, and `note.failed`, which has no `data`."""

    event: str
    note_id: str
    status: str
    created_at: str
    data: Note | UnsetType = UNSET
    message: str | UnsetType = UNSET  # extension: why it failed


class TestNotification(Struct, kw_only=True):
    """What `auscult webhooks test` sends."""

    event: str = "test"
    created_at: str
    data: dict[str, str]
