"""Our own bytes ⇄ domain values. Pure; the error table is at the end."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TypeAlias

import msgspec

from pipeline.errors import AuscultError
from pipeline.events import Partial, PartialWithdrawn, RoleDoubted, SpeakerRenamed
from pipeline.notes.note import Note, NoteSection, Style
from pipeline.speakers import Speaker
from pipeline.speakers import speakers as summary
from pipeline.typed import Turn, read_turns
from pipeline.types import Role, Utterance, to_ms
from server import speaking
from server.domain import Callback, EncounterOptions, EncounterView, Failure, Scope, State, StreamSpec
from server.errors import BadRequest
from server.facades.auscult import schema
from server.following import Interrupted, Problem, Resumed, Skipped, doubt
from server.intake import Consent, Intake, Patient
from server.notes import Draft
from server.tokens import Issued

Tellable: TypeAlias = (
    Utterance | Partial | PartialWithdrawn | SpeakerRenamed | RoleDoubted | Skipped | Interrupted | Resumed | Problem
)
"""What followers are told while a session lasts."""

API = "auscult"  # of recordings: in this dialect their result is told
SCOPES = tuple(scope for scope in Scope if scope is not Scope.ALL)  # of tokens
SUB_PROTOCOL = "auscult-live"
JWT_PREFIX = "jwt-"
ENCODINGS = ("container", "pcm_s16le")
RATES = range(8_000, 48_001)  # hertz
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")  # RFC 5646 §2.1, as far as anybody speaks it
SWITCH = {"true": True, "false": False}
MAX_TEXT = 100  # characters of a template's name
MAX_GLOSSARIES = 20
MAX_KEY = 200  # characters of an Idempotency-Key
MAX_URL = 4096
MAX_WORDS = 500  # characters of who consented, and how
MAX_MS = 24 * 3_600_000  # of a typed item: a day
STYLES = ("", *Style)
NUMBER_BYTES = 4  # of a chunk's number, big-endian, before the chunk


def token_scope(request: schema.TokenRequest) -> tuple[Scope, str]:
    """What a token is asked for: its scope, and the encounter it names. Raises `BadRequest`."""
    if request.scope not in SCOPES:
        raise BadRequest(f"scope must be of: {', '.join(SCOPES)}.")
    scope = Scope(request.scope)
    if scope.names_one and not request.encounter_id:
        raise BadRequest(f"The scope {scope} needs encounter_id.")
    if not scope.names_one and request.encounter_id is not None:
        raise BadRequest("encounter_id belongs to the scopes encounter and follow: leave it out, or ask for one.")
    return scope, request.encounter_id or ""


def token(issued: Issued) -> schema.Token:
    """The answer with a token."""
    return schema.Token(token=issued.token, expires_at=timestamp(issued.expires_at))


def timestamp(at: float) -> str:
    """Seconds since 1970 → "2026-01-31T10:30:00Z"."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def token_of(protocols: list[str]) -> str | None:
    """The credential that a browser offers as a sub-protocol, `jwt-<token>`."""
    return next((p.removeprefix(JWT_PREFIX) for p in protocols if p.startswith(JWT_PREFIX)), None)


def role(name: str) -> Role:
    """Raises `BadRequest`."""
    try:
        return Role(name.lower())
    except ValueError:
        raise BadRequest("A role must be doctor, patient or unspecified.") from None


def stream(hello: schema.Hello) -> StreamSpec:
    """The stream that a socket feeds. Raises `BadRequest`."""
    if hello.encoding not in ENCODINGS:
        raise BadRequest(f"encoding must be of: {', '.join(ENCODINGS)}.")
    if hello.channels not in (1, 2):
        raise BadRequest("channels must be 1 or 2.")
    if hello.encoding != "container" and hello.sample_rate not in RATES:
        raise BadRequest(f"sample_rate must be between {RATES.start} and {RATES.stop - 1}.")
    raw = {"sample_rate": hello.sample_rate, "channels": hello.channels} if hello.encoding != "container" else {}
    return StreamSpec(name="stream0", role=role(hello.role), encoding=hello.encoding, **raw)


def options(
    api: str,
    streams: tuple[StreamSpec, ...],
    *,
    language: str = "en",
    template: str = "",
    glossary: list[str] | tuple[str, ...] = (),
    style: str = "",
    split_by_problem: bool = False,
    note: bool = True,
    split_by_sentence: bool = False,
    expected_speakers: int = 0,
    speaker_hints: Sequence[str] = (),
) -> EncounterOptions:
    """What a session over a connection is to be. Raises `BadRequest`."""
    check_language(language)
    if len(template) > MAX_TEXT:
        raise BadRequest(f"template is longer than {MAX_TEXT} characters.")
    if len(glossary) > MAX_GLOSSARIES:
        raise BadRequest(f"glossary names more than {MAX_GLOSSARIES} glossaries.")
    return EncounterOptions(
        api=api,
        streams=streams,
        language=language,
        template=template,
        style=note_style(style),
        split_by_problem=split_by_problem,
        glossaries=tuple(glossary),
        note=note,
        split_by_sentence=split_by_sentence,
        expected_speakers=speaking.expected_speakers(expected_speakers),
        speaker_hints=speaking.speaker_hints(speaker_hints),
        resumable=True,
        attended=True,
    )


def note_style(name: str) -> str:
    """Raises `BadRequest`."""
    if name not in STYLES:
        raise BadRequest(f"style must be one of {', '.join(STYLES[1:])}.")
    return name


def switch(name: str, value: str) -> bool:
    """A parameter of an address that is true or false. Raises `BadRequest`."""
    if value not in SWITCH:
        raise BadRequest(f"{name} must be true or false.")
    return SWITCH[value]


def check_language(tag: str) -> None:
    """Raises `BadRequest`: what is stored in the clear is no text of a client's."""
    if not LANGUAGE.fullmatch(tag):
        raise BadRequest('language must be a language\'s code, such as "en" or "de-CH".')


def chunk(frame: bytes, *, numbered: bool) -> tuple[bytes, int | None]:
    """A binary frame's audio, and its number where it carries one. Raises `BadRequest`."""
    if not numbered:
        return frame, None
    if len(frame) < NUMBER_BYTES:
        raise BadRequest(f"A chunk must begin with its number, {NUMBER_BYTES} bytes, big-endian: it was dropped.")
    return frame[NUMBER_BYTES:], int.from_bytes(frame[:NUMBER_BYTES], "big")


def final(item: Utterance) -> schema.Final:
    """A final as it is told."""
    return schema.Final(
        id=item.id,
        stream=item.stream,
        speaker=item.role,
        text=item.text,
        start_ms=item.start_ms,
        end_ms=item.end_ms,
        speaker_id=item.speaker,
        overlap=item.overlap,
    )


def event(update: Tellable) -> schema.Event:
    """Its event."""
    match update:
        case Utterance():
            return final(update)
        case SpeakerRenamed():
            return schema.SpeakerRenamed(speaker_id=update.speaker, speaker=update.role, items=list(update.items))
        case RoleDoubted():
            return schema.Warning(code="role_doubted", message=doubt(update))
        case Partial():
            return schema.Partial(
                id=update.id,
                stream=update.stream,
                speaker=update.role,
                text=update.text,
                committed=update.committed,
                start_ms=to_ms(update.start),
                end_ms=to_ms(update.end),
            )
        case PartialWithdrawn():
            return schema.Withdrawn(id=update.id)
        case Skipped():
            return schema.Lagging(skipped_partials=update.partials)
        case Interrupted():
            return schema.Interrupted(stream=update.stream)
        case Resumed():
            return schema.Resumed(stream=update.stream)
        case Problem():
            return problem(update.error)


def note(written: Note) -> schema.Note:
    """The note with its evidence."""
    return schema.Note(
        title=written.title,
        sections=[section(each) for each in written.sections],
        generator=written.generator,
        fallback=written.fallback,
        left_out=written.left_out,
    )


def section(written: NoteSection) -> schema.Section:
    """A section with its evidence."""
    return schema.Section(
        key=written.key,
        title=written.title,
        text=written.text,
        sentences=[
            schema.Sentence(text=each.text, items=list(each.items), faults=list(each.faults))
            for each in written.sentences
        ],
    )


def note_draft(draft: Draft, before: Mapping[str, NoteSection]) -> schema.NoteDraft:
    """A draft for who has the sections of the one `before` it."""
    return schema.NoteDraft(
        title=draft.title,
        keys=[each.key for each in draft.sections],
        sections=[section(each) for each in draft.sections if before.get(each.key) != each],
    )


def speakers(summary: Sequence[Speaker]) -> list[schema.Speaker]:
    """Who spoke how much."""
    return [
        schema.Speaker(
            speaker_id=each.id,
            speaker=each.role,
            talk_ms=each.talk_ms,
            overlap_ms=each.overlap_ms,
            turns=each.turns,
            words=each.words,
        )
        for each in summary
    ]


def last_words(view: EncounterView) -> list[schema.Event]:
    """Of a session that is over: who spoke how much; its note, or why there is none; why it failed; done."""
    words: list[schema.Event] = []
    if view.speakers:
        words.append(schema.Speakers(speakers=speakers(view.speakers)))
    if view.note is not None and view.note.note is not None:
        words.append(note(view.note.note))
    elif view.note is not None and view.note.absence is not None:
        words.append(problem(view.note.absence))
    if view.row.state is State.FAILED and view.row.failure is not None:
        words.append(problem(view.row.failure))
    words.append(schema.Done(outcome="failed" if view.row.state is State.FAILED else "done"))
    return words


def problem(exc: AuscultError | Failure) -> schema.ErrorEvent:
    """The event for an error."""
    message = exc.message if isinstance(exc, Failure) else str(exc)
    return schema.ErrorEvent(code=exc.code, message=message + HINTS.get(exc.code, ""))


def idempotency_key(header: str | None) -> str | None:
    """Raises `BadRequest`."""
    if header is not None and not 0 < len(header) <= MAX_KEY:
        raise BadRequest(f"Idempotency-Key must have 1 to {MAX_KEY} characters.")
    return header


def urls(given: Sequence[str]) -> Sequence[str]:
    """Raises `BadRequest`."""
    if not given:
        raise BadRequest("urls must name one or more audio files.")
    for url in given:
        if len(url) > MAX_URL:
            raise BadRequest(f"A URL is longer than {MAX_URL} characters.")
    return given


def callback(url: str) -> Callback | None:
    """Raises `BadRequest`."""
    return Callback(url=urls([url])[0]) if url else None


def recording(wanted: schema.RecordingRequest) -> EncounterOptions:
    """What a recording is to become. Raises `BadRequest`."""
    asked = options(
        API,
        (StreamSpec(name="stream0", role=role(wanted.role)),),
        language=wanted.language,
        template=wanted.template,
        glossary=wanted.glossary,
        note=wanted.note,
        split_by_sentence=wanted.split_by_sentence,
        style=wanted.style,
        split_by_problem=wanted.split_by_problem,
        expected_speakers=wanted.expected_speakers,
        speaker_hints=wanted.speaker_hints,
    )
    return msgspec.structs.replace(asked, resumable=False, attended=False, recording=True)


def typed(wanted: schema.TypedRequest) -> tuple[EncounterOptions, list[Turn]]:
    """What a typed encounter is to be, and what was said. Raises `BadRequest`."""
    if bool(wanted.transcript) == bool(wanted.items):
        raise BadRequest("Send either a transcript or items.")
    turns = read_turns(wanted.transcript)
    for item in wanted.items:
        if not 0 <= item.start_ms <= MAX_MS or not 0 <= item.end_ms <= MAX_MS:
            raise BadRequest(f"start_ms and end_ms must be between 0 and {MAX_MS}.")
        turns.append(Turn(text=item.text, role=role(item.speaker), start_ms=item.start_ms, end_ms=item.end_ms))
    check_language(wanted.language)
    asked = EncounterOptions(
        api=API,
        streams=(),
        language=wanted.language,
        template=wanted.template,
        style=note_style(wanted.style),
        split_by_problem=wanted.split_by_problem,
        resumable=False,
    )
    return asked, turns


def intake(wanted: schema.Hello | schema.TypedRequest | schema.RecordingRequest) -> Intake:
    """What the client knows of the encounter. Raises `BadRequest`."""
    patient, consent = wanted.patient, wanted.consent
    return Intake(
        patient=Patient() if patient is None else msgspec.convert(msgspec.structs.asdict(patient), Patient),
        context=wanted.context,
        instructions=wanted.instructions,
        consent=None if consent is None else told_consent(consent),
    )


def told_consent(said: schema.Consent) -> Consent:
    """What the platform says of the patient's consent. Raises `BadRequest`."""
    if not (0 < len(said.given_by) <= MAX_WORDS and 0 < len(said.method) <= MAX_WORDS):
        raise BadRequest(f"given_by and method of consent must have 1 to {MAX_WORDS} characters.")
    time_of("at of consent", said.at)
    return Consent(given_by=said.given_by, at=said.at, method=said.method)


def time_of(name: str, text: str) -> float:
    """Seconds since 1970 of a time in ISO 8601; UTC where it does not say. Raises `BadRequest`."""
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise BadRequest(f'{name} must be a time such as "2026-01-31T10:30:00Z".') from None


def encounter(view: EncounterView) -> schema.Encounter:
    """Everything that may be shown."""
    row, stored = view.row, view.note
    written = None if stored is None else stored.note
    absence = None if stored is None else stored.absence
    return schema.Encounter(
        encounter_id=row.id,
        api=row.options.api,
        source=row.options.source,
        status=row.state,
        percentage=row.percentage,
        stage=row.stage,
        stages={stage: timestamp(at) for stage, at in row.stages.items()},
        created_at=timestamp(row.created_at),
        completed_at=None if row.completed_at is None else timestamp(row.completed_at),
        expires_at=None if view.expires_at is None else timestamp(view.expires_at),
        language=row.options.language,
        template=row.options.template,
        audio_ms=row.audio_ms,
        warnings=list(row.warnings),
        error=stored_error(row.failure) if row.state is State.FAILED else None,
        items=[final(item) for item in view.items],
        speakers=speakers(summary(view.items)),
        note=None if written is None else note(written),
        note_absence=stored_error(absence),
    )


def stored_error(failure: Failure | None) -> schema.Error | None:
    """Why an encounter, or its note, failed."""
    return None if failure is None else schema.Error(code=failure.code, message=failure.message)


HINTS = {  # what a recorder in a browser can do, behind what is wrong
    "unsupported_audio": " If a recorder sent them, restart it and send its stream from the first byte.",
}


STATUS = {
    "bad_request": 400,
    "invalid_audio": 400,
    "unsupported_audio": 400,
    "sdp_invalid": 400,
    "sdpfrag_invalid": 400,
    "undecodable_audio": 400,
    "no_audio_track": 400,
    "language_unsupported": 400,
    "unknown_template": 400,
    "unauthorized": 401,
    "token_expired": 401,
    "forbidden": 403,
    "address_refused": 400,
    "not_found": 404,
    "method_not_allowed": 405,
    "erased": 404,
    "upload_stalled": 408,
    "already_final": 409,
    "audio_gone": 410,
    "conflict": 409,
    "audio_lost": 409,
    "precondition_failed": 412,
    "too_large": 413,
    "session_too_long": 413,
    "recording_too_long": 413,
    "sdp_too_large": 413,
    "unsupported_media_type": 415,
    "no_audio": 422,  # of WebRTC: RFC 9725 §4.4.2 and §4.4.3
    "video_only": 422,
    "no_common_codec": 422,
    "too_many_tracks": 422,
    "ice_restart_unsupported": 422,
    "model_unavailable": 503,  # of a note that is to be written again
    "model_busy": 503,
    "model_timeout": 503,
    "model_broken_answer": 502,
    "model_refused": 502,
    "model_unauthorised": 502,
    "model_rejected": 502,
    "model_too_long": 422,
    "model_unsupported": 422,
    "transcript_too_short": 422,  # of a note that is to be written again
    "note_language_unsupported": 422,
    "precondition_required": 428,
    "rate_limited": 429,
    "quota_streams": 429,
    "quota_minutes": 429,
    "overloaded": 503,
    "too_many_at_once": 503,
    "no_udp_port": 503,
    "store_unavailable": 503,
    "epoch_lost": 503,
    "blobs_unavailable": 503,
}

CHALLENGES = {  # RFC 6750 §3.1
    "unauthorized": "Bearer",
    "token_expired": 'Bearer error="invalid_token"',
    "forbidden": 'Bearer error="insufficient_scope"',
}


def error(exc: AuscultError) -> schema.ProblemDetails:
    """The body for an error."""
    answered = status(exc)
    return schema.ProblemDetails(title=HTTPStatus(answered).phrase, status=answered, detail=str(exc), code=exc.code)


def status(exc: AuscultError) -> int:
    """The HTTP status of an error."""
    return STATUS.get(exc.code, 500)


def error_headers(exc: AuscultError) -> dict[str, str]:
    """How to get in, and when to come back."""
    headers = {}
    if exc.code in CHALLENGES:
        headers["WWW-Authenticate"] = CHALLENGES[exc.code]
    if exc.retryable:
        headers["Retry-After"] = str(exc.retry_after_s)
    return headers
