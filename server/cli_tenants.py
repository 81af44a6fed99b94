"""`auscult tenants`: what holds for one tenant and not for the others."""

import time
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from server.commands import ConfigFile, DataDir, date, out, read_settings, store
from server.store import tenants as tenant_store
from server.store import usage
from server.tenants import changed, shown

tenants = typer.Typer(no_args_is_help=True, help="Quotas, retention and web pages of each tenant.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The tenant's name, as given to `auscult keys create`.")]


@tenants.command("list")
def list_tenants(data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """All tenants, and what is set for each."""
    with store(read_settings(config, {"server.data_dir": data_dir})) as connection:
        found = tenant_store.listing(connection)
    table = Table("name", "created", "settings", box=None, pad_edge=False)
    for tenant in found:
        table.add_row(
            Text(tenant.name), date(tenant.created_at), " ".join(f"{k}={v}" for k, v in shown(tenant.settings))
        )
    out.print(table)


@tenants.command("show")
def show_tenant(name: Name, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """What is set for a tenant, a setting a line, and what it has used this month."""
    with store(read_settings(config, {"server.data_dir": data_dir})) as connection:
        tenant = tenant_store.named(connection, name)
        used = usage.audio_ms(connection, tenant.id, usage.month_of(time.time()))
    for setting, value in shown(tenant.settings):
        out.print(f"{setting}={value}", markup=False)
    out.print(f"# {used / 60_000:.1f} minutes of audio this month")


@tenants.command("set")
def set_tenant(
    name: Name,
    changes: Annotated[
        list[str], typer.Argument(metavar="SETTING=VALUE…", help="Such as streams=20; streams= resets it.")
    ],
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Change what holds for a tenant, within five seconds also for a running server."""
    with store(read_settings(config, {"server.data_dir": data_dir})) as connection:
        tenant = tenant_store.named(connection, name)
        tenant_store.put_settings(connection, tenant.id, changed(tenant.settings, changes))
