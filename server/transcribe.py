"""`auscult transcribe`: a recording through the same pipeline as a live session, as fast as it goes."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.batching import Batcher
from pipeline.errors import AuscultError
from pipeline.events import Committed, Event, SegmentLost, StreamFailed
from pipeline.notes.note import Note
from pipeline.runner import open_stream
from pipeline.session import Session
from pipeline.types import AudioFormat, StreamOptions, Utterance
from server.app import file_options, make_recogniser, make_voice_activity, open_decoder
from server.domain import EncounterOptions, StreamSpec
from server.notes import Notes
from server.settings import Settings, config_directory

UNDETERMINED = "und"  # a language that nobody knows (BCP 47)
PIECE = 64 * 1024  # bytes read at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the command was asked to do."""

    file: Path
    template: str | None
    language: str  # "auto": to be detected
    as_json: bool


class Output(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What `--json` prints."""

    language: str
    items: list[Utterance]
    note: Note | None = None
    note_absence: str | None = None


async def run(settings: Settings, task: Task, out: Console, err: Console) -> None:
    """Transcribe the file, print the items, and the note where a template is named."""
    notes = _notes(task)
    output = await _listen(settings, task, err)
    if notes is not None and task.template is not None:
        options = EncounterOptions(
            api="file", streams=(StreamSpec(name="file"),), language=output.language, template=task.template
        )
        stored = notes.write(options, output.items)
        output.note = stored.note
        output.note_absence = stored.absence.message if stored.absence else None
    if task.as_json:
        out.print(msgspec.json.encode(output).decode(), markup=False)
    else:
        for line in _lines(output):
            out.print(line, markup=False)


def _notes(task: Task) -> Notes | None:
    if task.template is None:
        return None
    # Imported late: without a note no template needs to be read.
    from pipeline.notes.templates import read_templates

    notes = Notes(read_templates(config_directory() / "templates"))
    notes.require(task.template)
    return notes


async def _listen(settings: Settings, task: Task, err: Console) -> Output:
    """Every utterance of the file, and its language. Raises the error that ended it early."""
    recogniser = make_recogniser(settings)
    batcher = Batcher(recogniser)
    language = "" if task.language == "auto" else task.language
    options = StreamOptions(encounter=task.file.name, stream="file", language=language, live=False)
    session = Session(options, file_options(settings, recogniser), make_voice_activity(settings))
    output = Output(language=language or UNDETERMINED, items=[])
    errors: list[AuscultError] = []

    def sink(event: Event) -> None:
        if isinstance(event, Committed):
            output.items.extend(event.utterances)
            output.language = event.checkpoint.language or output.language
        elif isinstance(event, StreamFailed | SegmentLost):
            errors.append(event.error)

    await recogniser.start()
    try:
        with ExitStack() as stack:
            progress = stack.enter_context(_progress(err, hidden=task.as_json))
            bar = progress.add_task(task.file.name, total=task.file.stat().st_size)
            async with anyio.create_task_group() as owner:
                owner.start_soon(batcher.run)
                async with open_stream(session, open_decoder(AudioFormat()), batcher, sink) as stream:
                    for piece in _pieces(task.file):
                        await stream.feed(piece)
                        progress.advance(bar, len(piece))
                    stream.end()
                owner.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await recogniser.aclose()
    if errors and not output.items:
        raise errors[0]
    for error in errors:
        err.print(f"auscult: {error}", markup=False)
    return output


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _progress(err: Console, *, hidden: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=hidden)


def _lines(output: Output) -> Iterator[str]:
    for item in output.items:
        yield f"{clock(item.start_ms)} {item.role:<11} {item.text}"
    if output.note is not None:
        yield ""
        yield output.note.title
        for section in output.note.sections:
            yield f"\n{section.title}\n{section.text}"
    elif output.note_absence is not None:
        yield f"\nNo note: {output.note_absence}"


def clock(ms: int) -> str:
    """Milliseconds → "01:12.480"."""
    minutes, rest = divmod(ms, 60_000)
    return f"{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
