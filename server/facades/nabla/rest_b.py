"""Generations A and B over REST: files and texts in, transcripts and notes out. Pure."""

from collections.abc import Mapping

from pipeline.notes.note import Note, NoteSentence
from pipeline.typed import Turn
from pipeline.types import Role, Utterance
from server.domain import EncounterOptions, EncounterView, Failure, State, StreamSpec
from server.errors import BadRequest
from server.facades.nabla import convert, schema
from server.facades.nabla import schema_rest as wire
from server.facades.nabla.asked import API, Asked, Kind, Result, Wanted, places, request_id, result, wanted
from server.facades.nabla.generation_b import LANGUAGES, OUTPUTS, STYLES, check_template
from server.intake import Intake
from server.speaking import expected_speakers

Answer = tuple[int, wire.Outcome | schema.HttpError]
"""HTTP status and body."""

OLD_NAMES = {"en": "en-US", "fr": "fr-FR"}  # "deprecated, and correspond to"
TEMPLATE = "GENERAL_MEDICINE"
LISTEN_MINUTES = 10
LISTEN_ASYNC_MINUTES = 60


def audio_type(content_type: str) -> None:
    """Raises `BadRequest` for the content type of a file that says it is no audio; of the others the bytes decide."""
    if content_type not in ("", "application/octet-stream") and not content_type.startswith("audio/"):
        raise BadRequest("file has a content type that is not supported: only audio/* is.")


def listening(form: wire.ListenParameters, kind: Kind, minutes: int, client_request_id: str | None = None) -> Wanted:
    """A file that is to be heard. Raises `BadRequest`."""
    outputs = form.output_objects or []
    convert.one_of("output_objects", outputs, OUTPUTS)
    options = EncounterOptions(
        api=API,
        streams=(StreamSpec(name="stream0"),),
        language=_language(form.language),
        template=_template(form),
        style=_style(form),
        split_by_sentence=bool(form.split_by_sentence),
        split_by_problem=bool(form.split_by_problem),
        expected_speakers=expected_speakers(form.expected_speakers or 0),
        note="note" in outputs,
        resumable=False,
        recording=True,
        max_minutes=minutes,
    )
    transcript = "transcript_item" in outputs
    return wanted(options, Asked(kind=kind, transcript=transcript, client_request_id=client_request_id))


def listening_later(request: wire.ListenAsyncRequest) -> tuple[Wanted, str]:
    """A file that is to be fetched and heard, and its address. Raises `BadRequest`."""
    named = [url for url in (request.file_url, request.audio_url, request.url) if url is not None]
    if len(set(named)) != 1:
        raise BadRequest("Name the audio file's address once, as file_url.")
    asked = listening(request, Kind.LISTEN_ASYNC, LISTEN_ASYNC_MINUTES, request.client_request_id)
    return asked, named[0]


def digest(request: wire.DigestRequest, kind: Kind, client_request_id: str | None = None) -> Wanted:
    """A text of which a note is to be written. Raises `BadRequest`, `TranscriptTooShort`."""
    convert.one_of("output_objects", _outputs(request), ("note",))
    options = EncounterOptions(
        api=API,
        streams=(),
        language=_language(request.language),
        template=_template(request),
        style=_style(request),
        split_by_problem=bool(request.split_by_problem),
        resumable=False,
    )
    turns = [
        Turn(text=item.text, role=convert.role(item.speaker or Role.UNSPECIFIED)) for item in request.transcript_items
    ]
    known = Intake(context=request.patient_context or "", earlier_note=earlier_note(request.note))
    return wanted(options, Asked(kind=kind, client_request_id=client_request_id), turns, known)


def earlier_note(given: wire.EarlierNote | None) -> str:
    """A note that the client has, as text."""
    if given is None:
        return ""
    sections = (f"{each.title or ''}:\n{each.text}" for each in given.sections if each.text)
    return "\n\n".join(filter(None, (given.title, *sections)))


def answer(view: EncounterView, asked: Asked) -> Answer:
    """What a synchronous endpoint answers, status and body: an error where nothing that was asked for is there."""
    got = result(view, asked)
    if got.problem is None:
        return 200, _outcome(wire.Outcome(), view, asked, got)
    status, error = convert.http_error(got.problem)
    if got.items is None:
        return status, error
    outcome = wire.Outcome(code=error.code, message=error.message, name=error.name)
    return 200, _outcome(outcome, view, asked, got)


def told(view: EncounterView, asked: Asked) -> wire.AsyncOutcome:
    """What `callback_url` is told."""
    got = result(view, asked)
    outcome = wire.AsyncOutcome(request_id=request_id(view.row.id), client_request_id=asked.client_request_id)
    if got.problem is not None:
        outcome.code, outcome.message = convert.http_status(got.problem), got.problem.message
        outcome.name = convert.http_error(got.problem)[1].name
    return _outcome(outcome, view, asked, got)


def accepted(encounter: str, client_request_id: str | None) -> wire.AsyncAccepted:
    """It is stored."""
    return wire.AsyncAccepted(request_id=request_id(encounter), client_request_id=client_request_id)


def job(view: EncounterView, asked: Asked) -> wire.NoteJob:
    """How far a note is, and the note."""
    shown = wire.NoteJob(id=request_id(view.row.id), status=status(view), client_request_id=asked.client_request_id)
    if shown.status != "ongoing":
        got = result(view, asked)
        if got.note is not None:
            shown.payload = wire.NotePayload(note=note(got.note, places=places(view, asked)))
        else:
            shown.error = problem(got.problem)
    return shown


def status(view: EncounterView) -> str:
    """How far a note is: ongoing | failed | succeeded."""
    if view.row.state is State.DONE and view.note is not None and view.note.note is not None:
        return "succeeded"
    return "failed" if view.row.state in (State.DONE, State.FAILED) else "ongoing"


def problem(failure: Failure | None) -> schema.HttpError | None:
    """Why there is no note."""
    return None if failure is None else convert.http_error(failure)[1]


def note(written: Note, *, places: Mapping[str, int] | None = None) -> wire.Note:
    """The note with its evidence: items of the transcript, or their places in a text."""
    return wire.Note(
        title=written.title,
        sections=[
            wire.Section(
                key=section.key,
                title=section.title,
                text=section.text,
                sentences=[sentence(one, places) for one in section.sentences],
            )
            for section in written.sections
        ],
        generator=written.generator,
        fallback=written.fallback,
    )


def sentence(written: NoteSentence, places: Mapping[str, int] | None) -> wire.Sentence:
    """Of a note, with what it rests on."""
    shown = wire.Sentence(text=written.text, faults=written.faults)
    if places is None:
        shown.transcript_item_ids = list(written.items)
    else:
        shown.transcript_items = sorted(places[item] for item in written.items if item in places)
    return shown


def transcript_item(said: Utterance) -> wire.TranscriptItem:
    """With both of the vendor's names for its times."""
    return wire.TranscriptItem(
        id=said.id,
        text=said.text,
        speaker=said.role,
        start_offset_ms=said.start_ms,
        end_offset_ms=said.end_ms,
        start_time_ms=said.start_ms,
        end_time_ms=said.end_ms,
    )


def _outcome(outcome: wire.OutcomeT, view: EncounterView, asked: Asked, got: Result) -> wire.OutcomeT:
    recording = view.row.options.recording
    if got.items is not None:
        outcome.transcript = [transcript_item(item) for item in got.items]
    if got.note is not None:
        outcome.note = note(got.note, places=None if recording else places(view, asked))
    if recording and view.row.warnings:
        outcome.warnings = list(view.row.warnings)
    return outcome


def _language(name: str) -> str:
    convert.one_of("language", [name], LANGUAGES)
    return OLD_NAMES.get(name, name)


def _style(wishes: wire.NoteWishes) -> str:
    style = "auto" if wishes.section_style is None else wishes.section_style
    convert.one_of("section_style", [style], STYLES)
    return style


def _template(wishes: wire.NoteWishes) -> str:
    name = wishes.note_template or TEMPLATE
    if "note" in _outputs(wishes):
        check_template(name, wishes.language)
    return name


def _outputs(wishes: wire.NoteWishes) -> list[str]:
    """What is to be made: for an asynchronous note that need not be said."""
    if wishes.output_objects is None and isinstance(wishes, wire.NoteAsyncRequest):
        return ["note"]
    return wishes.output_objects or []
