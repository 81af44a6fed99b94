"""Speaks a written dialogue into a recording with exact truth: `python -m bench.make_consultation --dialogue cough`.

    dialogue (TOML) ──flite──► one clip a line ──arrange──► positions ──mix──► stereo and mono FLAC, truth (JSON)

The same dialogue and the same flite give the same samples: pauses come from the dialogue's own seed. The times in the
truth are not estimated but counted: they are where the first and the last audible sample of a line were placed.
"""

import random
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import av
import msgspec
import numpy as np
import typer
from numpy.typing import NDArray

from bench.recordings import FOLDER, TRUTH_SUFFIX, Files, Truth, TruthItem
from pipeline.errors import AuscultError
from pipeline.types import SAMPLE_RATE, Role, to_ms, to_samples

Samples = NDArray[np.int16]
# Those of flite's voices that speak at 16 kHz. flite itself says nothing of an unknown name and takes another voice.
Voice = Literal["awb", "kal16", "rms", "slt"]

SPEAKERS = (Role.DOCTOR, Role.PATIENT)  # left and right channel
DIALOGUES = Path(__file__).parent / "dialogues"
LEVEL_DB = -25.0  # active speech, below full scale: how meeting software levels a voice
ACTIVE_DB = -30.0  # frames this far below the loudest one still count as speech (a stand-in for ITU-T P.56)
FRAME = to_samples(20)
AUDIBLE = 98  # of 32768, -50 dBFS: above flite's noise and breath, -63 dBFS RMS at most once levelled
MARGIN = to_samples(40)  # kept on either side of what is audible and faded, so that no clip ends in a click
PAUSE_MS = (300, 900)  # from the end of a line to the start of the next
TAIL_MS = 1000  # silence behind the last line


class FliteMissing(AuscultError):
    """The speech synthesiser flite is not installed: apt-get install flite"""

    code = "flite_missing"


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one voice says without a break."""

    speaker: Role
    text: str
    overlap_ms: int = 0  # starts this long before the line above ends; 0: after a pause


class Dialogue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A consultation to be spoken: bench/dialogues/NAME.toml."""

    id: str
    language: str  # ISO 639-1
    seed: int  # of the pauses
    voices: dict[Role, Voice]
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        if set(self.voices) != set(SPEAKERS) or not {line.speaker for line in self.lines} <= set(SPEAKERS):
            raise ValueError("a dialogue is between a doctor and a patient, and each has a voice")
        if not self.lines:
            raise ValueError("a dialogue has at least one line")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """One spoken line. Audible from sample `start` up to `end`; what lies outside is a fading margin."""

    samples: Samples
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Consultation:
    """A spoken dialogue. `stereo`: shape `(2, n_samples)`, doctor and patient; `mono`: shape `(1, n_samples)`."""

    stereo: Samples
    mono: Samples
    truth: Truth


def read_dialogue(name: str) -> Dialogue:
    """The dialogue in the TOML file `name`, or the one of that name among ours.

    Raises: `FileNotFoundError`, `msgspec.DecodeError`.
    """
    path = Path(name) if name.endswith(".toml") else DIALOGUES / f"{name}.toml"
    if not path.is_file():
        ours = ", ".join(sorted(each.stem for each in DIALOGUES.glob("*.toml")))
        raise FileNotFoundError(f"no dialogue {name!r}; there are: {ours}")
    return msgspec.toml.decode(path.read_bytes(), type=Dialogue)


def speak(dialogue: Dialogue) -> list[Clip]:
    """One clip for each line, each voice at `LEVEL_DB`.

    Raises: `FliteMissing`; `ValueError` where a line is spoken as silence.
    """
    with tempfile.TemporaryDirectory() as folder:
        spoken = [_flite(dialogue.voices[line.speaker], line.text, Path(folder)) for line in dialogue.lines]
    speakers = [line.speaker for line in dialogue.lines]
    gains = {
        speaker: _gain(np.concatenate([samples for samples, of in zip(spoken, speakers, strict=True) if of is speaker]))
        for speaker in set(speakers)
    }
    return [cut(_to_int16(samples * gains[of])) for samples, of in zip(spoken, speakers, strict=True)]


def cut(samples: Samples) -> Clip:
    """Drop the silence round a line, but for faded margins.

    Raises: `ValueError` where nothing is audible.
    """
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) >= AUDIBLE)
    if not len(loud):
        raise ValueError("a line of the dialogue is spoken as silence")
    start, end = int(loud[0]), int(loud[-1]) + 1
    before, after = min(MARGIN, start), min(MARGIN, len(samples) - end)
    shape = np.concatenate([np.linspace(0, 1, before), np.ones(end - start), np.linspace(1, 0, after)])
    return Clip(
        samples=_to_int16(samples[start - before : end + after] * shape), start=before, end=before + end - start
    )


def arrange(lines: Sequence[Line], clips: Sequence[Clip], seed: int) -> list[int]:
    """The position at which each clip's audible part starts; clips of one voice never touch.

    Raises: `ValueError` where an overlap would make a voice speak over itself.
    """
    chance = random.Random(seed)
    shortest, longest = PAUSE_MS
    free = dict.fromkeys(Role, MARGIN)  # from where on a voice may be audible
    starts: list[int] = []
    end = 0
    for line, clip in zip(lines, clips, strict=True):
        pause_ms = shortest + (longest - shortest) * chance.random()  # the one method that is the same in every Python
        start = end + to_samples(-line.overlap_ms if line.overlap_ms else pause_ms)
        if start < free[line.speaker]:
            raise ValueError(f"line {len(starts) + 1} overlaps what its own voice says before")
        starts.append(start)
        end = max(end, start + clip.end - clip.start)
        free[line.speaker] = start + clip.end - clip.start + 2 * MARGIN
    return starts


def mix(dialogue: Dialogue, clips: Sequence[Clip]) -> Consultation:
    """Lay the clips out into a doctor's and a patient's channel, and write down where they are."""
    starts = arrange(dialogue.lines, clips, dialogue.seed)
    ends = [start + clip.end - clip.start for start, clip in zip(starts, clips, strict=True)]
    stereo = np.zeros((2, max(ends) + to_samples(TAIL_MS)), np.int16)
    for line, clip, start in zip(dialogue.lines, clips, starts, strict=True):
        channel = stereo[SPEAKERS.index(line.speaker)]
        at = start - clip.start
        channel[at : at + len(clip.samples)] = clip.samples
    items = tuple(
        TruthItem(speaker=line.speaker, start_ms=to_ms(start), end_ms=to_ms(end), text=line.text)
        for line, start, end in zip(dialogue.lines, starts, ends, strict=True)
    )
    truth = Truth(
        id=dialogue.id,
        language=dialogue.language,
        seconds=round(stereo.shape[1] / SAMPLE_RATE, 3),
        voices={speaker: f"flite:{voice}" for speaker, voice in dialogue.voices.items()},
        files=Files(stereo=f"{dialogue.id}.stereo.flac", mono=f"{dialogue.id}.mono.flac"),
        items=tuple(sorted(items, key=lambda item: item.start_ms)),
    )
    return Consultation(stereo=stereo, mono=_to_int16(stereo.sum(axis=0, keepdims=True, dtype=np.int32)), truth=truth)


def write(consultation: Consultation, folder: Path) -> None:
    """Write the two FLAC files and the truth into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    truth = consultation.truth
    write_flac(folder / truth.files.stereo, consultation.stereo)
    write_flac(folder / truth.files.mono, consultation.mono)
    text = msgspec.json.format(msgspec.json.encode(truth), indent=1)
    (folder / f"{truth.id}{TRUTH_SUFFIX}").write_bytes(text + b"\n")


def write_flac(path: Path, samples: Samples) -> None:
    """Write `samples`, shape `(channels, n_samples)` with one or two channels, at 16 kHz."""
    layout = "mono" if len(samples) == 1 else "stereo"
    frame = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1), format="s16", layout=layout)
    frame.sample_rate = SAMPLE_RATE
    with av.open(str(path), "w", format="flac", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout=layout, format="s16")
        stream.options = {"compression_level": "12"}
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _flite(voice: Voice, text: str, folder: Path) -> NDArray[np.float64]:
    """What flite says, in units of 1/32768. Shape `(n_samples,)`."""
    program = shutil.which("flite")
    if program is None:
        raise FliteMissing
    path = folder / "line.wav"
    subprocess.run([program, "-voice", voice, "-t", text, "-o", str(path)], check=True, capture_output=True)
    with wave.open(str(path)) as sound:
        if (sound.getframerate(), sound.getnchannels()) != (SAMPLE_RATE, 1):
            raise ValueError(f"flite's voice {voice} speaks at {sound.getframerate()} Hz, not at {SAMPLE_RATE}")
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(np.float64)


def _gain(samples: NDArray[np.float64]) -> float:
    """What brings the active speech in `samples` to `LEVEL_DB`."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    power = np.square(frames).mean(axis=1)
    if not power.any():
        return 1.0  # `cut` refuses silence
    active = power[power >= power.max() * 10 ** (ACTIVE_DB / 10)].mean()
    return float(32768 * 10 ** (LEVEL_DB / 20) / np.sqrt(active))


def _to_int16(samples: NDArray[np.float64] | NDArray[np.int32]) -> Samples:
    rounded: Samples = np.clip(np.round(samples), -32768, 32767).astype(np.int16)
    return rounded


def main(
    dialogue: Annotated[str, typer.Option(help="One of ours by its name, or a TOML file.")] = "cough",
    out: Annotated[Path, typer.Option(help="Folder for the recording.")] = FOLDER,
) -> None:
    """Speak a dialogue with flite and write it as stereo FLAC, mono FLAC and truth."""
    try:
        written = read_dialogue(dialogue)
        consultation = mix(written, speak(written))
    except (FliteMissing, FileNotFoundError, ValueError, msgspec.DecodeError) as error:
        raise SystemExit(str(error)) from error
    write(consultation, out)
    print(f"{out / written.id}: {consultation.truth.seconds} s, {len(consultation.truth.items)} items")


if __name__ == "__main__":
    typer.run(main)
