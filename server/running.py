"""`auscult serve`: a server, or a recogniser worker, until it is told to end."""

import faulthandler
import logging
import os
import sys
import time
from socket import socket
from typing import NoReturn

import uvicorn

from pipeline.errors import AuscultError
from server.apis import message_limit
from server.app import Server
from server.app_recogniser import serve_recogniser
from server.commands import err, out, store
from server.engines import chosen, recognises_elsewhere
from server.internal.credentials import client_context, require_credential
from server.listening import bind, check_certificate, internal_address
from server.logs import configure_logging, log_uncaught_errors
from server.serving import Announced, Fatal, serve
from server.settings import Settings
from server.store import keys as key_store
from server.storing import hold
from server.structs import complete_structs
from server.templates import note_templates

# Of Python's threads. Whoever reads or writes the database lets go of the interpreter at each call, and beside a busy
# event loop waits so long to have it back, some ten times for a request.
SWITCH_INTERVAL_S = 0.0005


def run(settings: Settings) -> NoReturn:
    """Serve. Raises `Conflict`, `ServerError` before it begins; then it ends the process."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    faulthandler.enable()  # where a library's code crashes, standard error has every thread's place, and no data
    configure_logging(settings.log)
    log_uncaught_errors()
    complete_structs()
    if settings.server.role == "recogniser":
        _leave(_run_recogniser(settings))
    note_templates(settings.notes)  # before a key is shown: where a file is wrong, nothing is served
    with hold(settings.data_path):
        out.print(recogniser_line(settings), markup=False)
        if settings.server.tls_cert:
            check_certificate(settings.server.tls_cert, settings.server.tls_key)
        sockets = bind(settings.server.host, settings.server.port)
        _first_key(settings)  # only now: a key is not shown again, and is lost where nobody starts a server with it
        _leave(_run(settings, sockets))


def recogniser_line(settings: Settings) -> str:
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
    out.print(recogniser_line(settings), markup=False)
    if settings.server.tls_cert:
        check_certificate(settings.server.tls_cert, settings.server.tls_key)
    if settings.internal.ca:
        client_context(settings.internal)
    return serve_recogniser(
        settings,
        bind(settings.server.host, settings.server.port),
        announce=_announce,
        failed=_failed,
    )


def _run(settings: Settings, sockets: list[socket]) -> int:
    def build(fatal: Fatal) -> Announced:
        auscult = Server(settings, address=internal_address(settings.server, sockets), fatal=fatal)
        return Announced(
            uvicorn.Config(
                auscult.app,
                ssl_certfile=settings.server.tls_cert or None,
                ssl_keyfile=settings.server.tls_key or None,
                forwarded_allow_ips=settings.server.forwarded_allow_ips,
                ws_max_size=2 * message_limit(settings),  # a little over our own limit: the client reads our words
                ws_ping_interval=None,  # a socket being slowed down reads no pongs; silence is noticed by ourselves
                ws_per_message_deflate=False,  # base64 PCM hardly shrinks, and deflating it costs more than the rest
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=10,
            ),
            announce=_announce,
            stopping=auscult.stop_serving,
            send_timeout_s=settings.limits.send_timeout_s,
        )

    return serve(build, sockets, _failed)


def _announce(url: str) -> None:
    out.print(f"Auscult listens on {url}")


def _failed(exc: AuscultError) -> None:
    err.print(f"auscult: {exc}", markup=False)


def _leave(code: int) -> NoReturn:
    """End the process, everything being closed. Python would wait for a thread that hangs in a recogniser's code."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _first_key(settings: Settings) -> None:
    with store(settings) as connection:
        if (key := key_store.first(connection, "default", time.time())) is not None:
            out.print(f"API key of the tenant 'default' (shown only now): {key}", markup=False)
