"""The recordings this project made for itself: a consultation in two channels, in one, and what is said when.

Each is three files in bench/recordings/, written by `bench.make_consultation`: NAME.stereo.flac (doctor left, patient
right), NAME.mono.flac (the sum of both) and NAME.truth.json (`Truth`).
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import av
import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.types import SAMPLE_RATE, Pcm, Role

TRUTH_SUFFIX = ".truth.json"
# A wheel is unpacked when it is installed, so its resources are files that PyAV can open by path.
FOLDER = Path(str(resources.files("bench") / "recordings"))


class TruthItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one voice says without a break. Times run from its first audible sample to behind its last one."""

    speaker: Role
    start_ms: int
    end_ms: int
    text: str


class Files(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names of the audio files, beside the truth."""

    stereo: str
    mono: str


class Channels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is heard in which channel of the stereo file."""

    left: Literal["doctor"] = "doctor"
    right: Literal["patient"] = "patient"


class Truth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """NAME.truth.json."""

    id: str
    language: str  # ISO 639-1
    seconds: float
    voices: dict[Role, str]  # which synthesiser's voice speaks the part
    files: Files
    channels: Channels = Channels()
    items: tuple[TruthItem, ...]  # in order of their start


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recorded consultation; its audio is read from the files whenever it is asked for."""

    id: str
    seconds: float
    language: str
    items: tuple[TruthItem, ...]
    stereo_path: Path
    mono_path: Path

    @classmethod
    def load(cls, name: str) -> "Recording":
        """The recording of this name among ours.

        Raises: `FileNotFoundError` that lists the names there are.
        """
        if name not in names():
            raise FileNotFoundError(f"no recording {name!r}; there are: {', '.join(names())}")
        return cls.read(FOLDER / f"{name}{TRUTH_SUFFIX}")

    @classmethod
    def read(cls, path: Path) -> "Recording":
        """The recording whose truth is the file at `path`, its audio beside it."""
        truth = msgspec.json.decode(path.read_bytes(), type=Truth)
        return cls(
            id=truth.id,
            seconds=truth.seconds,
            language=truth.language,
            items=truth.items,
            stereo_path=path.with_name(truth.files.stereo),
            mono_path=path.with_name(truth.files.mono),
        )

    def channels(self) -> tuple[Pcm, Pcm]:
        """The doctor's voice and the patient's, equally long."""
        rows = _decode(self.stereo_path, channels=2)
        return rows[0], rows[1]

    def mono(self) -> Pcm:
        """Both voices in one."""
        return _decode(self.mono_path, channels=1).reshape(-1)


def names() -> tuple[str, ...]:
    """The recordings of our own, in alphabetical order."""
    return tuple(sorted(path.name.removesuffix(TRUTH_SUFFIX) for path in FOLDER.glob(f"*{TRUTH_SUFFIX}")))


def _decode(path: Path, *, channels: int) -> NDArray[np.float32]:
    """All samples of a FLAC file of ours. Shape `(channels, n_samples)`, float32 in [-1, 1]."""
    with av.open(str(path), format="flac") as container:
        stream = container.streams.audio[0]
        if (stream.rate, stream.channels) != (SAMPLE_RATE, channels):
            raise ValueError(f"{path.name}: {stream.channels} channels at {stream.rate} Hz, not {channels} at 16 kHz")
        interleaved = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])
    return np.ascontiguousarray(interleaved.reshape(-1, channels).T, np.float32) / np.float32(32768)
