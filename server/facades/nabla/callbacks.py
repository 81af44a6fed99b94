"""What Nabla's customers are told: `callback_url` of one request, unsigned; and webhooks, signed.

Webhooks: https://docs.nabla.com/webhook/setup-webhooks (vendor-contracts §1.4). OPEN points are in the README.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid5

import msgspec

from server.deliveries.dialect import Message
from server.domain import EncounterView
from server.facades.nabla import rest_b, rest_c
from server.facades.nabla import schema_rest as wire
from server.facades.nabla.asked import API, Kind, asked_of, request_id

EVENT_NAMESPACE = UUID("0f1c8a52-6d0e-4b7e-9d53-52c1d1d3a7e4")  # ours


class NablaDialect:
    """See `server.deliveries.dialect.Dialect`."""

    name = API

    def foreseen(self, view: EncounterView) -> EncounterView:
        """The same: nothing takes long."""
        return view

    def completed(self, view: EncounterView, extra: Mapping[str, str]) -> Message | None:
        """The result, where its client named an address for it (`extra`); webhooks are told of notes alone."""
        asked = asked_of(view)
        if asked is None:
            return None
        if extra:
            told = rest_b.told(view, asked)
            ended = "succeeded" if told.code is None else "failed"
            return Message(event=f"{asked.kind}.{ended}", body=msgspec.json.encode(told))
        if asked.kind is not Kind.NOTE_ASYNC:
            return None
        event = f"{asked.kind}.{'succeeded' if rest_b.status(view) == 'succeeded' else 'failed'}"
        job = rest_c.job(view, asked) if asked.generation == "C" else rest_b.job(view, asked)
        return _event(event, request_id(view.row.id), view.row.completed_at or view.row.created_at, job)

    def test(self, at: float) -> Message:
        """Nothing but that it works."""
        return _event("test", str(at), at, None)

    def headers(self, secrets: Sequence[str], delivery: str, at: float, body: bytes) -> dict[str, str]:
        """The time and, over the time followed by the body, a signature with each secret."""
        headers = {"Idempotency-Key": delivery}  # ours
        if secrets:
            stamp = _iso(at)
            headers["X-Nabla-Webhook-Timestamp"] = stamp
            headers["X-Nabla-Webhook-Signature"] = ",".join(
                hmac.new(secret.encode(), stamp.encode() + body, hashlib.sha256).hexdigest() for secret in secrets
            )
        return headers


def _event(name: str, about: str, at: float, job: wire.NoteJob | wire.NoteJobC | None) -> Message:
    event = wire.WebhookEvent(
        id=str(uuid5(EVENT_NAMESPACE, f"{about}/{name}")), created_at=_iso(at), type=name, data=job
    )
    return Message(event=name, body=msgspec.json.encode(event))


def _iso(at: float) -> str:
    """Seconds since 1970 → "2026-01-31T10:30:00.123Z"."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
