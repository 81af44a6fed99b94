import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, text

from server.errors import NotFound, StoreUnavailable
from server.store.database import Reader, migrate
from server.store.tables import metadata


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
