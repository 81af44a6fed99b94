"""The database behind one URL: SQLite in the data directory, or PostgreSQL."""

from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from server.errors import DatabaseUnusable, StoreUnavailable

T = TypeVar("T")

log = structlog.get_logger()

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 30_000  # another process (the command line) may hold SQLite's write lock for a moment
READERS = 8  # threads that read at the same time


def database_url(url: str, data_dir: Path) -> str:
    """The URL from the settings, or SQLite's file in the data directory."""
    if not url:
        return f"sqlite:///{data_dir / 'auscult.db'}"
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def open_engine(url: str) -> Engine:
    """An engine for `url`. SQLite: write-ahead log, every commit flushed to the disk, deleted data overwritten."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=READERS + 4, pool_pre_ping=True)
    engine = create_engine(url, pool_size=READERS + 4, max_overflow=8)

    @event.listens_for(engine, "connect")
    def prepare(connection: SQLiteConnection, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",  # a commit survives a power cut, not only a killed process
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "foreign_keys=ON",
            "secure_delete=ON",
            "temp_store=MEMORY",  # else large sorts go through files where the system keeps temporary ones
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest version. Raises `DatabaseUnusable`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as exc:  # what the driver says names files and rights, and nobody's words
        where = engine.url.render_as_string(hide_password=True)
        raise DatabaseUnusable(f"The database {where} cannot be used: {exc.orig}.") from exc


class Reader:
    """Runs reading functions in threads, so that the event loop never waits for the disk."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = anyio.CapacityLimiter(READERS)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """The result of `query` in a connection of its own. Raises what that raises, or `StoreUnavailable`."""

        def run() -> T:
            with self._engine.connect() as connection:
                return query(connection)

        try:
            return await anyio.to_thread.run_sync(run, limiter=self._threads)
        except (DBAPIError, PoolTimeout) as exc:
            log.error("store.failed", exc_info=exc)
            raise StoreUnavailable from exc
