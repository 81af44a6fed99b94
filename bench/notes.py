"""`auscult-bench notes`: how good the notes are that a writer makes of consultations whose notes are known.

What each figure means is said where it is made: likeness in `bench.notes_rouge` and `bench.notes_divisions`, evidence
and omissions in `bench.notes_checks` with the words of `bench.notes_vocabulary`, sections of snippets in
`bench.notes_headers`, times and memory in `bench.notes_writing`, recognised text in `bench.notes_heard`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeAlias

import msgspec
from rich.console import Console

from bench.notes_checks import Cited, Missing, cited, cited_by, doubtful, missing
from bench.notes_figures import Figures, Written, figures
from bench.notes_gates import Gate, gates
from bench.notes_headers import Classified, classified, header_of
from bench.notes_heard import Heard, listen, ours
from bench.notes_sets import Split, Visit, calls, notes_folder, snippets, visits
from bench.notes_writing import Cost, Write, embedded, measure, resident_mb, writing
from bench.offline import Engine
from bench.role_dialogues import ACI
from pipeline.notes.extract.snippets import header_of as snippet_header
from pipeline.notes.templates import choose_template, read_templates
from pipeline.ports import NoteWriter
from pipeline.types import Utterance
from server.settings import config_directory

SETS = ("aci", "mts", "primock", "ours")
BY_TOPIC = "GENERAL_MEDICINE"  # each of its sections has one topic: headers of snippets are read off it

MakeHeader: TypeAlias = Callable[[Sequence[Utterance]], str]
"""What tells the header of a snippet from what is said in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesOptions:
    """Which consultations, written by what."""

    folder: Path | None = None  # None: where AUSCULT_TEST_DATA says
    kinds: Sequence[str] = SETS
    split: Split = "valid"
    limit: int = 0  # consultations of each set; 0: all
    template: str = BY_TOPIC
    sampled: int = 0  # sentences that are shown for reading
    seed: int = 0  # of the sample
    engine: Engine | None = None  # None: nothing is recognised
    make_writer: Callable[[], NoteWriter] = embedded
    make_header: MakeHeader | None = snippet_header  # None: headers are read off the notes
    checked: bool = True  # whether sentences are left out that a server would drop


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything measured."""

    writer: str
    checked: bool
    template: str
    split: Split
    sets: list[Figures]
    headers: Classified | None  # None where no snippets were measured
    cost: Cost | None  # None where there were no whole consultations
    heard: list[Heard]
    gates: list[Gate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A report, and sentences to read."""

    report: Report
    sample: list[Cited]
    doubtful: list[tuple[str, Cited]]  # words whose polarity a witness sees the other way round
    refused: list[tuple[str, Cited]]  # sentences that a server would drop, behind their fault
    missing: list[Missing]  # of notes that leave out a medicine or an allergy


async def run(options: NotesOptions, console: Console) -> Measured:
    """Write and measure. Raises `NoNotes`, `UnknownTemplate`, `RecogniserUnavailable`."""
    templates = read_templates(config_directory() / "templates")
    template = choose_template(templates, options.template)
    known = _sets(options)
    before_mb = resident_mb()
    writer = options.make_writer()
    write = writing(writer, template, checked=options.checked)
    write_snippet = writing(writer, templates[BY_TOPIC], checked=options.checked)
    with console.status("Writing"):
        drafts = {
            name: [
                Written(visit=visit, outcome=await (write_snippet if visit.header else write)(visit.items))
                for visit in of
            ]
            for name, of in known.items()
        }
        whole = [visit for of in known.values() for visit in of if not visit.header]
        cost = await measure(write, whole, before_mb) if whole else None
    with console.status("Comparing"):
        sets = [figures(name, of) for name, of in drafts.items()]
    every = [one for of in drafts.values() for one in of]
    headers = _headers([one for one in every if one.visit.header], options.make_header)
    visits_of = next((one for one in sets if one.name.startswith(ACI)), None)
    report = Report(
        writer=writer.name,
        checked=options.checked,
        template=template.name,
        split=options.split,
        sets=sets,
        headers=headers,
        cost=cost,
        heard=await _heard(options, write, console),
        gates=gates(sets, visits_of, headers, cost),
    )
    in_doubt = [each for one in every if one.note is not None for each in doubtful(one.visit, one.note)]
    left_out = [each for each in (missing(one.visit, one.note) for one in every) if each.medicines or each.allergies]
    return Measured(
        report=report,
        sample=_sample(options, every),
        doubtful=in_doubt,
        refused=[
            (each.fault, cited_by(one.visit, each.section, each.sentence))
            for one in every
            for each in one.outcome.refused
        ],
        missing=left_out,
    )


def _sets(options: NotesOptions) -> Mapping[str, list[Visit]]:
    """The sets that were asked for, by the name that they have in the table."""
    found: dict[str, list[Visit]] = {}
    folder = notes_folder(options.folder) if {"aci", "mts", "primock"}.intersection(options.kinds) else Path()
    for kind in options.kinds:
        if kind == "aci":
            found[f"aci-bench {options.split}"] = visits(folder, options.split)
        elif kind == "mts":
            found[f"MTS-Dialog {options.split}"] = snippets(folder, options.split)
        elif kind == "primock":
            found["PriMock57"] = calls(folder)
        else:
            found["our consultations"] = ours()
    return {name: of[: options.limit] if options.limit else of for name, of in found.items()}


def _headers(snippets_written: Sequence[Written], make_header: MakeHeader | None) -> Classified | None:
    if not snippets_written:
        return None
    wanted = [one.visit.header for one in snippets_written]
    found = [make_header(one.visit.items) if make_header else header_of(one.note) for one in snippets_written]
    return classified(wanted, found)


async def _heard(options: NotesOptions, write: Write, console: Console) -> list[Heard]:
    """Recordings of calls whose notes are known are compared with these, too."""
    if options.engine is None:
        return []
    known = calls(notes_folder(options.folder)) if "primock" in options.kinds else []
    references = {call.name: call.reference for call in known}
    return await listen(options.engine, write, references, options.limit, console)


def _sample(options: NotesOptions, every: Iterable[Written]) -> list[Cited]:
    """Sentences by chance, the same for the same seed, of whole consultations where there are some."""
    of = [one for one in every if one.note is not None]
    whole = [one for one in of if not one.visit.header] or of
    sentences = [each for one in whole if one.note is not None for each in cited(one.visit, one.note)]
    return Random(options.seed).sample(sentences, min(options.sampled, len(sentences)))
