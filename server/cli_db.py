"""`auscult db`: bring the database to this version, and see whether all that is kept can be used."""

import typer
from rich.table import Table
from rich.text import Text

from server.checkup import check
from server.commands import ConfigFile, DataDir, out, prepared, read_settings
from server.store.database import newest_version

db = typer.Typer(no_args_is_help=True, help="The database: upgrade its schema, check that it can be used.")


@db.command("upgrade")
def upgrade(data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Bring the schema to the newest version, as `auscult serve` does when it starts. Harmless when called again."""
    prepared(read_settings(config, {"server.data_dir": data_dir})).dispose()
    out.print(f"The database is at schema {newest_version()}.")


@db.command("check")
def check_all(data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Whether database, key and audio folder can be used, and which command mends what cannot. Changes nothing."""
    findings = check(read_settings(config, {"server.data_dir": data_dir}))
    table = Table("", "", "", box=None, show_header=False, pad_edge=False)
    for finding in findings:
        mark = "[green]ok[/green]" if finding.ok else "[red]wrong[/red]"
        table.add_row(mark, finding.what, Text(finding.detail))
    out.print(table)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
