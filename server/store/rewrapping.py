"""What is sealed under the server's keys, sealed anew under the newest one: in batches, while servers run."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec
from sqlalchemy import Column, Engine, Table, and_, select, tuple_, update

from server.store import tables as t
from server.store.seal import KeyRing, SealBroken

BATCH = 200  # rows in one transaction

Name: TypeAlias = tuple[str, ...]
"""A row's primary key."""

Again: TypeAlias = Callable[[Name, bytes], bytes | None]
"""A row's name and what is sealed in it → the same, sealed anew; None where it is."""


class Rewrapped(msgspec.Struct, kw_only=True):
    """What a pass came to."""

    anew: int = 0
    broken: int = 0  # open under none of the keys; they did not before, either


def rewrap(engine: Engine, ring: KeyRing) -> Rewrapped:
    """One pass over all that the keys wrap. Blocks. Harmless when repeated, and when it ends in the middle."""
    done = Rewrapped()

    def resealed(place: str) -> Again:
        return lambda name, old: ring.resealed("/".join((place, *name)), old)

    each: list[tuple[Table, Column[bytes], Again]] = [
        (t.encounters, t.encounters.c.data_key, lambda name, old: ring.rewrapped(name[0], old)),
        (t.webhooks, t.webhooks.c.sealed, resealed("webhook")),
        (t.secrets, t.secrets.c.sealed, resealed("secret")),
        (t.glossaries, t.glossaries.c.sealed, resealed("glossary")),
        (t.patient_contexts, t.patient_contexts.c.sealed, resealed("patient-context")),
    ]
    after: Name | None
    for table, sealed, again in each:
        after = tuple("" for _ in table.primary_key.columns)
        while after is not None:
            after = _batch(engine, table, sealed, again, after, done)
    return done


def _batch(
    engine: Engine,
    table: Table,
    sealed: Column[bytes],
    again: Again,
    after: Name,
    done: Rewrapped,
) -> Name | None:
    """The next rows; returns the last one's name, None behind all of them."""
    names = list(table.primary_key.columns)
    later = tuple_(*names) > tuple_(*after)
    query = select(*names, sealed).where(later, sealed.is_not(None)).order_by(*names).limit(BATCH)
    with engine.begin() as connection:
        rows = connection.execute(query).all()
        for *key, old in rows:
            try:
                new = again(tuple(map(str, key)), bytes(old))
            except SealBroken:
                done.broken += 1
                continue
            if new is not None:  # only where nobody has changed or erased it meanwhile
                same = and_(sealed == old, *(name == part for name, part in zip(names, key, strict=True)))
                changed = update(table).where(same).values({sealed.name: new})
                done.anew += connection.execute(changed).rowcount
    return tuple(map(str, rows[-1][:-1])) if len(rows) == BATCH else None
