"""A WHIP client as in the wild: aiortc sends what a page would, httpx speaks the protocol."""

import asyncio
import json
import re
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import aioice.ice
import httpx
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame
from numpy.typing import NDArray

from bench.recordings import Recording
from bench.server import RunningServer
from server.ingest import aiortc_patches
from tests.acceptance.following import events
from tests.acceptance.udp_relay import Relays

Event = dict[str, Any]

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
RTP_HZ = 48_000
FRAME = 960  # samples: 20 ms
PATIENCE_S = 30.0


class Voice(MediaStreamTrack):
    """Plays audio at its own pace, then silence. Shapes: `(channels, n)` float32 at 16 kHz."""

    kind = "audio"

    def __init__(self, *channels: NDArray[np.float32], seconds: float | None = None) -> None:
        super().__init__()
        samples = np.stack(channels) if len(channels) == 2 else np.stack([channels[0], channels[0]])
        samples = samples[:, : int(seconds * 16_000)] if seconds else samples
        at = np.arange(samples.shape[1] * 3) / 3
        stretched = [np.interp(at, np.arange(samples.shape[1]), channel) for channel in samples]
        self._samples = (np.stack(stretched) * 32_767).astype("<i2")
        self._at = 0
        self.began_s: float | None = None  # by the event loop's clock
        self.played = asyncio.Event()

    async def recv(self) -> AudioFrame:
        clock = asyncio.get_running_loop().time
        if self.began_s is None:
            self.began_s = clock()
        await asyncio.sleep(max(0.0, self.began_s + self._at / RTP_HZ - clock()))
        piece = self._samples[:, self._at : self._at + FRAME]
        piece = np.pad(piece, ((0, 0), (0, FRAME - piece.shape[1])))
        frame = AudioFrame.from_ndarray(piece.T.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RTP_HZ, self._at, Fraction(1, RTP_HZ)
        self._at += FRAME
        if self._at >= self._samples.shape[1]:
            self.played.set()
        return frame


def new_peer() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def offer(peer: RTCPeerConnection) -> str:
    await peer.setLocalDescription(await peer.createOffer())
    return str(peer.localDescription.sdp)


class Call:
    """One WHIP session, from the client's side."""

    def __init__(self, http: httpx.AsyncClient, peer: RTCPeerConnection, answer: httpx.Response) -> None:
        self.http = http
        self.peer = peer
        self.answer = answer
        self.channel_events: list[Event] = []
        self.channel_done = asyncio.Event()

    @property
    def resource(self) -> str:
        return str(self.answer.headers["location"])

    @property
    def etag(self) -> str:
        return str(self.answer.headers["etag"])

    @property
    def encounter(self) -> str:
        return str(self.answer.headers["auscult-encounter"])

    @property
    def events_url(self) -> str:
        return events_url(self.answer)

    @property
    def offer(self) -> str:
        return str(self.peer.localDescription.sdp)

    async def connected(self) -> None:
        await self._reached("connected")

    async def closed(self) -> None:
        await self._reached("closed")

    async def told_everything(self) -> list[Event]:
        """What came over the data channel, once its last event has come."""
        async with asyncio.timeout(PATIENCE_S):
            await self.channel_done.wait()
        return self.channel_events

    async def _reached(self, state: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.peer.connectionState != state:
                changed = asyncio.Event()
                self.peer.once("connectionstatechange", changed.set)
                await changed.wait()

    async def hang_up(self) -> httpx.Response:
        return await self.http.delete(self.resource)

    async def patch(self, fragment: str, **headers: str) -> httpx.Response:
        return await self.http.patch(self.resource, content=fragment, headers={"Content-Type": FRAGMENT} | headers)

    def listen(self, channel: RTCDataChannel) -> None:
        def heard(message: str) -> None:
            self.channel_events.append(json.loads(message))
            if self.channel_events[-1]["type"] == "done":
                self.channel_done.set()

        channel.on("message", heard)


def events_url(answer: httpx.Response) -> str:
    links = re.findall(r'<([^>]*)>; rel="([^"]*)"', answer.headers["link"])
    (target,) = [target for target, relation in links if relation.endswith("server-sent-events")]
    return str(target)


@asynccontextmanager
async def caller(server: RunningServer, key: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a key, who in the end hangs up."""
    headers = {"Authorization": f"Bearer {key or server.key}"}
    made: list[str] = []

    async def remember(answer: httpx.Response) -> None:
        if answer.status_code == httpx.codes.CREATED and answer.request.url.path == "/whip":
            made.append(answer.headers["location"])

    async with httpx.AsyncClient(base_url=server.base_url, headers=headers, timeout=30, trust_env=False) as http:
        http.event_hooks = {"response": [remember]}
        yield http
        with suppress(httpx.TransportError):  # servers that tests stopped
            for resource in made:
                await http.delete(resource)  # 404 where the test did so, or another session took its place


@asynccontextmanager
async def calling(
    http: httpx.AsyncClient,
    *voices: Voice,
    channel: bool = False,
    trickle: bool = False,
    relays: Relays | None = None,
    **query: str,
) -> AsyncIterator[Call]:
    """A session whose answer is applied, over `relays` where there are some; its peer is closed behind the block."""
    peer = new_peer()
    end_connecting = aiortc_patches.end_connecting(peer)
    try:
        for voice in voices:
            peer.addTrack(voice)
        results = peer.createDataChannel("transcript") if channel else None
        sdp = await offer(peer)
        if trickle:
            sdp = without_candidates(sdp)
        answer = await post(http, sdp if relays is None else await relays.outward(sdp), **query)
        assert answer.status_code == 201, answer.text
        call = Call(http, peer, answer)
        if results is not None:
            call.listen(results)
        answered = answer.text if relays is None else await relays.inward(answer.text)
        await peer.setRemoteDescription(RTCSessionDescription(answered, "answer"))
        yield call
    finally:
        await peer.close()
        await end_connecting()


async def post(http: httpx.AsyncClient, sdp: str | bytes, **query: str) -> httpx.Response:
    return await http.post("/whip", params=query, content=sdp, headers={"Content-Type": SDP})


def without_candidates(sdp: str) -> str:
    return re.sub(r"^a=(candidate:.*|end-of-candidates)\r\n", "", sdp, flags=re.MULTILINE)


def fragment(sdp: str) -> str:
    """What a page sends when its candidates are known after its offer (RFC 8840 §9)."""
    lines = sdp.split("\r\n")
    head = [next(line for line in lines if line.startswith(start)) for start in ("m=", "a=mid:", "a=ice-ufrag:")]
    head.append(next(line for line in lines if line.startswith("a=ice-pwd:")))
    candidates = [line for line in lines if line.startswith("a=candidate:")]
    return "\r\n".join([*head, *candidates, "a=end-of-candidates", ""])


async def read_events(server: RunningServer, url: str) -> list[Event]:
    """The transcript as a page reads it, without any key, to its end."""
    async with (
        asyncio.timeout(PATIENCE_S),
        httpx.AsyncClient(base_url=server.base_url, trust_env=False) as http,
        http.stream("GET", url, timeout=PATIENCE_S) as stream,
    ):
        assert stream.status_code == 200, await stream.aread()
        assert stream.headers["content-type"].startswith("text/event-stream")
        return [seen.data async for seen in events(stream)]


class Follower:
    """Reads the transcript while a session goes on."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = asyncio.Event()

    async def follow(self, server: RunningServer, url: str) -> None:
        async with (
            httpx.AsyncClient(base_url=server.base_url, trust_env=False) as http,
            http.stream("GET", url, timeout=None) as stream,
        ):
            async for seen in events(stream):
                self.events.append(seen.data)
                self._changed.set()

    async def saw(self, kind: str, count: int = 1) -> list[Event]:
        """The events of this type, once there are so many."""
        async with asyncio.timeout(PATIENCE_S):
            while len(found := of_type(self.events, kind)) < count:
                self._changed.clear()
                await self._changed.wait()
        return found


@asynccontextmanager
async def following(server: RunningServer, url: str) -> AsyncIterator[Follower]:
    follower = Follower()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(follower.follow(server, url))
        try:
            yield follower
        finally:
            task.cancel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Distant:
    """A client in a process of its own, which can be stopped and killed as a machine or a network is."""

    process: Process
    resource: str
    encounter: str
    events_url: str


@asynccontextmanager
async def distant_caller(server: RunningServer, **query: str) -> AsyncIterator[Distant]:
    """It speaks until it is killed, at the latest behind the block."""
    command = [sys.executable, "-m", "tests.acceptance.whip", server.base_url, server.key, json.dumps(query)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        told = json.loads(await asyncio.wait_for(process.stdout.readline(), PATIENCE_S))
        yield Distant(process=process, **told)
        async with caller(server) as http:
            await http.delete(told["resource"])
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _speak(base_url: str, key: str, query: dict[str, Any]) -> None:
    """The distant caller: says where its session is, once it is connected, then goes on for ever."""
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx.AsyncClient(base_url=base_url, headers=headers, trust_env=False) as http,
        calling(http, Voice(Recording.load("headache").mono()), **query) as call,
    ):
        await call.connected()
        told = {"resource": call.resource, "encounter": call.encounter, "events_url": call.events_url}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def of_type(events: Sequence[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == kind]


if __name__ == "__main__":
    asyncio.run(_speak(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
