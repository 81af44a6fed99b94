"""The database behind one URL: SQLite in the data directory, or PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from server.errors import DatabaseUnusable, StoreUnavailable

T = TypeVar("T")

log = structlog.get_logger()

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = int.from_bytes(b"migrate")  # its number among the advisory locks of a PostgreSQL database
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
            f"busy_timeout={BUSY_TIMEOUT_MS}",  # first: the others wait, too
            "journal_mode=WAL",
            "synchronous=FULL",  # a commit survives a power cut, not only a killed process
            "foreign_keys=ON",
            "secure_delete=ON",
            "temp_store=MEMORY",  # else large sorts go through files where the system keeps temporary ones
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest version, one process at a time. Raises `DatabaseUnusable`.

    Whoever comes second waits for the first, and then finds nothing left to do.
    """
    config = _config()
    with _usable(engine), engine.begin() as connection:
        _lock(connection)
        _check_known(connection, engine)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def schema_version(engine: Engine) -> tuple[str | None, str]:
    """The schema's version in the database (None: it is empty), and the newest. Raises `DatabaseUnusable`."""
    with _usable(engine), engine.connect() as connection:
        _check_known(connection, engine)
        return MigrationContext.configure(connection).get_current_revision(), newest_version()


def newest_version() -> str:
    """The schema's version that this program works with."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def _lock(connection: Connection) -> None:
    """Hold the database's migrations until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # by itself the driver begins at the first INSERT or UPDATE


def _check_known(connection: Connection, engine: Engine) -> None:
    """Raises `DatabaseUnusable` for a schema that a newer program made."""
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if current is not None and current not in known:
        raise DatabaseUnusable(
            f"The database {_shown(engine)} was made by a newer Auscult (schema {current}; this one knows up to"
            f" {newest_version()}): run that version or a newer one, or restore the backup from before the upgrade."
        )


@contextmanager
def _usable(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DBAPIError as exc:  # what the driver says names files and rights, and nobody's words
        raise DatabaseUnusable(f"The database {_shown(engine)} cannot be used: {exc.orig}.") from exc


def _shown(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


class Reader:
    """Runs reading functions in threads, so that the event loop never waits for the disk."""

    def __init__(self, engine: Engine) -> None:
        if engine.dialect.name == "postgresql":  # there BEGIN and ROLLBACK are journeys of their own, and guard nothing
            engine = engine.execution_options(isolation_level="AUTOCOMMIT")
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
