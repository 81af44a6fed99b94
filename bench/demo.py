"""The main job, to look at: a consultation is played through the live API and written down as it happens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.text import Text

from bench.clients import Received, converse, streams_of, voices_of
from bench.recordings import Recording
from bench.server import running_server
from bench.wires import ErrorMessage, ListenConfig, Note, Section, Sentence, TranscriptItem
from pipeline.types import Role

GRACE_S = 180.0  # for the recogniser to catch up and the note to be written, after the last word
STYLES = {Role.DOCTOR: "cyan", Role.PATIENT: "green", Role.UNSPECIFIED: "magenta"}
ROLE_WIDTH = len(Role.PATIENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What to play, and to whom."""

    recording: str = "cough"
    recogniser: str = "auto"
    model: str = ""
    speed: float = 1.0
    url: str = ""  # of a server that runs already; empty: one of our own
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server to play to."""

    base_url: str
    key: str
    listener: str  # what is known of its recogniser
    hint: str = ""  # how to get a better one


@dataclass(slots=True, kw_only=True, eq=False)
class Display:
    """Shows messages as they come. Partials are one line that is overwritten, and only on a terminal."""

    console: Console
    live: Live
    items: dict[str, TranscriptItem] = field(default_factory=dict)  # finals by id
    note: Note | None = None

    def show(self, received: Received) -> None:
        """Show one message."""
        match received.message:
            case TranscriptItem(is_final=True) as item:
                self.items[item.id] = item
                self.live.update(Text(), refresh=True)
                self.console.print(_line(item), soft_wrap=True)
            case TranscriptItem() as partial:
                line = _line(partial)
                line.stylize("dim italic")
                line.truncate(self.console.width, overflow="ellipsis")
                self.live.update(line, refresh=self.console.is_terminal)
            case Note() as note:
                self.note = note
                self.live.update(Text(), refresh=True)
                self._show_note(note)
            case ErrorMessage() as error:
                self.console.print(Text(f"The server says: {error.message}", "red"), soft_wrap=True)

    def _show_note(self, note: Note) -> None:
        self.console.print()
        self.console.print(Text(note.title, "bold"))
        for section in note.sections:
            self.console.print()
            self.console.print(Text(section.title, "bold"))
            for sentence in section.sentences or _unsupported(section):
                self.console.print(Padding(self._sentence(sentence), (0, 0, 0, 2), expand=False))

    def _sentence(self, sentence: Sentence) -> Text:
        """The sentence and when that was said: the times are those in front of the items."""
        known = [self.items[item] for item in sentence.transcript_item_ids if item in self.items]
        times = ", ".join(clock(item.start_offset_ms) for item in sorted(known, key=lambda item: item.start_offset_ms))
        return Text.assemble(sentence.text, (f"  [{times}]" if times else "", "dim"))


async def run(options: DemoOptions, console: Console) -> bool:
    """Play, print, and say whether a transcript and a note came. Raises `Refused`, `ServerFailed`, `OSError`."""
    recording = Recording.load(options.recording)
    async with _target(options, console) as target:
        first_line = (
            f"Demonstration: a made-up consultation of {recording.seconds:.0f} s between two synthetic voices, played "
            f"through the live API at {options.speed:g} × real time. Recogniser: {target.listener}"
        )
        console.print(Text(first_line), soft_wrap=True)
        if target.hint:
            console.print(Text(f"For a better one: {target.hint}", "dim"), soft_wrap=True)
        console.print()
        voices = voices_of(recording)
        config = ListenConfig(streams=streams_of(voices), note_template="SOAP")
        with Live(console=console, auto_refresh=False, transient=True) as live:
            display = Display(console=console, live=live)
            with anyio.fail_after(recording.seconds / options.speed + GRACE_S):
                await converse(
                    target.base_url, target.key, config, voices, speed=options.speed, on_message=display.show
                )
    if not display.items:
        console.print(Text("No transcript came.", "red"))
    if display.note is None:
        console.print(Text("No note came.", "red"))
    return bool(display.items) and display.note is not None


def clock(ms: int) -> str:
    """Minutes, seconds and milliseconds: 00:12.480."""
    minutes, rest = divmod(ms, 60_000)
    return f"{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"


def _line(item: TranscriptItem) -> Text:
    role = f"{item.speaker:<{ROLE_WIDTH}}"
    return Text.assemble((clock(item.start_offset_ms), "dim"), " ", (role, STYLES[item.speaker]), " ", item.text)


def _unsupported(section: Section) -> tuple[Sentence, ...]:
    """Another vendor's note names no sentences."""
    return tuple(Sentence(text=line) for line in section.text.splitlines())


@asynccontextmanager
async def _target(options: DemoOptions, console: Console) -> AsyncIterator[Target]:
    if options.url:
        yield Target(base_url=options.url.rstrip("/"), key=options.key, listener=f"that of {options.url}")
        return
    waiting = console.status("Starting the server")
    waiting.start()
    try:
        async with running_server(recogniser=options.recogniser, model=options.model) as server:
            waiting.stop()
            choice = server.recogniser
            yield Target(
                base_url=server.base_url,
                key=server.key,
                listener="unknown" if choice is None else choice.sentence,
                hint="" if choice is None else choice.hint or "",
            )
    finally:
        waiting.stop()
