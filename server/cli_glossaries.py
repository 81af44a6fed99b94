"""`auscult glossaries`: words that a tenant's recogniser should expect, besides those in `config/glossaries/`."""

import sys
import time
from typing import Annotated

import typer
from rich.table import Table

from pipeline.errors import InvalidGlossary
from pipeline.glossary import parse_glossary, read_glossaries
from server.commands import ConfigFile, DataDir, date, out, read_settings, store
from server.errors import NotFound
from server.glossaries import MAX_BYTES, MOST, checked
from server.settings import config_directory
from server.store import glossaries as sql
from server.store import tenants
from server.storing import open_keyring

glossaries = typer.Typer(no_args_is_help=True, help="Words that a tenant's recogniser should expect: its own.")

Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="As given to `auscult keys create`.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="As clients name it.")]


@glossaries.command("set")
def set_glossary(
    tenant: Tenant,
    name: Name,
    file: Annotated[
        typer.FileBinaryRead, typer.Argument(metavar="FILE", help='A term a line, "term | sounds like"; -: typed.')
    ],
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Store a glossary, or replace it: within five seconds also for a running server, in sessions that begin then."""
    settings = read_settings(config, {"server.data_dir": data_dir})
    text = checked(name, file.read(MAX_BYTES + 1))
    keyring = open_keyring(settings)
    with store(settings) as connection:
        owner = tenants.named(connection, tenant).id
        sql.put(connection, keyring, owner, name, text, time.time())
        if sql.count(connection, owner) > MOST:
            raise InvalidGlossary(f"{tenant} has {MOST} glossaries already, the most there may be: remove one first.")


@glossaries.command("list")
def list_glossaries(tenant: Tenant, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """All glossaries that a tenant's clients may name."""
    settings = read_settings(config, {"server.data_dir": data_dir})
    keyring = open_keyring(settings)
    with store(settings) as connection:
        own = sql.listing(connection, keyring, tenants.named(connection, tenant).id)
    table = Table("name", "of", "terms", "changed", box=None, pad_edge=False)
    for line in own:
        table.add_row(line.name, tenant, str(len(parse_glossary(line.text))), date(line.updated_at))
    for shared, terms in read_glossaries(config_directory() / "glossaries").items():
        if all(line.name != shared for line in own):
            table.add_row(shared, "all", str(len(terms)), "")
    out.print(table)


@glossaries.command("show")
def show_glossary(tenant: Tenant, name: Name, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Print a tenant's own glossary, as it was stored."""
    settings = read_settings(config, {"server.data_dir": data_dir})
    keyring = open_keyring(settings)
    with store(settings) as connection:
        own = sql.listing(connection, keyring, tenants.named(connection, tenant).id)
    found = next((line for line in own if line.name == name), None)
    if found is None:
        raise _no_such(tenant, name)
    sys.stdout.write(found.text)


@glossaries.command("remove")
def remove_glossary(tenant: Tenant, name: Name, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Delete a tenant's own glossary; one of that name that is for all holds again."""
    with store(read_settings(config, {"server.data_dir": data_dir})) as connection:
        if not sql.remove(connection, tenants.named(connection, tenant).id, name):
            raise _no_such(tenant, name)


def _no_such(tenant: str, name: str) -> NotFound:
    return NotFound(
        f"{tenant} has no glossary {name!r} of its own: `auscult glossaries list {tenant}` shows those there are."
    )
