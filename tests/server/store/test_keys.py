import pytest
from sqlalchemy import Engine, select

from server.errors import NotFound
from server.store import keys
from server.store import tables as t


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
