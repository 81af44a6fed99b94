"""Whom we compare ourselves with: what is installed, and how each is run.

Versions are pinned here, and nowhere else. The engine below them is ours: the same CTranslate2, the same model
directory, int8. Every peer is given the settings it does best with: those that only a measurement can choose between
are listed, and the best of them goes on.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bench.load_client import WireName

DRIVERS = Path(__file__).parent / "drivers"
MANY = 256  # streams, sessions, speakers: no limit of the peer's own shall be what is measured
ENGINE = (
    f"ctranslate2=={version('ctranslate2')}",
    "onnxruntime<1.29",  # from 1.29 on it carries a telemetry client
    "requests>=2.32",  # faster-whisper imports it without asking for it
    "torch==2.13.0",
    "websockets==16.0",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What an environment is made of.

    `alone` is installed without what it asks for: those lists are for GPUs, microphones and other engines
    (WhisperLive's draws OpenVINO and CUDA in). `needs` is what the server imports to run on a CPU.
    """

    name: str
    alone: tuple[str, ...]
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a peer runs, and what with."""

    python: Path  # of its environment
    port: int
    model: Path
    language: str
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way to run a peer."""

    name: str
    threads: int | None = None  # of CTranslate2, for one decoding; None: as many as it takes by itself
    flags: tuple[str, ...] = ()
    run: Mapping[str, int] = field(default_factory=dict)  # of WhisperLive's server

    @property
    def environment(self) -> dict[str, str]:
        return {} if self.threads is None else {"OMP_NUM_THREADS": str(self.threads)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A server of somebody else."""

    name: str
    project: Project
    wire: WireName
    command: Callable[[Place, Setting], Sequence[str]]
    path: str  # of its socket
    health: str  # path that answers `"ready": true`; empty: it is ready when it takes connections
    settings: tuple[Setting, ...]
    tried_with: tuple[int, ...] = (1,)  # streams; with the most of them it shows which setting is the best


WHISPER_LIVE = Project(
    name="whisperlive",
    alone=("whisper-live==0.10.0",),
    needs=("faster-whisper==1.2.0", "fastapi==0.165.0", "uvicorn==0.54.0", "python-multipart", "scipy==1.17.1"),
)
REALTIME_STT = Project(
    name="realtimestt",
    alone=("realtimestt==1.1.2", "silero-vad==6.2.1"),
    needs=(
        "faster-whisper==1.2.1",
        "fastapi==0.165.0",
        "uvicorn[standard]==0.54.0",
        "webrtcvad-wheels==2.0.14",
        "scipy==1.17.1",
        "soundfile==0.13.1",
        "halo==0.0.31",
        "colorama==0.4.6",
        "websocket-client==1.9.0",
    ),
)
WHISPER_LIVE_KIT = Project(
    name="whisperlivekit",
    alone=("whisperlivekit==0.2.26",),
    needs=(
        "faster-whisper==1.2.1",
        "fastapi==0.165.0",
        "uvicorn==0.54.0",
        "python-multipart",
        "librosa",
        "soundfile",
        "tiktoken",
        "tqdm",
    ),
)

# CTranslate2 takes up to four threads for one decoding unless told otherwise. For small models one is several times
# faster on few cores, for large ones more may be: both are tried.
BY_THREADS = (Setting(name="1 thread", threads=1), Setting(name="its own threads"))

# WhisperLive's own choice is 16 requests in a batch, which waits 50 ms for company. What is best where no GPU computes
# a batch at once shows only with several streams.
BY_BATCHES = (
    Setting(name="1 thread, batches of 16 in 50 ms", threads=1),
    Setting(name="1 thread, batches of 4 in 50 ms", threads=1, run={"batch_max_size": 4}),
    Setting(name="1 thread, batches of 4 at once", threads=1, run={"batch_max_size": 4, "batch_window_ms": 0}),
    Setting(name="1 thread, batches of 1 at once", threads=1, run={"batch_max_size": 1, "batch_window_ms": 0}),
    Setting(name="its own threads, batches of 16 in 50 ms"),
)


def _whisper_live(place: Place, setting: Setting, *, batch: bool) -> list[str]:
    """Its server; the lock is what it has where it does not batch. Beam 1 in batches is its own default."""
    settings = {
        "host": place.host,
        "port": place.port,
        "backend": "faster_whisper",
        "faster_whisper_custom_model_path": str(place.model),
        "single_model": True,
        "max_clients": MANY,
        "max_connection_time": 3600,
        "batch_enabled": batch,
        "batch_max_admissions_per_s": MANY,
        "batch_max_queue_wait_s": 3600,  # it refuses nobody
        **setting.run,
    }
    return [str(place.python), "-P", str(DRIVERS / "serve_whisper_live.py"), json.dumps(settings)]


def _realtime_stt(place: Place, setting: Setting) -> list[str]:
    """The FastAPI server of its wheel. One model for finals and one for realtime texts, each in a thread."""
    return [
        str(place.python),
        *("-m", "example_fastapi_server.server", "--host", place.host, "--port", str(place.port)),
        *("--engine", "faster_whisper", "--model", str(place.model), "--realtime-model", str(place.model)),
        *("--device", "cpu", "--compute-type", "int8", "--language", place.language),
        *("--max-sessions", str(MANY), "--max-active-speakers", str(MANY), "--beam-size-realtime", "1"),
        *("--max-global-inference-queue-depth", str(MANY), "--log-level", "WARNING"),
        *setting.flags,
    ]


def _whisper_live_kit(place: Place, setting: Setting) -> list[str]:
    """Its server with LocalAgreement, the policy that runs on CTranslate2."""
    return [
        str(place.python.with_name("whisperlivekit-server")),
        *("--host", place.host, "--port", str(place.port), "--pcm-input", "--warmup-file", ""),
        *("--backend", "faster-whisper", "--backend-policy", "localagreement", "--model_dir", str(place.model)),
        *("--lan", place.language, "--log-level", "WARNING"),
        *setting.flags,
    ]


PEERS: Final = (
    Peer(
        name="whisperlive-lock",
        project=WHISPER_LIVE,
        wire="whisperlive",
        command=lambda place, setting: _whisper_live(place, setting, batch=False),
        path="",
        health="",
        settings=BY_THREADS,
    ),
    Peer(
        name="whisperlive-batch",
        project=WHISPER_LIVE,
        wire="whisperlive",
        command=lambda place, setting: _whisper_live(place, setting, batch=True),
        path="",
        health="",
        settings=BY_BATCHES,
        tried_with=(1, 4),
    ),
    Peer(
        name="realtimestt",
        project=REALTIME_STT,
        wire="realtimestt",
        command=_realtime_stt,
        path="/ws/transcribe",
        health="/health",
        settings=(
            *BY_THREADS,
            Setting(
                name="1 thread, unbatched, ends after 0.26 s of silence",  # 0.16 s until it is silence, and 0.1 s
                threads=1,
                flags=(
                    *("--batch-size", "0", "--realtime-batch-size", "0"),
                    *("--post-speech-silence-duration", "0.1", "--early-transcription-on-silence", "0.05"),
                ),
            ),
        ),
    ),
    Peer(
        name="whisperlivekit",
        project=WHISPER_LIVE_KIT,
        wire="whisperlivekit",
        command=_whisper_live_kit,
        path="/asr",
        health="/health",
        settings=(
            *BY_THREADS,
            Setting(name="1 thread, buffer of 5 s", threads=1, flags=("--buffer_trimming_sec", "5")),
        ),
    ),
)

LEFT_OUT: Final = MappingProxyType(
    {
        "whisper_streaming": "it is not on the registry: the package of that name there (0.1.0) is a rework by others, "
        "without a server, that stops committing words after ten seconds",
    }
)
