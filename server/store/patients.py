"""What clients know of patients whom they name in several requests, as SQL. Sealed under the server's key."""

import msgspec
from sqlalchemy import Connection, delete, exists, insert, select, update

from server.errors import NotFound
from server.intake import Patient
from server.store import tables as t
from server.store.seal import KeyRing


class PatientUnknown(NotFound):
    """Patient context not found"""


class PatientContext(msgspec.Struct, frozen=True, kw_only=True):
    """A patient, as far as a client says."""

    external_id: str  # the client's own
    group: str
    patient: Patient = Patient()
    changed_at: float = 0.0


class StoredContext(msgspec.Struct, frozen=True, kw_only=True):
    """A patient's context under its id."""

    id: str
    context: PatientContext
    created_at: float


def place(tenant: str, context_id: str) -> str:
    """What a context's seal is bound to."""
    return f"patient-context/{tenant}/{context_id}"


def put(connection: Connection, ring: KeyRing, tenant: str, context_id: str, context: PatientContext) -> StoredContext:
    """From now on this is known of the patient."""
    c = t.patient_contexts.c
    at, mine = context.changed_at, (c.tenant_id == tenant, c.id == context_id)
    sealed = ring.seal(place(tenant, context_id), msgspec.json.encode(context))
    created_at = connection.execute(select(c.created_at).where(*mine)).scalar()
    if created_at is None:
        values = {"tenant_id": tenant, "id": context_id, "sealed": sealed, "created_at": at, "updated_at": at}
        connection.execute(insert(t.patient_contexts).values(**values))
    else:
        connection.execute(update(t.patient_contexts).where(*mine).values(sealed=sealed, updated_at=at))
    return StoredContext(id=context_id, context=context, created_at=at if created_at is None else created_at)


def get(connection: Connection, ring: KeyRing, tenant: str, context_id: str) -> StoredContext:
    """What is known of a patient. Raises `PatientUnknown`, `SealBroken`."""
    c = t.patient_contexts.c
    query = select(c.sealed, c.created_at).where(c.tenant_id == tenant, c.id == context_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise PatientUnknown
    context = msgspec.json.decode(ring.open(place(tenant, context_id), row.sealed), type=PatientContext)
    return StoredContext(id=context_id, context=context, created_at=row.created_at)


def used(connection: Connection, tenant: str, context_id: str, at: float) -> None:
    """It is needed still."""
    c = t.patient_contexts.c
    mine = (c.tenant_id == tenant, c.id == context_id)
    connection.execute(update(t.patient_contexts).where(*mine).values(updated_at=at))


def remove(connection: Connection, tenant: str, context_id: str) -> None:
    """Delete what is known of a patient. Raises `PatientUnknown`."""
    c = t.patient_contexts.c
    if not connection.execute(delete(t.patient_contexts).where(c.tenant_id == tenant, c.id == context_id)).rowcount:
        raise PatientUnknown


def has_unused(connection: Connection, tenant: str, before: float) -> bool:
    """Whether there is what was not used since a time."""
    c = t.patient_contexts.c
    return bool(connection.execute(select(exists().where(c.tenant_id == tenant, c.updated_at < before))).scalar())


def remove_unused(connection: Connection, tenant: str, before: float) -> int:
    """Delete what was not used since a time; returns how many."""
    c = t.patient_contexts.c
    return connection.execute(delete(t.patient_contexts).where(c.tenant_id == tenant, c.updated_at < before)).rowcount
