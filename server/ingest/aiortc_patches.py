"""The four places where aiortc and aioice have no hook, mended one connection at a time; nothing is changed at import.

Written against aiortc 1.16 and aioice 0.13, whose private names are used here and nowhere else.
"""

import asyncio
import itertools
import random
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, server_reflexive_candidate
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpTransceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket, RtpPacket

from server.ingest.jitter import Packet
from server.ingest.rtp_audio import RTP_HZ

REPORT_S = 1.0  # between two receiver reports; aiortc's own are 0.5 to 1.5 s apart
RECEIVE_BUFFER_BYTES = 256 * 1024  # some seconds of packets, should the event loop be busy
GATHER_TIMEOUT_S = 5  # aioice's own, for STUN and TURN servers

PacketSink = Callable[[Packet], None]


def take_packets(transceiver: RTCRtpTransceiver, packets: PacketSink, goodbye: Callable[[], None]) -> None:
    """Patch 1: give the track's packets to us, before the connection has started.

    aiortc's own receiver has a jitter buffer that throws away four good packets with each lost one, a decoder thread
    for each track, and two queues without a bound.
    """
    receiver = AudioReceiver(transceiver.receiver.transport, packets, goodbye)
    assert transceiver.sender._ssrc is not None
    receiver._set_rtcp_ssrc(transceiver.sender._ssrc)
    transceiver._RTCRtpTransceiver__receiver = receiver  # type: ignore[attr-defined]


def receive_on(connection: Connection, chosen: Sequence[str], ports: range) -> None:
    """Patch 2: gather on chosen addresses (none: as aioice does) and ports (none: as the system chooses).

    aioice leaves out loopback and takes no port range, which firewalls and containers need.
    """

    async def gather(component: int, addresses: list[str]) -> list[Candidate]:
        return await _gather(connection, component, chosen or addresses, ports)

    connection.get_component_candidates = gather  # type: ignore[method-assign,assignment]


def share_transport(transceiver: RTCRtpTransceiver) -> None:
    """Patch 3: all sections use the first one's transport, whichever the offer names first in its bundle.

    When that is another section, aiortc stops the transport as replaced although it is the very one that is shared.
    """
    transceiver._bundled = True


def end_connecting(connection: RTCPeerConnection) -> Callable[[], Awaitable[None]]:
    """Patch 4: what to await after closing, so that nothing of a connection in the making goes on.

    aiortc starts a task for each description and forgets it.
    """
    connect = connection._RTCPeerConnection__connect  # type: ignore[attr-defined]
    running: set[asyncio.Task[None]] = set()

    def start() -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.ensure_future(connect())
        running.add(task)
        task.add_done_callback(running.discard)
        return task

    async def end() -> None:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    connection._RTCPeerConnection__connect = start  # type: ignore[attr-defined]
    return end


class AudioReceiver(RTCRtpReceiver):
    """Hands on what arrives, and reports what got lost (RFC 3550 §6.4.2). No thread, no task, no queue."""

    def __init__(self, transport: RTCDtlsTransport, packets: PacketSink, goodbye: Callable[[], None]) -> None:
        super().__init__("audio", transport)
        self._packets = packets
        self._goodbye = goodbye
        self._own_ssrc: int | None = None  # in our reports
        self._payload_types: frozenset[int] = frozenset()
        self._sources: dict[int, _Source] = {}
        self._reported_s = 0.0
        self._clock = asyncio.get_running_loop().time

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """The connection stands; aiortc calls this for each description."""
        if not self._payload_types:
            self._payload_types = frozenset(
                codec.payloadType for codec in parameters.codecs if codec.payloadType is not None
            )
            self.transport._register_rtp_receiver(self, parameters)

    async def stop(self) -> None:
        """The connection is closed."""
        self.transport._unregister_rtp_receiver(self)

    def _handle_disconnect(self) -> None:
        self._goodbye()

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpByePacket):
            self._goodbye()
        elif isinstance(packet, RtcpSrPacket) and (source := self._sources.get(packet.ssrc)):
            source.last_report = (packet.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF
            source.last_report_s = self._clock()

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        if not self._enabled or packet.payload_type not in self._payload_types:
            return
        now = self._clock()
        source = self._sources.get(packet.ssrc)
        if source is None:
            self._sources = {packet.ssrc: (source := _Source())}  # one track has one sender at a time
        source.statistics.add(packet)
        self._packets(Packet(packet.ssrc, packet.sequence_number, packet.timestamp, packet.payload, now))
        if now - self._reported_s >= REPORT_S:
            self._reported_s = now
            await self._report(packet.ssrc, source, now)

    async def _report(self, ssrc: int, source: "_Source", now: float) -> None:
        if self._own_ssrc is None:
            return
        since = round((now - source.last_report_s) * 65_536) if source.last_report else 0
        report = RtcpReceiverInfo(
            ssrc=ssrc,
            fraction_lost=source.statistics.fraction_lost,
            packets_lost=source.statistics.packets_lost,
            highest_sequence=source.statistics.max_seq or 0,
            jitter=max(0, source.statistics.jitter),
            lsr=source.last_report,
            dlsr=min(since, 0xFFFFFFFF),
        )
        try:
            await self.transport._send_rtp(bytes(RtcpRrPacket(ssrc=self._own_ssrc, reports=[report])))
        except ConnectionError:
            return  # it is being closed

    def _set_rtcp_ssrc(self, ssrc: int) -> None:
        self._own_ssrc = ssrc


class _Source:
    """What is known of one sender."""

    __slots__ = ("last_report", "last_report_s", "statistics")

    def __init__(self) -> None:
        self.statistics = StreamStatistics(RTP_HZ)
        self.last_report = 0
        self.last_report_s = 0.0


async def _gather(connection: Connection, component: int, addresses: Sequence[str], ports: range) -> list[Candidate]:
    """As `aioice.Connection.get_component_candidates`, whose STUN and TURN part is used as it is."""
    stun_server, turn_server = connection.stun_server, connection.turn_server
    hosts = [protocol for address in addresses if (protocol := await _bind(connection, component, address, ports))]
    connection._protocols += hosts
    candidates = [protocol.local_candidate for protocol in hosts]
    if stun_server:
        asked = (
            server_reflexive_candidate(protocol, stun_server)
            for protocol in hosts
            if ":" not in protocol.local_candidate.host
        )
        answers = asyncio.gather(
            *(asyncio.wait_for(query, GATHER_TIMEOUT_S) for query in asked), return_exceptions=True
        )
        candidates += [answer[0] for answer in await answers if not isinstance(answer, BaseException)]
    if turn_server:
        candidates += await Connection.get_component_candidates(connection, component, [], GATHER_TIMEOUT_S)
    return candidates


async def _bind(connection: Connection, component: int, address: str, ports: range) -> StunProtocol | None:
    loop = asyncio.get_running_loop()
    for port in _in_turn(ports):
        try:
            transport, protocol = await loop.create_datagram_endpoint(
                lambda: StunProtocol(connection), local_addr=(address, port)
            )
        except OSError:
            continue  # taken, or an address that this machine has no more
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        host, bound, *_ = transport.get_extra_info("sockname")
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=host,
            port=bound,
            type="host",
        )
        return protocol
    return None


def _in_turn(ports: range) -> Iterator[int]:
    """All ports, from a random one on, so that the free ones are found soon."""
    if not ports:
        return iter((0,))
    first = random.randrange(len(ports))
    return itertools.chain(ports[first:], ports[:first])
