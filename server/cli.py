"""`auscult`: run the server, make keys, set up tenants, fetch models, transcribe a file, see what is missing."""

import sys
import time
from pathlib import Path
from typing import Annotated

import anyio
import typer
from msgspec import structs
from rich.table import Table

from pipeline.errors import AuscultError
from server.cli_db import db
from server.cli_glossaries import glossaries
from server.cli_keyring import keyring
from server.cli_templates import templates
from server.cli_tenants import tenants
from server.cli_webhooks import webhooks
from server.commands import ConfigFile, DataDir, date, err, out, read_settings, store
from server.logs import configure_logging
from server.memory import limit_arenas
from server.speaking import speaker_hints
from server.store import keys as key_store

# Whatever needs the server's own packages is imported by the commands that do: the others are quick.

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
keys = typer.Typer(no_args_is_help=True, help="API keys. Each belongs to a tenant, whose data no other key sees.")
models = typer.Typer(no_args_is_help=True, help="Whisper models on this machine.")
app.add_typer(keys, name="keys")
app.add_typer(keyring, name="keyring")
app.add_typer(tenants, name="tenants")
app.add_typer(webhooks, name="webhooks")
app.add_typer(glossaries, name="glossaries")
app.add_typer(templates, name="templates")
app.add_typer(db, name="db")
app.add_typer(models, name="models")

RecogniserKind = Annotated[str | None, typer.Option("--recogniser", help="auto, sphinx, whisper or scripted.")]
Model = Annotated[str | None, typer.Option("--model", help="Whisper model: a directory, or the name of a fetched one.")]


def main() -> None:
    """The command's entry: our own errors are one line, not a traceback."""
    try:
        app()
    except AuscultError as exc:
        err.print(f"auscult: {exc}", markup=False)
        sys.exit(1)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    recogniser: RecogniserKind = None,
    model: Model = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", help="Certificate chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Private key (PEM).")] = None,
    role: Annotated[
        str | None, typer.Option(help="all, web, jobs or recogniser: the share of a process in the work of several.")
    ] = None,
    forwarded_allow_ips: Annotated[
        str | None, typer.Option("--forwarded-allow-ips", help="Proxies whose X-Forwarded-* headers count.")
    ] = None,
) -> None:
    """Run the server. On the first run it prints a new API key."""
    limit_arenas()
    settings = read_settings(
        config,
        {
            "server.host": host,
            "server.port": port,
            "server.data_dir": data_dir,
            "server.tls_cert": tls_cert,
            "server.tls_key": tls_key,
            "server.forwarded_allow_ips": forwarded_allow_ips,
            "server.role": role,
            "recogniser.kind": recogniser,
            "recogniser.model": model,
        },
    )
    from server.running import run

    run(settings)


@app.command()
def transcribe(
    file: Annotated[Path, typer.Argument(help="A recording.", exists=True, dir_okay=False, readable=True)],
    template: Annotated[str | None, typer.Option(help="Write a note, with this template.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    language: Annotated[str, typer.Option(help="Language spoken, such as en; auto: detected (Whisper).")] = "en",
    speakers: Annotated[int, typer.Option(min=0, max=6, help="People who speak; 0: as the settings say.")] = 0,
    hints: Annotated[str, typer.Option(help="Of a stereo file: doctor,patient; one role: it is one room.")] = "",
    config: ConfigFile = None,
    recogniser: RecogniserKind = None,
    model: Model = None,
) -> None:
    """Transcribe a recording without a server."""
    from server import transcribe as transcribing
    from server.running import recogniser_line

    settings = read_settings(config, {"recogniser.kind": recogniser, "recogniser.model": model})
    configure_logging(structs.replace(settings.log, level="warning", format="console"))
    if not json:
        err.print(recogniser_line(settings), markup=False)
    anyio.run(
        transcribing.run,
        settings,
        transcribing.Task(
            file=file,
            template=template,
            language=language,
            as_json=json,
            expected_speakers=speakers,
            speaker_hints=speaker_hints([name for name in hints.split(",") if name]),
        ),
        out,
        err,
        backend_options={"use_uvloop": True},
    )


@app.command()
def doctor(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """What is installed, which recogniser would run, what is missing and the command that mends it."""
    from server.doctor import examine

    findings = examine(read_settings(config, {"server.data_dir": data_dir}))
    table = Table("", "", "", box=None, show_header=False, pad_edge=False)
    for finding in findings:
        missing = "[red]missing[/red]" if finding.needed else "[yellow]none[/yellow]"
        table.add_row("[green]ok[/green]" if finding.ok else missing, finding.what, finding.detail)
    out.print(table)
    if any(finding.needed and not finding.ok for finding in findings):
        raise typer.Exit(1)


@keys.command("create")
def create_key(
    tenant: Annotated[str, typer.Option(help="Who the key belongs to; made on first use.")],
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Print a new key, alone, on standard output. It is not shown again."""
    with store(read_settings(config, {"server.data_dir": data_dir})) as connection:
        key = key_store.create(connection, tenant, time.time())
    sys.stdout.write(key + "\n")


@keys.command("list")
def list_keys(data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """All keys, with their first characters."""
    with store(read_settings(config, {"server.data_dir": data_dir})) as connection:
        lines = key_store.listing(connection)
    table = Table("id", "tenant", "key", "created", "revoked", box=None, pad_edge=False)
    for line in lines:
        table.add_row(line.id, line.tenant, line.hint + "…", date(line.created_at), date(line.revoked_at))
    out.print(table)


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, from `auscult keys list`.")],
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Make a key useless, within five seconds also for a running server."""
    with store(read_settings(config, {"server.data_dir": data_dir})) as connection:
        key_store.revoke(connection, key_id, time.time())


@models.command("list")
def list_models(config: ConfigFile = None) -> None:
    """Whisper models that are already here."""
    from server.engines import models as engine_models
    from server.engines import models_directory

    found = engine_models.available(models_directory(read_settings(config, {})))
    if not found:
        out.print("No Whisper model is here yet: `auscult models fetch small.en` fetches one.")
        return
    table = Table("name", "size", "languages", "path", box=None, pad_edge=False)
    for model in found:
        table.add_row(model.name, f"{model.size / 1e6:.0f} MB", model.languages, str(model.path))
    out.print(table)


@models.command("fetch")
def fetch_model(
    name: Annotated[str, typer.Argument(help="Such as small.en, small, large-v3-turbo.")], config: ConfigFile = None
) -> None:
    """Download a Whisper model into the local cache."""
    from server.engines import models as engine_models
    from server.engines import models_directory

    path = engine_models.fetch(name, models_directory(read_settings(config, {})))
    out.print(f"{name} is in {path}. Run it with: auscult serve --recogniser whisper --model {name}")


if __name__ == "__main__":
    main()
