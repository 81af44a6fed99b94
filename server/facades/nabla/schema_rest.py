"""Bodies of Nabla's REST API: generations A and B first, then C. Ours beyond the vendor's is marked *extension*."""

from typing import Annotated, TypeAlias, TypeVar

from msgspec import Meta, Struct

from server.facades.nabla.schema import HttpError

ClientRequestId: TypeAlias = Annotated[str, Meta(max_length=128)]
Url: TypeAlias = Annotated[str, Meta(max_length=4096)]


# Generations A and B


class NoteWishes(Struct, kw_only=True):
    """What a note is to be like."""

    output_objects: list[str] | None  # transcript_item, note
    language: str  # en-US | en-GB | fr-FR | es-ES | es-MX, and the older names en and fr
    section_style: str | None = None  # auto | paragraphs | bullet_points; absent: auto
    note_template: str | None = None  # absent: GENERAL_MEDICINE
    split_by_problem: bool | None = None  # of what the patient tells, in English


class ListenParameters(NoteWishes, kw_only=True):
    """How a file is to be heard."""

    split_by_sentence: bool | None = None
    expected_speakers: int | None = None  # extension: people in the room, 1 to 6; absent: the operator's default


class ListenForm(Struct, kw_only=True):
    """`POST …/listen`."""

    file: bytes
    request_parameters: ListenParameters


class ListenAsyncRequest(ListenParameters, kw_only=True):
    """`POST …/listen_async`. The vendor's page does not name the field of the file's address: one of the three."""

    callback_url: Url
    file_url: Url | None = None
    audio_url: Url | None = None
    url: Url | None = None
    client_request_id: ClientRequestId | None = None


class SpokenItem(Struct, kw_only=True):
    """What one of them said."""

    text: str
    speaker: str | None = None  # doctor | patient | unspecified; absent: unspecified


class EarlierSection(Struct, kw_only=True):
    """Of a note as it was answered."""

    title: str | None = None
    text: str | None = None


class EarlierNote(Struct, kw_only=True):
    """A note as it was answered."""

    title: str | None = None
    sections: list[EarlierSection] = []


class DigestRequest(NoteWishes, kw_only=True):
    """`POST …/digest`."""

    transcript_items: list[SpokenItem]
    patient_context: str | None = None  # for a model that writes the note
    note: EarlierNote | None = None  # to be carried on by a model


class DigestAsyncRequest(DigestRequest, kw_only=True):
    """`POST …/digest_async`."""

    callback_url: Url
    client_request_id: ClientRequestId | None = None


class NoteAsyncRequest(DigestRequest, kw_only=True):
    """`POST …/generate-note-async`."""

    output_objects: list[str] | None = None  # absent: the note
    client_request_id: ClientRequestId | None = None


class TranscriptItem(Struct, kw_only=True):
    """What one of them said, and when: milliseconds from the file's start, under both of the vendor's names."""

    id: str  # extension
    text: str
    speaker: str
    start_offset_ms: int
    end_offset_ms: int
    start_time_ms: int
    end_time_ms: int


class Sentence(Struct, kw_only=True, omit_defaults=True):
    """Extension: a sentence of the note, and what it rests on."""

    text: str
    transcript_item_ids: list[str] | None = None  # of the transcript in the same answer
    transcript_items: list[int] | None = None  # places in the request's transcript_items, from 0
    faults: tuple[str, ...] = ()  # what it rests on does not bear these out; only where the server is set to show it


class Section(Struct, kw_only=True):
    """Of a note: it is there where something was said about it."""

    key: str
    title: str
    text: str
    sentences: list[Sentence]  # extension


class Note(Struct, kw_only=True, omit_defaults=True):
    """The clinical note."""

    title: str
    sections: list[Section]
    generator: str  # extension: embedded-extractive (an extract of what was said), model:NAME, or provider
    fallback: str = ""  # extension: why the embedded writer wrote it although there is a model


class Outcome(Struct, kw_only=True, omit_defaults=True):
    """What was asked for. Where only the note could not be had, what was said comes with why there is none."""

    transcript: list[TranscriptItem] | None = None
    note: Note | None = None
    code: int | None = None
    message: str | None = None
    name: str | None = None  # extension, beside `code`
    warnings: list[str] | None = None  # extension: such as which stretch of the file could not be recognised


class AsyncOutcome(Outcome, kw_only=True, omit_defaults=True):
    """What `callback_url` is told. Of an error, `code` is an HTTP status, as on the vendor's page."""

    request_id: str
    client_request_id: str | None = None


OutcomeT = TypeVar("OutcomeT", bound=Outcome)


class AsyncAccepted(Struct, kw_only=True, omit_defaults=True):
    """It is stored, and will be told."""

    request_id: str
    client_request_id: str | None = None


class NotePayload(Struct, kw_only=True):
    """As the synchronous endpoint answers."""

    note: Note


class NoteJob(Struct, kw_only=True, omit_defaults=True):
    """How far a note is, and the note."""

    id: str
    status: str  # ongoing | failed | succeeded
    client_request_id: str | None = None
    payload: NotePayload | None = None
    error: HttpError | None = None  # extension: why it failed


# Generation C


class SpokenItemC(Struct, kw_only=True):
    """What one of them said."""

    text: str
    speaker_type: str | None = None  # DOCTOR | PATIENT | UNSPECIFIED; absent: UNSPECIFIED


class SectionCustomization(Struct, kw_only=True):
    """How one section is to be. The embedded writer minds the style and the split, a model all of it."""

    section_key: str
    style: str | None = None  # AUTO | PARAGRAPH | BULLET_POINTS
    custom_instruction: Annotated[str, Meta(max_length=700)] | None = None
    level_of_detail: str | None = None
    split_by_problem: bool | None = None


class Demographics(Struct, kw_only=True):
    """Who is treated."""

    name: str | None = None
    birth_date: str | None = None
    gender: str | None = None


class Coding(Struct, kw_only=True):
    """A diagnosis by its code."""

    system: str | None = None
    code: str | None = None
    display: str | None = None


class StructuredContext(Struct, kw_only=True):
    """What the client knows."""

    patient_demographics: Demographics | None = None
    active_encounter_diagnoses_coding: list[Coding] | None = None
    encounter_date: str | None = None


class GenerateNoteRequest(Struct, kw_only=True):
    """`POST …/generate-note`."""

    transcript_items: list[SpokenItemC]
    note_locale: str | None = None  # ENGLISH_US | ENGLISH_UK | FRENCH_FR; absent: ENGLISH_US
    note_template: str | None = None  # absent: GENERIC_MULTIPLE_SECTIONS
    note_template_key: str | None = None  # its name since 2026
    note_sections_customization: list[SectionCustomization] | None = None
    patient_context: str | None = None
    unstructured_context: str | None = None  # its name since 2026-07
    previous_note: EarlierNote | None = None  # to be carried on by a model
    structured_context: StructuredContext | None = None


class GenerateNoteAsyncRequest(GenerateNoteRequest, kw_only=True):
    """`POST …/generate-note-async`."""

    client_request_id: ClientRequestId | None = None


class NoteC(Note, kw_only=True):
    """The clinical note."""

    locale: str
    template: str
    template_key: str


class NoteAnswerC(Struct, kw_only=True):
    """`POST …/generate-note`."""

    note: NoteC


class NoteJobC(Struct, kw_only=True, omit_defaults=True):
    """How far a note is, and the note."""

    id: str
    status: str  # ONGOING | FAILED | SUCCEEDED
    client_request_id: str | None = None
    payload: NoteAnswerC | None = None
    error: HttpError | None = None  # extension: why it failed


class WebhookEvent(Struct, kw_only=True):
    """What a configured webhook is told."""

    id: str
    created_at: str  # ISO 8601
    type: str  # generate_note_async.succeeded | generate_note_async.failed | test
    data: NoteJob | NoteJobC | None = None
