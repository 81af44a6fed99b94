"""The whole measurement, on invented consultations and our own, with the real writer and with one that invents."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from rich.console import Console

from bench.notes import Measured, NotesOptions, run
from bench.notes_divisions import Division
from bench.notes_sets import visits as read_visits
from bench.notes_table import show, show_doubtful, show_missing, show_sample
from bench.notes_writing import HOUR_WORDS, embedded, hour, writing
from pipeline.notes.note import Note, NoteSection, NoteSentence
from pipeline.notes.request import NoteRequest, NoteUpdate
from pipeline.notes.templates import read_templates
from pipeline.types import Utterance
from server.settings import config_directory

DIALOGUE = """[doctor] hi , what brings you in today ?
[patient] i've had a bad cough and a fever for three days .
[doctor] any chest pain ?
[patient] no .
[doctor] what medications do you take ?
[patient] i take lisinopril 20 milligrams every day .
[doctor] on exam your lungs have crackles on the right side .
[doctor] i think you have pneumonia . i'm going to order a chest x-ray and start you on azithromycin ."""
NOTE = """CHIEF COMPLAINT

Cough.

HISTORY OF PRESENT ILLNESS

Cough and fever for 3 days. Denies chest pain. Takes lisinopril 20 mg.

PHYSICAL EXAM

Crackles on the right.

ASSESSMENT AND PLAN

Pneumonia. Chest x-ray, azithromycin."""
SNIPPET = "Doctor: Do you have any allergies?\nPatient: Yes, I am allergic to penicillin and to latex."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "aci-bench").mkdir()
    (tmp_path / "mts-dialog").mkdir()
    visit = f'dataset,encounter_id,dialogue,note\nx,V1,"{DIALOGUE}","{NOTE}"\n'
    (tmp_path / "aci-bench" / "valid.csv").write_text(visit, encoding="utf-8")
    snippet = f'ID,section_header,section_text,dialogue\n1,ALLERGY,"Penicillin, latex.","{SNIPPET}"\n'
    (tmp_path / "mts-dialog" / "valid.csv").write_text(snippet, encoding="utf-8")
    return tmp_path


def measured(options: NotesOptions) -> Measured:
    return anyio.run(run, options, Console(quiet=True))


def test_the_embedded_writer_is_measured_on_visits_snippets_and_our_own(folder: Path) -> None:
    found = measured(NotesOptions(folder=folder, kinds=("aci", "mts", "ours"), sampled=3))
    visits, snippets, ours = found.report.sets
    assert [visits.notes, snippets.notes, ours.notes] == [1, 1, 2]
    assert visits.rouge is not None
    assert visits.rouge.one > 0.3
    assert Division.EXAM in visits.divisions
    assert visits.medicines.of == 2
    assert snippets.allergies.of == 2
    assert ours.rouge is None  # nobody wrote a note of them
    for one in found.report.sets:
        assert one.cited.share == 1
        assert one.numbers.kept == one.numbers.of
        assert one.flips == 0
    assert found.report.headers is not None
    assert found.report.headers.accuracy == 1
    assert found.report.cost is not None
    assert len(found.sample) == 3


class Invented:
    """A writer whose every note says what nobody said."""

    name = "invented"
    generator = "invented"

    async def write(self, request: NoteRequest, items: Sequence[Utterance]) -> AsyncGenerator[NoteUpdate]:
        sentences = (
            NoteSentence(text="Denies fever, takes warfarin 99 mg.", items=(items[1].id,)),
            NoteSentence(text="Has a cough.", items=(items[1].id,)),
        )
        section = NoteSection(key="HPI", title="HPI", sentences=sentences)
        yield Note(template="T", title="N", language=request.language, sections=(section,))


def test_a_writer_that_invents_fails_its_gates(folder: Path) -> None:
    report = measured(NotesOptions(folder=folder, kinds=("aci",), make_writer=Invented, checked=False)).report
    [visits] = report.sets
    assert (visits.numbers.kept, visits.numbers.of) == (0, 1)
    assert visits.flips == 1
    assert visits.medicines.kept == 0
    failed = {gate.figure for gate in report.gates if gate.kept is False}
    assert {"numbers nobody said", "polarity flips against cited items", "medical terms unsaid", "ROUGE-1"} <= failed


def test_what_a_server_would_drop_is_counted_and_not_measured(folder: Path) -> None:
    [visits] = measured(NotesOptions(folder=folder, kinds=("aci",), make_writer=Invented)).report.sets
    assert sum(visits.dropped.values()) == 1
    assert visits.cited.of == 1
    assert visits.flips == visits.numbers.of == 0


def test_everything_is_shown_whatever_the_width(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = measured(NotesOptions(folder=folder, kinds=("aci", "mts"), sampled=1, make_writer=Invented, checked=False))
    console = Console(width=40)
    show(found.report, console)
    show_sample(found.sample, console)
    show_missing(found.missing, console)
    show_doubtful(found.doubtful, console)
    shown = capsys.readouterr().out
    for wanted in ("invented: aci-bench valid", "published: GPT-4, 2023, zero-shot", "53.5 · 52.8", "FAIL", "warfarin"):
        assert wanted in shown
    assert "…" not in shown


def test_an_hour_of_talk_is_made_of_visits_with_ids_of_their_own(folder: Path) -> None:
    [visit] = read_visits(folder, "valid")
    items = list(hour([visit] * 500))
    assert HOUR_WORDS <= sum(len(item.text.split()) for item in items) < HOUR_WORDS + 30
    assert len({item.id for item in items}) == len(items)
    assert all(one.end <= other.start for one, other in pairwise(items))


async def test_a_talk_without_anything_to_note_is_an_empty_note(folder: Path) -> None:
    [visit] = read_visits(folder, "valid")
    template = read_templates(config_directory() / "templates")["GENERAL_MEDICINE"]
    write = writing(embedded(), template, checked=True)
    assert (await write([replace(visit.items[0], text="Hello there.")])).note is None
    assert (await write(visit.items)).note is not None
