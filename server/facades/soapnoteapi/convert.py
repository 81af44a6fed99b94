"""SOAPNoteAPI's values ⇄ domain values. Pure; the error table is at the end."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import groupby

import msgspec
from msgspec import UNSET, Struct, UnsetType

from pipeline.errors import AuscultError, TranscriptTooShort
from pipeline.notes.beside import coding
from pipeline.notes.beside.coding import NO_PROCEDURES, Origin
from pipeline.notes.beside.icd10 import shipped_catalogue
from pipeline.notes.beside.summary import Visit, patient_summary, visit_summary
from pipeline.notes.note import Note, NoteSection, Style, Topic
from pipeline.transcript import chronological
from pipeline.typed import Turn, read_turns
from pipeline.types import Role, Utterance
from server.domain import EncounterOptions, EncounterRow, EncounterView, Failure, State, StoredNote, StreamSpec
from server.errors import MODEL_AWAY, BadRequest, NotFound
from server.facades.soapnoteapi import schema
from server.facades.soapnoteapi.specialties import STANDARD, Specialties
from server.http import decode
from server.intake import ChatMessage, Consent, Intake, Patient

API = "soapnoteapi"
LEAST_TRANSCRIPT = 50  # characters
LEAST_AUDIO_MS = 5_000
MAX_KEY = 200  # characters of an Idempotency-Key
MAX_VISITS = 200
LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,4}")
NOTE_ID = re.compile(r"[0-9a-f]{24}")

PARTS = ("subjective", "objective", "assessment", "plan")
PART_OF: Mapping[Topic, str] = {  # of a SOAP note; all other topics are what the patient reports
    Topic.VITALS: "objective",
    Topic.EXAM: "objective",
    Topic.LABS: "objective",
    Topic.IMAGING: "objective",
    Topic.ASSESSMENT: "assessment",
    Topic.PLAN: "plan",
    Topic.PRESCRIPTION: "plan",
    Topic.APPOINTMENTS: "plan",
}
UNPLACED: Mapping[str, str] = {"MENTAL_HEALTH_EXAM": "objective"}  # sections whose topics say nothing: by key
COMPLETED, PROCESSING, FAILED = "completed", "processing", "failed"


class Invalid(BadRequest):
    """Some fields are missing or wrong: `details` says which."""

    def __init__(self, *details: tuple[str, str]) -> None:
        super().__init__(" ".join(message for _, message in details))
        self.details = details


class Segment(Struct, frozen=True, kw_only=True):
    """Which part of a consultation an upload is."""

    encounter: str  # the key of the consultation, made of the client's name for it
    number: int  # from 1
    final: bool


class Asked(Struct, frozen=True, kw_only=True):
    """A request for a note, checked."""

    options: EncounterOptions
    intake: Intake
    turns: tuple[Turn, ...] = ()  # of text
    segment: Segment | None = None  # of an upload


class Extra(Struct, frozen=True, kw_only=True):
    """What an answer is to have, kept with the intake."""

    specialty: str = ""
    billing_codes: bool = False
    patient_summary: bool = False
    transcript: bool = False


# Requests


def text(request: schema.NoteRequest, specialties: Specialties) -> Asked:
    """A note of text. Raises `Invalid`, which names every field that is wrong."""
    written = request.transcript or request.shorthand_notes or ""
    wrong = []
    if len(written.strip()) < LEAST_TRANSCRIPT:
        message = f"transcript (or shorthand_notes) is required and must have at least {LEAST_TRANSCRIPT} characters."
        wrong.append(("transcript", message))
    template, faults = _template(request, specialties)
    if wrong := [*wrong, *faults]:
        raise Invalid(*wrong)
    options = EncounterOptions(
        api=API,
        streams=(),
        language=request.language or "en",
        template=template,
        resumable=False,
        least_words=1,  # the page counts characters
    )
    return Asked(options=options, intake=intake(request), turns=tuple(read_turns(written)))


def audio(metadata: schema.Metadata, specialties: Specialties) -> Asked:
    """A note of an upload. Raises `Invalid`, which names every field that is wrong."""
    template, wrong = _template(metadata, specialties)
    if wrong:
        raise Invalid(*wrong)
    options = EncounterOptions(
        api=API,
        streams=(StreamSpec(name="stream0"),),
        language=metadata.language or "en",
        template=template,
        resumable=False,
        recording=True,
        least_audio_ms=LEAST_AUDIO_MS,
    )
    return Asked(options=options, intake=intake(metadata), segment=segment(metadata))


def _template(wanted: schema.Wanted, specialties: Specialties) -> tuple[str, list[tuple[str, str]]]:
    """The template to write in, and what is wrong with what decides it."""
    wrong: list[tuple[str, str]] = []
    if wanted.language and not LANGUAGE.fullmatch(wanted.language):
        wrong.append(("language", 'language must be a language\'s code, such as "en" or "en-US".'))
    named = wanted.specialty or wanted.provider_type
    if not named:
        return "", [*wrong, ("specialty", "specialty (or provider_type) is required.")]
    specialty = specialties.find(named)
    if specialty is None:
        known = ", ".join(specialties.named)
        return "", [*wrong, ("specialty", f"specialty is unknown: use one of {known}.")]
    template = specialties.template(specialty, wanted.template or "")
    if template is None:
        known = ", ".join((STANDARD, *specialty.templates, *sorted(specialties.templates)))
        wrong.append(("template", f"template is unknown in this specialty: use one of {known}."))
    return template or "", wrong


def intake(wanted: schema.Wanted) -> Intake:
    """What the client knows, and what its answer is to have. Raises `Invalid`."""
    context = wanted.context or schema.Context()
    info = context.patient_info or schema.PatientInfo()
    extra = Extra(
        specialty=(wanted.specialty or wanted.provider_type or "").strip().lower(),
        billing_codes=bool(wanted.include_billing_codes),
        patient_summary=bool(wanted.include_patient_summary),
        transcript=bool(wanted.include_transcript),
    )
    consent = wanted.consent
    if consent is not None and not _is_date(consent.at):
        raise Invalid(("consent.at", "consent.at must be an ISO 8601 time."))
    return Intake(
        patient=Patient(
            name=info.name or "",
            age=info.age,
            gender=info.gender or "",
            medical_history=info.medical_history or "",
            medications=_several(info.medications),
            allergies=_several(info.allergies),
        ),
        history=context.patient_history or "",
        instructions=context.custom_instructions or "",
        chat=tuple(_message(each) for each in context.chat_messages or ()),
        consent=None if consent is None else Consent(given_by=consent.given_by, at=consent.at, method=consent.method),
        extra=msgspec.to_builtins(extra),
    )


def _several(given: Sequence[str] | str | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())


def _message(given: str | schema.ChatMessage) -> ChatMessage:
    if isinstance(given, str):
        return ChatMessage(text=given)
    return ChatMessage(text=given.text or given.message or given.content or "", sender=given.sender or given.role or "")


def metadata(raw: bytes, read: Callable[[bytes, type[schema.Metadata]], schema.Metadata] = decode) -> schema.Metadata:
    """The part `metadata`, whatever its content type says. Raises `Invalid`."""
    try:
        return read(raw, schema.Metadata)
    except BadRequest as exc:
        raise Invalid((f"metadata.{exc.field}".rstrip("."), f"metadata: {exc}")) from None


def segment(given: schema.Metadata) -> Segment | None:
    """Which segment of a longer recording an upload is; None: a recording of its own. Raises `Invalid`."""
    if given.encounter_id is None and given.segment is None:
        return None
    if not given.encounter_id or given.segment is None:
        raise Invalid(("metadata.segment", "encounter_id and segment belong together: send both, or neither."))
    return Segment(
        encounter=_hashed("encounter", given.encounter_id), number=given.segment, final=bool(given.final_segment)
    )


def _hashed(kind: str, name: str) -> str:
    """A key of something that the client names: the name may say who is treated."""
    return f"{API}:{kind}:{sha256(name.encode()).hexdigest()}"


def with_fields(given: schema.Metadata, plain: Mapping[str, str]) -> schema.Metadata:
    """Form fields of an older guide, where metadata does not have them."""
    added = {name: value.strip() for name, value in plain.items() if not getattr(given, name)}
    return msgspec.structs.replace(given, **added)


def note_id(given: str) -> str:
    """An id as it may be. Raises `NotFound` for what is none."""
    if not NOTE_ID.fullmatch(given):
        raise NotFound
    return given


def client_key(header: str | None) -> str | None:
    """What makes a repeat safe. Raises `BadRequest`."""
    if header is None:
        return None
    if not 0 < len(header) <= MAX_KEY:
        raise BadRequest(f"Idempotency-Key must have 1 to {MAX_KEY} characters.")
    return _hashed("request", header)


def visits(request: schema.VisitSummaryRequest) -> schema.VisitSummary:
    """Several visits at a glance. Raises `Invalid`."""
    given = request.visits or []
    wrong = [] if given else [("visits", "visits must have one visit or more.")]
    if len(given) > MAX_VISITS:
        wrong.append(("visits", f"visits must have at most {MAX_VISITS} visits."))
    for index, visit in enumerate(given):
        if not _is_date(visit.visit_date):
            wrong.append((f"visits[{index}].visit_date", "visit_date must be an ISO 8601 date."))
        if visit.soap_note is None and not visit.summary:
            wrong.append((f"visits[{index}]", "A visit must have a soap_note or a summary."))
    if wrong:
        raise Invalid(*wrong)
    summed = visit_summary([_visit(each) for each in given], request.focus or "")
    return schema.VisitSummary(
        summary=summed.narrative, key_findings=list(summed.findings), active_diagnoses=list(summed.diagnoses)
    )


def _visit(given: schema.Visit) -> Visit:
    note = given.soap_note or schema.SoapNote()
    parts = {part: getattr(note, part) or "" for part in PARTS}
    return Visit(date=given.visit_date, provider=given.provider or "", summary=given.summary or "", **parts)


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


# Answers


def accepted(encounter: str) -> schema.Accepted:
    """The answer to an upload."""
    return schema.Accepted(noteId=encounter, status_url=f"/v1/audio/status/{encounter}")


def processing(row: EncounterRow) -> schema.Status:
    """How far a note is that is not there yet."""
    return schema.Status(noteId=row.id, status=PROCESSING, percentage=row.percentage)


def status(view: EncounterView, procedures: Mapping[str, str] = NO_PROCEDURES) -> schema.Status:
    """How far a note is, with the note once there is one."""
    if not is_over(view.row):
        return processing(view.row)
    if (failed := failure(view)) is not None:
        return schema.Status(noteId=view.row.id, status=FAILED, message=failed.message)
    return schema.Status(noteId=view.row.id, status=COMPLETED, note=note(view, procedures))


def is_over(row: EncounterRow) -> bool:
    """Whether nothing more will be known."""
    return row.state in (State.DONE, State.FAILED)


def failure(view: EncounterView) -> Failure | None:
    """Why there is no note of what is over. One in which too little was said to note anything is empty, not failed."""
    if view.row.state is State.FAILED:
        return view.row.failure or Failure(code="failed", message="The recording could not be processed.")
    absence = None if view.note is None else view.note.absence
    return None if absence is None or absence.code == TranscriptTooShort.code else absence


def note(view: EncounterView, procedures: Mapping[str, str] = NO_PROCEDURES) -> schema.Note:
    """A note as far as there is one. `procedures`: the operator's CPT codes."""
    row, stored = view.row, view.note or StoredNote()
    extra = msgspec.convert(view.intake.extra, Extra)
    over, failed = is_over(row), failure(view) if is_over(row) else None
    written = None if failed is not None else stored.note
    texts = dict.fromkeys(PARTS, "") if written is None else parts(written)
    answer = schema.Note(
        noteId=row.id,
        subjective=texts["subjective"],
        objective=texts["objective"],
        assessment=texts["assessment"],
        plan=texts["plan"],
        expires_at=UNSET if view.expires_at is None else timestamp(view.expires_at),
        status=FAILED if failed is not None else COMPLETED if over else PROCESSING,
        review_status=stored.review,
        generator=written.generator if written is not None else UNSET,
        fallback=(written is not None and written.fallback) or UNSET,
        title=written.title if written is not None else UNSET,
        message=_message_of(failed or stored.absence),
        warnings=list(row.warnings) or UNSET,
    )
    if not over or failed is not None:
        return answer
    items = chronological(view.items)
    if row.options.recording:
        answer.transcript = transcript(items)
        if extra.transcript:
            answer.diarized_transcript = [said(item) for item in items]
    if extra.billing_codes:
        answer.billing_codes = billing_codes(view.coding or _coding(written, view, procedures))
    if extra.patient_summary:
        answer.patient_summary = _summary(written) if view.summary is None else view.summary
    return answer


def foreseen(view: EncounterView, procedures: Mapping[str, str] = NO_PROCEDURES) -> EncounterView:
    """With what takes long to work out for `note`."""
    extra, written = msgspec.convert(view.intake.extra, Extra), None if view.note is None else view.note.note
    return msgspec.structs.replace(
        view,
        coding=_coding(written, view, procedures) if extra.billing_codes else None,
        summary=_summary(written) if extra.patient_summary else None,
    )


def _coding(written: Note | None, view: EncounterView, procedures: Mapping[str, str]) -> coding.Coding:
    return coding.code_visit(written, chronological(view.items), shipped_catalogue(), procedures)


def _summary(written: Note | None) -> str:
    return "" if written is None else patient_summary(written)


def _message_of(failure: Failure | None) -> str | UnsetType:
    return UNSET if failure is None else failure.message


def parts(written: Note) -> dict[str, str]:
    """The four parts' texts; empty where nothing was said."""
    return {part: "\n\n".join(map(_headed, sections)) for part, sections in _by_part(written)}


def _by_part(written: Note) -> Iterator[tuple[str, list[NoteSection]]]:
    for part in PARTS:
        yield part, [section for section in written.sections if _part(section) == part]


def _part(section: NoteSection) -> str:
    """The part that a section belongs to; one of no topic (only a model or a provider fills it): mostly the first."""
    if not section.topics:
        return UNPLACED.get(section.key, PARTS[0])
    return PART_OF.get(section.topics[0], PARTS[0])


def _heading(section: NoteSection) -> str:
    """Nothing for a section that is the part itself."""
    return "" if section.key.removeprefix("SOAP_").lower() in PARTS else f"{section.title}:\n"


def _headed(section: NoteSection) -> str:
    return _heading(section) + section.text


def transcript(items: Sequence[Utterance]) -> str:
    """What was said, a line for each turn, with who spoke where that is known."""
    lines: list[str] = []
    for role, turn in groupby(items, key=lambda item: item.role):
        text = " ".join(item.text for item in turn)
        lines.append(text if role is Role.UNSPECIFIED else f"{role.capitalize()}: {text}")
    return "\n".join(lines)


def said(item: Utterance) -> schema.Said:
    """A piece of the transcript with its time."""
    return schema.Said(speaker=item.role, start=item.start_ms / 1000, end=item.end_ms / 1000, text=item.text)


def billing_codes(visit: coding.Coding) -> schema.BillingCodes:
    """Codes that were spoken, and those of ICD-10-CM that are suggested for what the note names.

    A suggestion that a claim cannot carry as it stands is left out: clients of this API bill what they read.
    """
    fit = [each for each in visit.icd10 if each.origin is Origin.SPOKEN or each.verified]
    return schema.BillingCodes(
        icd10=[_code(each) for each in fit],
        cpt=[_code(each) for each in visit.cpt],
        catalogue=visit.release,
        notices=list(visit.notices),
    )


def _code(found: coding.Code) -> schema.Code:
    return schema.Code(
        code=found.code,
        description=found.description,
        origin=found.origin,
        verified=found.verified,
        score=UNSET if found.score is None else found.score,
        problem=found.problem or UNSET,
    )


class Streamed:
    """A note bit by bit as it is written: all `content` together is its text, with headings."""

    def __init__(self) -> None:
        self._told: set[str] = set()  # keys of sections
        self._part = ""  # told last

    def more(self, sections: Iterable[NoteSection]) -> Iterator[schema.StreamEvent]:
        """What of these sections was not told before. What was told stays: no client could take it back."""
        for section in sections:
            if section.key in self._told:
                continue
            self._told.add(section.key)
            part, before = _part(section), "\n\n"
            if part != self._part:
                between = "\n\n" if self._part else ""
                yield schema.StreamEvent(section=part, content=f"{between}{part.capitalize()}:\n")
                self._part, before = part, ""
            yield from self._section(section, part, before + _heading(section))

    @staticmethod
    def _section(section: NoteSection, part: str, before: str) -> Iterator[schema.StreamEvent]:
        bullet, after = ("- ", "\n") if section.style is Style.BULLET_POINTS else ("", " ")
        for sentence in section.sentences:
            yield schema.StreamEvent(section=part, content=f"{before}{bullet}{sentence.text}")
            before = after


def frame(event: schema.StreamEvent | schema.StreamError) -> bytes:
    """An event in one piece, with nothing but its data: the published client reads no more."""
    return b"data: %b\n\n" % msgspec.json.encode(event)


DONE = b"data: [DONE]\n\n"


def specialties(known: Specialties) -> schema.Specialties:
    """What there is to choose from."""
    return schema.Specialties(
        specialties=[
            schema.Specialty(
                id=name,
                name=specialty.name,
                templates=[
                    schema.SubTemplate(id=STANDARD, name="Standard"),
                    *(schema.SubTemplate(id=each, name=sub.name) for each, sub in specialty.templates.items()),
                ],
                aliases=list(specialty.aliases),
            )
            for name, specialty in known.named.items()
        ]
    )


def timestamp(at: float) -> str:
    """Seconds since 1970 → "2026-03-20T15:30:00.000Z"."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


VALIDATION = (400, "VALIDATION_ERROR")
UNAVAILABLE = (503, "SERVICE_UNAVAILABLE")
ERRORS: Mapping[str, tuple[int, str]] = {
    "bad_request": VALIDATION,
    "language_unsupported": VALIDATION,
    **dict.fromkeys(MODEL_AWAY, UNAVAILABLE),
    "note_language_unsupported": VALIDATION,
    "unsupported_audio": VALIDATION,
    "unauthorized": (401, "AUTHENTICATION_ERROR"),
    "token_expired": (401, "AUTHENTICATION_ERROR"),
    "forbidden": (403, "AUTHORIZATION_ERROR"),
    "not_found": (404, "NOT_FOUND"),
    "method_not_allowed": (405, "METHOD_NOT_ALLOWED"),
    "upload_stalled": (408, "REQUEST_TIMEOUT"),
    "conflict": (409, "CONFLICT"),
    "already_final": (409, "CONFLICT"),
    "too_large": (413, "PAYLOAD_TOO_LARGE"),
    "quota_minutes": (429, "INSUFFICIENT_BALANCE"),
    "quota_streams": (429, "RATE_LIMITED"),
    "rate_limited": (429, "RATE_LIMITED"),
    "overloaded": UNAVAILABLE,
    "too_many_at_once": UNAVAILABLE,
    "store_unavailable": UNAVAILABLE,
    "blobs_unavailable": UNAVAILABLE,
    "epoch_lost": UNAVAILABLE,
}
INTERNAL = (500, "INTERNAL_ERROR")
FIELDS = {"language_unsupported": "language", "note_language_unsupported": "language"}


def error(exc: AuscultError) -> tuple[int, schema.ErrorBody]:
    """Status and body."""
    status, code = ERRORS.get(exc.code, INTERNAL)
    details = [schema.Detail(field=field, message=message) for field, message in _details(exc)]
    return status, schema.ErrorBody(
        error=schema.Error(code=code, message=str(exc), details=(details or UNSET) if status == 400 else UNSET)
    )


def _details(exc: AuscultError) -> Sequence[tuple[str, str]]:
    if isinstance(exc, Invalid):
        return exc.details
    field = exc.field if isinstance(exc, BadRequest) else FIELDS.get(exc.code, "")
    return [(field, str(exc))] if field else []
