"""Webhooks, callbacks and the outbox, as SQL."""

import secrets
from collections import Counter
from collections.abc import Collection

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, exists, func, insert, or_, select, update

from server.deliveries.policy import State, Verdict
from server.domain import Callback
from server.errors import NotFound
from server.outgoing import Answer
from server.store import tables as t
from server.store.seal import KeyRing, Seal

AHEAD_S = 300.0  # by which the clocks of processes may differ; whoever checks webhooks allows as much

_encode = msgspec.json.encode


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """What signs."""

    secret: str
    until: float | None = None  # when it stops signing beside a newer one; None: in force


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Where a tenant is told, and what signs."""

    url: str
    secrets: tuple[Secret, ...]

    def signing(self, at: float) -> list[str]:
        """The secrets in force, the newest first."""
        return [each.secret for each in self.secrets if each.until is None or each.until > at]


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery carries, sealed in the store."""

    body: bytes
    url: str | None = None  # None: where the tenant's webhook is by then


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that this process has claimed."""

    id: str
    tenant: str
    encounter: str | None
    dialect: str
    attempts: int  # so far
    created_at: float
    sealed: bytes
    data_key: bytes | None  # of its encounter


class DeliveryLine(msgspec.Struct, frozen=True, kw_only=True):
    """What can be listed of a delivery."""

    id: str
    tenant: str
    encounter: str | None
    dialect: str
    event: str
    state: str
    attempts: int
    created_at: float
    next_at: float
    status: int | None  # of the last attempt
    error: str | None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one attempt to deliver."""

    number: int  # from 1
    at: float  # when it was over
    status: int | None
    error: str | None
    duration_ms: int


# Webhooks


def put_webhook(connection: Connection, keyring: KeyRing, tenant: str, dialect: str, hook: Webhook, at: float) -> None:
    """Set where a tenant is told in a dialect, or change it."""
    c = t.webhooks.c
    mine = [c.tenant_id == tenant, c.dialect == dialect]
    known = connection.execute(select(c.id).where(*mine)).scalar()
    webhook = known or secrets.token_hex(8)
    sealed = keyring.seal(f"webhook/{webhook}", _encode(hook))
    if known is None:
        values = {"id": webhook, "tenant_id": tenant, "dialect": dialect, "sealed": sealed, "created_at": at}
        connection.execute(insert(t.webhooks).values(**values))
    else:
        connection.execute(update(t.webhooks).where(*mine).values(sealed=sealed))


def get_webhook(connection: Connection, keyring: KeyRing, tenant: str, dialect: str) -> Webhook | None:
    """Where a tenant is told in a dialect."""
    c = t.webhooks.c
    query = select(c.id, c.sealed).where(c.tenant_id == tenant, c.dialect == dialect)
    row = connection.execute(query).one_or_none()
    return row and msgspec.json.decode(keyring.open(f"webhook/{row.id}", row.sealed), type=Webhook)


def remove_webhook(connection: Connection, tenant: str, dialect: str) -> bool:
    """Tell a tenant nothing more in a dialect; False where it was told nothing."""
    c = t.webhooks.c
    return bool(connection.execute(delete(t.webhooks).where(c.tenant_id == tenant, c.dialect == dialect)).rowcount)


def webhook_dialects(connection: Connection, tenant: str) -> list[str]:
    """In which dialects a tenant is told."""
    query = select(t.webhooks.c.dialect).where(t.webhooks.c.tenant_id == tenant)
    return [str(row.dialect) for row in connection.execute(query)]


# Callbacks


def put_callback(connection: Connection, seal: Seal, encounter: str, dialect: str, callback: Callback) -> None:
    """One encounter's result is wanted there."""
    sealed = seal.seal(f"callback/{dialect}", _encode(callback))
    connection.execute(insert(t.callbacks).values(encounter_id=encounter, dialect=dialect, sealed=sealed))


def callbacks(connection: Connection, seal: Seal, encounter: str) -> dict[str, Callback]:
    """Where an encounter's result is wanted, by dialect."""
    query = select(t.callbacks.c.dialect, t.callbacks.c.sealed).where(t.callbacks.c.encounter_id == encounter)
    return {
        str(row.dialect): msgspec.json.decode(seal.open(f"callback/{row.dialect}", row.sealed), type=Callback)
        for row in connection.execute(query)
    }


# The outbox


def put(
    connection: Connection, seal: Seal, tenant: str, encounter: str, dialect: str, event: str, parcel: Parcel, at: float
) -> str:
    """A delivery that is due at once; returns its id."""
    delivery = secrets.token_hex(12)
    values = {
        "id": delivery,
        "tenant_id": tenant,
        "encounter_id": encounter,
        "dialect": dialect,
        "event": event,
        "state": State.PENDING,
        "next_at": at,
        "created_at": at,
        "sealed": seal.seal(f"delivery/{delivery}", _encode(parcel)),
    }
    connection.execute(insert(t.deliveries).values(**values))
    return delivery


def has(connection: Connection, encounter: str) -> bool:
    """Whether an encounter's deliveries were put into the outbox before."""
    return bool(connection.execute(select(exists().where(t.deliveries.c.encounter_id == encounter))).scalar())


def claim(connection: Connection, executor: str, at: float, *, most: int, most_per_tenant: int) -> list[Due]:
    """Take deliveries that are due, for this process; of each tenant a few at a time, in all processes together."""
    c = t.deliveries.c
    busy = Counter(
        {
            str(tenant): int(count)
            for tenant, count in connection.execute(
                select(c.tenant_id, func.count())
                .where(c.state == State.PENDING, c.claimed_by != "")
                .group_by(c.tenant_id)
            )
        }
    )
    full = [tenant for tenant, count in busy.items() if count >= most_per_tenant]  # else theirs fill what is looked at
    rank = func.row_number().over(partition_by=c.tenant_id, order_by=c.next_at).label("rank")
    ranked = (
        select(c.id, c.tenant_id, c.next_at, rank)
        .where(c.state == State.PENDING, c.claimed_by == "", _due(at), c.tenant_id.not_in(full))
        .subquery()
    )
    query = select(ranked).where(ranked.c.rank <= most_per_tenant)
    fair = sorted(connection.execute(query), key=lambda row: (busy[row.tenant_id] + row.rank, row.next_at))
    chosen = [row.id for row in fair if busy[row.tenant_id] + row.rank <= most_per_tenant][:most]
    free = select(c.id).where(c.id.in_(chosen), c.claimed_by == "").with_for_update(skip_locked=True)
    mine = [row.id for row in connection.execute(free)]
    connection.execute(update(t.deliveries).where(c.id.in_(mine)).values(claimed_by=executor))
    found = (
        select(
            c.id, c.tenant_id, c.encounter_id, c.dialect, c.attempts, c.created_at, c.sealed, t.encounters.c.data_key
        )
        .outerjoin(t.encounters, t.encounters.c.id == c.encounter_id)
        .where(c.id.in_(mine))
    )
    return [
        Due(
            id=row.id,
            tenant=row.tenant_id,
            encounter=row.encounter_id,
            dialect=row.dialect,
            attempts=row.attempts,
            created_at=row.created_at,
            sealed=row.sealed,
            data_key=row.data_key,
        )
        for row in connection.execute(found)
    ]


def _due(at: float) -> ColumnElement[bool]:
    """Its time has come; or it was set by a clock that was far ahead of this one, so that it may be any time."""
    c, a = t.deliveries.c, t.attempts.c
    last = select(a.at).where(a.delivery_id == c.id, a.number == c.attempts).scalar_subquery()
    return or_(c.next_at <= at, func.coalesce(last, c.created_at) > at + AHEAD_S)


def settle(connection: Connection, executor: str, due: Due, answer: Answer, verdict: Verdict, at: float) -> bool:
    """Record an attempt and what it means; False where the delivery is gone, or another process has it."""
    c = t.deliveries.c
    pending = verdict.state is State.PENDING
    done = connection.execute(
        update(t.deliveries)
        .where(c.id == due.id, c.claimed_by == executor)
        .values(
            state=verdict.state,
            attempts=due.attempts + 1,
            claimed_by="",
            next_at=at + verdict.wait_s,
            created_at=min(due.created_at, at),  # else one from the future would be attempted until then
            ended_at=None if pending else at,
        )
    )
    if not done.rowcount:
        return False
    values = {"at": at, "status": answer.status, "error": answer.error, "duration_ms": answer.duration_ms}
    connection.execute(insert(t.attempts).values(delivery_id=due.id, number=due.attempts + 1, **values))
    return True


def release(connection: Connection, living: Collection[str]) -> int:
    """Give back what processes had claimed that are no more; returns how many."""
    c = t.deliveries.c
    lost = [c.state == State.PENDING, c.claimed_by != "", c.claimed_by.not_in(list(living))]
    return connection.execute(update(t.deliveries).where(*lost).values(claimed_by="")).rowcount


def give_back(connection: Connection, executor: str, kept: Collection[str]) -> None:
    """What a process had claimed is anybody's again, but for what it is at work on."""
    c = t.deliveries.c
    lost = [c.claimed_by == executor, c.id.not_in(list(kept))]
    connection.execute(update(t.deliveries).where(*lost).values(claimed_by=""))


def next_at(connection: Connection, after: float) -> float | None:
    """When, after a time, the next one falls due that nobody is at work on."""
    c = t.deliveries.c
    query = select(func.min(c.next_at)).where(c.state == State.PENDING, c.claimed_by == "", c.next_at > after)
    found = connection.execute(query).scalar()
    return None if found is None else float(found)


def pending(connection: Connection) -> int:
    """How many are still to be delivered."""
    c = t.deliveries.c
    return connection.execute(select(func.count()).where(c.state == State.PENDING)).scalar_one()


def listing(connection: Connection, tenant: str | None, *, dead: bool, most: int = 100) -> list[DeliveryLine]:
    """Deliveries, the newest first."""
    c, a = t.deliveries.c, t.attempts.c
    last = select(a.status, a.error).where(a.delivery_id == c.id, a.number == c.attempts)
    query = select(
        c.id, t.tenants.c.name, c.encounter_id, c.dialect, c.event, c.state, c.attempts, c.created_at, c.next_at,
        last.with_only_columns(a.status).scalar_subquery().label("status"),
        last.with_only_columns(a.error).scalar_subquery().label("error"),
    ).join(t.tenants, t.tenants.c.id == c.tenant_id)  # fmt: skip
    if tenant is not None:
        query = query.where(c.tenant_id == tenant)
    if dead:
        query = query.where(c.state == State.DEAD)
    return [
        DeliveryLine(
            id=row.id,
            tenant=row.name,
            encounter=row.encounter_id,
            dialect=row.dialect,
            event=row.event,
            state=row.state,
            attempts=row.attempts,
            created_at=row.created_at,
            next_at=row.next_at,
            status=row.status,
            error=row.error,
        )
        for row in connection.execute(query.order_by(c.created_at.desc()).limit(most))
    ]


def attempts(connection: Connection, delivery: str) -> list[Attempt]:
    """All attempts of a delivery, in order. Raises `NotFound`."""
    if connection.execute(select(t.deliveries.c.id).where(t.deliveries.c.id == delivery)).one_or_none() is None:
        raise _no_delivery(delivery)
    query = select(t.attempts).where(t.attempts.c.delivery_id == delivery).order_by(t.attempts.c.number)
    return [
        Attempt(number=row.number, at=row.at, status=row.status, error=row.error, duration_ms=row.duration_ms)
        for row in connection.execute(query)
    ]


def redeliver(connection: Connection, at: float, *, delivery: str | None, tenant: str | None) -> int:
    """Have one delivery, or all dead ones (of a tenant), attempted anew; returns how many. Raises `NotFound`."""
    c = t.deliveries.c
    wanted = [c.id == delivery] if delivery is not None else [c.state == State.DEAD]
    if tenant is not None:
        wanted.append(c.tenant_id == tenant)
    values = {"state": State.PENDING, "next_at": at, "created_at": at, "ended_at": None}
    count = connection.execute(update(t.deliveries).where(*wanted, c.claimed_by == "").values(**values)).rowcount
    if delivery is not None and not count:
        raise _no_delivery(delivery)
    return count


def _no_delivery(delivery: str) -> NotFound:
    return NotFound(f"There is no delivery with the id {delivery}: `auscult webhooks list --deliveries` shows them.")
