"""How soon one live stream's words are final, how calm its partials are, and whether it cuts anybody short.

One stream at a time, at real-time pace over the real socket. The same audio is then heard without a server: in step
with the audio, which leaves of a delay what no faster machine can save, and as a file, because an endpointer that is
quick by cutting words must not win. What the figures mean is stated in `bench.latency_report`.
"""

from dataclasses import dataclass, field, replace

import msgspec
from rich.console import Console

from bench import score
from bench.clients import SAMPLE_BYTES, Voice
from bench.latency_report import Alone, Report, Session, report
from bench.lockstep import lockstep
from bench.manifest import Entry, entries
from bench.offline import Engine, Offline, Track, open_offline
from bench.playing import finals_of, play, said_by, voice_of
from bench.recordings import FOLDER, TRUTH_SUFFIX, Recording, TruthItem
from bench.resources import Meter
from bench.server import running_server
from pipeline.pcm import encoding_of
from pipeline.types import SAMPLE_RATE, Pcm, Role
from server.engines import live_options


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyOptions:
    """What to play, to which recogniser."""

    recording: str = "cough"
    voice: Role = Role.UNSPECIFIED  # who is in the stream; unspecified: both
    engine: Engine = field(default_factory=Engine)
    repeats: int = 1  # sessions, one after the other
    minutes: float = 0.0  # one session of that length, in which the recording is repeated; 0: the recording once
    speed: float = 1.0


async def run(options: LatencyOptions, console: Console) -> Report:
    """Play, measure, then hear the same as a file.

    Raises: `Refused`, `ServerFailed`, `RecogniserUnavailable`, `OSError`, `TimeoutError`.
    """
    recording = Recording.load(options.recording)
    voice = voice_of(recording, options.voice)
    turn = _turn(recording, options.voice)
    long, audio = looped(turn, voice.audio, options.minutes * 60) if options.minutes else (turn, voice.audio)
    played: list[Session] = []
    async with running_server(environment=options.engine.environment(), recogniser=options.engine.recogniser) as server:
        for _ in range(1 if options.minutes else options.repeats):
            meter = Meter(server)
            client = await play(
                server, meter, [replace(voice, audio=audio)], long.seconds, console, speed=options.speed, note=False
            )
            played.append(Session(client=client, meter=meter, finals=finals_of(client.received, client.begun)))
        choice = server.recogniser
        name = options.engine.recogniser if choice is None else choice.name
    with console.status("Hearing the same without a server"):
        async with open_offline(options.engine.settings()) as offline:
            alone = await hear_alone(offline, turn, voice)
    return report(
        played,
        alone,
        recording=options.recording,
        voice=options.voice,
        recogniser=name,
        speed=options.speed,
        heard=long,
        turn=turn,
        long_stream=options.minutes > 0,
    )


def looped(turn: Entry, audio: bytes | memoryview, seconds: float) -> tuple[Entry, bytes]:
    """A recording over and over until `seconds` are full, and silent from where somebody would be cut short."""
    bytes_per_s = SAMPLE_RATE * SAMPLE_BYTES
    turns = -(-round(seconds * bytes_per_s) // len(audio))
    begins_ms = [round(number * len(audio) * 1000 / bytes_per_s) for number in range(turns)]
    items = [_later(item, begin_ms) for begin_ms in begins_ms for item in turn.items]
    until_ms = min((item.start_ms for item in items if item.end_ms > seconds * 1000), default=round(seconds * 1000))
    said = tuple(item for item in items if item.end_ms <= until_ms)
    heard = (bytes(audio) * turns)[: min(until_ms * bytes_per_s // 1000, round(seconds * bytes_per_s))]
    long = replace(turn, seconds=seconds, items=said, text=score.in_order(said))
    return long, heard.ljust(round(seconds * SAMPLE_RATE) * SAMPLE_BYTES, b"\0")


async def hear_alone(offline: Offline, turn: Entry, voice: Voice) -> Alone:
    """In step with the audio, and as a file."""
    pcm: Pcm = encoding_of("pcm_s16le").decode(bytes(voice.audio))
    unaware = await lockstep(
        pcm,
        role=voice.role,
        language=turn.language,
        options=live_options(offline.settings, offline.batcher.recogniser),
        voice_activity=offline.voice_activity,
        batcher=offline.batcher,
    )
    file = await offline.transcribe([Track(name=voice.stream, role=voice.role, audio=pcm)], turn.language)
    return Alone(unaware=unaware, file=file.items)


def _turn(recording: Recording, who: Role) -> Entry:
    """One turn of the recording, with the truth of those who are heard."""
    (entry,) = entries([FOLDER / f"{recording.id}{TRUTH_SUFFIX}"])
    items = said_by(entry.items, who)
    return replace(entry, items=items, text=score.in_order(items), stereo=None)


def _later(item: TruthItem, by_ms: int) -> TruthItem:
    return msgspec.structs.replace(item, start_ms=item.start_ms + by_ms, end_ms=item.end_ms + by_ms)
