"""Consultations whose notes are known, from three public sets, as transcript items.

The sets are aci-bench, MTS-Dialog and PriMock57, in the folders and files in which their authors publish them (all CC
BY 4.0). A turn is an item. Guests of aci-bench and MTS-Dialog are nobody in particular: neither doctor nor patient.
"""

import csv
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from bench.role_dialogues import ACI, LONGEST_FIELD, MTS, PRIMOCK, Dialogue, Said, aci_bench, mts_dialog, primock57
from pipeline.errors import AuscultError
from pipeline.types import SAMPLE_RATE, Utterance

Split: TypeAlias = Literal["valid", "test1", "train"]

ACI_FILES: Final[dict[Split, str]] = {
    "valid": "valid.csv",
    "test1": "clinicalnlp_taskB_test1.csv",
    "train": "train.csv",
}
SECONDS_A_WORD: Final = 0.4  # 150 words a minute; for sets without times
STREAM: Final = "stream0"


class NoNotes(AuscultError):
    """There is nothing to compare with."""

    code = "no_notes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A consultation and what somebody noted of it."""

    name: str
    corpus: str
    items: tuple[Utterance, ...]  # in spoken order
    reference: str  # the whole note; of a snippet the text of one section
    header: str = ""  # of a snippet: which section that is

    @property
    def words(self) -> int:
        """That were said."""
        return sum(len(item.text.split()) for item in self.items)


class _PrimockNote(msgspec.Struct, frozen=True, kw_only=True):
    day: int
    consultation: int
    note: str


def notes_folder(given: Path | None) -> Path:
    """The folder with the sets: the one given, else `notes` in AUSCULT_TEST_DATA. Raises `NoNotes`."""
    elsewhere = os.environ.get("AUSCULT_TEST_DATA")
    folder = given or (Path(elsewhere) / "notes" if elsewhere else None)
    if folder is None:
        raise NoNotes(f"Give a folder with {ACI}, {MTS} and {PRIMOCK}, or name the one above it in AUSCULT_TEST_DATA.")
    if not folder.is_dir():
        raise NoNotes(f"There is no folder {folder}, which should hold {ACI}, {MTS} and {PRIMOCK}.")
    return folder


def visits(folder: Path, split: Split) -> list[Visit]:
    """The visits of aci-bench. Raises `NoNotes`."""
    file = _file(folder / ACI / ACI_FILES[split])
    return [_visit(*pair) for pair in zip(aci_bench(file), _column(file, "note"), strict=True)]


def snippets(folder: Path, split: Split) -> list[Visit]:
    """The snippets of MTS-Dialog, each with the section that was written of it. Raises `NoNotes`."""
    file = _file(folder / MTS / f"{split}.csv")
    told = zip(mts_dialog(file), _column(file, "section_text"), _column(file, "section_header"), strict=True)
    return [_visit(*row) for row in told]


def calls(folder: Path) -> list[Visit]:
    """The calls of PriMock57, which has no splits. Raises `NoNotes`."""
    transcripts = folder / PRIMOCK / "transcripts"
    notes = dict(_primock_notes(folder / PRIMOCK / "notes"))
    if not transcripts.is_dir() or not notes:
        raise NoNotes(f"There are no transcripts and notes in {folder / PRIMOCK}.")
    return [_visit(call, notes[call.name]) for call in primock57(transcripts) if call.name in notes]


def as_items(said: Iterable[Said]) -> Iterator[Utterance]:
    """Turns as transcript items, in their order; where there are no times, each word takes as long as another."""
    now = 0.0
    for number, turn in enumerate(said, 1):
        start = turn.start if turn.end else now
        now = turn.end or start + SECONDS_A_WORD * len(turn.text.split())
        yield Utterance(
            id=f"item{number}",
            stream=STREAM,
            role=turn.role,
            start=round(start * SAMPLE_RATE),
            end=round(now * SAMPLE_RATE),
            text=turn.text,
        )


def _visit(dialogue: Dialogue, reference: str, header: str = "") -> Visit:
    items = tuple(as_items(dialogue.said))
    return Visit(name=dialogue.name, corpus=dialogue.corpus, items=items, reference=reference.strip(), header=header)


def _file(path: Path) -> Path:
    if not path.is_file():
        raise NoNotes(f"There is no file {path}.")
    return path


def _column(file: Path, name: str) -> list[str]:
    csv.field_size_limit(LONGEST_FIELD)
    with file.open(encoding="utf-8", newline="") as lines:
        return [row[name] for row in csv.DictReader(lines)]


def _primock_notes(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*.json")):
        yield path.stem, msgspec.json.decode(path.read_bytes(), type=_PrimockNote).note
