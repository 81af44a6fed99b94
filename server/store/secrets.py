"""Secrets of the server itself, the same for all processes that share the database."""

import os
from pathlib import Path

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from server.store import tables as t
from server.store.seal import KEY_BYTES, KeyRing


def read_or_make(engine: Engine, ring: KeyRing, name: str, imported: Path | None = None) -> bytes:
    """The secret of this name, made on first use; of several processes that make it at once the first one's counts.

    `imported`: a file in which an earlier version kept it; it is taken over once, and deleted. Blocks.
    Raises `SealBroken` where it does not open with the keys in use.
    """
    sealed = _read(engine, name)
    if sealed is None:
        kept = imported.read_bytes() if imported is not None and imported.exists() else b""
        secret = kept if len(kept) == KEY_BYTES else os.urandom(KEY_BYTES)
        try:
            with engine.begin() as connection:
                connection.execute(insert(t.secrets).values(name=name, sealed=ring.seal(f"secret/{name}", secret)))
        except IntegrityError:  # another process was faster
            pass
        sealed = _read(engine, name)
        assert sealed is not None
    secret = ring.open(f"secret/{name}", sealed)
    if imported is not None:
        imported.unlink(missing_ok=True)
    return secret


def _read(engine: Engine, name: str) -> bytes | None:
    with engine.connect() as connection:
        sealed = connection.execute(select(t.secrets.c.sealed).where(t.secrets.c.name == name)).scalar()
    return None if sealed is None else bytes(sealed)
