"""The five places where aiortc and aioice have no hook, mended one connection at a time; nothing is changed at import.

Written against aiortc 1.16 and aioice 0.13, whose private names are used here and nowhere else.
"""

import asyncio
import itertools
import random
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import pylibsrtp
from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, server_reflexive_candidate
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpTransceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket, RtpPacket, is_rtcp

from server.ingest.jitter import Packet
from server.ingest.rtp_audio import RTP_HZ

RECEIVE_BUFFER_BYTES = 256 * 1024  # some seconds of packets, should the event loop be busy
FIRST_OF_RTP, LAST_OF_RTP = 128, 191  # RFC 7983 §7, of RTP and RTCP
RTP_HEADER = struct.Struct("!BBHLL")
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
        for transport in connection._RTCPeerConnection__iceTransports:  # type: ignore[attr-defined]
            await transport._connection.close()  # where checks succeeded meanwhile, it has begun to ask for consent

    connection._RTCPeerConnection__connect = start  # type: ignore[attr-defined]
    return end


def shorten_the_way(transport: RTCDtlsTransport) -> None:
    """Patch 5: an audio packet goes from the socket to its receiver in one call.

    On aiortc's own way it waits in a queue for a task, and is taken apart further than anybody needs, which costs as
    much as decoding it.
    """
    connection = transport.transport._connection
    queue = connection.data_received
    clock = asyncio.get_running_loop().time

    def received(datagram: bytes, component: int) -> None:
        if transport._rx_srtp is None or not FIRST_OF_RTP <= datagram[0] <= LAST_OF_RTP or is_rtcp(datagram):
            queue(datagram, component)
            return
        try:
            packet = transport._rx_srtp.unprotect(datagram)
        except pylibsrtp.Error:
            return  # came twice, or is not our peer's
        _route(transport, packet, clock())

    connection.data_received = received  # type: ignore[method-assign,assignment]


def _route(transport: RTCDtlsTransport, packet: bytes, now: float) -> None:
    """Source: RFC 3550 §5.1 for the header."""
    if len(packet) < RTP_HEADER.size:
        return
    flags, kind, sequence_number, timestamp, ssrc = RTP_HEADER.unpack_from(packet)
    begin = RTP_HEADER.size + 4 * (flags & 0x0F)
    if flags & 0x10:  # an extension
        begin += 4 + 4 * int.from_bytes(packet[begin + 2 : begin + 4], "big")
    end = len(packet) - (packet[-1] if flags & 0x20 else 0)  # less padding
    payload_type = kind & 0x7F
    router = transport._rtp_router
    receiver = router.ssrc_table.get(ssrc) or router.route_rtp(RtpPacket(payload_type=payload_type, ssrc=ssrc))
    if isinstance(receiver, AudioReceiver) and begin <= end:
        receiver.take(payload_type, Packet(ssrc, sequence_number, timestamp, packet[begin:end], now))


class AudioReceiver(RTCRtpReceiver):
    """Hands on what arrives, and reports what got lost (RFC 3550 §6.4.2). No thread, no task, no queue."""

    def __init__(self, transport: RTCDtlsTransport, packets: PacketSink, goodbye: Callable[[], None]) -> None:
        super().__init__("audio", transport)
        self._packets = packets
        self._goodbye = goodbye
        self._own_ssrc: int | None = None  # in our reports
        self._payload_types: frozenset[int] = frozenset()
        self._statistics: dict[int, StreamStatistics] = {}
        self._clock = asyncio.get_running_loop().time

    def take(self, payload_type: int, packet: Packet) -> None:
        """A packet came."""
        if not self._enabled or payload_type not in self._payload_types:
            return
        statistics = self._statistics.get(packet.ssrc)
        if statistics is None:  # one track has one sender at a time
            self._statistics = {packet.ssrc: (statistics := StreamStatistics(RTP_HZ))}
        statistics.add(packet)  # type: ignore[arg-type]  # it has what is looked at
        self._packets(packet)

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
        elif isinstance(packet, RtcpSrPacket):
            await self._report(packet)

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        """Those that came before the keys were agreed upon."""
        came = Packet(packet.ssrc, packet.sequence_number, packet.timestamp, packet.payload, self._clock())
        self.take(packet.payload_type, came)

    async def _report(self, asked: RtcpSrPacket) -> None:
        """Each report of the sender is answered by ours, which needs no timer, and tells it the round trip."""
        statistics = self._statistics.get(asked.ssrc)
        if self._own_ssrc is None or statistics is None or statistics.max_seq is None:
            return
        report = RtcpReceiverInfo(
            ssrc=asked.ssrc,
            fraction_lost=statistics.fraction_lost,
            packets_lost=statistics.packets_lost,
            highest_sequence=statistics.max_seq,
            jitter=min(max(0, statistics.jitter), 0xFFFFFFFF),
            lsr=(asked.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF,
            dlsr=0,
        )
        try:
            await self.transport._send_rtp(bytes(RtcpRrPacket(ssrc=self._own_ssrc, reports=[report])))
        except ConnectionError:
            return  # it is being closed

    def _set_rtcp_ssrc(self, ssrc: int) -> None:
        self._own_ssrc = ssrc


class _Protocol(StunProtocol):
    """Does not try to read audio as STUN."""

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        if isinstance(data, bytes) and data and FIRST_OF_RTP <= data[0] <= LAST_OF_RTP:
            self.receiver.data_received(data, self.local_candidate.component)
        elif data:
            super().datagram_received(data, addr)


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
                lambda: _Protocol(connection), local_addr=(address, port)
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
