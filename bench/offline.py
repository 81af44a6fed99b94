"""Recordings through the pipeline as files: what `auscult transcribe` does, with the recogniser loaded once."""

import os
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import psutil

from bench.manifest import Entry
from bench.resources import Meter
from pipeline.batching import Batcher
from pipeline.pcm import encoding_of
from pipeline.ports import AudioDecoder, VoiceActivityModel
from pipeline.stereo import StereoSession
from pipeline.types import SAMPLE_RATE, AudioFormat, Pcm, Role, StreamOptions, Utterance
from server.engines import file_options, make_recogniser, make_voice_activity, open_decoder
from server.settings import Settings, load_settings
from server.transcribe import PIECE, hear, pieces, working

RAW = "pcm_f32le"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Which recogniser, and how it computes; what is empty is as the operator's settings say."""

    recogniser: str = "auto"
    model: str = ""
    compute_type: str = ""
    encoder_window: str = ""
    prompt: bool = True  # whether the recogniser is told what was said before

    def settings(self) -> Settings:
        """The settings in force, as a server has them, with this engine. Raises `SettingsError`."""
        config = os.environ.get("AUSCULT_CONFIG")
        flags = {f"recogniser.{key}": value for key, value in self._given().items()}
        return load_settings(config_file=Path(config) if config else None, flags=flags)

    def environment(self) -> Mapping[str, str]:
        """The same for a server's process."""
        return {f"AUSCULT_RECOGNISER_{key.upper()}": value for key, value in self._given().items()}

    def _given(self) -> Mapping[str, str]:
        wanted = {
            "kind": self.recogniser,
            "model": self.model,
            "compute_type": self.compute_type,
            "encoder_window": self.encoder_window,
            "use_prompt": "" if self.prompt else "false",
        }
        return {key: value for key, value in wanted.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """One voice, or all of them: a file as it is, or one channel of it."""

    name: str
    role: Role
    audio: Path | Pcm


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What was understood of a recording, and what it took."""

    items: tuple[Utterance, ...]
    errors: tuple[str, ...]  # of parts that are lost
    took_s: float
    cpu_s: float  # processor seconds of this process and those it started


class Ourselves:
    """This process and those it started, for a `Meter`."""

    def family(self) -> Sequence[psutil.Process]:
        process = psutil.Process()
        return [process, *process.children(recursive=True)]


class Offline:
    """A loaded recogniser and the stages before it. Made by `open_offline`."""

    def __init__(self, settings: Settings, batcher: Batcher, voice_activity: VoiceActivityModel) -> None:
        self.settings = settings
        self.batcher = batcher
        self.voice_activity = voice_activity

    @property
    def name(self) -> str:
        """Kind and model of the recogniser."""
        return f"{self.batcher.recogniser.name} {self.batcher.recogniser.model}"

    def speaks(self, language: str) -> bool:
        """Whether the recogniser knows the language."""
        return language in self.batcher.recogniser.languages

    async def transcribe(self, tracks: Sequence[Track], language: str) -> Transcript:
        """All tracks at the same time, as fast as it goes."""
        items: list[Utterance] = []
        errors: list[str] = []

        async def listen(track: Track) -> None:
            heard = await hear(self._session(track, language), _decoder(track), self.batcher, _bytes(track))
            items.extend(heard.items)
            errors.extend(str(error) for error in heard.errors)

        meter, begun = Meter(Ourselves()), time.perf_counter()
        async with anyio.create_task_group() as listening:
            for track in tracks:
                listening.start_soon(listen, track)
        took_s = time.perf_counter() - begun
        meter.sample()
        items.sort(key=lambda item: (item.start, item.end))
        return Transcript(items=tuple(items), errors=tuple(errors), took_s=took_s, cpu_s=meter.cpu_s)

    def _session(self, track: Track, language: str) -> StereoSession:
        stream = StreamOptions(encounter="bench", stream=track.name, role=track.role, language=language, live=False)
        return StereoSession(stream, file_options(self.settings, self.batcher.recogniser), self.voice_activity)


@asynccontextmanager
async def open_offline(settings: Settings) -> AsyncIterator[Offline]:
    """A recogniser at work until this block is left. Raises `RecogniserUnavailable`."""
    async with working(make_recogniser(settings)) as batcher:
        yield Offline(settings, batcher, make_voice_activity(settings))


def tracks_of(entry: Entry, *, split: bool) -> list[Track]:
    """What is recognised of a recording: each voice where they are apart (and `split`), else all in one."""
    if split and entry.stereo is not None:
        doctor, patient = entry.channels()
        return [
            Track(name="doctor", role=Role.DOCTOR, audio=doctor),
            Track(name="patient", role=Role.PATIENT, audio=patient),
        ]
    return [Track(name="all", role=Role.UNSPECIFIED, audio=entry.mono)]


def _decoder(track: Track) -> AudioDecoder:
    raw = AudioFormat(encoding=RAW, sample_rate=SAMPLE_RATE)
    return open_decoder(AudioFormat() if isinstance(track.audio, Path) else raw)


def _bytes(track: Track) -> Iterable[bytes]:
    return pieces(track.audio) if isinstance(track.audio, Path) else _raw_pieces(track.audio)


def _raw_pieces(pcm: Pcm) -> Iterator[bytes]:
    raw = encoding_of(RAW).encode(pcm)
    for at in range(0, len(raw), PIECE):
        yield raw[at : at + PIECE]
