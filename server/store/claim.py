"""A PostgreSQL database serves one server at a time, as a data directory does: what is unfinished in it is that one's.

The lock is the connection's: PostgreSQL frees it when the server dies, and it has to be taken again after an outage.
"""

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import DBAPIError

from server.errors import Conflict, StoreUnavailable

LOCK = int.from_bytes(b"auscult")  # its number among the advisory locks of the database
WAIT_MS = 5000  # a server that was killed a moment ago may still hold it
LOCK_NOT_AVAILABLE = "55P03"  # SQLSTATE


class Claim:
    """See the module. Nothing to take on SQLite, whose file lies in the data directory."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held: Connection | None = None

    def take(self) -> None:
        """Take the database, or see that it is still ours. Raises `Conflict`, `StoreUnavailable`. Blocks."""
        if self._engine.dialect.name != "postgresql" or self._is_held():
            return
        try:
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                connection.execute(text(f"SET lock_timeout = {WAIT_MS}"))
                connection.execute(select(func.pg_advisory_lock(LOCK)))
            except BaseException:
                self._end(connection)
                raise
        except DBAPIError as exc:
            if getattr(exc.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE:
                where = self._engine.url.render_as_string(hide_password=True)
                raise Conflict(
                    f"Another server is already using the database {where}: stop it, or name another with store.url."
                ) from exc
            raise StoreUnavailable from exc
        self._held = connection

    def give_back(self) -> None:
        """Let another server take it."""
        if self._held is not None:
            self._end(self._held)
            self._held = None

    def _is_held(self) -> bool:
        if self._held is None:
            return False
        try:
            self._held.execute(text("SELECT 1"))
        except DBAPIError:
            self.give_back()
            return False
        return True

    @staticmethod
    def _end(connection: Connection) -> None:
        """Close the connection itself, not only lend it to others: the lock goes with it."""
        connection.invalidate()
        connection.close()
