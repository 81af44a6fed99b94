"""`auscult-bench`: show what Auscult does, and measure it. Everything runs on this machine and ends by itself."""

import signal
import sys
from types import FrameType
from typing import Annotated

import anyio
import typer
from rich.console import Console

from bench import cli_capacity, cli_promises, cli_quality
from bench.commands import Model, Recogniser, Recording, Speed, out
from pipeline.errors import AuscultError, first

KNOWN = (AuscultError, OSError, ModuleNotFoundError)  # what is one line, not a traceback

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def main() -> None:
    """The command's entry: what goes wrong is one line, not a traceback."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except KNOWN as exc:
        _fail(exc)
    except BaseExceptionGroup as group:
        known, others = group.split(KNOWN)
        if known is None or others is not None:
            raise
        _fail(first(known))


def demo(
    recording: Recording = "cough",
    recogniser: Recogniser = "auto",
    model: Model = "",
    speed: Speed = 1.0,
    url: Annotated[str, typer.Option(help="A server that runs already; else one is started.")] = "",
    key: Annotated[str, typer.Option(help="API key of that server.", envvar="AUSCULT_API_KEY")] = "",
) -> None:
    """Play a consultation through the live API; print the transcript as it becomes final, then the note."""
    from bench.demo import DemoOptions, run

    if url and not key:
        raise typer.BadParameter("a server that runs already needs its key: --key, or AUSCULT_API_KEY")
    options = DemoOptions(recording=recording, recogniser=recogniser, model=model, speed=speed, url=url, key=key)
    if not anyio.run(run, options, out):
        raise typer.Exit(1)


COMMANDS = (
    demo,
    cli_quality.live,
    cli_capacity.recognisers,
    cli_quality.latency,
    cli_quality.accuracy,
    cli_capacity.ingest,
    cli_capacity.webrtc,
    cli_capacity.recorder,
    cli_capacity.decoders,
    cli_quality.voices,
    cli_capacity.followers,
    cli_capacity.engine,
    cli_capacity.model,
    cli_quality.speakers,
    cli_quality.notes,
    cli_quality.train_roles,
    cli_quality.icd10cm,
    cli_quality.beside,
    cli_quality.train_notes,
    cli_capacity.load,
    cli_promises.chaos,
    cli_promises.durability,
    cli_promises.polls,
    cli_promises.turnaround,
    cli_promises.console,
    cli_capacity.peers,
)
for command in COMMANDS:
    app.command()(command)


def _interrupt(_: int, __: FrameType | None) -> None:
    """A request to end is what Ctrl-C is: everything started is ended in order."""
    signal.raise_signal(signal.SIGINT)


def _fail(error: Exception) -> None:
    message = str(error)
    if isinstance(error, ModuleNotFoundError):
        message = f"the package {error.name} is missing: pip install 'auscult[bench]'"
    elif isinstance(error, TimeoutError):
        message = "it did not finish in time."
    err.print(f"auscult-bench: {message}", style="red", markup=False)
    sys.exit(1)


if __name__ == "__main__":
    main()
