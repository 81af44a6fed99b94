"""One audio track of a connection: packets in from the network, audio out when its owner asks. No tasks, no clock.

Between the two is a bounded queue of packets, not of audio: a reader that is stuck costs a few kilobytes a second, and
what is dropped (the oldest) becomes silence of its length when the rest is decoded.
"""

from collections import deque
from collections.abc import Callable, Sequence

from server.ingest.jitter import Jitter, Packet
from server.ingest.rtp_audio import RtpAudio

QUEUE_PACKETS = 1_500  # 30 s of 20 ms packets, about 200 kB
BATCH_TICKS = 2_880  # 60 ms: three packets are handed on together, a third of the work of one by one
PIECE_PACKETS = 50  # decoded at a time when many wait, so that the event loop is not held up


class Track:
    """Packets of one track, in order and bounded."""

    def __init__(self, streams: tuple[int, ...], *, jitter_packets: int, wake: Callable[[], None]) -> None:
        self.streams = streams
        self.last_s: float | None = None  # when something last came
        self.interrupted = False  # its owner was told so
        self.received = self.dropped = 0  # packets
        self.jitter = Jitter(jitter_packets)
        self.audio: RtpAudio | None = None
        self._left = False  # the sender has said goodbye, and sent nothing since
        self._queue: deque[Packet] = deque()
        self._taken = 0  # timestamp of the last packet that was taken
        self._wake = wake

    def push(self, packet: Packet) -> None:
        """A packet came."""
        self.received += 1
        self.last_s = packet.arrived_s
        self._left = False
        released = self.jitter.push(packet)
        if released:
            self._append(released)

    def leave(self) -> None:
        """The sender says goodbye; it may come back."""
        if self.received:
            self._left = True
            self._wake()

    def is_silent(self, now: float, timeout_s: float) -> bool:
        """Whether it was lost: nothing came for so long, or it said goodbye."""
        return self._left or (self.last_s is not None and now - self.last_s >= timeout_s)

    def take(self) -> list[Packet]:
        """Packets that wait, in order, at most so many as are decoded at a time."""
        packets = [self._queue.popleft() for _ in range(min(len(self._queue), PIECE_PACKETS))]
        if packets:
            self._taken = packets[-1].timestamp
        return packets

    def release(self) -> None:
        """Nothing more is expected at present: hand on what waits behind a gap."""
        self._append(self.jitter.flush())

    def _append(self, packets: Sequence[Packet]) -> None:
        self._queue.extend(packets)
        while len(self._queue) > QUEUE_PACKETS:
            self._queue.popleft()
            self.dropped += 1
        if packets and (self.interrupted or (packets[-1].timestamp - self._taken) % (1 << 32) >= BATCH_TICKS):
            self._wake()
