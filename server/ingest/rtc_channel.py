"""A data channel that carries text to the peer, with a bound on what it has not taken yet."""

import anyio
from aiortc import InvalidStateError, RTCDataChannel

from server.ingest.rtc_errors import ChannelGone

FULL_BYTES = 256 * 1024  # the sender waits from here on
LOW_BYTES = 64 * 1024  # until the peer has taken all but this


class TextChannel:
    """Text to the peer, once it has opened the channel."""

    def __init__(self) -> None:
        self.opened = anyio.Event()
        self._gone = False
        self._channel: RTCDataChannel | None = None
        self._changed = anyio.Event()

    def open(self, channel: RTCDataChannel) -> None:
        """The peer has opened it; a second one is not used."""
        if self._channel is not None or self._gone:
            return
        self._channel = channel
        channel.bufferedAmountLowThreshold = LOW_BYTES
        channel.on("bufferedamountlow", self._changed_now)
        channel.on("close", self.lose)
        self.opened.set()

    async def send(self, text: str) -> None:
        """Send a message, and wait while the peer is behind; how long is up to the caller. Raises: `ChannelGone`."""
        channel = self._channel
        while channel is not None and not self._gone and channel.bufferedAmount > FULL_BYTES:
            self._changed = anyio.Event()
            await self._changed.wait()
        if channel is None or self._gone:
            raise ChannelGone
        try:
            channel.send(text)
        except (InvalidStateError, ConnectionError) as exc:
            raise ChannelGone from exc

    def lose(self) -> None:
        """It is closed."""
        self._gone = True
        self._changed_now()

    def _changed_now(self) -> None:
        self._changed.set()
