"""The peers' protocols as `bench.calls` speaks them, written from the versions named in `bench.peers.catalogue`.

A screen shows everything the server ever showed and did not take back: the pieces that are settled, in their order,
and behind them the piece that still changes.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec

from bench.calls import Frame
from bench.score import Final
from pipeline.types import SAMPLE_RATE

# WhisperLive


class WhisperLiveOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Its client's first message. What has a value here is the client's own default, but for the last two."""

    uid: str
    language: str
    task: str = "transcribe"
    model: str = "small"  # the server has its own
    use_vad: bool = True
    no_speech_thresh: float = 0.45
    same_output_threshold: int = 10
    send_last_n_segments: int = 500  # all there are, so that nothing leaves the screen
    audio_format: str = "int16"


class WhisperLiveSegment(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the screen."""

    text: str
    completed: bool = False


class WhisperLiveMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Whatever the server says."""

    status: str = ""
    message: str | float = ""
    segments: tuple[WhisperLiveSegment, ...] | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class WhisperLiveWire:
    """Segments, of which all but the last are complete; the last one of all never is."""

    tells_end: ClassVar[bool] = False
    options: WhisperLiveOptions
    ready: bool = False
    refused: bool = False
    ended: bool = False
    text: str = ""
    settled: str = ""
    finals: Sequence[Final] = ()

    def opening(self) -> Sequence[Frame]:
        return [msgspec.json.encode(self.options).decode()]

    def packet(self, audio: bytes) -> Frame:
        return audio

    def closing(self) -> Sequence[Frame]:
        return [b"END_OF_AUDIO"]

    def receive(self, frame: Frame, at_ms: float) -> None:
        said = msgspec.json.decode(frame, type=WhisperLiveMessage)
        self.ready |= said.message == "SERVER_READY"
        self.refused |= said.status in ("WAIT", "ERROR")
        self.ended |= said.message == "DISCONNECT"
        if said.segments is not None:
            self.text = _joined(segment.text for segment in said.segments)
            self.settled = _joined(segment.text for segment in said.segments if segment.completed)


# RealtimeSTT


class RealtimeSttMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Whatever the server says, as far as it concerns text."""

    type: str
    text: str = ""
    event: str = ""
    where: str = ""


@dataclass(slots=True, kw_only=True, eq=False)
class RealtimeSttWire:
    """Recordings, cut at pauses: each has realtime texts and one final, which may come while the next one is open.

    Its finals carry no times in the audio.
    """

    tells_end: ClassVar[bool] = False
    METADATA: ClassVar[bytes] = msgspec.json.encode(
        {"sampleRate": SAMPLE_RATE, "channels": 1, "format": "pcm_s16le"}  # of each packet
    )
    ready: bool = False
    refused: bool = False
    ended: bool = False
    finals: Sequence[Final] = ()
    _finals: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)  # recordings without a final, oldest first

    @property
    def text(self) -> str:
        return _joined([*self._finals, *self._open])

    @property
    def settled(self) -> str:
        return _joined(self._finals)

    def opening(self) -> Sequence[Frame]:
        return ['{"type":"start"}']

    def packet(self, audio: bytes) -> Frame:
        return struct.pack("<I", len(self.METADATA)) + self.METADATA + audio

    def closing(self) -> Sequence[Frame]:
        return ['{"type":"stop"}']

    def receive(self, frame: Frame, at_ms: float) -> None:
        said = msgspec.json.decode(frame, type=RealtimeSttMessage)
        if said.type == "ready":
            self.ready = True
        elif said.type == "error" and said.where == "admission":
            self.refused = True
        elif said.type == "timeline" and said.event == "recording_started":
            self._open.append("")
        elif said.type == "realtime" and said.text:
            self._open[-1:] = [said.text]
        elif said.type == "final":
            self._finals.append(said.text)
            self._open[:1] = []
        elif said.type == "error" and said.where == "final":
            self._open[:1] = []  # this recording had no words


# WhisperLiveKit


class WhisperLiveKitLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the screen; that of a pause has no text."""

    text: str | None = None


class WhisperLiveKitMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Whatever the server says."""

    type: str = ""
    lines: tuple[WhisperLiveKitLine, ...] | None = None
    buffer_transcription: str = ""


@dataclass(slots=True, kw_only=True, eq=False)
class WhisperLiveKitWire:
    """Committed lines, and a buffer behind them that may still change."""

    tells_end: ClassVar[bool] = True  # "ready_to_stop"
    ready: bool = False
    refused: bool = False
    ended: bool = False
    text: str = ""
    settled: str = ""
    finals: Sequence[Final] = ()

    def opening(self) -> Sequence[Frame]:
        return []

    def packet(self, audio: bytes) -> Frame:
        return audio

    def closing(self) -> Sequence[Frame]:
        return [b""]

    def receive(self, frame: Frame, at_ms: float) -> None:
        said = msgspec.json.decode(frame, type=WhisperLiveKitMessage)
        self.ready |= said.type == "config"
        self.ended |= said.type == "ready_to_stop"
        if said.lines is not None:
            self.settled = _joined(line.text or "" for line in said.lines)
            self.text = _joined([self.settled, said.buffer_transcription])


def _joined(pieces: Iterable[str]) -> str:
    return " ".join(stripped for piece in pieces if (stripped := piece.strip()))
