"""A receiver of our webhooks, for whoever compares what was told with what happened."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from bench.receiver import Receiver, receiving


@dataclass(frozen=True, kw_only=True)
class Hook:
    """One request."""

    id: str
    encounter: str
    body: bytes
    at: float  # by the event loop's clock


class _Data(msgspec.Struct):
    encounter_id: str


class _Told(msgspec.Struct):
    data: _Data


@dataclass(frozen=True, kw_only=True)
class WebhookSink:
    """See the module."""

    receiver: Receiver

    @property
    def url(self) -> str:
        return self.receiver.url

    @property
    def got(self) -> list[Hook]:
        """Everything so far."""
        return [
            Hook(
                id=got.headers["webhook-id"],
                encounter=msgspec.json.decode(got.body, type=_Told).data.encounter_id,
                body=got.body,
                at=got.at,
            )
            for got in self.receiver.got
        ]

    async def until(self, encounters: set[str]) -> None:
        """Wait until all of these were told."""
        async with self.receiver.came:
            await self.receiver.came.wait_for(lambda: encounters <= {hook.encounter for hook in self.got})


@asynccontextmanager
async def webhook_sink() -> AsyncIterator[WebhookSink]:
    """A sink on loopback while the block lasts."""
    async with receiving() as receiver:
        yield WebhookSink(receiver=receiver)
