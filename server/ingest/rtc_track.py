"""One audio track of a connection: packets in from the network, audio out when its owner asks. No tasks, no clock.

Between the two is a bounded queue of packets, not of audio: a reader that is stuck costs a few kilobytes a second, and
what is dropped (the oldest) becomes silence of its length when the rest is decoded.
"""

from collections import deque
from collections.abc import Callable, Sequence

from server.ingest.jitter import Jitter, Packet, gap_ticks
from server.ingest.rtp_audio import RtpAudio

QUEUE_PACKETS = 1_500  # 30 s of 20 ms packets, about 200 kB
BATCH_TICKS = 2_880  # 60 ms: three packets are handed on together, a third of the work of one by one
PIECE_PACKETS = 50  # decoded at a time when many wait, so that the event loop is not held up


class Track:
    """Packets of one track, in order and bounded."""

    def __init__(
        self, streams: tuple[int, ...], *, jitter_packets: int, max_gap: int | None, wake: Callable[[], None]
    ) -> None:
        """`max_gap`: longest gap (ticks of 48 kHz) that becomes silence; behind a longer one nothing is taken."""
        self.streams = streams
        self.last_s: float | None = None  # when something last came
        self.interrupted = False  # its owner was told so
        self.broken = False  # by a gap that is too long
        self.received = self.dropped = 0  # packets
        self.jitter = Jitter(jitter_packets)
        self.audio: RtpAudio | None = None
        self._left = False  # the sender has said goodbye, and sent nothing since
        self._queue: deque[Packet] = deque()
        self._taken: Packet | None = None  # the last
        self._max_gap = max_gap
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
        packets: list[Packet] = []
        while self._queue and len(packets) < PIECE_PACKETS and not self._breaks(self._queue[0]):
            self._taken = self._queue.popleft()
            packets.append(self._taken)
        return packets

    def release(self) -> None:
        """Nothing more is expected at present: hand on what waits behind a gap."""
        self._append(self.jitter.flush())

    def _breaks(self, packet: Packet) -> bool:
        if self._max_gap is not None and self._taken is not None:
            self.broken = self.broken or gap_ticks(self._taken, packet) > self._max_gap
        return self.broken

    def _append(self, packets: Sequence[Packet]) -> None:
        self._queue.extend(packets)
        while len(self._queue) > QUEUE_PACKETS:
            self._queue.popleft()
            self.dropped += 1
        taken = 0 if self._taken is None else self._taken.timestamp
        if packets and (self.interrupted or (packets[-1].timestamp - taken) % (1 << 32) >= BATCH_TICKS):
            self._wake()
