import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, text

from server.errors import DatabaseUnusable, NotFound, StoreUnavailable
from server.store.database import Reader, database_url, migrate, newest_version, schema_version
from server.store.tables import metadata
from tests.postgresql import Cluster


def test_the_migrations_make_exactly_the_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    migrate(engine)


def test_every_commit_is_flushed_deleted_data_overwritten_and_nothing_sorted_in_files(engine: Engine) -> None:
    with engine.connect() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "temp_store")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1, "temp_store": 2}


async def test_what_the_database_does_not_answer_is_to_be_asked_again_later(engine: Engine) -> None:
    with pytest.raises(StoreUnavailable, match="later") as told:
        await Reader(engine).read(lambda connection: connection.execute(text("SELECT * FROM nowhere")))
    assert "nowhere" not in str(told.value)


async def test_what_a_query_raises_by_itself_comes_through(engine: Engine) -> None:
    def find(_: Connection) -> None:
        raise NotFound

    with pytest.raises(NotFound):
        await Reader(engine).read(find)


def start_at_once(url: str) -> list[str]:
    """Several processes that migrate one database at the same moment; what each of them said."""
    program = (
        "import sys; from server.store.database import migrate, open_engine, schema_version;"
        "engine = open_engine(sys.argv[1]); sys.stdin.readline(); migrate(engine); print(*schema_version(engine))"
    )
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", program, url],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            for _ in range(3)
        ]
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [process.communicate(timeout=60)[0].strip() for process in started]


@pytest.mark.slow
def test_processes_that_start_at_once_on_a_new_database_all_come_up(tmp_path: Path) -> None:
    newest = newest_version()
    assert start_at_once(f"sqlite:///{tmp_path / 'auscult.db'}") == [f"{newest} {newest}"] * 3


@pytest.mark.slow
def test_processes_that_start_at_once_on_a_new_postgresql_database_all_come_up(cluster: Cluster) -> None:
    newest = newest_version()
    with cluster.database() as url:
        assert start_at_once(database_url(url, Path())) == [f"{newest} {newest}"] * 3


def test_a_database_of_a_newer_program_is_left_alone_and_said_so(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for refused in (migrate, schema_version):
        with pytest.raises(DatabaseUnusable, match="made by a newer Auscult \\(schema 9999"):
            refused(engine)
