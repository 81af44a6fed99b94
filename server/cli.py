"""`auscult`: run the server, make keys, set up tenants, fetch models, transcribe a file, see what is missing."""

import logging
import os
import sys
import time
from pathlib import Path
from socket import socket
from typing import Annotated, NoReturn

import anyio
import typer
import uvicorn
from msgspec import structs
from rich.table import Table

from pipeline.errors import AuscultError
from server import transcribe as transcribing
from server.app import Server, chosen, hold, message_limit, models_directory, recognises_elsewhere
from server.app import models as engine_models
from server.app_recogniser import serve_recogniser
from server.cli_db import db
from server.cli_keyring import keyring
from server.cli_tenants import tenants
from server.cli_webhooks import webhooks
from server.commands import ConfigFile, DataDir, date, err, out, read_settings, store
from server.doctor import examine
from server.internal.credentials import client_context, require_credential
from server.listening import bind, check_certificate, internal_address
from server.logs import configure_logging, log_uncaught_errors
from server.memory import limit_arenas
from server.serving import Announced
from server.settings import Settings
from server.speaking import speaker_hints
from server.store import keys as key_store

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
keys = typer.Typer(no_args_is_help=True, help="API keys. Each belongs to a tenant, whose data no other key sees.")
models = typer.Typer(no_args_is_help=True, help="Whisper models on this machine.")
app.add_typer(keys, name="keys")
app.add_typer(keyring, name="keyring")
app.add_typer(tenants, name="tenants")
app.add_typer(webhooks, name="webhooks")
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
    configure_logging(settings.log)
    log_uncaught_errors()
    if settings.server.role == "recogniser":
        _leave(_run_recogniser(settings))
    with hold(settings.data_path):
        out.print(_recogniser_line(settings), markup=False)
        if settings.server.tls_cert:
            check_certificate(settings.server.tls_cert, settings.server.tls_key)
        sockets = bind(settings.server.host, settings.server.port)
        _first_key(settings)  # only now: a key is not shown again, and is lost where nobody starts a server with it
        _leave(_run(settings, sockets))


def _recogniser_line(settings: Settings) -> str:
    """Which recogniser runs, why, and the command that fetches a better one."""
    if recognises_elsewhere(settings):
        return f"Recogniser: workers at {', '.join(settings.recogniser.workers_at)}."
    choice = chosen(settings)
    name = f"{choice.kind} {choice.model}" if choice.model else choice.kind
    better = f" A better one: {choice.hint}" if choice.hint else ""
    return f"Recogniser: {name} ({choice.reason}).{better}"


def _run_recogniser(settings: Settings) -> int:
    """Be a recogniser worker: without a database, a key or a data directory."""
    require_credential(settings.internal)
    out.print(_recogniser_line(settings), markup=False)
    if settings.server.tls_cert:
        check_certificate(settings.server.tls_cert, settings.server.tls_key)
    if settings.internal.ca:
        client_context(settings.internal)
    return serve_recogniser(
        settings,
        bind(settings.server.host, settings.server.port),
        announce=lambda url: out.print(f"Auscult listens on {url}"),
        failed=lambda exc: err.print(f"auscult: {exc}", markup=False),
    )


def _run(settings: Settings, sockets: list[socket]) -> int:
    failures: list[AuscultError] = []

    def fatal(exc: AuscultError) -> None:
        failures.append(exc)
        server.should_exit = True

    auscult = Server(settings, address=internal_address(settings.server, sockets), fatal=fatal)
    server = Announced(
        uvicorn.Config(
            auscult.app,
            ssl_certfile=settings.server.tls_cert or None,
            ssl_keyfile=settings.server.tls_key or None,
            forwarded_allow_ips=settings.server.forwarded_allow_ips,
            ws_max_size=2 * message_limit(settings),  # a little over our own limit, so that the client reads our words
            ws_ping_interval=None,  # a socket that is being slowed down reads no pongs; silence is noticed by ourselves
            ws_per_message_deflate=False,  # base64 PCM hardly shrinks, and deflating it costs more than the rest
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        ),
        announce=lambda url: out.print(f"Auscult listens on {url}"),
        stopping=auscult.stop_serving,
        send_timeout_s=settings.limits.send_timeout_s,
    )
    server.run(sockets)
    for exc in failures:
        err.print(f"auscult: {exc}", markup=False)
    return 1 if failures or not server.started else 0


def _leave(code: int) -> NoReturn:
    """End the process, everything being closed. Python would wait for a thread that hangs in a recogniser's code."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


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
    settings = read_settings(config, {"recogniser.kind": recogniser, "recogniser.model": model})
    configure_logging(structs.replace(settings.log, level="warning", format="console"))
    if not json:
        err.print(_recogniser_line(settings), markup=False)
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
    path = engine_models.fetch(name, models_directory(read_settings(config, {})))
    out.print(f"{name} is in {path}. Run it with: auscult serve --recogniser whisper --model {name}")


def _first_key(settings: Settings) -> None:
    with store(settings) as connection:
        if key_store.count(connection) == 0:
            key = key_store.create(connection, "default", time.time())
            out.print(f"API key of the tenant 'default' (shown only now): {key}", markup=False)


if __name__ == "__main__":
    main()
