"""The audio packets of one file → samples in their place on the stream's clock, with restart points on the way."""

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias, cast

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.packet import Packet
from av.sidedata.sidedata import SideDataContainer, Type

from pipeline.engines.pyav_clock import Clock, RestartIndex
from pipeline.engines.pyav_exchange import PIECE, AudioPipe
from pipeline.engines.pyav_resample import Resampling, channels_of, kind_of, shaped, trimmed
from pipeline.errors import UndecodableAudio
from pipeline.types import SAMPLE_RATE, RestartPoint

MAX_DAMAGED = 500  # packets in a row that cannot be decoded: 10 s of Opus
LEADS_IN = frozenset({"vorbis"})  # codecs whose first packet after a restart decodes to another length than before

Locate: TypeAlias = Callable[[int], RestartPoint | None]
"""Offset of a packet in its file → where a restart comes to it first, if such a place is known. Only bytes are set."""


class Track:
    """One file's audio track.

    `resumed` is given where the file is entered in its middle: its first packet then belongs to the sample at which
    the stream stands, and nothing of it is encoder delay.
    """

    def __init__(
        self, audio: AudioPipe, clock: Clock, index: RestartIndex, locate: Locate, resumed: RestartPoint | None
    ) -> None:
        self._audio = audio
        self._clock = clock
        self._index = index
        self._locate = locate
        self._resumed = resumed  # until the clock is tied to the first packet
        self._entered = resumed is not None  # in the middle, and nothing was placed yet
        self._lead: RestartPoint | None = None  # leads to a packet that only leads in
        self._led_in = False
        self._delay = 0  # samples of encoder delay still to be skipped
        self._damaged = 0  # packets in a row
        self._run: Resampling | None = None

    def decode(self, packet: "Packet[AudioStream]") -> bool:
        """Decode one packet and hand its audio over; False for a damaged one.

        That one leaves a hole, which the next one's time shows. Raises `UndecodableAudio` when too many in a row are
        damaged, `Discarded` when nobody listens any more.
        """
        restart, damaged = self._restart(packet), self._damaged
        frames = self._frames(packet)
        if not packet.is_discard and not self._leads_in(packet):
            for frame in frames:
                self._place(frame, restart)
                restart = None
        return self._damaged <= damaged

    def flush(self) -> None:
        """Hand over what was gathered: no more packets are there for the moment."""
        if self._run is not None:
            self._audio.write(self._run.flush())

    def finish(self) -> None:
        """Hand over what the resampler still holds back."""
        if self._run is not None:
            self._audio.write(self._run.drain())
            self._run = None

    def _frames(self, packet: "Packet[AudioStream]") -> list[AudioFrame]:
        try:
            frames = packet.decode()
        except FFmpegError as exc:
            self._damaged += 1
            if self._damaged > MAX_DAMAGED:
                raise UndecodableAudio from exc
            return []
        if frames:
            self._damaged = 0
        return frames

    def _restart(self, packet: "Packet[AudioStream]") -> RestartPoint | None:
        """Where a restart has to begin for this packet to be the first that counts."""
        restart = None if packet.pos is None or packet.pos < 0 else self._locate(packet.pos)
        if packet.stream.codec_context.name in LEADS_IN:
            restart, self._lead = self._lead, restart
        return restart

    def _leads_in(self, packet: "Packet[AudioStream]") -> bool:
        """Whether this packet of a restarted decoder does not count. The first that does ties the clock."""
        if self._resumed is None or not packet.size:
            return False
        if packet.stream.codec_context.name in LEADS_IN and not self._led_in:
            self._led_in = True
            return True
        if packet.pts is not None:
            self._clock.resume(origin=self._resumed.origin, time=float(packet.pts * packet.time_base) * SAMPLE_RATE)
        self._resumed = None
        return False

    def _place(self, frame: AudioFrame, restart: RestartPoint | None) -> None:
        """Put a frame behind what came before: directly, or after a hole."""
        start, end = self._padding(frame)
        if start + end >= frame.samples:
            return
        time = None if frame.time is None else frame.time * SAMPLE_RATE + start * SAMPLE_RATE / frame.sample_rate
        if start or end:
            frame, restart = trimmed(frame, start, end), None
        at = self._audio.position if self._run is None else self._run.position
        hole = 0 if time is None else self._clock.hole_before(time, at)
        if hole or self._run is None or self._run.kind != kind_of(frame):
            self.finish()
            self._be_silent(hole, channels_of(frame))
            self._run = Resampling(frame, self._audio.position)
        if restart is not None and not self._clock.doubtful:
            position, origin = round(self._run.position), self._clock.origin or 0.0
            self._index.add(replace(restart, position=position, origin=origin))
        self._audio.write(self._run.push(frame))

    def _padding(self, frame: AudioFrame) -> tuple[int, int]:
        """Samples at the frame's start and end that the encoder added. Its delay may be longer than a frame."""
        delay, end = _skip_samples(frame)
        if not self._entered:
            self._delay += delay
        self._entered = False
        start = min(self._delay, frame.samples)
        self._delay -= start
        return start, end

    def _be_silent(self, samples: int, channels: int) -> None:
        for begin in range(0, samples, PIECE):
            piece = min(PIECE, samples - begin)
            self._audio.write(shaped(np.zeros(piece * channels, np.float32), channels))


def _skip_samples(frame: AudioFrame) -> tuple[int, int]:
    """What libav says to skip from the frame's start on, and at its end (AV_FRAME_DATA_SKIP_SAMPLES)."""
    for side in cast(SideDataContainer, frame.side_data):
        if side.type is Type.SKIP_SAMPLES:
            start, end = struct.unpack_from("<II", bytes(side))
            return start, end
    return 0, 0
