"""Notes of text that are stored nowhere: they are written only as long as somebody wants them."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import anyio
import anyio.from_thread
import pytest

from pipeline.notes.extractive import write_note
from pipeline.notes.templates import parse_template
from pipeline.typed import Turn, read_turns
from pipeline.types import Role, Utterance
from server.domain import EncounterOptions, StoredNote
from server.encounters import Encounters
from server.errors import BadRequest
from server.live import Studio
from server.transcripts import Transcripts

OPTIONS = EncounterOptions(api="test", streams=())
TEMPLATE = 'name = "T"\nlanguages = ["en"]\ntitle = { en = "T" }\n[[sections]]\nkey = "S"\ntitle = { en = "S" }'


class EndlessNotes:
    """Writes for ever, like the real writer: asking now and then whether it is wanted."""

    def __init__(self) -> None:
        self.began = anyio.Event()
        self.stopped = False

    def write(
        self, options: EncounterOptions, items: Sequence[Utterance], *, wanted: Callable[[], object]
    ) -> StoredNote:
        anyio.from_thread.run_sync(self.began.set)
        try:
            while True:
                wanted()
        finally:
            self.stopped = True


def transcripts(notes: object) -> Transcripts:
    encounters: Any = SimpleNamespace(notes=notes)
    return Transcripts(cast(Encounters, encounters), cast(Studio, None), lambda url: None)


async def test_the_writing_stops_when_nobody_waits_for_it_any_more() -> None:
    notes = EndlessNotes()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(transcripts(notes).draft, OPTIONS, [Turn(text="It hurts.")])
        await notes.began.wait()
        tasks.cancel_scope.cancel()
    assert notes.stopped


async def test_a_text_without_words_has_no_note() -> None:
    with pytest.raises(BadRequest):
        await transcripts(EndlessNotes()).draft(OPTIONS, read_turns(" \n "))


class Unwanted(Exception):
    pass


def test_the_writer_asks_again_and_again_whether_it_is_wanted() -> None:
    text, role = "I have had a bad cough for three days now.", Role.PATIENT
    said = [Utterance(id=str(at), stream="s", role=role, start=at, end=at, text=text) for at in range(100)]
    asked: list[None] = []

    def wanted() -> None:
        asked.append(None)
        if len(asked) == 150:
            raise Unwanted

    with pytest.raises(Unwanted):
        write_note(said, parse_template("T", TEMPLATE), language="en", wanted=wanted)
