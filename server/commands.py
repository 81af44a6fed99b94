"""What the groups of `auscult` commands share: their options, where they print, the database they work on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy import Connection, Engine

from server.errors import ServerError
from server.settings import Flag, Settings, load_settings
from server.store.database import database_url, migrate, open_engine

WIDE = None if sys.stdout.isatty() else 240  # a table into a pipe is not cut at 80 columns

out = Console(highlight=False, soft_wrap=True, width=WIDE)
err = Console(stderr=True, highlight=False, soft_wrap=True)

ConfigFile = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).", envvar="AUSCULT_CONFIG")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where the server keeps its data.")]


def read_settings(config: Path | None, flags: dict[str, Flag]) -> Settings:
    """The settings that a command works under. Raises `SettingsError`."""
    return load_settings(config_file=config, flags=flags)


@contextmanager
def store(settings: Settings) -> Iterator[Connection]:
    """A transaction on the server's database, which may be running meanwhile. Raises `DatabaseUnusable`."""
    engine = prepared(settings)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def prepared(settings: Settings) -> Engine:
    """The server's database, brought to this version. Raises `DatabaseUnusable`, `ServerError`."""
    try:
        settings.data_path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise ServerError(f"The data directory {settings.data_path} cannot be made ({exc.strerror}).") from exc
    engine = open_engine(database_url(settings.store.url, settings.data_path))
    migrate(engine)
    return engine


def date(at: float | None) -> str:
    """A time in UTC, to the minute; empty for none."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def moment(at: float) -> str:
    """A time in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
