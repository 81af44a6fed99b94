"""`auscult transcribe`: a recording through the same pipeline as a live session, as fast as it goes."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pipeline.batching import Batcher
from pipeline.conversation import Conversation, ConversationOptions
from pipeline.errors import AuscultError
from pipeline.events import Committed, Event, SegmentLost, SpeakerRenamed, StreamFailed, relabelled
from pipeline.notes.evidence.checking import Unsupported
from pipeline.notes.note import Note
from pipeline.ports import AudioDecoder, Recogniser
from pipeline.runner import open_stream
from pipeline.stereo import StereoSession
from pipeline.transcript import chronological
from pipeline.types import AudioFormat, Role, StreamOptions, Utterance
from pipeline.voicing import Voicing
from server.domain import EncounterOptions, StreamSpec, base_language
from server.engines import (
    file_options,
    make_batcher,
    make_embedder,
    make_note_model,
    make_recogniser,
    make_voice_activity,
    open_decoder,
)
from server.languages import check_language
from server.notes import Notes
from server.settings import Settings
from server.structs import complete_structs
from server.templates import note_templates

UNDETERMINED = "und"  # a language that nobody knows (BCP 47)
PIECE = 64 * 1024  # bytes read at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the command was asked to do."""

    file: Path
    template: str | None
    language: str  # "auto": to be detected
    as_json: bool
    expected_speakers: int = 0  # 0: as the settings say
    speaker_hints: tuple[Role, ...] = ()  # of a stereo recording's channels; one: one room


class Output(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What `--json` prints."""

    language: str
    items: list[Utterance]
    note: Note | None = None
    note_absence: str | None = None


@dataclass(slots=True, kw_only=True)
class Heard:
    """What a recording says."""

    language: str  # as it was given or detected; empty where it was not
    items: list[Utterance] = field(default_factory=list)
    errors: list[AuscultError] = field(default_factory=list)  # of parts that are lost

    def take(self, event: Event) -> None:
        """Note what an event says."""
        if isinstance(event, Committed):
            self.items.extend(event.utterances)
            self.language = event.checkpoint.language or self.language
        elif isinstance(event, SpeakerRenamed):
            named = set(event.items)
            self.items = [relabelled(item, event) if item.id in named else item for item in self.items]
        elif isinstance(event, StreamFailed | SegmentLost):
            self.errors.append(event.error)


async def run(settings: Settings, task: Task, out: Console, err: Console) -> None:
    """Transcribe the file, print the items, and the note where a template is named."""
    complete_structs()
    notes = _notes(settings, task)
    output = await _listen(settings, task, err)
    if notes is not None and task.template is not None:
        options = EncounterOptions(
            api="file", streams=(StreamSpec(name="file"),), language=output.language, template=task.template
        )
        stored = await notes.write(options, output.items)
        output.note = stored.note
        output.note_absence = stored.absence.message if stored.absence else None
    if task.as_json:
        out.print(msgspec.json.encode(output).decode(), markup=False)
    else:
        for line in _lines(output):
            out.print(line, markup=False)


def _notes(settings: Settings, task: Task) -> Notes | None:
    if task.template is None:
        return None
    notes = Notes(
        note_templates(settings.notes),
        template=settings.notes.template,
        style=settings.notes.style,
        model=make_note_model(settings),
        unsupported=Unsupported(settings.notes.unsupported),
        fallback=settings.notes.fallback,
    )
    notes.require(task.template)
    return notes


async def _listen(settings: Settings, task: Task, err: Console) -> Output:
    """Every utterance of the file, and its language. Raises the error that ended it early, `LanguageUnsupported`."""
    recogniser = make_recogniser(settings)
    language = "" if task.language == "auto" else task.language
    voicing = Voicing(make_embedder(settings))
    options = StreamOptions(
        encounter=task.file.name,
        stream="file",
        language=base_language(language),
        live=False,
        voices=voicing.embedder is not None,
    )
    expected = ConversationOptions(
        expected_speakers=task.expected_speakers or settings.speakers.expected, language=options.language
    ).heard_by(voicing.embedder)
    session = StereoSession(
        options, file_options(settings, recogniser), make_voice_activity(settings), hints=task.speaker_hints
    )
    with _progress(err, hidden=task.as_json) as progress:
        bar = progress.add_task(task.file.name, total=task.file.stat().st_size)
        octets = _advancing(progress, bar, task.file)
        async with working(recogniser, language, voicing, batcher=make_batcher(settings, recogniser)) as batcher:
            heard = await hear(
                session, open_decoder(AudioFormat()), batcher, octets, Conversation(expected), voicing=voicing
            )
    if heard.errors and not heard.items:
        raise heard.errors[0]
    for error in heard.errors:
        err.print(f"auscult: {error}", markup=False)
    return Output(language=heard.language or UNDETERMINED, items=heard.items)


@asynccontextmanager
async def working(
    recogniser: Recogniser, language: str = "", voicing: Voicing | None = None, *, batcher: Batcher | None = None
) -> AsyncIterator[Batcher]:
    """A recogniser that is loaded and at work until this block is left, and `voicing` with it.

    Raises `RecogniserUnavailable`, and `LanguageUnsupported` where it does not know the language, if one is given.
    """
    batcher = batcher or Batcher(recogniser)
    try:
        await recogniser.start()
        if language:
            check_language(recogniser, language)  # else it would hear words of another one
        async with anyio.create_task_group() as owner:
            owner.start_soon(batcher.run)
            if voicing is not None:
                owner.start_soon(voicing.run)
            yield batcher
            owner.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await recogniser.aclose()


async def hear(
    session: StereoSession,
    decoder: AudioDecoder,
    batcher: Batcher,
    pieces: Iterable[bytes],
    conversation: Conversation | None = None,
    *,
    voicing: Voicing | None = None,
) -> Heard:
    """Everything that a recording says, as fast as it goes. `pieces`: its bytes, in order.

    `conversation` finds out who says it; without one that stays open.
    """
    heard = Heard(language=session.stream.language)

    def sink(event: Event) -> None:
        if conversation is None:
            heard.take(event)
            return
        conversation.receive(event)
        for told in conversation.events():
            heard.take(told)

    if conversation is not None:
        conversation.open(session.stream)
    async with open_stream(session, decoder, batcher, sink, voicing) as stream:
        for piece in pieces:
            await stream.feed(piece)
        stream.end()
    if conversation is not None:
        conversation.end()
        for told in conversation.events():
            heard.take(told)
    heard.items = chronological(heard.items)  # two channels are done at their own pace
    return heard


def _advancing(progress: Progress, bar: TaskID, path: Path) -> Iterator[bytes]:
    for piece in pieces(path):
        yield piece
        progress.advance(bar, len(piece))


def pieces(path: Path) -> Iterator[bytes]:
    """The bytes of a file, in order."""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _progress(err: Console, *, hidden: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=hidden)


def _lines(output: Output) -> Iterator[str]:
    for item in output.items:
        yield f"{clock(item.start_ms)} {_who(item):<11} {item.text}"
    if output.note is not None:
        yield ""
        yield output.note.title
        for section in output.note.sections:
            yield f"\n{section.title}\n{section.text}"
    elif output.note_absence is not None:
        yield f"\nNo note: {output.note_absence}"


def _who(item: Utterance) -> str:
    """The role, or else which speaker."""
    if item.role is Role.UNSPECIFIED and item.speaker:
        return item.speaker
    return str(item.role)


def clock(ms: int) -> str:
    """Milliseconds → "01:12.480"."""
    minutes, rest = divmod(ms, 60_000)
    return f"{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
