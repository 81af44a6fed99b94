"""Notes of text that are stored nowhere: they are written only as long as somebody wants them."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from pipeline.notes.extract.extractive import write_note
from pipeline.notes.request import NoteRequest
from pipeline.notes.templates import parse_template
from pipeline.typed import Turn, read_turns
from pipeline.types import Role, Utterance
from server.domain import EncounterOptions, StoredNote
from server.encounters import Encounters
from server.errors import BadRequest
from server.intake import Intake
from server.live import Studio
from server.notes import Draft, Written
from server.transcripts import Transcripts
from server.writers import EmbeddedWriter

OPTIONS = EncounterOptions(api="test", streams=())
TEMPLATE = 'name = "T"\nlanguages = ["en"]\ntitle = { en = "T" }\n[[sections]]\nkey = "S"\ntitle = { en = "S" }'


class EndlessNotes:
    """Writes for ever."""

    def __init__(self) -> None:
        self.began = anyio.Event()
        self.stopped = False

    async def writing(
        self, options: EncounterOptions, items: Sequence[Utterance], intake: Intake
    ) -> AsyncGenerator[Written]:
        self.began.set()
        try:
            while True:
                yield Draft()
                await anyio.sleep(0.01)
        finally:
            self.stopped = True


def transcripts(notes: object) -> Transcripts:
    encounters: Any = SimpleNamespace(notes=notes)
    return Transcripts(cast(Encounters, encounters), cast(Studio, None), lambda url: None)


async def drafts(notes: EndlessNotes, turns: Sequence[Turn]) -> None:
    async with aclosing(transcripts(notes).draft(OPTIONS, turns)) as updates:
        async for update in updates:
            assert not isinstance(update, StoredNote)


async def test_the_writing_stops_when_nobody_waits_for_it_any_more() -> None:
    notes = EndlessNotes()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(drafts, notes, [Turn(text="It hurts.")])
        await notes.began.wait()
        tasks.cancel_scope.cancel()
    assert notes.stopped


async def test_a_text_without_words_has_no_note() -> None:
    with pytest.raises(BadRequest):
        await drafts(EndlessNotes(), read_turns(" \n "))


def said(count: int) -> list[Utterance]:
    text, role = "I have had a bad cough for three days now.", Role.PATIENT
    return [Utterance(id=str(at), stream="s", role=role, start=at, end=at, text=text) for at in range(count)]


async def test_the_thread_that_writes_ends_soon_after_nobody_wants_its_note_any_more() -> None:
    writer, ended = EmbeddedWriter(), anyio.Event()
    request = NoteRequest(template=parse_template("T", TEMPLATE), language="en")

    async def write() -> None:
        try:
            async with aclosing(writer.write(request, said(50_000))) as updates:
                async for _ in updates:
                    pass
        finally:
            ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        await anyio.wait_all_tasks_blocked()  # until it waits for its thread
        assert writer.writing == 1
        tasks.cancel_scope.cancel()
    assert ended.is_set()
    assert writer.writing == 0


class Unwanted(Exception):
    pass


def test_the_writer_asks_again_and_again_whether_it_is_wanted() -> None:
    asked: list[None] = []

    def wanted() -> None:
        asked.append(None)
        if len(asked) == 150:
            raise Unwanted

    with pytest.raises(Unwanted):
        write_note(said(100), parse_template("T", TEMPLATE), language="en", wanted=wanted)
