"""What commands of `auscult-bench` share: options, where they print and write, how lists are read."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer
from rich.console import Console

if TYPE_CHECKING:
    from bench.offline import Engine

out = Console(highlight=False)

Recording = Annotated[str, typer.Option(help="Which recording of ours is played.")]
Recogniser = Annotated[str, typer.Option(help="auto, sphinx, whisper or scripted.")]
Model = Annotated[str, typer.Option(help="Whisper model: a directory, or the name of a fetched one.")]
EncoderWindow = Annotated[str, typer.Option(help="Whisper: full, dynamic or seconds.")]
Prompt = Annotated[bool, typer.Option("--prompt/--no-prompt", help="Tell the recogniser what was said before.")]
ComputeType = Annotated[str, typer.Option(help="Whisper: arithmetic, as in the settings.")]
Speed = Annotated[float, typer.Option(min=0.1, max=100, help="Times real time.")]
Database = Annotated[Literal["sqlite", "postgresql"], typer.Option(help="Where the server keeps its data.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.", dir_okay=False)]


def names_in(listed: str) -> list[str]:
    """What stands between commas."""
    return [name for part in listed.split(",") if (name := part.strip())]


def counts_in(listed: str) -> list[int]:
    """Numbers of streams. Raises: `typer.BadParameter`."""
    try:
        counts = sorted({int(name) for name in names_in(listed)})
    except ValueError:
        counts = [0]
    if any(count < 1 for count in counts):
        raise typer.BadParameter("numbers from 1 on, with commas between them: --streams 1,2,4")
    return counts


def shares_in(listed: str) -> list[float]:
    """Percentages as shares. Raises: `typer.BadParameter`."""
    try:
        shares = [float(name) / 100 for name in names_in(listed)]
    except ValueError:
        shares = [-1.0]
    if not shares or not all(0 <= share < 1 for share in shares):
        raise typer.BadParameter("percentages from 0 to 99, with commas between them: --loss 0,2,5,10")
    return shares


def engine_for(
    recogniser: str, model: str, compute_type: str, encoder_window: str = "", *, prompt: bool = True
) -> "Engine":
    """What a recogniser in this process needs; it says only what went wrong."""
    from bench.offline import Engine
    from server.logs import configure_logging
    from server.settings import LogSettings

    configure_logging(LogSettings(level="warning", format="console"))
    return Engine(
        recogniser=recogniser, model=model, compute_type=compute_type, encoder_window=encoder_window, prompt=prompt
    )


def write(report: msgspec.Struct, path: Path | None) -> None:
    """The figures, for other programs, where that is asked for."""
    if path is not None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
