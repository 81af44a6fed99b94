"""A former owner's writes fail, on both databases: what it acknowledges is never beside what the new owner knows."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from server.errors import EpochLost
from server.store import encounters as sql
from server.store import tables as t
from server.store.database import database_url, migrate, open_engine
from server.store.encounters import SealedChunk


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if request.param == "sqlite":
        made = open_engine(database_url("", tmp_path_factory.mktemp("store")))
        migrate(made)
        yield made
        made.dispose()
        return
    with request.getfixturevalue("cluster").database() as url:
        made = open_engine(database_url(url, Path()))
        migrate(made)
        yield made
        made.dispose()


@pytest.fixture
def encounter(engine: Engine, request: pytest.FixtureRequest) -> str:
    name = f"{abs(hash(request.node.name)):032x}"[:32]
    values = {"options": "{}", "state": "live", "stages": "{}", "percentage": 0, "warnings": "[]", "epoch": 1}
    values |= {"owner": "first", "lease_until": 0, "created_at": 0, "active_at": 0}
    with engine.begin() as connection:
        connection.execute(t.tenants.insert().values(id=name, name=name, created_at=0))
        connection.execute(t.encounters.insert().values(id=name, tenant_id=name, **values))
    return name


def chunk(seq: int, key: str | None = None, *, stream: int = 0) -> SealedChunk:
    return SealedChunk(stream=stream, seq=seq, offset=seq, size=1, client_key=key, sealed=b"sealed")


def append(engine: Engine, encounter: str, epoch: int, *chunks: SealedChunk) -> None:
    with engine.begin() as connection:
        sql.append_chunks(connection, encounter, epoch, chunks)


def test_a_former_owner_appends_nothing(engine: Engine, encounter: str) -> None:
    append(engine, encounter, 1, chunk(0))
    with engine.begin() as connection:
        assert sql.take_over(connection, encounter, "second", 1) == 2
    with pytest.raises(EpochLost):
        append(engine, encounter, 1, chunk(1), chunk(2))
    append(engine, encounter, 2, chunk(1))
    with engine.connect() as connection:
        assert sql.log_ends(connection, encounter)[0].seq == 2


def test_the_last_key_of_a_stream_is_found_behind_chunks_that_have_none(engine: Engine, encounter: str) -> None:
    append(engine, encounter, 1, chunk(0, "n:0-3"), chunk(1, "n:4-4"), chunk(2), chunk(0, stream=1))
    with engine.connect() as connection:
        assert sql.last_key(connection, encounter, 0) == "n:4-4"
        assert sql.last_key(connection, encounter, 1) is None


def test_with_a_known_key_among_them_no_chunk_is_appended(engine: Engine, encounter: str) -> None:
    append(engine, encounter, 1, chunk(0, "a"), chunk(0, "b", stream=1))
    with engine.begin() as connection, pytest.raises(sql.DuplicateChunk):  # its group goes on, and is committed
        sql.append_chunks(connection, encounter, 1, [chunk(1, "new"), chunk(2, "a")])
    append(engine, encounter, 1, chunk(1, "b"), chunk(1, "a", stream=1))  # keys are a stream's own
    with engine.connect() as connection:
        assert {stream: end.seq for stream, end in sql.log_ends(connection, encounter).items()} == {0: 2, 1: 2}


def test_only_one_takes_over(engine: Engine, encounter: str) -> None:
    with engine.begin() as connection:
        sql.take_over(connection, encounter, "second", 1)
    with pytest.raises(EpochLost), engine.begin() as connection:
        sql.take_over(connection, encounter, "third", 1)


def test_what_is_being_appended_is_seen_by_who_takes_over_meanwhile(engine: Engine, encounter: str) -> None:
    """The new owner waits for the former one's transaction, and then knows what that one acknowledged."""
    ends: list[int] = []

    def take_over() -> None:
        with engine.begin() as connection:
            sql.take_over(connection, encounter, "second", 1)
        with engine.connect() as connection:
            ends.append(sql.log_ends(connection, encounter)[0].seq)

    with engine.begin() as connection:
        sql.append_chunks(connection, encounter, 1, [chunk(0)])
        heir = threading.Thread(target=take_over)
        heir.start()
        heir.join(0.3)
        assert heir.is_alive()  # it waits
    heir.join(30)
    assert ends == [1]
