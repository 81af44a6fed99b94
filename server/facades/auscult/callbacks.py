"""Our own webhooks: Standard Webhooks (https://www.standardwebhooks.com), the specification's symmetric scheme."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence

import msgspec

from server.deliveries.dialect import Message
from server.domain import EncounterView, State
from server.facades.auscult import convert, schema

SECRET_PREFIX = "whsec_"


class AuscultDialect:
    """See `server.deliveries.dialect.Dialect`."""

    name = "auscult"

    def foreseen(self, view: EncounterView) -> EncounterView:
        """The same: nothing takes long."""
        return view

    def completed(self, view: EncounterView, extra: Mapping[str, str]) -> Message:
        """The encounter with its transcript and note, as `GET /api/encounters/{id}` shows it."""
        event = "encounter.failed" if view.row.state is State.FAILED else "encounter.completed"
        at = view.row.completed_at or view.row.created_at
        told = schema.Notification(type=event, timestamp=convert.timestamp(at), data=convert.encounter(view))
        return Message(event=event, body=msgspec.json.encode(told))

    def test(self, at: float) -> Message:
        """Nothing but that it works."""
        told = schema.TestNotification(timestamp=convert.timestamp(at))
        return Message(event=told.type, body=msgspec.json.encode(told))

    def headers(self, secrets: Sequence[str], delivery: str, at: float, body: bytes) -> dict[str, str]:
        """Id, time and signatures over both and the body."""
        stamp = str(int(at))
        signed = f"{delivery}.{stamp}.".encode() + body
        headers = {"Webhook-Id": delivery, "Webhook-Timestamp": stamp, "Idempotency-Key": delivery}
        if secrets:
            headers["Webhook-Signature"] = " ".join(f"v1,{_signature(secret, signed)}" for secret in secrets)
        return headers


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
