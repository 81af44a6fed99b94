"""A WebRTC client as browsers are one, over loopback, with a network that can be made bad."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import av
import numpy as np
from aiortc import (
    AudioStreamTrack,
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

HZ = 48_000
FRAME = 960

Samples = NDArray[np.int16]


class Answering(Protocol):
    """Whoever answers an offer."""

    async def answer(self, offer: str) -> str: ...


class Recording(AudioStreamTrack):
    """Plays samples, `(channels, n)` at 48 kHz, then silence."""

    def __init__(self, samples: Samples, *, mark_s: float = 0.0) -> None:
        super().__init__()
        self.played = asyncio.Event()
        self.marked = asyncio.Event()  # at `mark_s`
        self._samples = samples
        self._mark = round(mark_s * HZ)
        self._at = 0
        self._began_s: float | None = None

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        if self._began_s is None:
            self._began_s = loop.time()
        await asyncio.sleep(self._began_s + self._at / HZ - loop.time())
        channels, length = self._samples.shape
        piece = np.zeros((channels, FRAME), np.int16)
        part = self._samples[:, self._at : self._at + FRAME]
        piece[:, : part.shape[1]] = part
        if self._at >= length:
            self.played.set()
        if self._at >= self._mark:
            self.marked.set()
        layout = "stereo" if channels == 2 else "mono"
        frame = av.AudioFrame.from_ndarray(piece.T.reshape(1, -1).copy(), format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = HZ, self._at, Fraction(1, HZ)
        self._at += FRAME
        return frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What becomes of audio packets on their way, each as a share of them."""

    loss: float = 0.0
    twice: float = 0.0
    late: float = 0.0
    late_by: int = 2  # packets that overtake a late one
    seed: int = 1


GOOD = Network()


class Link:
    """The way of encrypted audio packets to the server: some get lost, come twice, or later than those after them."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]], network: Network) -> None:
        self.cut = False
        self.sent = self.lost = 0  # packets
        self._send = send
        self._network = network
        self._chance = random.Random(network.seed)
        self._held: list[tuple[int, bytes]] = []  # when to send, by `sent`

    async def send(self, datagram: bytes) -> None:
        if not (128 <= datagram[0] < 192 and not 192 <= datagram[1] < 224):  # DTLS and RTCP are left alone: RFC 5761 §4
            if not self.cut:
                await self._send(datagram)
            return
        self.sent += 1
        if self.cut or self._chance.random() < self._network.loss:
            self.lost += 1
        elif self._chance.random() < self._network.late:
            self._held.append((self.sent + self._network.late_by, datagram))
        else:
            await self._send(datagram)
            if self._chance.random() < self._network.twice:
                await self._send(datagram)
        due = [held for at, held in self._held if at <= self.sent]
        self._held = [(at, held) for at, held in self._held if at > self.sent]
        for held in due:
            await self._send(held)


class Packets(AudioStreamTrack):
    """Plays packets of 20 ms that were encoded before, over and over: that costs the client least."""

    def __init__(self, packets: Sequence[bytes]) -> None:
        super().__init__()
        self._packets = packets
        self._next = 0
        self._began_s: float | None = None

    async def recv(self) -> "av.Packet[Any]":  # type: ignore[override]
        loop = asyncio.get_running_loop()
        if self._began_s is None:
            self._began_s = loop.time()
        await asyncio.sleep(self._began_s + self._next * FRAME / HZ - loop.time())
        packet = av.Packet(self._packets[self._next % len(self._packets)])
        packet.pts, packet.time_base = self._next * FRAME, Fraction(1, HZ)
        self._next += 1
        return packet


def encode(samples: Samples, bit_rate: int = 32_000) -> list[bytes]:
    """Opus as browsers send it, in packets of 20 ms. Shapes: `(2, n)` at 48 kHz."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = HZ, "stereo", "s16"
    encoder.bit_rate, encoder.time_base = bit_rate, Fraction(1, HZ)
    packets: list[bytes] = []
    for at in range(0, samples.shape[1] - FRAME + 1, FRAME):
        piece = np.ascontiguousarray(samples[:, at : at + FRAME].T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = HZ, at
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


class Client:
    """Offers its tracks to a server. Trickles nothing: its candidates are in the offer."""

    def __init__(self, *tracks: MediaStreamTrack, label: str = "") -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        self.messages: asyncio.Queue[str] = asyncio.Queue()
        self.channel: RTCDataChannel | None = None
        self.link: Link | None = None
        self._senders: list[RTCRtpSender] = [self.connection.addTrack(track) for track in tracks]
        self.connection.on("connectionstatechange", self._on_state)
        if label:
            self.channel = self.connection.createDataChannel(label)
            self.channel.on("message", self.messages.put_nowait)

    async def offer(self) -> str:
        """What createOffer gives, with all candidates."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def accept(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))

    async def connect(self, server: Answering, network: Network = GOOD) -> None:
        """Offer, accept the answer, wait for the connection; audio goes over a network as described."""
        offer = await self.offer()
        self.degrade(network)
        await self.accept(await server.answer(offer))
        async with asyncio.timeout(10):
            await self.connected.wait()

    def degrade(self, network: Network) -> None:
        """From now on the network is as described."""
        transport = self._senders[0].transport.transport
        self.link = Link(transport._connection.send, network)
        transport._send = self.link.send  # type: ignore[assignment]

    async def aclose(self) -> None:
        await self.connection.close()

    def _on_state(self) -> None:
        if self.connection.connectionState == "connected":
            self.connected.set()
        elif self.connection.connectionState in ("closed", "failed"):
            self.closed.set()
