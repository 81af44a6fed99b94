"""Recordings whose truth is known, from wherever they are: our own, a manifest, a folder, a truth file.

A *manifest* is a file `manifest.jsonl`: one JSON object a line. It says either everything itself (`file`, `transcript`
and, where they are known, `items`) or only an `id`, whose truth is in ID.truth.json beside it or in the folder ID. A
truth file names its audio (`files`: `mono`, and `stereo` where `channels` says who is on which side); without names its
audio is ID.flac. A file without a transcript is passed over. What else is in these files is for others.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from faster_whisper.audio import decode_audio

from bench import recordings
from bench.recordings import TRUTH_SUFFIX, TruthItem
from pipeline.errors import AuscultError
from pipeline.types import SAMPLE_RATE, Pcm, Role

MANIFEST = "manifest.jsonl"
ROLES = frozenset(Role)

Record = TypeVar("Record", bound=msgspec.Struct)


class BadManifest(AuscultError):
    """A list of recordings cannot be read."""

    code = "bad_manifest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A recording and what is said in it."""

    id: str
    seconds: float
    language: str  # ISO 639-1
    text: str  # all that is said, in order
    items: tuple[TruthItem, ...] = ()  # in order of their start; empty where the times are not known
    exact: bool = False  # whether the times are those of the samples, not an estimate
    mono: Path
    stereo: Path | None = None  # the doctor left, the patient right

    def channels(self) -> tuple[Pcm, Pcm]:
        """The doctor's voice and the patient's, equally long. Raises `ValueError` where they are not apart."""
        if self.stereo is None:
            raise ValueError(f"{self.id} has no channel for each voice")
        left, right = decode_audio(str(self.stereo), SAMPLE_RATE, split_stereo=True)
        return np.ascontiguousarray(left, np.float32), np.ascontiguousarray(right, np.float32)


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    speaker: str
    start_ms: int
    end_ms: int
    text: str


class _Files(msgspec.Struct, frozen=True, kw_only=True):
    mono: str = ""
    stereo: str = ""


class _Sides(msgspec.Struct, frozen=True, kw_only=True):
    left: str = ""
    right: str = ""


class _Truth(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    seconds: float
    items: tuple[_Said, ...]
    language: str = "en"
    files: _Files = _Files()
    channels: _Sides = _Sides()


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    id: str = ""
    file: str = ""
    seconds: float = 0.0
    language: str = "en"
    transcript: str | None = None
    items: tuple[_Said, ...] = ()
    items_basis: str = ""  # how the times of `items` were estimated; empty where they are known


def entries(sources: Sequence[Path], *, only: str = "") -> list[Entry]:
    """Every recording of the sources, in their order; our own where there is none. `only`: what ids must contain.

    Raises: `BadManifest`, `OSError`.
    """
    found = [entry for source in sources or [recordings.FOLDER] for entry in _read(source) if only in entry.id]
    if not found:
        named = f" whose id contains {only!r}" if only else ""
        raise BadManifest(f"There is no recording with a known text{named}.")
    return found


def _read(source: Path) -> Iterator[Entry]:
    if source.is_dir():
        listed = source / MANIFEST
        truths = sorted(source.glob(f"*{TRUTH_SUFFIX}"))
        yield from _listed(listed) if listed.is_file() else map(_from_truth, truths)
    elif source.name.endswith(TRUTH_SUFFIX):
        yield _from_truth(source)
    else:
        yield from _listed(source)


def _listed(manifest: Path) -> Iterator[Entry]:
    for number, text in enumerate(manifest.read_bytes().splitlines(), 1):
        if not text.strip():
            continue
        line = _decoded(text, _Line, f"{manifest}, line {number}")
        if line.file and line.transcript:
            yield _from_line(manifest.parent, line, line.transcript)
        elif line.id:
            yield _from_truth(_truth_path(manifest.parent, line.id))
        elif not line.file:
            raise BadManifest(f"{manifest}, line {number}: there is neither a file nor an id.")


def _from_line(folder: Path, line: _Line, transcript: str) -> Entry:
    return Entry(
        id=line.id or Path(line.file).stem,
        seconds=line.seconds,
        language=line.language,
        text=transcript,
        items=_items(line.items),
        exact=bool(line.items) and not line.items_basis,
        mono=folder / line.file,
    )


def _truth_path(folder: Path, id: str) -> Path:
    beside = folder / f"{id}{TRUTH_SUFFIX}"
    return beside if beside.is_file() else folder / id / beside.name


def _from_truth(path: Path) -> Entry:
    truth = _decoded(path.read_bytes(), _Truth, str(path))
    apart = truth.files.stereo and (truth.channels.left, truth.channels.right) == (Role.DOCTOR, Role.PATIENT)
    items = _items(truth.items)
    return Entry(
        id=truth.id,
        seconds=truth.seconds,
        language=truth.language,
        text=" ".join(item.text for item in items),
        items=items,
        exact=True,
        mono=path.with_name(truth.files.mono or f"{truth.id}.flac"),
        stereo=path.with_name(truth.files.stereo) if apart else None,
    )


def _items(said: Iterable[_Said]) -> tuple[TruthItem, ...]:
    """Speakers other than doctor and patient are nobody in particular."""
    found = (
        TruthItem(
            speaker=Role(item.speaker) if item.speaker in ROLES else Role.UNSPECIFIED,
            start_ms=item.start_ms,
            end_ms=item.end_ms,
            text=item.text,
        )
        for item in said
    )
    return tuple(sorted(found, key=lambda item: item.start_ms))


def _decoded(text: bytes, kind: type[Record], where: str) -> Record:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as exc:
        raise BadManifest(f"{where}: {exc}.") from exc
