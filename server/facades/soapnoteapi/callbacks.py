"""SOAPNoteAPI's webhooks. What is signed is open on the vendor's pages: timestamp, a point, and the body (README)."""

import hmac
from collections.abc import Mapping, Sequence

import msgspec

from pipeline.notes.beside.coding import NO_PROCEDURES
from server.deliveries.dialect import Message
from server.domain import EncounterView
from server.facades.soapnoteapi import convert, schema


class SoapNoteDialect:
    """See `server.deliveries.dialect.Dialect`."""

    name = convert.API

    def __init__(self, procedures: Mapping[str, str] = NO_PROCEDURES) -> None:
        """`procedures`: the operator's CPT codes."""
        self._procedures = procedures

    def foreseen(self, view: EncounterView) -> EncounterView:
        """With billing codes and the patient's summary, where the note is to have them."""
        return convert.foreseen(view, self._procedures) if _is_told(view) else view

    def completed(self, view: EncounterView, extra: Mapping[str, str]) -> Message | None:
        """`note.generated` with the whole note, or `note.failed`; nothing of notes that were made of text."""
        row = view.row
        if not _is_told(view):
            return None
        failed = convert.failure(view)
        told = schema.Notification(
            event="note.generated" if failed is None else "note.failed",
            note_id=row.id,
            status=convert.COMPLETED if failed is None else convert.FAILED,
            created_at=convert.timestamp(row.completed_at or row.created_at),
        )
        if failed is None:
            told.data = convert.note(view, self._procedures)
        else:
            told.message = failed.message
        return Message(event=told.event, body=msgspec.json.encode(told))

    def test(self, at: float) -> Message:
        """Nothing but that it works."""
        told = schema.TestNotification(created_at=convert.timestamp(at), data={"message": "This is a test event."})
        return Message(event=told.event, body=msgspec.json.encode(told))

    def headers(self, secrets: Sequence[str], delivery: str, at: float, body: bytes) -> dict[str, str]:
        """The newest secret's signature; while an older one is still in force, its own beside it."""
        stamp = str(int(at))
        headers = {"X-SoapNoteAPI-Timestamp": stamp, "Idempotency-Key": delivery}
        signatures = ("X-SoapNoteAPI-Signature", "X-SoapNoteAPI-Previous-Signature")
        for name, secret in zip(signatures, secrets, strict=False):
            headers[name] = hmac.new(secret.encode(), f"{stamp}.".encode() + body, "sha256").hexdigest()
        return headers


def _is_told(view: EncounterView) -> bool:
    return view.row.options.api == convert.API and view.row.options.recording
