"""`auscult webhooks`: where a tenant's own server is told that an encounter is over."""

import secrets
import time
from base64 import b64encode
from typing import Annotated

import anyio
import typer
from msgspec import structs
from rich.table import Table

from server.addresses import AllowedHosts
from server.commands import ConfigFile, DataDir, date, moment, out, read_settings, store
from server.deliveries.dialect import Dialect
from server.deliveries.sending import send
from server.dialects import DIALECTS
from server.errors import BadRequest, NotFound, ServerError
from server.outgoing import Outgoing
from server.settings import Settings
from server.store import deliveries as sql
from server.store import tenants
from server.store.deliveries import Secret, Webhook
from server.store.seal import KeyRing
from server.storing import open_keyring

SECRET_BYTES = 24  # Standard Webhooks: 24 to 64

webhooks = typer.Typer(no_args_is_help=True, help="Where tenants' own servers are told that an encounter is over.")

Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="As given to `auscult keys create`.")]
DialectName = Annotated[str, typer.Option("--dialect", help=f"In the words of: {', '.join(d.name for d in DIALECTS)}.")]


@webhooks.command("set")
def set_webhook(
    tenant: Tenant,
    url: Annotated[str, typer.Argument(metavar="URL", help="https://…; empty: tell nothing any more.")],
    dialect: DialectName = "auscult",
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Set a tenant's URL. The signing secret is printed when it is made, and only then."""
    settings = read_settings(config, {"server.data_dir": data_dir})
    keyring, name = _keyring(settings), _dialect(dialect).name
    with store(settings) as connection:
        owner = tenants.named(connection, tenant).id
        if not url:
            if not sql.remove_webhook(connection, owner, name):
                raise _no_webhook(tenant, name)
            return
        AllowedHosts(settings.outgoing.allow_hosts).check_url(url)
        known = sql.get_webhook(connection, keyring, owner, name)
        made = None if known is not None else _new_secret()
        hook = Webhook(url=url, secrets=(Secret(secret=made),)) if made else structs.replace(_known(known), url=url)
        sql.put_webhook(connection, keyring, owner, name, hook, time.time())
    if made:
        out.print(f"Signing secret (shown only now): {made}", markup=False)


@webhooks.command("list")
def list_webhooks(
    deliveries: Annotated[bool, typer.Option("--deliveries", help="The newest deliveries instead.")] = False,
    dead: Annotated[bool, typer.Option("--dead", help="Only those that were given up.")] = False,
    attempts: Annotated[str | None, typer.Option(metavar="ID", help="All attempts of this delivery instead.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Where tenants are told, or what became of it."""
    settings = read_settings(config, {"server.data_dir": data_dir})
    with store(settings) as connection:
        owner = None if tenant is None else tenants.named(connection, tenant).id
        if attempts is not None:
            out.print(_attempts(sql.attempts(connection, attempts)))
            return
        if deliveries or dead:
            out.print(_deliveries(sql.listing(connection, owner, dead=dead)))
            return
        keyring = _keyring(settings)
        table = Table("tenant", "dialect", "URL", "secrets", box=None, pad_edge=False)
        for found in tenants.listing(connection):
            for name in sql.webhook_dialects(connection, found.id) if owner in (None, found.id) else ():
                hook = _known(sql.get_webhook(connection, keyring, found.id, name))
                table.add_row(found.name, name, hook.url, str(len(hook.signing(time.time()))))
    out.print(table)


@webhooks.command("test")
def send_test(
    tenant: Tenant, dialect: DialectName = "auscult", data_dir: DataDir = None, config: ConfigFile = None
) -> None:
    """Send a test event now, once, and say what came back."""
    settings = read_settings(config, {"server.data_dir": data_dir})
    spoken = _dialect(dialect)
    with store(settings) as connection:
        hook = sql.get_webhook(connection, _keyring(settings), tenants.named(connection, tenant).id, spoken.name)
    if hook is None:
        raise _no_webhook(tenant, spoken.name)
    at, body = time.time(), spoken.test(time.time()).body
    outgoing = Outgoing(settings.outgoing.allow_hosts, connect_timeout_s=settings.outgoing.connect_timeout_s)
    answer = anyio.run(send, outgoing, spoken, hook, hook.url, f"test-{secrets.token_hex(8)}", body, at)
    came = f"status {answer.status}" if answer.status is not None else f"no answer ({answer.error})"
    out.print(f"{came}, {answer.duration_ms} ms", markup=False)
    if answer.status is None or not 200 <= answer.status < 300:
        raise typer.Exit(1)


@webhooks.command("rotate")
def rotate_secret(
    tenant: Tenant,
    overlap: Annotated[float, typer.Option(min=0, help="Hours for which the old secret signs, too.")] = 24.0,
    dialect: DialectName = "auscult",
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Make a new signing secret."""
    settings = read_settings(config, {"server.data_dir": data_dir})
    keyring, name, now = _keyring(settings), _dialect(dialect).name, time.time()
    with store(settings) as connection:
        owner = tenants.named(connection, tenant).id
        hook = sql.get_webhook(connection, keyring, owner, name)
        if hook is None:
            raise _no_webhook(tenant, name)
        made, until = _new_secret(), now + overlap * 3600
        old = [structs.replace(each, until=min(until, each.until or until)) for each in hook.secrets]
        kept = tuple(each for each in old if each.until is not None and each.until > now)
        rotated = structs.replace(hook, secrets=(Secret(secret=made), *kept))
        sql.put_webhook(connection, keyring, owner, name, rotated, now)
    out.print(f"Signing secret (shown only now): {made}", markup=False)


@webhooks.command("redeliver")
def redeliver(
    delivery: Annotated[str | None, typer.Argument(metavar="ID", help="From `auscult webhooks list`.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All that were given up.")] = False,
    tenant: Annotated[str | None, typer.Option(help="… of this tenant.")] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Attempt a delivery anew. A running server does so within a minute."""
    if (delivery is None) is not dead:
        raise BadRequest("Name one delivery, or say --dead.")
    with store(read_settings(config, {"server.data_dir": data_dir})) as connection:
        owner = None if tenant is None else tenants.named(connection, tenant).id
        count = sql.redeliver(connection, time.time(), delivery=delivery, tenant=owner)
    out.print(f"{count} will be attempted again.")


def _deliveries(lines: list[sql.DeliveryLine]) -> Table:
    table = Table("id", "tenant", "event", "state", "attempts", "last", "created", "next", box=None, pad_edge=False)
    for line in lines:
        last = _came(line.status, line.error)
        due = date(line.next_at) if line.state == "pending" else ""
        table.add_row(
            line.id, line.tenant, line.event, line.state, str(line.attempts), last, date(line.created_at), due
        )
    return table


def _attempts(made: list[sql.Attempt]) -> Table:
    table = Table("attempt", "at", "came", "ms", box=None, pad_edge=False)
    for each in made:
        table.add_row(str(each.number), moment(each.at), _came(each.status, each.error), str(each.duration_ms))
    return table


def _came(status: int | None, error: str | None) -> str:
    return error or ("" if status is None else str(status))


def _keyring(settings: Settings) -> KeyRing:
    return open_keyring(settings)


def _dialect(name: str) -> Dialect:
    found = next((dialect for dialect in DIALECTS if dialect.name == name), None)
    if found is None:
        raise ServerError(f"There is no dialect {name}: use one of {', '.join(dialect.name for dialect in DIALECTS)}.")
    return found


def _no_webhook(tenant: str, dialect: str) -> NotFound:
    return NotFound(f"{tenant} has no webhook in the dialect {dialect}: `auscult webhooks set {tenant} URL` sets one.")


def _known(hook: Webhook | None) -> Webhook:
    assert hook is not None
    return hook


def _new_secret() -> str:
    return "whsec_" + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
