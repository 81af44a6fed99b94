"""Audio packets as the network delivers them → in order, each once. Pure: no clock, no sockets.

What comes is handed on, not played, so a packet in its turn passes at once; only behind a gap packets wait, at most
`depth` of them, for the missing one. A lost packet therefore costs only itself, reordering within the depth is mended,
and the delay cannot grow.

Source: RFC 3550 §A.1 for when a jump means that the sender began anew.
"""

from collections.abc import Sequence
from typing import NamedTuple

MAX_DROPOUT = 3_000  # packets; RFC 3550 §A.1
MAX_MISORDER = 100  # packets; RFC 3550 §A.1
WAIT_PER_PACKET = (
    2_880  # ticks of 48 kHz (60 ms): packets of a silent sender are rare, so the wait is bounded in time too
)
HALF_WRAP, WRAP = 0x8000, 0x1_0000


class Packet(NamedTuple):
    """One audio packet of RTP."""

    ssrc: int
    sequence_number: int  # 16 bits
    timestamp: int  # 32 bits, at 48 kHz
    payload: bytes
    arrived_s: float  # on any steady clock


def gap_ticks(before: Packet, after: Packet) -> int:
    """How much audio a sender sent between two packets that follow each other here; ticks of 48 kHz.

    Nothing where it only sent none, or began anew: numbers count packets, timestamps samples (RFC 3550 §5.1).
    """
    steps = (after.sequence_number - before.sequence_number) % WRAP
    if after.ssrc != before.ssrc or not 1 < steps <= MAX_DROPOUT:
        return 0
    return (after.timestamp - before.timestamp) % (1 << 32) * (steps - 1) // steps


class Jitter:
    """Puts the packets of one track in order. `lost` and `discarded` count packets, `restarts` new beginnings."""

    def __init__(self, depth: int = 3) -> None:
        self.lost = 0  # given up
        self.discarded = 0  # came twice, too late, or from nowhere
        self.restarts = 0
        self._depth = depth
        self._ssrc: int | None = None
        self._next = 0  # sequence number that is due
        self._held: dict[int, Packet] = {}  # by distance from `_next`'s own counting, which does not wrap
        self._stray: Packet | None = None  # may be the first of a sender that began anew

    @property
    def held(self) -> int:
        """How many packets wait for a missing one."""
        return len(self._held)

    def push(self, packet: Packet) -> Sequence[Packet]:
        """A packet came: those whose turn it is now."""
        if packet.ssrc != self._ssrc:
            return self._foreign(packet)
        ahead = (packet.sequence_number - self._next + HALF_WRAP) % WRAP - HALF_WRAP
        if ahead == 0 and not self._held:
            self._next += 1
            return (packet,)
        if not -MAX_MISORDER <= ahead <= MAX_DROPOUT:
            return self._foreign(packet)
        turn = self._next + ahead
        if ahead < 0 or turn in self._held:
            self.discarded += 1
            return ()
        self._held[turn] = packet
        return self._release()

    def flush(self) -> Sequence[Packet]:
        """Those that still wait: nothing more is expected before them."""
        released = [self._held.pop(turn) for turn in sorted(self._held)]
        if released:
            gone = (released[-1].sequence_number - self._next) % WRAP + 1
            self.lost += gone - len(released)
            self._next += gone
        return released

    def _release(self) -> Sequence[Packet]:
        released: list[Packet] = []
        while self._held:
            if self._next in self._held:
                released.append(self._held.pop(self._next))
                self._next += 1
            elif self._patient():
                break
            else:
                turn = min(self._held)
                self.lost += turn - self._next
                self._next = turn
        return released

    def _patient(self) -> bool:
        if len(self._held) > self._depth:
            return False
        first, last = self._held[min(self._held)], self._held[max(self._held)]
        return (last.timestamp - first.timestamp) % (1 << 32) <= self._depth * WAIT_PER_PACKET

    def _foreign(self, packet: Packet) -> Sequence[Packet]:
        """Two packets in a row that do not fit are a new beginning; one alone has strayed."""
        stray, self._stray = self._stray, packet
        if self._ssrc is None:
            stray = packet  # the very first
        elif stray is None:
            return ()
        elif (
            stray.ssrc != packet.ssrc
            or not 0 < (packet.sequence_number - stray.sequence_number) % WRAP <= self._depth + 1
        ):
            self.discarded += 1
            return ()
        else:
            self.restarts += 1
        released = self.flush()
        self._ssrc, self._next, self._stray = packet.ssrc, stray.sequence_number, None
        began = self.push(stray)
        return [*released, *began, *(self.push(packet) if packet is not stray else ())]
