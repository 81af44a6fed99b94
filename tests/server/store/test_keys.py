from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Engine, select

from server.errors import NotFound
from server.store import keys
from server.store import tables as t
from server.store.database import database_url, migrate, open_engine
from tests.postgresql import Cluster

PROCESSES = 5


def test_a_key_is_found_until_it_is_revoked(engine: Engine) -> None:
    with engine.begin() as connection:
        key = keys.create(connection, "clinic", 1.0)
        caller = keys.find(connection, key)
        assert caller is not None
        keys.revoke(connection, caller.key_id, 2.0)
        assert keys.find(connection, key) is None


def test_keys_of_one_tenant_belong_together(engine: Engine) -> None:
    with engine.begin() as connection:
        first, second, other = (keys.create(connection, name, 1.0) for name in ("clinic", "clinic", "practice"))
        owners = [keys.find(connection, key) for key in (first, second, other)]
    assert owners[0] is not None
    assert owners[1] is not None
    assert owners[2] is not None
    assert owners[0].tenant_id == owners[1].tenant_id != owners[2].tenant_id


def test_the_key_itself_is_not_stored(engine: Engine) -> None:
    with engine.begin() as connection:
        key = keys.create(connection, "clinic", 1.0)
        row = connection.execute(select(t.api_keys)).one()
    assert all(key not in str(value) for value in row)


def test_a_key_cannot_be_revoked_twice(engine: Engine) -> None:
    with engine.begin() as connection:
        keys.create(connection, "clinic", 1.0)
        (line,) = keys.listing(connection)
        keys.revoke(connection, line.id, 2.0)
        with pytest.raises(NotFound, match="keys list"):
            keys.revoke(connection, line.id, 3.0)


@pytest.mark.slow
def test_of_processes_that_start_at_once_one_makes_the_first_key(cluster: Cluster) -> None:
    with cluster.database() as url:
        engine = open_engine(database_url(url, Path()))
        migrate(engine)
        at_once = Barrier(PROCESSES)

        def start() -> str | None:
            with engine.begin() as connection:
                connection.execute(select(t.api_keys)).all()  # the connection is there
                at_once.wait()
                return keys.first(connection, "default", 1.0)

        with ThreadPoolExecutor(PROCESSES) as threads:
            starts = [threads.submit(start) for _ in range(PROCESSES)]
        made = [started.result() for started in starts]
        engine.dispose()
    assert len([key for key in made if key is not None]) == 1
