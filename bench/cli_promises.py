"""Commands of `auscult-bench`: what is promised, whatever happens.

What they need is imported by each of them: `--help` stays quick, and a missing package is one clear line.
"""

from functools import partial
from typing import Annotated, Literal

import anyio
import msgspec
import typer

from bench.commands import Database, EncoderWindow, Json, Model, Recogniser, out, write


def chaos(
    database: Annotated[
        Literal["sqlite", "postgresql", "both"], typer.Option(help="What the processes share.")
    ] = "both",
    kills: Annotated[int, typer.Option(min=1, help="On each database.")] = 200,
    sessions: Annotated[int, typer.Option(min=1, max=100, help="Live sessions in work.")] = 10,
    recordings: Annotated[int, typer.Option(min=0, max=200, help="Recordings in work.")] = 20,
    workers: Annotated[int, typer.Option(min=0, max=16, help="Recognisers of their own, on PostgreSQL.")] = 2,
    seconds: Annotated[float, typer.Option(min=5, max=3600, help="Of audio in each session.")] = 120,
    seed: Annotated[int, typer.Option(help="The same kills at the same moments.")] = 0,
    json: Json = None,
) -> None:
    """Kill processes at random moments, and compare what they promised with what they did."""
    from bench.chaos import chaos as run_chaos

    for each in ("sqlite", "postgresql") if database == "both" else (database,):
        many = {"kills": kills, "sessions": sessions, "recordings": recordings, "workers": workers}
        report = anyio.run(partial(run_chaos, each, **many, seconds=seconds, seed=seed))
        out.print_json(msgspec.json.encode(report).decode())
        write(report, json)
        if not report.kept:
            raise typer.Exit(1)


def durability(
    database: Database = "sqlite",
    minutes: Annotated[float, typer.Option(min=1, max=240, help="Of the long recording.")] = 60,
    queued: Annotated[int, typer.Option(min=1, max=500, help="Recordings of the tenant that floods.")] = 50,
    json: Json = None,
) -> None:
    """Measure a long upload, polls beside it, webhooks, fairness, an idle server; with PostgreSQL takeovers, too."""
    from bench.durability import measure
    from bench.durability_report import held, show

    report = anyio.run(partial(measure, database, minutes=minutes, queued=queued))
    show(report, out)
    write(report, json)
    if not held(report):
        raise typer.Exit(1)


def polls(
    per_s: Annotated[float, typer.Option(min=1, max=10_000, help="Polls a second.")] = 500,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long.")] = 20,
    json: Json = None,
) -> None:
    """Measure how soon status polls are answered by a server on one core."""
    from bench.poll_rate import measure

    report = anyio.run(partial(measure, per_s=per_s, seconds=seconds))
    out.print_json(msgspec.json.encode(report).decode())
    write(report, json)
    if not report.held:
        raise typer.Exit(1)


def turnaround(
    recogniser: Recogniser = "auto",
    model: Model = "",
    encoder_window: EncoderWindow = "",
    minutes: Annotated[float, typer.Option(min=1, max=240, help="Of the recording.")] = 5,
    json: Json = None,
) -> None:
    """Measure how soon a note is there: of text, streamed, and of a recording on an idle server."""
    from bench.turnaround import measure

    environment = {"AUSCULT_RECOGNISER_ENCODER_WINDOW": encoder_window} if encoder_window else {}
    report = anyio.run(partial(measure, recogniser=recogniser, model=model, minutes=minutes, environment=environment))
    out.print_json(msgspec.json.encode(report).decode())
    write(report, json)
    if not report.held:
        raise typer.Exit(1)


def console(
    recogniser: Annotated[str, typer.Option(help="scripted (made-up words), sphinx or whisper.")] = "scripted",
    model: Model = "",
    minutes: Annotated[float, typer.Option(min=1, max=240, help="Of the session that the page follows.")] = 30,
    json: Json = None,
) -> None:
    """Measure the console: its size, first paint, how soon a final stands on it, memory over a session, scrolling."""
    from bench.console import measure, show

    report = anyio.run(partial(measure, minutes=minutes, recogniser=recogniser, model=model))
    show(report, out)
    write(report, json)
    if not report.held:
        raise typer.Exit(1)
