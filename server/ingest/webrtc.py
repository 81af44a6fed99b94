"""A WebRTC peer that sends us audio: offer in, answer out, then PCM of each stream. It knows no encounters.

    async with Peer(settings.webrtc, split=True) as peer:
        answer = await peer.answer(offer)
        async for event in peer: ...

The reader pulls: a peer has no task of its own, only what aiortc starts, and ends it all in `aclose`.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self, TypeAlias

import anyio
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCDataChannel, RTCIceServer, RTCPeerConnection
from aiortc import RTCSessionDescription as Description
from aiortc.exceptions import OperationError
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.sdp import candidate_from_sdp

from server.ingest import sdp
from server.ingest.aiortc_patches import end_connecting, receive_on, share_transport, shorten_the_way, take_packets
from server.ingest.rtc_channel import TextChannel
from server.ingest.rtc_errors import IceRestartUnsupported, NoCommonCodec, NoPort, RtcError, SdpInvalid
from server.ingest.rtc_track import Track
from server.ingest.rtp_audio import RTP_HZ, RtpAudio
from server.ingest.sdpfrag import parse_fragment
from server.settings import WebRtcSettings

TRANSCRIPT = "transcript"  # label of the data channel that an offer may bring
CLOSE_TIMEOUT_S = 5.0  # for a goodbye over a network that may be gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Audio of a stream: 16 kHz s16le, at most about a second."""

    stream: int
    pcm: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """Nothing comes of this stream any more; it may go on."""

    stream: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """The stream goes on; its silence comes next."""

    stream: int


Event: TypeAlias = Heard | Interrupted | Resumed


class Ending(StrEnum):
    """Why there is nothing more to read."""

    HUNG_UP = "hung_up"  # the peer closed the connection
    LOST = "lost"  # the network did
    GAP = "gap"  # more of a track was lost than may be
    NEVER_CONNECTED = "never_connected"
    CLOSED = "closed"  # we did


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Packets of all tracks."""

    received: int
    lost: int  # never came
    discarded: int  # came twice or too late
    dropped: int  # not read in time
    undecodable: int
    one_channel: int  # with one channel only; of a stereo track they mean that it cannot be split
    restarts: int  # of the sender's numbering or timestamps


class Peer:
    """One peer connection. Streams are numbered from 0: by track, and left before right."""

    def __init__(
        self, settings: WebRtcSettings, *, split: bool = False, max_tracks: int = 2, max_gap_ms: int | None = None
    ) -> None:
        """`max_gap_ms`: a longer gap in a track's packets ends the peer; without it every gap becomes silence."""
        self.transcript = TextChannel()
        self.ending: Ending | None = None
        self._settings = settings
        self._split = split
        self._max_tracks = max_tracks
        self._max_gap = None if max_gap_ms is None else max_gap_ms * RTP_HZ // 1000
        self._tracks: list[Track] = []
        self._credentials: frozenset[tuple[str, str]] = frozenset()
        self._ice: RTCIceTransport | None = None
        self._events: deque[Event] = deque()
        self._woken = anyio.Event()
        self._connect_by = anyio.current_time() + settings.connect_timeout_s
        self._began_s: float | None = None  # the first packet of any track
        self._flushed = False
        self._connection = RTCPeerConnection(_configuration(settings))
        self._end_connecting = end_connecting(self._connection)
        self._connection.on("connectionstatechange", self._on_state)
        self._connection.on("datachannel", self._on_channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def split(self) -> bool:
        """Whether the channels of a track are streams of their own."""
        return self._split

    @property
    def streams(self) -> int:
        """How many streams the peer sends; known once it was answered."""
        return sum(len(track.streams) for track in self._tracks)

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return self._connection.connectionState == "connected"

    @property
    def counts(self) -> Counts:
        """What became of the packets."""
        audio = [track.audio for track in self._tracks if track.audio is not None]
        return Counts(
            received=sum(track.received for track in self._tracks),
            lost=sum(track.jitter.lost for track in self._tracks),
            discarded=sum(track.jitter.discarded for track in self._tracks),
            dropped=sum(track.dropped for track in self._tracks),
            undecodable=sum(each.undecodable for each in audio),
            one_channel=sum(each.one_channel for each in audio),
            restarts=sum(track.jitter.restarts for track in self._tracks)
            + sum(each.timeline.restarts for each in audio),
        )

    async def answer(self, offer: str) -> str:
        """Our answer to the one offer of this peer; the peer is closed when there is none. Raises: `RtcError`."""
        try:
            return await self._answer(offer)
        except BaseException:
            await self.aclose()
            raise

    async def add_candidates(self, fragment: str) -> None:
        """The peer can be reached there too. Raises: `FragmentInvalid`, `IceRestartUnsupported`."""
        found = parse_fragment(fragment)
        if self._ice is None:
            raise RtcError("There is no session yet to add candidates to.")
        given = (found.ufrag, found.pwd)
        if not any(all(new in ("", old) for new, old in zip(given, pair, strict=True)) for pair in self._credentials):
            raise IceRestartUnsupported
        await self._add(found.candidates)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """What happened next. One reader at a time."""
        while not self._events:
            self._woken = anyio.Event()
            now = anyio.current_time()
            self._collect(now)
            if self._events:
                break
            if self.ending is not None:
                raise StopAsyncIteration
            with anyio.move_on_after(self._deadline(now) - now):
                await self._woken.wait()
        return self._events.popleft()

    async def aclose(self) -> None:
        """Close the connection. What was received can still be read. Nothing happens when it is closed."""
        self._end(Ending.CLOSED)
        self.transcript.lose()
        with anyio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
            await self._connection.close()
            await self._end_connecting()

    async def _answer(self, text: str) -> str:
        settings = self._settings
        offer = sdp.read_offer(text, max_bytes=settings.max_sdp_bytes, max_tracks=self._max_tracks)
        self._credentials = offer.credentials
        for section in offer.sections:
            if section.kind != "application":
                self._add_section(section)
        try:
            await self._connection.setRemoteDescription(Description(sdp=offer.text, type="offer"))
        except OperationError as exc:
            raise NoCommonCodec from exc
        except sdp.UNREADABLE as exc:
            raise SdpInvalid from exc
        await self._add(offer.candidates)
        created = await self._connection.createAnswer()
        narrowed = sdp.opus_only(created.sdp, stereo=self._split)
        await self._connection.setLocalDescription(Description(sdp=narrowed, type="answer"))
        assert self._ice is not None
        if not self._ice.iceGatherer.getLocalCandidates():
            raise NoPort
        return sdp.tell_trickle(sdp.advertise(self._connection.localDescription.sdp, settings.advertised_address))

    def _add_section(self, section: sdp.Section) -> None:
        """Prepare a section of the offer: ours must be there first, in the same order, for aiortc to take it."""
        transceiver = self._connection.addTransceiver(
            section.kind, direction="recvonly" if section.heard else "inactive"
        )
        if self._ice is None:
            self._ice = transceiver.receiver.transport.transport
            ports = range(self._settings.port_min, self._settings.port_max + 1) if self._settings.port_min else range(0)
            receive_on(self._ice._connection, self._settings.addresses, ports)
            share_transport(transceiver)
            shorten_the_way(transceiver.receiver.transport)
        if section.heard:
            first = self.streams
            streams = (first, first + 1) if self._split else (first,)
            track = Track(streams, jitter_packets=self._settings.jitter_packets, max_gap=self._max_gap, wake=self._wake)
            self._tracks.append(track)
            take_packets(transceiver, track.push, track.leave)

    async def _add(self, candidates: tuple[str, ...]) -> None:
        """The end of candidates is never told to aioice: it would give up although the peer may still reach us."""
        assert self._ice is not None
        for candidate in candidates:
            await self._ice.addRemoteCandidate(candidate_from_sdp(candidate))

    def _collect(self, now: float) -> None:
        """Turn what has come into events."""
        if self.ending is None and not self.connected and now >= self._connect_by:
            self._end(Ending.NEVER_CONNECTED)
        for track in self._tracks:
            if self.ending is not None:
                track.release()
            self._events.extend(self._read(track))
            if track.broken:
                self._end(Ending.GAP)
            if track.is_silent(now, self._settings.silence_timeout_s) and not track.interrupted and not self.ending:
                track.release()
                self._events.extend(self._read(track))
                self._events.extend(Interrupted(stream=stream) for stream in track.streams)
                track.interrupted = True
        if self.ending is not None and not self._events and not self._flushed:
            self._flushed = True
            for track in self._tracks:
                if track.audio is not None:
                    self._events.extend(self._heard(track, track.audio.flush()))

    def _read(self, track: Track) -> Iterator[Event]:
        packets = track.take()
        if not packets:
            return
        if track.interrupted:
            track.interrupted = False
            yield from (Resumed(stream=stream) for stream in track.streams)
        if track.audio is None:
            if self._began_s is None:
                self._began_s = packets[0].arrived_s
            track.audio = RtpAudio(split=self._split, began_s=self._began_s)
        yield from self._heard(track, track.audio.receive(packets))

    def _heard(self, track: Track, pieces: list[tuple[bytes, ...]]) -> Iterator[Event]:
        for piece in pieces:
            for stream, pcm in zip(track.streams, piece, strict=True):
                yield Heard(stream=stream, pcm=pcm)

    def _deadline(self, now: float) -> float:
        """When somebody must have been heard of, or the peer have connected."""
        if not self.connected:
            return self._connect_by
        timeout_s = self._settings.silence_timeout_s
        waited_for = (track.last_s for track in self._tracks if not track.interrupted and track.last_s is not None)
        return min((last_s + timeout_s for last_s in waited_for), default=now + timeout_s)

    def _on_state(self) -> None:
        match self._connection.connectionState:
            case "connected":
                for track in self._tracks:
                    track.last_s = track.last_s or anyio.current_time()
            case "failed":
                self._end(Ending.LOST)
            case "closed":
                self._end(Ending.HUNG_UP)
        self._wake()

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label == TRANSCRIPT:
            self.transcript.open(channel)

    def _end(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending = ending
        self._wake()

    def _wake(self) -> None:
        self._woken.set()


def _configuration(settings: WebRtcSettings) -> RTCConfiguration:
    """An empty list of servers is a list: without one, aiortc asks Google's."""
    servers = [
        RTCIceServer(urls=server.url, username=server.user, credential=server.password)
        for server in map(sdp.read_ice_server, settings.ice_servers)
    ]
    return RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
