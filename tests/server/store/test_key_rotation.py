"""Keys from a file, a text or a command; and their replacement while a server has the old ones."""

import base64
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select

from server.cli_keyring import rotated
from server.settings import Settings, StoreSettings
from server.store import glossaries, patients
from server.store import tables as t
from server.store.database import database_url, migrate, open_engine
from server.store.key_sources import KeyFile, KeyUnavailable, parse_keys, run_command
from server.store.rewrapping import BATCH, rewrap
from server.store.seal import KEY_BYTES, KeyRing, SealBroken
from server.store.secrets import read_or_make
from server.storing import open_keyring
from tests.postgresql import Cluster
from tests.server.test_retention import add

GLOSSARIES = BATCH + 1
PATIENT = patients.PatientContext(external_id="42", group="ward 7")

ONE, OTHER = bytes(range(KEY_BYTES)), bytes(KEY_BYTES)


def test_the_key_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "key")
    [key] = file.read_or_make()
    assert file.read_or_make() == file.read() == [key]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_a_damaged_or_missing_key_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(SealBroken, match="5 bytes instead of 32"):
        KeyFile(tmp_path / "key").read()
    with pytest.raises(KeyUnavailable, match="cannot be read"):
        KeyFile(tmp_path / "none").read()
    with pytest.raises(KeyUnavailable, match="cannot be made"):
        KeyFile(tmp_path / "folder" / "key").read_or_make()


def test_keys_as_text_may_be_hex_or_base64_and_several() -> None:
    words = [ONE.hex(), base64.b64encode(ONE).decode(), base64.urlsafe_b64encode(OTHER).decode().rstrip("=")]
    assert parse_keys(",".join(words), "x") == [ONE, ONE, OTHER]
    assert parse_keys("\n".join(words) + "\n", "x") == [ONE, ONE, OTHER]
    for bad in ("", "secret-words", ONE.hex()[:-2], base64.b64encode(ONE[:-1]).decode()):
        with pytest.raises(KeyUnavailable, match="holds") as raised:
            parse_keys(bad, "store.key")
        assert not bad or bad not in str(raised.value)


def test_a_command_prints_keys_and_is_run_without_a_shell() -> None:
    assert run_command(f"{sys.executable} -c 'print(\"{ONE.hex()}\")'") == [ONE]
    for bad, why in (
        ("false", "exit status 1"),
        ("no-such-program-of-ours", "cannot be run"),
        ("echo 'x", "quotation mark"),
        ("echo $HOME; true", "no key"),
    ):
        with pytest.raises(KeyUnavailable, match=why):
            run_command(bad)


def test_the_settings_name_one_source(tmp_path: Path) -> None:
    given = open_keyring(Settings(store=StoreSettings(key=f"{OTHER.hex()},{ONE.hex()}")))
    _, wrapped = KeyRing(ONE).new("e1")
    given.unwrap("e1", wrapped)
    _, wrapped = given.new("e2")
    KeyRing(OTHER).unwrap("e2", wrapped)
    assert ONE.hex() not in repr(StoreSettings(key=ONE.hex()))


def filled(engine: Engine, ring: KeyRing, count: int) -> None:
    for number in range(count):
        add(engine, f"e{number}", 1)
        _, wrapped = ring.new(f"e{number}")
        with engine.begin() as connection:
            row = t.encounters.c.id == f"e{number}"
            connection.execute(t.encounters.update().where(row).values(data_key=wrapped))
    with engine.begin() as connection:
        values = {"id": "w1", "tenant_id": "t1", "dialect": "auscult", "created_at": 0.0}
        connection.execute(insert(t.webhooks).values(**values, sealed=ring.seal("webhook/w1", b"where")))
        for number in range(GLOSSARIES):
            glossaries.put(connection, ring, "t1", f"g{number:04}", f"term {number}", 0.0)
        patients.put(connection, ring, "t1", "ctx_1", PATIENT)


def opens_all(engine: Engine, ring: KeyRing) -> int:
    """How many encounters there are; all of them, the webhook, the secret, the glossaries and the patient open."""
    with engine.connect() as connection:
        rows = connection.execute(select(t.encounters.c.id, t.encounters.c.data_key)).all()
        for encounter, wrapped in rows:
            ring.unwrap(encounter, wrapped)
        hook = connection.execute(select(t.webhooks.c.sealed)).scalar_one()
        assert ring.open("webhook/w1", hook) == b"where"
        secret = connection.execute(select(t.secrets.c.sealed)).scalar_one()
        assert len(ring.open("secret/token", secret)) == KEY_BYTES
        terms = [line.text for line in glossaries.listing(connection, ring, "t1")]
        assert terms == [f"term {number}" for number in range(GLOSSARIES)]
        assert patients.get(connection, ring, "t1", "ctx_1").context == PATIENT
    return len(rows)


def test_a_rotation_leaves_everything_readable_also_for_a_running_server(engine: Engine, tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "key")
    [old] = file.read_or_make()
    server = KeyRing(old, newer=file.newer())
    filled(engine, server, BATCH + 3)
    secret = read_or_make(engine, server, "token", tmp_path / "none")
    done = rotated(engine, file, 0)
    assert (done.anew, done.broken) == (BATCH + 3 + 3 + GLOSSARIES, 0)
    [new] = file.read()
    assert new != old
    assert opens_all(engine, server) == opens_all(engine, KeyRing(new)) == BATCH + 3
    assert read_or_make(engine, server, "token", tmp_path / "none") == secret
    _, wrapped = server.new("later")
    KeyRing(new).unwrap("later", wrapped)
    with pytest.raises(SealBroken):
        KeyRing(old).unwrap("later", wrapped)


@pytest.mark.slow
def test_a_rotation_reaches_everything_on_postgresql_too(cluster: Cluster, tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "key")
    server = KeyRing(*file.read_or_make(), newer=file.newer())
    with cluster.database() as url:
        engine = open_engine(database_url(url, tmp_path))
        migrate(engine)
        filled(engine, server, 3)
        read_or_make(engine, server, "token")
        assert rotated(engine, file, 0).anew == 3 + 3 + GLOSSARIES
        assert opens_all(engine, KeyRing(*file.read())) == 3
        engine.dispose()


def test_a_server_wraps_with_a_new_key_as_soon_as_it_is_in_the_file(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "key")
    [old] = file.read_or_make()
    server = KeyRing(old, newer=file.newer())
    server.new("before")
    file.write([OTHER, old])
    _, wrapped = server.new("e1")
    KeyRing(OTHER).unwrap("e1", wrapped)


def test_a_rotation_that_ends_in_the_middle_leaves_both_keys_and_can_be_repeated(
    engine: Engine, tmp_path: Path
) -> None:
    file = KeyFile(tmp_path / "key")
    server = KeyRing(*file.read_or_make(), newer=file.newer())
    filled(engine, server, 3)
    read_or_make(engine, server, "token", tmp_path / "none")
    file.write([ONE, *file.read()])
    with engine.begin() as connection:  # one row is sealed anew, the others are not
        row = t.encounters.c.id == "e0"
        wrapped = connection.execute(select(t.encounters.c.data_key).where(row)).scalar_one()
        again = KeyRing(*file.read()).rewrapped("e0", wrapped)
        connection.execute(t.encounters.update().where(row).values(data_key=again))
    assert opens_all(engine, server) == opens_all(engine, KeyRing(*file.read())) == 3
    rotated(engine, file, 0)
    assert len(file.read()) == 1
    assert opens_all(engine, server) == opens_all(engine, KeyRing(*file.read())) == 3


def test_two_rotations_do_not_meet(engine: Engine, tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "key")
    file.read_or_make()
    with file.exclusive(), pytest.raises(KeyUnavailable, match="Another rotation"):
        rotated(engine, KeyFile(tmp_path / "key"), 0)


def test_what_opens_under_no_key_is_counted_and_stays(engine: Engine) -> None:
    add(engine, "e1", 1)
    done = rewrap(engine, KeyRing(ONE))
    assert (done.anew, done.broken) == (0, 1)


def test_the_secret_that_signs_is_taken_over_from_its_file_once(engine: Engine, tmp_path: Path) -> None:
    ring, legacy = KeyRing(ONE), tmp_path / "token-secret"
    legacy.write_bytes(OTHER)
    assert read_or_make(engine, ring, "token", legacy) == OTHER
    assert not legacy.exists()
    legacy.write_bytes(ONE)  # of another process that came later
    assert read_or_make(engine, ring, "token", legacy) == OTHER
    assert not legacy.exists()
    with pytest.raises(SealBroken):
        read_or_make(engine, KeyRing(OTHER), "token", legacy)
