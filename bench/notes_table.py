"""`auscult-bench notes`: its figures for people, a row for each set and each published system."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.notes import Report
from bench.notes_checks import Cited, Missing, Share
from bench.notes_divisions import Division
from bench.notes_figures import Figures
from bench.notes_gates import Gate
from bench.notes_heard import Heard, pooled
from bench.notes_published import PUBLISHED
from bench.tables import NOTHING, number, share

LIKENESS = ("notes", "words", "ROUGE-1", "ROUGE-2", "ROUGE-Lsum", "subjective", "exam", "results", "A&P")
EVIDENCE = (
    "support\nmean",
    "\nleast",
    "numbers\nunsaid",
    "terms\nunsaid",
    "words\nkept",
    "terms\nkept",
    "medicines\nkept",
    "allergies\nkept",
    "flips,\ncited",
    "polarity\nof the talk",
    "polarity\nof the ref.",
    "empty\nnotes",
    "ms a\nnote",
)
HEARD = (
    "word\nerrors",
    "words,\nsaid → heard",
    "ROUGE-1/2/Lsum\nsaid – heard",
    "words\nkept",
    "terms\nkept",
    "medicines\nkept",
    "numbers\nunsaid",
    "terms\nunsaid",
    "polarity\nof the talk",
    "ROUGE-1 with the\nreference",
    "its words\nkept",
)
WIDTH = 190  # characters: narrower tables would be cut where the output is no terminal


def show(report: Report, console: Console) -> None:
    """Everything measured."""
    wide = Console(file=console.file, highlight=False, width=max(WIDTH, console.width))
    seen = "as a server shows them" if report.checked else "without the check of a server"
    console.print(f"{report.writer}, template {report.template}, {seen}")
    wide.print(_likeness(report))
    console.print(
        "published: predictions of Yim et al. 2023, scored in the same way: test 1 · mean of tests 1 to 3; divisions of"
        " the mean (ROUGE-1)",
        soft_wrap=True,
    )
    wide.print(_evidence(report))
    if report.checked:
        console.print(f"sentences that the check dropped: {_dropped(report)}", soft_wrap=True)
    if report.cost is not None:
        cost = report.cost
        console.print(
            f"a talk of {cost.hour_words} words: {cost.hour_ms:.0f} ms to write, {cost.hour_cpu_ms:.0f} ms of them"
            f" computing; {cost.hour_check_ms:.0f} ms more to check",
            soft_wrap=True,
        )
    if report.headers is not None:
        found = report.headers
        console.print(
            f"sections of {found.snippets} snippets: accuracy {found.accuracy:.3f}, macro F1 {found.macro_f1:.3f} of 20"
            f" headers (published: about 0.80); {found.grouped_accuracy:.3f} and {found.grouped_macro_f1:.3f} of the 9"
            " groups that a note's keys tell apart",
            soft_wrap=True,
        )
    if report.heard:
        wide.print(_heard(report.heard))
    wide.print(_gates(report.gates))


def show_sample(sample: Sequence[Cited], console: Console) -> None:
    """Sentences with what they cite, to be read."""
    for at, one in enumerate(sample, 1):
        console.print(f"\n{at}. {one.visit}, {one.section}: [bold]{escape(one.sentence.text)}[/bold]")
        for item in one.items:
            console.print(f"   {item.role}: {escape(item.text)}")


def show_doubtful(doubtful: Sequence[tuple[str, Cited]], console: Console) -> None:
    """Sentences that something speaks against, each with the word in doubt or the fault that the check found."""
    for word, one in doubtful:
        console.print(f"\n[bold]{escape(word)}[/bold]:", end="")
        show_sample([one], console)


def show_missing(missing: Sequence[Missing], console: Console) -> None:
    """Medicines and allergies that notes leave out."""
    for one in missing:
        named = [f"medicines: {', '.join(sorted(one.medicines))}"] if one.medicines else []
        named += [f"allergies: {', '.join(sorted(one.allergies))}"] if one.allergies else []
        console.print(f"left out of {one.visit}: {'; '.join(named)}", markup=False)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(title, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _dropped(report: Report) -> str:
    """Of each set, with their faults."""
    told = []
    for one in report.sets:
        faults = ", ".join(f"{fault} {count}" for fault, count in sorted(one.dropped.items()))
        count = sum(one.dropped.values())
        told.append(f"{one.name} {count} of {count + one.cited.of}{f' ({faults})' if faults else ''}")
    return "; ".join(told)


def _likeness(report: Report) -> Table:
    table = _table("likeness, F1 in per cent", LIKENESS)
    for one in report.sets:
        scores = one.rouge
        table.add_row(
            f"{report.writer}: {one.name}",
            str(one.notes),
            number(one.words),
            *((NOTHING,) * 3 if scores is None else map(_percent, (scores.one, scores.two, scores.lsum))),
            *(_percent(one.divisions[each].one if each in one.divisions else None) for each in Division),
        )
    for system in PUBLISHED:
        first = (None,) * 3 if system.test1 is None else system.test1
        scored = (f"{number(one, 1)} · {mean:.1f}" for one, mean in zip(first, system.mean, strict=True))
        shown = (str(score) for score in system.divisions)
        table.add_row(f"published: {system.name}", "120", str(system.words), *scored, *shown)
    return table


def _evidence(report: Report) -> Table:
    table = _table("\nevidence and omissions", EVIDENCE)
    for one in report.sets:
        table.add_row(f"{report.writer}: {one.name}", *_evidence_row(one))
    for system in PUBLISHED:
        if system.terms_unsaid is not None:
            shares = (system.numbers_unsaid, system.terms_unsaid, system.words_kept, system.terms_kept)
            row = (NOTHING if each is None else f"{each:.1f} %" for each in shares)
            table.add_row(f"published: {system.name}", NOTHING, NOTHING, *row, *(NOTHING,) * 7)
    return table


def _evidence_row(one: Figures) -> list[str]:
    return [
        number(one.support_mean, 3),
        number(one.support_least, 2),
        _missed(one.numbers),
        *map(share, (one.terms_unsaid, one.words_kept, one.terms_kept)),
        _counted(one.medicines),
        _counted(one.allergies),
        f"{one.flips} of {one.cited.of}",
        _counted(one.as_answered),
        _counted(one.as_reference),
        str(one.empty),
        number(one.median_ms),
    ]


def _heard(heard: Sequence[Heard]) -> Table:
    table = _table(f"\nwhat recognition costs: {heard[0].recogniser}", HEARD)
    for one in (*heard, pooled(heard)):
        scores, clinician = one.rouge, one.clinician
        table.add_row(
            one.id,
            share(one.errors.rate),
            f"{one.said_words} → {one.heard_words}",
            "/".join(map(_percent, (scores.one, scores.two, scores.lsum))),
            *map(_counted, (one.words_kept, one.terms_kept, one.medicines_kept)),
            _missed(one.numbers),
            share(one.terms_unsaid),
            _counted(one.as_answered),
            _change(clinician.said_rouge_1, clinician.heard_rouge_1) if clinician is not None else NOTHING,
            _change(clinician.said_kept, clinician.heard_kept) if clinician is not None else NOTHING,
        )
    return table


def _missed(counted: Share) -> str:
    return f"{counted.of - counted.kept} of {counted.of}"


def _change(said: float | None, heard: float | None) -> str:
    return f"{_percent(said)} → {_percent(heard)}"


def _gates(gates: Sequence[Gate]) -> Table:
    table = Table("to reach", box=None, pad_edge=False)
    for column in ("measured", "gate", ""):
        table.add_column(column, justify="right")
    for gate in gates:
        kept = {True: "[green]pass[/green]", False: "[red]FAIL[/red]", None: "not measured"}[gate.kept]
        table.add_row(gate.figure, _value(gate.value, gate.unit), f"{gate.bound} {_value(gate.limit, gate.unit)}", kept)
    return table


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return NOTHING
    if unit == "%":
        return f"{value:.1%}"
    return f"{value:.0f} {unit}" if unit else f"{value:.3f}".rstrip("0").rstrip(".")


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value * 100:.1f}"


def _counted(counted: Share) -> str:
    return f"{counted.kept} of {counted.of}" if counted.of else NOTHING
