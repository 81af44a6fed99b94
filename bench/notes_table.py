"""`auscult-bench notes`: its figures for people, a row for each set and each published system."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.notes import Report
from bench.notes_checks import Cited, Share
from bench.notes_divisions import Division
from bench.notes_figures import Figures
from bench.notes_gates import Gate
from bench.notes_heard import Heard
from bench.notes_published import PUBLISHED, Published
from bench.notes_rouge import Rouge
from bench.tables import NOTHING, number, share

COLUMNS = (
    "words",
    "ROUGE-1/2/Lsum",
    "subj.",
    "exam",
    "results",
    "A&P",
    "cited",
    "support mean/least",
    "numbers unsaid",
    "terms unsaid",
    "words kept",
    "terms kept",
    "medicines",
    "allergies",
    "flips",
    "polarity as answered",
    "as reference",
    "empty",
    "ms",
)


def show(report: Report, console: Console) -> None:
    """Everything measured."""
    console.print(f"{report.writer}, template {report.template}; likeness and shares in per cent")
    console.print(_notes(report))
    console.print(
        "published: predictions of Yim et al. 2023, scored in the same way; ROUGE of test 1 · the mean of tests 1 to 3;"
        " everything else of that mean"
    )
    if report.headers is not None:
        found = report.headers
        console.print(
            f"sections of {found.snippets} snippets: accuracy {found.accuracy:.3f}, macro F1 {found.macro_f1:.3f} of 20"
            f" headers (published: about 0.80); {found.grouped_accuracy:.3f} and {found.grouped_macro_f1:.3f} of the 9"
            " groups that a note's keys tell apart"
        )
    if report.cost is not None:
        console.print(f"an hour of talk is made of {report.cost.hour_words} words")
    if report.heard:
        console.print(_heard(report.heard))
    console.print(_gates(report.gates))


def show_sample(sample: Sequence[Cited], console: Console) -> None:
    """Sentences with what they cite, to be read."""
    for at, one in enumerate(sample, 1):
        console.print(f"\n{at}. {one.visit}, {one.section}: [bold]{escape(one.sentence.text)}[/bold]")
        for item in one.items:
            console.print(f"   {item.role}: {escape(item.text)}")


def show_doubtful(doubtful: Sequence[tuple[str, Cited]], console: Console) -> None:
    """Sentences that may have the wrong polarity, each with the word in doubt."""
    for word, one in doubtful:
        console.print(f"\n[bold]{escape(word)}[/bold]:", end="")
        show_sample([one], console)


def _notes(report: Report) -> Table:
    table = Table("", box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for one in report.sets:
        table.add_row(f"{report.writer}: {one.name} ({one.notes})", *_row(one))
    if any(one.divisions for one in report.sets):
        for system in PUBLISHED:
            table.add_row(f"published: {system.name}", *_published_row(system))
    return table


def _row(one: Figures) -> list[str]:
    return [
        number(one.words),
        _rouge(one.rouge),
        *(_percent(one.divisions[each].one if each in one.divisions else None) for each in Division),
        _percent(one.cited.share),
        f"{number(one.support_mean, 3)}/{number(one.support_least, 2)}",
        f"{one.numbers.of - one.numbers.kept} of {one.numbers.of}",
        _percent(one.terms_unsaid),
        _percent(one.words_kept),
        _percent(one.terms_kept),
        _share(one.medicines),
        _share(one.allergies),
        str(one.flips),
        _share(one.as_answered),
        _share(one.as_reference),
        str(one.empty),
        number(one.median_ms),
    ]


def _published_row(system: Published) -> list[str]:
    first = "/".join(f"{score:.1f}" for score in system.test1) if system.test1 is not None else NOTHING
    mean = "/".join(f"{score:.1f}" for score in system.mean)
    return [
        str(system.words),
        f"{first} · {mean}",
        *(str(score) for score in system.divisions),
        NOTHING,
        NOTHING,
        NOTHING if system.numbers_unsaid is None else f"{system.numbers_unsaid:.1f} %",
        number(system.terms_unsaid, 1),
        number(system.words_kept, 1),
        number(system.terms_kept, 1),
        *(NOTHING,) * 7,
    ]


def _heard(heard: Sequence[Heard]) -> Table:
    table = Table(f"heard by {heard[0].recogniser}", box=None, pad_edge=False)
    columns = (
        "word errors",
        "words",
        "ROUGE-1/2/Lsum with the note of what was said",
        "its words",
        "terms",
        "medicines",
    )
    for column in (*columns, "ROUGE-1 with the reference, said → heard"):
        table.add_column(column, justify="right")
    for one in heard:
        table.add_row(
            one.id,
            share(one.errors.rate),
            f"{one.said_words} → {one.heard_words}",
            _rouge(one.rouge),
            *(_share(each) for each in (one.words_kept, one.terms_kept, one.medicines_kept)),
            f"{_percent(one.said_likeness)} → {_percent(one.heard_likeness)}",
        )
    return table


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


def _rouge(scores: Rouge | None) -> str:
    return NOTHING if scores is None else f"{scores.one * 100:.1f}/{scores.two * 100:.1f}/{scores.lsum * 100:.1f}"


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value * 100:.1f}"


def _share(counted: Share) -> str:
    return f"{counted.kept} of {counted.of}" if counted.of else NOTHING
