"""Whether what the server keeps can be used: its database, the key that opens what is in it, its folder for audio."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, select, text

from server.errors import ServerError
from server.settings import Settings
from server.store import tables as t
from server.store.database import database_url, open_engine, schema_version
from server.store.key_sources import KeyUnavailable
from server.store.seal import SealBroken
from server.storing import open_keyring

PRAGMAS = {"synchronous": "2", "secure_delete": "1", "journal_mode": "wal"}  # flush each commit; overwrite what goes


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the check."""

    what: str
    ok: bool
    detail: str  # what was found, or the command that mends it


def check(settings: Settings) -> list[Finding]:
    """Everything that was checked; nothing is changed or made."""
    found = [*_database(settings)]
    if settings.blobs.kind == "s3":  # whether that one takes blobs, the first of them shows
        return found
    return [
        *found,
        _writable(Path(settings.blobs.directory) if settings.blobs.directory else settings.data_path / "blobs"),
    ]


def _database(settings: Settings) -> Iterator[Finding]:
    url = database_url(settings.store.url, settings.data_path)
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        detail = "not there: `auscult db upgrade` makes it, or name another place with --data-dir"
        yield Finding(what="database", ok=False, detail=detail)
        return
    engine = open_engine(url)
    try:
        current, newest = schema_version(engine)
        yield Finding(what="database", ok=True, detail=engine.url.render_as_string(hide_password=True))
        detail = f"{current}" if current == newest else f"{current or 'none'}, not {newest}: `auscult db upgrade`"
        yield Finding(what="schema", ok=current == newest, detail=detail)
        if current == newest:
            with engine.connect() as connection:
                yield _key(connection, settings)
        if engine.dialect.name == "sqlite":
            yield _pragmas(engine)
    except ServerError as exc:
        yield Finding(what="database", ok=False, detail=str(exc))
    finally:
        engine.dispose()


def _key(connection: Connection, settings: Settings) -> Finding:
    """Whether the key is there, and opens the newest data key."""
    c = t.encounters.c
    query = select(c.id, c.data_key).where(c.data_key.is_not(None)).order_by(c.created_at.desc()).limit(1)
    sealed = connection.execute(query).one_or_none()
    store = settings.store
    where = "store.key" if store.key else "store.key_command" if store.key_command else str(settings.key_path)
    if where == str(settings.key_path) and not settings.key_path.exists():
        detail = "not there: restore it from your backup" if sealed else "none yet: `auscult serve` makes one"
        return Finding(what="key", ok=sealed is None, detail=f"{where}, {detail}")
    try:
        ring = open_keyring(settings)
        if sealed is not None:
            ring.unwrap(sealed.id, sealed.data_key)
    except KeyUnavailable as exc:
        return Finding(what="key", ok=False, detail=str(exc))
    except (OSError, SealBroken):
        detail = "does not open what is in the database: restore the key that belongs to it (store.key_file)"
        return Finding(what="key", ok=False, detail=f"{where} {detail}")
    found = "opens the newest data key" if sealed else "nothing to open yet"
    return Finding(what="key", ok=True, detail=f"{where}, {found}")


def _pragmas(engine: Engine) -> Finding:
    with engine.connect() as connection:
        said = {name: str(connection.execute(text(f"PRAGMA {name}")).scalar_one()) for name in PRAGMAS}
    detail = ", ".join(f"{name}={value}" for name, value in said.items())
    mend = "" if said == PRAGMAS else ": this SQLite cannot do it; move the file to a local disk"
    return Finding(what="sqlite", ok=said == PRAGMAS, detail=detail + mend)


def _writable(blobs: Path) -> Finding:
    """Whether sealed audio can be written where it belongs, or where its folder will be made."""
    folder = next(path for path in (blobs.absolute(), *blobs.absolute().parents) if path.exists())
    probe = folder / ".auscult-check"
    try:
        probe.touch()
        probe.unlink()
    except OSError as exc:
        detail = f"{folder} cannot be written ({exc.strerror}): give it to the user who runs the server"
        return Finding(what="blobs", ok=False, detail=detail)
    return Finding(what="blobs", ok=True, detail=str(blobs))
