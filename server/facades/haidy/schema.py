"""Haidy's bytes, named as on the vendor's page. What is ours beyond the page is marked *extension*."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType


class Parameters(Struct, kw_only=True):
    """Consultation parameters of a live session."""

    language: str | UnsetType = UNSET
    template: str | UnsetType | None = UNSET
    glossary: list[str] | str | None = None  # backend names; also as a JSON array in a string
    patient_context_id: str | None = None  # extension: in a live session, too
    expected_speakers: int | None = None  # extension: people in the room, 1 to 6
    speaker_hints: list[str] | None = None  # extension: roles of a stereo recording's channels; one: one room


class ChunkRequest(Struct, kw_only=True):
    """`POST /v2/audio/audio_chunk`. Everything is required on the page; what may be absent is decided in `convert`."""

    task_id: str | UnsetType = UNSET  # "NEW", or the id of a running session
    final: bool | UnsetType = UNSET
    audio_base64: str | UnsetType | None = UNSET
    sample_rate: float | UnsetType = UNSET  # hertz
    file_format: str | UnsetType = UNSET
    parameters: Parameters | UnsetType = UNSET
    chunk_index: Annotated[int, msgspec.Meta(ge=0, le=2**31)] | None = None  # extension: makes a retry safe


class FileForm(Struct, kw_only=True):
    """`POST /v2/audio/transcribe_file`, a form. Only `audio_files` and `glossary` may be repeated."""

    audio_files: list[bytes]
    language: str
    glossary: list[str] | str = ""  # as in `Parameters`
    patient_context_id: str = ""
    template: str = ""  # extension: a note is wanted, with this template
    expected_speakers: int | None = None  # extension


class Base64Request(Struct, kw_only=True):
    """`POST /v2/audio/transcribe_base64`."""

    file_base64: str | UnsetType = UNSET
    file_name: str | UnsetType | None = UNSET
    language: str | UnsetType = UNSET
    additional_audio_base64: list[str] | None = None
    glossary: list[str] | str | None = None  # as in `Parameters`
    patient_context_id: str | None = None
    template: str | None = None  # extension: a note is wanted, with this template
    expected_speakers: int | None = None  # extension


class PatientRequest(Struct, kw_only=True):
    """`POST /v2/patient-contexts/`."""

    external_id: str | UnsetType = UNSET  # required
    patient_group: str | UnsetType = UNSET  # required
    name: str | None = None
    birth_date: str | None = None  # YYYY-MM-DD
    gender: str | None = None  # male | female | other


class PatientContext(Struct, kw_only=True):
    """A patient. Files of patients are not taken: there are none."""

    id: str  # "ctx_…"
    external_id: str
    patient_group: str
    name: str | None
    birth_date: str | None
    gender: str | None
    created: str  # ISO 8601, UTC
    updated: str
    created_at: str  # the same, as an older page of the vendor names them
    updated_at: str
    total_files: int = 0
    parsed_files: int = 0
    overtime_files: int = 0
    error_files: int = 0


class TaskRequest(Struct, kw_only=True):
    """`POST /v2/tasks`."""

    task_id: str


class Bubble(Struct, kw_only=True):
    """A piece of the transcript."""

    text: str
    start: float  # seconds
    end: float
    speaker: str  # extension: doctor | patient | unspecified
    start_ms: int  # extension
    end_ms: int  # extension
    id: str  # extension: stable id of the item
    speaker_id: str  # extension: who in this session; empty where nobody can tell


class Sentence(Struct, kw_only=True, omit_defaults=True):
    """Extension: a sentence of the note and the bubbles it rests on."""

    text: str
    bubble_ids: list[str]
    faults: tuple[str, ...] = ()  # what the bubbles do not bear out; only where the server is set to show it


class Section(Struct, kw_only=True):
    """Extension: a section of the note."""

    key: str
    title: str
    text: str
    sentences: list[Sentence]


class Note(Struct, kw_only=True, omit_defaults=True):
    """Extension: the clinical note."""

    title: str
    sections: list[Section]
    generator: str  # embedded-extractive (an extract of what was said), model:NAME, or provider
    fallback: str = ""  # why the embedded writer wrote it although there is a model


class Result(Struct, kw_only=True, omit_defaults=True):
    """What was said (so far)."""

    bubbles: list[Bubble]
    note: Note | None = None


class AdditionalInfo(Struct, kw_only=True, omit_defaults=True):
    """Where the page says nothing: why a task failed, and what to know of one that did not."""

    message: str | None = None
    code: str | None = None
    warnings: list[str] = msgspec.field(default_factory=list)
    note: str | None = None  # why there is no note


Status = Literal[
    "CREATED", "QUEUED", "STARTED", "AUDIO_PREPROCESSING", "AUDIO_PROCESSING", "TRANSCRIPTION_DONE", "DONE", "FAILED"
]


class Task(Struct, kw_only=True):
    """A task, as both endpoints answer it."""

    task_id: str
    status: Status
    percentage: int
    started_at: str  # ISO 8601, UTC
    completed_at: str | None
    status_changes_at: dict[Status, str]
    result: Result | UnsetType | None = UNSET
    additional_info: AdditionalInfo | UnsetType = UNSET
