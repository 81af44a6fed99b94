"""What is beside a note: how hard its summary is to read, what looking codes up costs, and what is found.

    auscult-bench beside [NOTES]

Over the notes that the embedded writer makes of our own consultations and, where NOTES is a folder with it, of
aci-bench's valid split. The suggestions are shown, to be read: nobody coded these visits.
"""

import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from bench.notes_sets import Visit, visits
from bench.notes_writing import LANGUAGE, resident_mb
from bench.reading import grade
from bench.tables import number, share
from pipeline.notes.beside.diagnoses import suggest
from pipeline.notes.beside.summary import patient_summary
from pipeline.notes.extract.extractive import write_note
from pipeline.notes.note import Note
from pipeline.notes.templates import choose_template, read_templates
from pipeline.types import SAMPLE_RATE, Role, Utterance
from server.settings import config_directory

DIALOGUES: Final = Path(__file__).parent / "dialogues"
EASY: Final = 8.0  # school year


class SummaryGrades(msgspec.Struct, frozen=True, kw_only=True):
    """Flesch-Kincaid grades of one set's summaries."""

    corpus: str
    notes: int
    mean: float
    hardest: float
    easy: float  # share of at most the eighth grade


class CodingCost(msgspec.Struct, frozen=True, kw_only=True):
    """What the catalogue takes, and a lookup."""

    load_ms: float
    added_mb: float
    mean_ms: float  # a note
    worst_ms: float


class Suggested(msgspec.Struct, frozen=True, kw_only=True):
    """A code for a problem of a note."""

    visit: str
    problem: str
    code: str  # empty: none, and why
    description: str
    score: float | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything."""

    grades: list[SummaryGrades]
    cost: CodingCost
    suggested: list[Suggested]


def run(folder: Path | None, template_name: str) -> Report:
    """Raises `NoNotes`, `UnknownTemplate`."""
    template = choose_template(read_templates(config_directory() / "templates"), template_name)
    told = [*_ours(), *(visits(folder, "valid") if folder else ())]
    notes = [(visit, write_note(visit.items, template, language=LANGUAGE, least_words=1)) for visit in told]
    corpora = dict.fromkeys(visit.corpus for visit in told)
    cost, suggested = _coding(notes)
    return Report(grades=[_grades(each, notes) for each in corpora], cost=cost, suggested=suggested)


def _ours() -> list[Visit]:
    """The consultations of `bench/dialogues`."""
    found = []
    for file in sorted(DIALOGUES.glob("*.toml")):
        lines = tomllib.loads(file.read_text(encoding="utf-8"))["lines"]
        items = tuple(
            Utterance(
                id=f"item{number}",
                stream="stream0",
                role=Role(line["speaker"]),
                start=number * SAMPLE_RATE,
                end=(number + 1) * SAMPLE_RATE,
                text=line["text"],
            )
            for number, line in enumerate(lines)
        )
        found.append(Visit(name=file.stem, corpus="ours", items=items, reference=""))
    return found


def _grades(corpus: str, notes: Sequence[tuple[Visit, Note]]) -> SummaryGrades:
    grades = [grade(patient_summary(note)) for visit, note in notes if visit.corpus == corpus]
    return SummaryGrades(
        corpus=corpus,
        notes=len(grades),
        mean=mean(grades),
        hardest=max(grades),
        easy=sum(each <= EASY for each in grades) / len(grades),
    )


def _coding(notes: Sequence[tuple[Visit, Note]]) -> tuple[CodingCost, list[Suggested]]:
    before, begun = resident_mb(), time.perf_counter()
    from pipeline.notes.beside.icd10 import shipped_catalogue

    catalogue = shipped_catalogue()
    load_s, added = time.perf_counter() - begun, resident_mb() - before
    took, rows = [], []
    for visit, note in notes:
        begun = time.perf_counter()
        found = suggest(note, visit.items, catalogue)
        took.append(time.perf_counter() - begun)
        for each in found.suggestions:
            row = Suggested(
                visit=visit.name,
                problem=each.problem,
                code=each.code,
                description=each.description,
                score=each.score,
            )
            rows.append(row)
        for none in found.abstentions:
            rows.append(Suggested(visit=visit.name, problem=none.problem, code="", description=none.why))
    cost = CodingCost(load_ms=1000 * load_s, added_mb=added, mean_ms=1000 * mean(took), worst_ms=1000 * max(took))
    return cost, rows


def show(report: Report, out: Console) -> None:
    """The figures, and what to read."""
    grades = Table("set", "notes", "grade, mean", "hardest", "at most 8th grade", title="Patients' summaries")
    for each in report.grades:
        grades.add_row(each.corpus, str(each.notes), number(each.mean, 1), number(each.hardest, 1), share(each.easy, 0))
    out.print(grades)
    cost = report.cost
    out.print(
        f"ICD-10-CM: {cost.load_ms:.0f} ms and {cost.added_mb:.0f} MB to load;"
        f" {cost.mean_ms:.1f} ms a note, {cost.worst_ms:.1f} ms at most."
    )
    codes = Table("visit", "problem", "code", "which is, or why there is none", "score", title="Codes suggested")
    for one in report.suggested:
        codes.add_row(one.visit, one.problem, one.code, one.description, number(one.score, 1))
    out.print(codes)
