"""Haidy's values ⇄ domain values. Pure; the error table is at the end."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256

import msgspec
from msgspec import UNSET

from pipeline.errors import AuscultError
from pipeline.notes.note import Note
from pipeline.types import Utterance
from server.domain import EncounterOptions, EncounterRow, EncounterView, Stage, StreamSpec
from server.errors import BadRequest, NotFound
from server.facades.haidy import schema
from server.facades.haidy.encoded import NOTHING, decoded
from server.intake import Patient
from server.patients import UNKNOWN, PatientContext, StoredContext
from server.speaking import expected_speakers, speaker_hints

API = "haidy"
NEW = "NEW"
LANGUAGES = ("de", "fr", "it", "en", "es", "de-CH")  # the page's list
RAW_FORMATS = frozenset({"pcm", "raw", "pcm_s16le"})  # raw audio carries no signature, so it must be declared
RAW_RATES = range(8_000, 48_001)  # hertz
DATA_URL = re.compile(r"^data:[^,]{0,200};base64,")  # what a browser's FileReader puts before the audio
GLOSSARIES = 32  # names in one request
FIRST_AUDIO = "file_base64"
AUDIO_FIELDS = (FIRST_AUDIO, "additional_audio_base64")
NO_CONTEXT = "The patient context is unknown here: the recording is transcribed without it."
BIRTH_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
GENDERS = ("male", "female", "other")
MAX_TEXT = 200  # characters of what is said of a patient, each
TASK_ID = re.compile(r"[0-9a-f]{24}")

STATUS: dict[Stage, schema.Status] = {
    Stage.CREATED: "CREATED",
    Stage.QUEUED: "QUEUED",
    Stage.STARTED: "STARTED",
    Stage.DECODING: "AUDIO_PREPROCESSING",
    Stage.TRANSCRIBING: "AUDIO_PROCESSING",
    Stage.TRANSCRIBED: "TRANSCRIPTION_DONE",
    Stage.DONE: "DONE",
    Stage.FAILED: "FAILED",
}


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk request, checked."""

    task_id: str | None  # None: a new session
    audio: bytes
    final: bool
    session_key: str | None  # makes a retried opening safe
    client_key: str | None  # makes a retried chunk safe
    options: EncounterOptions
    patient_context_id: str | None = None


def chunk(request: schema.ChunkRequest, idempotency_key: str | None) -> Chunk:
    """Check a request. Raises `BadRequest` in the page's words where it has some."""
    for name in ("task_id", "final", "sample_rate", "file_format", "parameters"):
        if getattr(request, name) is UNSET:
            raise BadRequest(f"Field '{name}' is required")
    assert request.task_id is not UNSET
    assert request.final is not UNSET
    assert request.parameters is not UNSET
    body = audio(request.audio_base64 if isinstance(request.audio_base64, str) else "")
    if not body and not request.final:
        raise BadRequest(NOTHING)
    key = _hashed(idempotency_key)
    return Chunk(
        task_id=None if request.task_id == NEW else request.task_id,
        audio=body,
        final=request.final,
        session_key=key,
        client_key=key if request.chunk_index is None else f"index:{request.chunk_index}",
        options=options(request),
        patient_context_id=request.parameters.patient_context_id or None,
    )


def audio(encoded: str) -> bytes:
    """The audio bytes. Raises `BadRequest` in the page's words."""
    return decoded(DATA_URL.sub("", encoded))


def options(request: schema.ChunkRequest) -> EncounterOptions:
    """What the session is to be. Raises `BadRequest`."""
    assert isinstance(request.parameters, schema.Parameters)
    assert isinstance(request.sample_rate, float)
    assert isinstance(request.file_format, str)
    if not isinstance(request.parameters.language, str):
        raise BadRequest("Field 'parameters.language' is required")
    template = request.parameters.template if isinstance(request.parameters.template, str) else ""
    return EncounterOptions(
        api=API,
        streams=(stream(request.file_format, request.sample_rate),),
        language=language(request.parameters.language),
        template=template,
        glossaries=glossaries(request.parameters.glossary),
        expected_speakers=expected_speakers(request.parameters.expected_speakers or 0),
        speaker_hints=speaker_hints(request.parameters.speaker_hints or ()),
    )


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """What is to become of files, checked."""

    options: EncounterOptions
    patient_context_id: str | None = None


def form(fields: Mapping[str, Sequence[str]]) -> Upload:
    """A form's fields, but for its files. Raises `BadRequest`."""
    for name, values in fields.items():
        if len(values) > 1 and name != "glossary":
            raise BadRequest(f"Field '{name}' is given more than once")
    single = {name: values[0] for name, values in fields.items()}
    try:
        expected = int(single.get("expected_speakers") or 0)
    except ValueError:
        raise BadRequest("Field 'expected_speakers' must be a whole number") from None
    return _upload(
        single.get("language"),
        [name for value in fields.get("glossary", ()) for name in glossaries(value)],
        single.get("patient_context_id"),
        single.get("template"),
        expected,
    )


def base64_request(request: schema.Base64Request) -> Upload:
    """A request but for its audio. Raises `BadRequest`, in the page's words where it has some."""
    if not isinstance(request.file_name, str) or not request.file_name.strip():
        raise BadRequest("File name is required")
    return _upload(
        request.language if isinstance(request.language, str) else None,
        request.glossary,
        request.patient_context_id,
        request.template,
        request.expected_speakers or 0,
    )


def _upload(
    spoken: str | None, glossary: list[str] | str | None, patient: str | None, template: str | None, expected: int
) -> Upload:
    if not spoken:
        raise BadRequest("Field 'language' is required")
    options = EncounterOptions(
        api=API,
        streams=(StreamSpec(name="audio"),),
        language=language(spoken),
        template=template or "",
        glossaries=glossaries(glossary),
        note=bool(template),  # the page promises none, and names no template
        expected_speakers=expected_speakers(expected),
        resumable=False,
        recording=True,
    )
    return Upload(options=options, patient_context_id=patient or None)


def patient_context(request: schema.PatientRequest) -> PatientContext:
    """A patient's context. Raises `BadRequest`, which names fields, never values."""
    texts = msgspec.structs.asdict(request)
    for name in ("external_id", "patient_group"):
        if not isinstance(texts[name], str) or not texts[name].strip():
            raise BadRequest(f"Field '{name}' is required")
    for name, text in texts.items():
        if text and len(text) > MAX_TEXT:
            raise BadRequest(f"Field '{name}' is longer than {MAX_TEXT} characters")
    if request.birth_date and not _is_date(request.birth_date):
        raise BadRequest("Field 'birth_date' must be a date, such as 1970-12-31")
    if request.gender and request.gender not in GENDERS:
        raise BadRequest(f"Field 'gender' must be one of {', '.join(GENDERS)}")
    patient = Patient(name=request.name or "", birth_date=request.birth_date or "", gender=request.gender or "")
    return PatientContext(external_id=texts["external_id"], group=texts["patient_group"], patient=patient)


def _is_date(text: str) -> bool:
    try:
        return bool(BIRTH_DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def shown_context(stored: StoredContext) -> schema.PatientContext:
    """A patient's context as it is answered."""
    context, patient = stored.context, stored.context.patient
    created, updated = timestamp(stored.created_at), timestamp(context.changed_at)
    return schema.PatientContext(
        id=stored.id,
        external_id=context.external_id,
        patient_group=context.group,
        name=patient.name or None,
        birth_date=patient.birth_date or None,
        gender=patient.gender or None,
        created=created,
        updated=updated,
        created_at=created,
        updated_at=updated,
    )


def upload_key(idempotency_key: str | None) -> str | None:
    """What makes a repeated upload the same one; no chunk's key is like it."""
    key = _hashed(idempotency_key)
    return None if key is None else f"files:{key}"


def _hashed(idempotency_key: str | None) -> str | None:
    """It may say who is treated. Raises `BadRequest` for an empty one: all that have it would be the same."""
    if idempotency_key is None:
        return None
    if not idempotency_key:
        raise BadRequest("Idempotency-Key must not be empty")
    return sha256(idempotency_key.encode()).hexdigest()


def stream(file_format: str, sample_rate: float) -> StreamSpec:
    """The one stream of a session: what the bytes say, unless raw audio is declared. Raises `BadRequest`."""
    if sample_rate <= 0 or sample_rate != int(sample_rate):
        raise BadRequest("Field 'sample_rate' must be a whole number of hertz, such as 16000")
    if file_format.lower().lstrip(".") not in RAW_FORMATS:
        return StreamSpec(name="audio")
    if int(sample_rate) not in RAW_RATES:
        raise BadRequest("Field 'sample_rate' must be between 8000 and 48000 for raw audio")
    return StreamSpec(name="audio", encoding="pcm_s16le", sample_rate=int(sample_rate))


def language(code: str) -> str:
    """A language of the page, or a region of one ("en-GB"). Raises `BadRequest`."""
    base, dash, region = code.partition("-")  # in either case (RFC 5646 §2.1.1)
    if base.lower() in LANGUAGES and (not dash or re.fullmatch(r"[A-Za-z]{2}|[0-9]{3}", region)):
        return base.lower() + dash + region.upper()
    raise BadRequest(f"Unknown language: use one of {', '.join(LANGUAGES)}")


def glossaries(given: list[str] | str | None) -> tuple[str, ...]:
    """Glossary names, from a list, one name, or a JSON array in a string. Raises `BadRequest`."""
    if isinstance(given, list):
        names = given
    else:
        try:
            listed = msgspec.json.decode(given, type=list[str] | str | None) if given else None
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            listed = given
        names = [listed] if isinstance(listed, str) else listed or []
    if len(names) > GLOSSARIES:
        raise BadRequest(f"At most {GLOSSARIES} glossaries can be used")
    return tuple(names)


def started(row: EncounterRow) -> schema.Task:
    """The answer to a first chunk: accepted, waiting for its turn."""
    stages = {stage: at for stage, at in row.stages.items() if stage in (Stage.CREATED, Stage.QUEUED)}
    return task(msgspec.structs.replace(row, stages=stages, percentage=0, completed_at=None))


def task(row: EncounterRow) -> schema.Task:
    """A task without its result."""
    return schema.Task(
        task_id=row.id,
        status=STATUS[row.stage],
        percentage=row.percentage,
        started_at=timestamp(row.created_at),
        completed_at=None if row.completed_at is None else timestamp(row.completed_at),
        status_changes_at={STATUS[stage]: timestamp(at) for stage, at in row.stages.items()},
    )


def full_task(view: EncounterView) -> schema.Task:
    """A task with what was said so far, and the note once there is one."""
    answer = task(view.row)
    note = view.note.note if view.note is not None else None
    answer.result = schema.Result(
        bubbles=[bubble(item) for item in sorted(view.items, key=lambda item: item.start)],
        note=None if note is None else clinical_note(note),
    )
    failure, absence = view.row.failure, view.note.absence if view.note is not None else None
    failed = view.row.stage is Stage.FAILED and failure is not None
    info = schema.AdditionalInfo(
        message=failure.message if failed and failure else None,
        code=failure.code if failed and failure else None,
        warnings=[*view.row.warnings, *([NO_CONTEXT] if view.intake.extra.get(UNKNOWN) else [])],
        note=None if absence is None else absence.message,
    )
    if info != schema.AdditionalInfo():
        answer.additional_info = info
    return answer


def bubble(item: Utterance) -> schema.Bubble:
    """A transcript item."""
    return schema.Bubble(
        text=item.text,
        start=item.start_ms / 1000,
        end=item.end_ms / 1000,
        speaker=str(item.role),
        start_ms=item.start_ms,
        end_ms=item.end_ms,
        id=item.id,
        speaker_id=item.speaker,
    )


def clinical_note(note: Note) -> schema.Note:
    """The note with its evidence."""
    return schema.Note(
        title=note.title,
        sections=[
            schema.Section(
                key=section.key,
                title=section.title,
                text=section.text,
                sentences=[
                    schema.Sentence(text=s.text, bubble_ids=list(s.items), faults=s.faults) for s in section.sentences
                ],
            )
            for section in note.sections
        ],
        generator=note.generator,
        fallback=note.fallback,
    )


def timestamp(at: float) -> str:
    """Seconds since 1970 → "2024-11-11T10:30:00.123Z"."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


STATUS_CODES = {
    "bad_request": 400,
    "already_final": 400,
    "invalid_audio": 400,
    "unsupported_audio": 400,
    "undecodable_audio": 400,
    "no_audio_track": 400,
    "unauthorized": 401,
    "token_expired": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "erased": 404,
    "audio_gone": 404,
    "upload_stalled": 408,
    "too_large": 413,
    "session_too_long": 413,
    "rate_limited": 429,
    "quota_streams": 429,
    "quota_minutes": 429,
    "overloaded": 503,
    "store_unavailable": 503,
    "too_many_at_once": 503,
    "epoch_lost": 503,
}


def error(exc: AuscultError) -> tuple[int, str]:
    """Status and body. The page prints bodies as JSON strings; whether they are wrapped is open, so they are not."""
    message = "Task not found" if type(exc) is NotFound else str(exc)  # else it says itself what was not found
    return STATUS_CODES.get(exc.code, 500), message
