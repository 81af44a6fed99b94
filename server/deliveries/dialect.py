"""The port of those who speak to others' servers: what a façade's webhooks and callbacks look like."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from server.domain import EncounterView


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is told: the same bytes on every attempt."""

    event: str  # its name, for the operator's eyes
    body: bytes


class Dialect(Protocol):
    """One façade's way to speak. Pure."""

    name: str

    def foreseen(self, view: EncounterView) -> EncounterView:
        """The same with what takes long to work out of it, so that `completed` is quick: a transaction waits for it."""
        ...

    def completed(self, view: EncounterView, extra: Mapping[str, str]) -> Message | None:
        """That an encounter is over; None where this façade tells nobody of it. `extra`: what its client asked for."""
        ...

    def test(self, at: float) -> Message:
        """What a test sends."""
        ...

    def headers(self, secrets: Sequence[str], delivery: str, at: float, body: bytes) -> dict[str, str]:
        """Of one attempt: signatures with every secret in force (none: unsigned), and the idempotency key."""
        ...
