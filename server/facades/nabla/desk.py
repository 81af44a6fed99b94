"""What every conversation works with."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from server.encounters import Encounters
from server.facades.nabla import schema
from server.ingest.websocket import Socket
from server.live import LiveEncounter
from server.metrics import Metrics
from server.replays import Replays

Connection: TypeAlias = Socket[schema.ClientMessage]


class SocketLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one socket may do."""

    max_message_bytes: int
    max_streams: int
    config_timeout_s: float
    stream_silence_timeout_s: float
    send_timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Desk:
    """See the module."""

    encounters: Encounters
    replays: Replays
    metrics: Metrics
    limits: SocketLimits
    told: MutableMapping[LiveEncounter, int]  # finals of each session that its sockets were told
