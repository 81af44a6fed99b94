"""Patients whom clients name in several requests: what is known of them goes into what is known of each encounter."""

import hmac
import re
from collections.abc import Callable
from functools import partial

import msgspec
import structlog
from sqlalchemy import Connection

from server.access import Action, record
from server.domain import Caller, Scope
from server.errors import Forbidden
from server.intake import NOTHING, Intake
from server.store import patients as sql
from server.store.database import Reader
from server.store.patients import PatientContext as PatientContext
from server.store.patients import PatientUnknown as PatientUnknown
from server.store.patients import StoredContext as StoredContext
from server.store.seal import KeyRing, SealBroken
from server.store.writer import Writer

log = structlog.get_logger()

ID_DIGITS = 24  # hexadecimal: 96 bits, so that no two patients meet
CONTEXT_ID = re.compile(rf"ctx_[0-9a-f]{{{ID_DIGITS}}}")
UNKNOWN = "unknown_patient_context"  # in what only façades read: the client named one that is not there


class Patients:
    """See the module. One per process."""

    def __init__(self, reader: Reader, writer: Writer, keyring: KeyRing, now: Callable[[], float]) -> None:
        self._reader = reader
        self._writer = writer
        self._keyring = keyring
        self._now = now
        self._secret = b""
        self.erasures = 0  # how often something was erased here

    def use(self, secret: bytes) -> None:
        """What ids are made with, before the first request comes: nobody else can tell from one whose it is."""
        self._secret = secret

    async def put(self, caller: Caller, context: PatientContext) -> StoredContext:
        """Store what is known of a patient; the same patient of the same group keeps its id. Raises `Forbidden`."""
        self._require_key(caller)
        at = self._now()
        known = msgspec.structs.replace(context, changed_at=at)
        context_id = self._id(caller.tenant_id, context)

        def operation(connection: Connection) -> StoredContext:
            record(connection, caller, Action.PATIENT, None, at)
            return sql.put(connection, self._keyring, caller.tenant_id, context_id, known)

        return await self._writer.write(operation)

    async def get(self, caller: Caller, context_id: str) -> StoredContext:
        """What is known of a patient. Raises `PatientUnknown`, `Forbidden`."""
        self._require_key(caller)
        self._check(context_id)
        found = await self._reader.read(partial(self._get, tenant=caller.tenant_id, context_id=context_id))
        await self._writer.write(
            partial(record, caller=caller, action=Action.READ_PATIENT, encounter=None, at=self._now())
        )
        return found

    async def delete(self, caller: Caller, context_id: str) -> None:
        """Erase what is known of a patient; encounters keep what they were opened with. Raises as `get`."""
        self._require_key(caller)
        self._check(context_id)

        def operation(connection: Connection) -> None:
            sql.remove(connection, caller.tenant_id, context_id)
            record(connection, caller, Action.ERASE_PATIENT, None, self._now())

        await self._writer.write(operation)
        self.erasures += 1

    async def intake(self, caller: Caller, context_id: str | None) -> Intake:
        """What is known of an encounter whose client names a patient: with `UNKNOWN` in it, where nothing is."""
        if context_id is None:
            return NOTHING
        try:
            self._check(context_id)
            found = await self._reader.read(partial(self._get, tenant=caller.tenant_id, context_id=context_id))
        except PatientUnknown:
            return Intake(extra={UNKNOWN: True})
        except SealBroken:  # a key is missing: what is said can be written down all the same
            log.error("patient_context.broken")
            return Intake(extra={UNKNOWN: True})
        used = partial(sql.used, tenant=caller.tenant_id, context_id=context_id, at=self._now())
        await self._writer.write(used)
        return Intake(patient=found.context.patient)

    async def forget(self, tenant: str, before: float) -> None:
        """Erase what was neither changed nor used since a time."""
        if await self._reader.read(partial(sql.has_unused, tenant=tenant, before=before)):  # else nothing is written
            self.erasures += await self._writer.write(partial(sql.remove_unused, tenant=tenant, before=before))

    def _get(self, connection: Connection, tenant: str, context_id: str) -> StoredContext:
        return sql.get(connection, self._keyring, tenant, context_id)

    def _id(self, tenant: str, context: PatientContext) -> str:
        whose = msgspec.json.encode((tenant, context.group, context.external_id))
        return f"ctx_{hmac.digest(self._secret, whose, 'sha256').hex()[:ID_DIGITS]}"

    @staticmethod
    def _check(context_id: str) -> None:
        if not CONTEXT_ID.fullmatch(context_id):
            raise PatientUnknown

    @staticmethod
    def _require_key(caller: Caller) -> None:
        if caller.scope is not Scope.ALL:
            raise Forbidden("A token reads and writes no patients: use an API key.")
