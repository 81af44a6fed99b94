"""What is sealed under the server's keys, sealed anew under the newest one: in batches, while servers run."""

from collections.abc import Callable

import msgspec
from sqlalchemy import Column, Engine, Table, select, update

from server.store import tables as t
from server.store.seal import KeyRing, SealBroken

BATCH = 200  # rows in one transaction


class Rewrapped(msgspec.Struct, kw_only=True):
    """What a pass came to."""

    anew: int = 0
    broken: int = 0  # open under none of the keys; they did not before, either


def rewrap(engine: Engine, ring: KeyRing) -> Rewrapped:
    """One pass over all that the keys wrap. Blocks. Harmless when repeated, and when it ends in the middle."""
    done = Rewrapped()
    each: list[tuple[Table, Column[str], Column[bytes], Callable[[str, bytes], bytes | None]]] = [
        (t.encounters, t.encounters.c.id, t.encounters.c.data_key, ring.rewrapped),
        (t.webhooks, t.webhooks.c.id, t.webhooks.c.sealed, lambda name, old: ring.resealed(f"webhook/{name}", old)),
        (t.secrets, t.secrets.c.name, t.secrets.c.sealed, lambda name, old: ring.resealed(f"secret/{name}", old)),
    ]
    after: str | None
    for table, name, sealed, again in each:
        after = ""
        while after is not None:
            after = _batch(engine, table, name, sealed, again, after, done)
    return done


def _batch(
    engine: Engine,
    table: Table,
    name: Column[str],
    sealed: Column[bytes],
    again: Callable[[str, bytes], bytes | None],
    after: str,
    done: Rewrapped,
) -> str | None:
    """The next rows; returns the last one's name, None behind all of them."""
    query = select(name, sealed).where(name > after, sealed.is_not(None)).order_by(name).limit(BATCH)
    with engine.begin() as connection:
        rows = connection.execute(query).all()
        for key, old in rows:
            try:
                new = again(str(key), bytes(old))
            except SealBroken:
                done.broken += 1
                continue
            if new is not None:  # only where nobody has changed or erased it meanwhile
                changed = update(table).where(name == key, sealed == old).values({sealed.name: new})
                done.anew += connection.execute(changed).rowcount
    return str(rows[-1][0]) if len(rows) == BATCH else None
