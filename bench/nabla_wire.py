"""Our own server's protocol as `bench.calls` speaks it: Nabla's socket with one stream, whoever may be heard in it."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import msgspec

from bench.calls import Endpoint, Frame
from bench.clients import LISTEN, SUB_PROTOCOL, Received
from bench.playing import finals_of
from bench.score import Final
from bench.wires import AudioChunk, End, ListenConfig, Message, Stream, TranscriptItem
from pipeline.types import Role

STREAM = "microphone"
CONFIG = ListenConfig(streams=[Stream(id=STREAM)], output_objects=("transcript_item",))

_MESSAGES: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def endpoint(base_url: str, key: str) -> Endpoint:
    """Where a server of ours takes calls."""
    return Endpoint(
        url=base_url.replace("http", "ws", 1) + LISTEN,
        headers={"Authorization": f"Bearer {key}"},
        subprotocol=SUB_PROTOCOL,
    )


@dataclass(slots=True, kw_only=True, eq=False)
class NablaWire:
    """Items in the order of their starts. A refusal is told by the close code alone, after the audio has begun."""

    tells_end: ClassVar[bool] = True  # it closes
    ready: bool = True
    refused: bool = False
    ended: bool = False
    _received: list[Received] = field(default_factory=list)
    _items: dict[str, TranscriptItem] = field(default_factory=dict)  # by id, as they were told last

    @property
    def text(self) -> str:
        return " ".join(item.text for item in self._ordered() if item.text)

    @property
    def settled(self) -> str:
        return " ".join(item.text for item in self._ordered() if item.text and item.is_final)

    @property
    def finals(self) -> Sequence[Final]:
        """Nobody in particular spoke them: an excerpt is judged by its words and times alone."""
        return [replace(final, role=Role.UNSPECIFIED) for final in finals_of(self._received, 0.0)]

    def opening(self) -> Sequence[Frame]:
        return [msgspec.json.encode(CONFIG).decode()]

    def packet(self, audio: bytes) -> Frame:
        return msgspec.json.encode(AudioChunk(payload=b64encode(audio).decode(), stream_id=STREAM)).decode()

    def closing(self) -> Sequence[Frame]:
        return [msgspec.json.encode(End()).decode()]

    def receive(self, frame: Frame, at_ms: float) -> None:
        message = _MESSAGES.decode(frame)
        self._received.append(Received(at=at_ms / 1000, message=message))
        if isinstance(message, TranscriptItem):
            self._items[message.id] = message

    def _ordered(self) -> list[TranscriptItem]:
        return sorted(self._items.values(), key=lambda item: item.start_offset_ms)
