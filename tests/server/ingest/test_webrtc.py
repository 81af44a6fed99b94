"""A peer hears a real client over loopback: in time, whatever the network does, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import anyio
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.rtc import GOOD, HZ, Client, Network, Recording
from pipeline.types import SAMPLE_RATE
from server.ingest.rtc_errors import (
    ChannelGone,
    FragmentInvalid,
    IceRestartUnsupported,
    NoPort,
    RtcError,
    SdpInvalid,
    VideoOnly,
)
from server.ingest.webrtc import Ending, Heard, Interrupted, Peer, Resumed
from server.settings import WebRtcSettings

LOOPBACK = WebRtcSettings(addresses=("127.0.0.1",))
IMPATIENT = WebRtcSettings(addresses=("127.0.0.1",), silence_timeout_s=0.4)
CLICKS_S = tuple(0.5 + 0.5 * number for number in range(7))
TOLERANCE_S = 0.04

pytestmark = pytest.mark.usefixtures("nothing_left")


@dataclass
class Ear:
    """Everything a peer told."""

    peer: Peer
    pcm: list[bytearray] = field(default_factory=list)
    told: list[Interrupted | Resumed] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        async for event in self.peer:
            async with self.changed:
                if isinstance(event, Heard):
                    while len(self.pcm) <= event.stream:
                        self.pcm.append(bytearray())
                    self.pcm[event.stream] += event.pcm
                else:
                    self.told.append(event)
                self.changed.notify_all()
        self.over.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(true)

    def samples(self, stream: int = 0) -> NDArray[np.int16]:
        return np.frombuffer(bytes(self.pcm[stream]), "<i2")

    def seconds(self, stream: int = 0) -> float:
        return len(self.pcm[stream]) / 2 / SAMPLE_RATE if stream < len(self.pcm) else 0.0


@asynccontextmanager
async def hearing(
    *tracks: Recording,
    settings: WebRtcSettings = LOOPBACK,
    split: bool = False,
    label: str = "",
    network: Network = GOOD,
    max_gap_ms: int | None = None,
) -> AsyncIterator[tuple[Ear, Client]]:
    """A client that is connected, and a peer that is read."""
    client = Client(*tracks, label=label)
    try:
        async with Peer(settings, split=split, max_gap_ms=max_gap_ms) as peer, asyncio.TaskGroup() as tasks:
            ear = Ear(peer)
            await client.connect(peer, network)
            tasks.create_task(ear.listen())
            try:
                yield ear, client
            finally:
                await peer.aclose()
    finally:
        await client.aclose()


def clicks(at_s: Sequence[float] = CLICKS_S, hz: float = 1_000, length_s: float = 4.0) -> NDArray[np.int16]:
    """Beeps of 100 ms. Shapes: `(1, n)`."""
    samples = np.zeros((1, round(length_s * HZ)), np.int16)
    beep = (12_000 * np.sin(2 * np.pi * hz * np.arange(HZ // 10) / HZ)).astype(np.int16)
    for second in at_s:
        samples[0, round(second * HZ) :][: len(beep)] = beep
    return samples


def onsets_s(samples: NDArray[np.int16]) -> list[float]:
    """Where beeps begin: loud after 200 ms without one."""
    loud = np.flatnonzero(np.abs(samples.astype(int)) > 2_000)
    starts = [int(loud[0]), *(int(b) for a, b in pairwise(loud) if b - a > SAMPLE_RATE * 0.2)] if len(loud) else []
    return [start / SAMPLE_RATE for start in starts]


def strength(samples: NDArray[np.int16], hz: float) -> float:
    wave = np.exp(-2j * np.pi * hz * np.arange(len(samples)) / SAMPLE_RATE)
    return float(abs(samples @ wave) * 2 / len(samples) / 12_000)


@pytest.mark.parametrize(
    "network",
    [
        GOOD,
        Network(loss=0.02),
        Network(loss=0.05),
        Network(loss=0.10),
        Network(late=0.10),
        Network(twice=0.20),
        Network(loss=0.05, late=0.05, twice=0.05),
    ],
    ids=["good", "loss 2 %", "loss 5 %", "loss 10 %", "reordering", "duplicates", "all of it"],
)
async def test_sounds_are_at_their_times_and_only_lost_packets_are_missing(network: Network) -> None:
    recording = Recording(clicks())
    async with hearing(recording, network=network) as (ear, client):
        await recording.played.wait()
        await ear.until(lambda: ear.seconds() >= 3.9)
        await client.aclose()
        await client.closed.wait()
    assert client.link is not None
    sent, lost = client.link.sent, client.link.lost
    found = onsets_s(ear.samples())
    early = [min((abs(second - onset) for onset in found), default=9) for second in CLICKS_S]
    assert max(early) < TOLERANCE_S
    assert len(found) == len(CLICKS_S)
    counts = ear.peer.counts
    assert counts.received - counts.discarded >= sent - lost - 5  # those under way when the client hung up
    assert counts.lost <= lost + 5
    assert abs(ear.seconds() - sent * 0.02) < 0.15


async def test_left_and_right_of_a_stereo_track_are_two_streams() -> None:
    recording = Recording(np.concatenate([clicks(hz=500), clicks(hz=1_700)]))
    async with hearing(recording, split=True) as (ear, _):
        assert ear.peer.streams == 2
        await ear.until(lambda: ear.seconds(1) > 1)
    levels = [[strength(ear.samples(stream), hz) for hz in (500, 1_700)] for stream in (0, 1)]
    assert levels[0][0] > 20 * levels[0][1]
    assert levels[1][1] > 20 * levels[1][0]
    assert ear.peer.counts.one_channel == 0


async def test_two_tracks_are_two_streams_in_the_order_of_the_offer() -> None:
    async with hearing(Recording(clicks(hz=500)), Recording(clicks(hz=1_700))) as (ear, _):
        assert ear.peer.streams == 2
        await ear.until(lambda: min(ear.seconds(0), ear.seconds(1)) > 1)
    levels = [[strength(ear.samples(stream), hz) for hz in (500, 1_700)] for stream in (0, 1)]
    assert levels[0][0] > 20 * levels[0][1]
    assert levels[1][1] > 20 * levels[1][0]


@pytest.mark.parametrize(("split", "says"), [(True, "stereo=1"), (False, "stereo=0")])
async def test_the_answer_says_whether_two_channels_are_wanted(split: bool, says: str) -> None:
    client = Client(Recording(clicks()))
    async with Peer(LOOPBACK, split=split) as peer:
        answer = await peer.answer(await client.offer())
    await client.aclose()
    assert f"a=fmtp:96 {says}\r\n" in answer
    assert "a=ice-options:trickle" in answer
    assert "PCMU" not in answer


async def test_a_peer_that_vanishes_is_interrupted_and_resumes_with_silence_for_the_time_between() -> None:
    async with hearing(Recording(clicks(at_s=[0.1, 3.0])), settings=IMPATIENT) as (ear, client):
        await ear.until(lambda: ear.seconds() >= 0.3)
        assert client.link is not None
        client.link.cut = True
        await ear.until(lambda: ear.told == [Interrupted(stream=0)])
        client.link.cut = False
        await ear.until(lambda: ear.told == [Interrupted(stream=0), Resumed(stream=0)])
        await ear.until(lambda: ear.seconds() >= 3.3)
    assert onsets_s(ear.samples()) == pytest.approx([0.1, 3.0], abs=TOLERANCE_S)


async def test_a_gap_that_is_too_long_ends_the_peer_where_it_begins_and_a_shorter_one_is_silence() -> None:
    async with hearing(Recording(clicks()), max_gap_ms=200) as (ear, client):
        await ear.until(lambda: ear.seconds() >= 0.2)
        await lose(client, packets=5)
        await ear.until(lambda: ear.seconds() >= 0.6)
        assert ear.peer.ending is None
        sent = await lose(client, packets=15)
        await ear.over.wait()
        assert ear.peer.ending is Ending.GAP
    assert ear.seconds() == pytest.approx(sent * 0.02, abs=0.005)


async def lose(client: Client, packets: int) -> int:
    """Have the network drop so many in a row; how many were sent before."""
    assert client.link is not None
    sent = client.link.sent
    client.link.cut = True
    while client.link.sent < sent + packets:  # noqa: ASYNC110 - it sends in real time
        await asyncio.sleep(0.005)
    client.link.cut = False
    return sent


async def test_a_vanished_peer_is_noticed_within_five_seconds_by_default() -> None:
    async with hearing(Recording(clicks())) as (ear, client):
        await ear.until(lambda: ear.seconds() > 0.1)
        assert client.link is not None
        client.link.cut = True
        async with asyncio.timeout(5):
            await ear.until(lambda: ear.told == [Interrupted(stream=0)])


async def test_a_peer_that_connects_and_says_nothing_is_interrupted_too() -> None:
    recording = Recording(clicks())
    async with hearing(recording, settings=IMPATIENT, network=Network(loss=1.0)) as (ear, _):
        await ear.until(lambda: ear.told == [Interrupted(stream=0)])
        assert ear.peer.counts.received == 0


async def test_a_client_that_closes_is_noticed_at_once() -> None:
    async with hearing(Recording(clicks())) as (ear, client):
        await ear.until(lambda: ear.seconds() > 0.1)
        async with asyncio.timeout(2):
            await client.aclose()
            await ear.over.wait()
        assert ear.peer.ending is Ending.HUNG_UP


async def test_what_was_heard_can_still_be_read_after_we_close() -> None:
    recording = Recording(clicks(at_s=[0.5], length_s=1))
    client = Client(recording)
    async with Peer(LOOPBACK) as peer:
        await client.connect(peer)
        await recording.played.wait()
        await peer.aclose()
        pcm = sum([len(event.pcm) async for event in peer if isinstance(event, Heard)])
        assert pcm == peer.counts.received * 640 >= 0.9 * SAMPLE_RATE * 2
        assert peer.ending is Ending.CLOSED
    await client.aclose()


async def test_a_client_that_never_connects_ends_the_peer() -> None:
    client = Client(Recording(clicks()))
    settings = WebRtcSettings(addresses=("127.0.0.1",), connect_timeout_s=0.2)
    async with Peer(settings) as peer:
        await peer.answer(await client.offer())
        assert [event async for event in peer] == []
        assert peer.ending is Ending.NEVER_CONNECTED
    await client.aclose()


async def test_a_reader_that_is_stuck_costs_bounded_memory_and_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.ingest.rtc_track.QUEUE_PACKETS", 20)
    recording = Recording(clicks(at_s=[0.1, 1.9], length_s=3), mark_s=1.7)
    client = Client(recording)
    async with Peer(LOOPBACK) as peer:
        await client.connect(peer)
        events = aiter(peer)
        first = await anext(events)
        assert isinstance(first, Heard)
        await recording.marked.wait()  # the reader does something else
        ear = Ear(peer, pcm=[bytearray(first.pcm)])
        reading = asyncio.create_task(ear.listen())
        await ear.until(lambda: ear.seconds() >= 2.3)
        assert peer.counts.dropped > 40
        assert onsets_s(ear.samples())[-1] == pytest.approx(1.9, abs=TOLERANCE_S)
        await peer.aclose()
        await reading
    await client.aclose()


async def test_text_goes_to_the_client_on_its_data_channel() -> None:
    async with hearing(Recording(clicks()), label="transcript") as (ear, client):
        async with asyncio.timeout(5):
            await ear.peer.transcript.opened.wait()
            await ear.peer.transcript.send('{"type":"final"}')
            assert await client.messages.get() == '{"type":"final"}'
    with pytest.raises(ChannelGone):
        await ear.peer.transcript.send("too late")


async def test_a_client_that_does_not_take_its_text_makes_the_sender_wait() -> None:
    async with hearing(Recording(clicks()), label="transcript") as (ear, client):
        async with asyncio.timeout(5):
            await ear.peer.transcript.opened.wait()
        client.connection.sctp._receive_data_chunk = _nothing  # type: ignore[union-attr,method-assign]
        sent = 0
        with anyio.move_on_after(1):
            while True:
                await ear.peer.transcript.send("x" * 10_000)
                sent += 1
        assert 10 < sent < 100


async def _nothing(chunk: object) -> None:
    """A client whose window never opens."""


async def test_a_channel_of_another_name_is_not_used() -> None:
    async with hearing(Recording(clicks()), label="chat") as (ear, _):
        await ear.until(lambda: ear.seconds() > 0.3)
        assert not ear.peer.transcript.opened.is_set()


async def test_candidates_may_follow_the_offer() -> None:
    client = Client(Recording(clicks()))
    async with Peer(LOOPBACK) as peer:
        offer = await client.offer()
        lines = offer.splitlines()
        moved = [line for line in lines if line.startswith(("a=candidate", "a=end-of-candidates"))]
        identity = [line for line in lines if line.startswith(("a=ice-ufrag", "a=ice-pwd"))]
        rest = "\r\n".join(line for line in lines if line not in moved) + "\r\n"
        await client.accept(await peer.answer(rest))
        await peer.add_candidates("\r\n".join([*identity, "a=mid:0", *moved]))
        async with asyncio.timeout(5):
            await client.connected.wait()
        with pytest.raises(IceRestartUnsupported):
            await peer.add_candidates("a=ice-ufrag:else\r\na=ice-pwd:0123456789012345678901\r\n")
        with pytest.raises(FragmentInvalid):
            await peer.add_candidates("nonsense")
    await client.aclose()


async def test_a_client_whose_only_candidate_is_a_local_name_connects_by_its_own_checks() -> None:
    client = Client(Recording(clicks()))
    async with Peer(LOOPBACK) as peer:
        offer = (await client.offer()).replace("127.0.0.1 ", "b9c4c6f2-3e4c-4c0a-8f3e-9b0d6d0a6d0e.local ")
        assert ".local" in offer
        await client.accept(await peer.answer(offer))
        async with asyncio.timeout(5):
            await client.connected.wait()
    await client.aclose()


async def test_an_offer_whose_data_channel_comes_first_connects() -> None:
    """aiortc alone would stop the transport that all sections share."""
    client = Client(Recording(clicks()), label="transcript")
    async with Peer(LOOPBACK) as peer:
        offer = await client.offer()
        assert "a=group:BUNDLE 0 1" in offer
        answer = await peer.answer(offer.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 1 0"))
        await client.accept(answer)
        async with asyncio.timeout(5):
            await client.connected.wait()
            await peer.transcript.opened.wait()
    await client.aclose()


async def test_a_connection_takes_a_port_of_the_range_and_says_when_there_is_none() -> None:
    settings = WebRtcSettings(addresses=("127.0.0.1",), port_min=45_871, port_max=45_871)
    first, second = Client(Recording(clicks())), Client(Recording(clicks()))
    async with Peer(settings) as peer, Peer(settings) as other:
        assert "127.0.0.1 45871 typ host" in await peer.answer(await first.offer())
        with pytest.raises(NoPort):
            await other.answer(await second.offer())
    await first.aclose()
    await second.aclose()


async def test_an_advertised_address_is_told_instead_of_ours() -> None:
    settings = WebRtcSettings(addresses=("127.0.0.1",), advertised_address="203.0.113.7")
    client = Client(Recording(clicks()))
    async with Peer(settings) as peer:
        answer = await peer.answer(await client.offer())
    await client.aclose()
    assert "203.0.113.7" in answer
    assert "127.0.0.1" not in answer


@pytest.mark.parametrize(("offer", "error"), [("nonsense", SdpInvalid), ("m=video", VideoOnly)])
async def test_a_refused_offer_leaves_nothing_behind(offer: str, error: type[RtcError]) -> None:
    client = Client(Recording(clicks()))
    peer = Peer(LOOPBACK)
    if offer == "m=video":
        offer = (await client.offer()).replace("a=sendrecv", "a=recvonly") + VIDEO
    with pytest.raises(error):
        await peer.answer(offer)
    await client.aclose()


VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=sendonly\r\na=rtpmap:96 VP8/90000\r\n"


async def test_video_beside_the_audio_is_declined_and_the_audio_heard() -> None:
    client = Client(Recording(clicks()))
    client.connection.addTransceiver("video", direction="sendonly")
    async with Peer(LOOPBACK) as peer:
        answer = await peer.answer(await client.offer())
        assert "a=inactive" in answer[answer.index("m=video") :]
        await client.accept(answer)
        async with asyncio.timeout(5):
            assert isinstance(await anext(aiter(peer)), Heard)
    await client.aclose()


@pytest.mark.slow
async def test_many_peers_come_and_go_and_leave_nothing() -> None:
    for _ in range(10):
        async with hearing(Recording(clicks()), split=True) as (ear, _):
            await ear.until(lambda: ear.seconds() > 0.1)
