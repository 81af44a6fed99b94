"""A WebRTC client as browsers are one, over loopback, with a network that can be made bad."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Protocol

import av
import numpy as np
from aiortc import (
    AudioStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from numpy.typing import NDArray

HZ = 48_000
FRAME = 960

Samples = NDArray[np.int16]


class Answering(Protocol):
    """Whoever answers an offer."""

    async def answer(self, offer: str) -> str: ...


class Recording(AudioStreamTrack):
    """Plays samples, `(channels, n)` at 48 kHz, then silence."""

    def __init__(self, samples: Samples, *, speed: float = 1.0) -> None:
        super().__init__()
        self.played = asyncio.Event()
        self._samples = samples
        self._speed = speed
        self._at = 0
        self._began_s: float | None = None

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        if self._began_s is None:
            self._began_s = loop.time()
        await asyncio.sleep(self._began_s + self._at / HZ / self._speed - loop.time())
        channels, length = self._samples.shape
        piece = np.zeros((channels, FRAME), np.int16)
        part = self._samples[:, self._at : self._at + FRAME]
        piece[:, : part.shape[1]] = part
        if self._at >= length:
            self.played.set()
        layout = "stereo" if channels == 2 else "mono"
        frame = av.AudioFrame.from_ndarray(piece.T.reshape(1, -1).copy(), format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = HZ, self._at, Fraction(1, HZ)
        self._at += FRAME
        return frame


class Link:
    """The way of encrypted audio packets to the server: some get lost, come twice, or later than those after them."""

    def __init__(
        self,
        send: Callable[[bytes], Awaitable[None]],
        *,
        loss: float = 0.0,
        twice: float = 0.0,
        late: float = 0.0,
        late_by: int = 2,
        seed: int = 1,
    ) -> None:
        self.cut = False
        self.sent = self.lost = 0
        self._send = send
        self._loss, self._twice, self._late, self._late_by = loss, twice, late, late_by
        self._chance = random.Random(seed)
        self._held: list[tuple[int, bytes]] = []  # when to send, by `sent`

    async def send(self, datagram: bytes) -> None:
        if not (128 <= datagram[0] < 192 and not 192 <= datagram[1] < 224):  # DTLS and RTCP are left alone: RFC 5761 §4
            if not self.cut:
                await self._send(datagram)
            return
        self.sent += 1
        if self.cut or self._chance.random() < self._loss:
            self.lost += 1
        elif self._chance.random() < self._late:
            self._held.append((self.sent + self._late_by, datagram))
        else:
            await self._send(datagram)
            if self._chance.random() < self._twice:
                await self._send(datagram)
        due = [held for at, held in self._held if at <= self.sent]
        self._held = [(at, held) for at, held in self._held if at > self.sent]
        for held in due:
            await self._send(held)


class Client:
    """Offers its tracks to a server. Trickles nothing: its candidates are in the offer."""

    def __init__(self, *tracks: Recording, label: str = "") -> None:
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

    async def connect(self, server: Answering, **network: float) -> None:
        """Offer, accept the answer, wait for the connection; audio goes over a network as described."""
        offer = await self.offer()
        self.degrade(**network)
        await self.accept(await server.answer(offer))
        async with asyncio.timeout(10):
            await self.connected.wait()

    def degrade(self, **network: float) -> None:
        """From now on the network is as described."""
        transport = self._senders[0].transport.transport
        self.link = Link(transport._connection.send, **network)  # type: ignore[arg-type]
        transport._send = self.link.send

    async def aclose(self) -> None:
        await self.connection.close()

    def _on_state(self) -> None:
        if self.connection.connectionState == "connected":
            self.connected.set()
        elif self.connection.connectionState in ("closed", "failed"):
            self.closed.set()
