"""Doctor/patient dialogues as text, for the wording model: read from three public sets, cut and spoilt as speech is.

The sets are aci-bench, MTS-Dialog and PriMock57, in the folders and files in which their authors publish them.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

from pipeline.types import Role

ACI: Final = "aci-bench"
MTS: Final = "mts-dialog"
PRIMOCK: Final = "primock57"
# Spoken by a synthesiser for the bench of speakers: never learned from.
HELD_OUT: Final = frozenset(
    {
        "day1_consultation01",
        "day2_consultation01",
        "day2_consultation09",
        "day3_consultation05",
        "day3_consultation06",
        "day3_consultation08",
    }
)
# Visits that are only measured, whose doctor and patient are interchanged in nearly every turn: found by reading them.
INTERCHANGED: Final = frozenset({"D2N082", "D2N114"})
LONGEST_FIELD = 1_000_000  # characters in one cell of a CSV file
JOINED_WORDS = 25  # pieces are joined up to about so many words
LONGEST_PIECE = 30  # words; longer sentences are cut anywhere

_ACI_TURN: Final = re.compile(r"^\[([a-z_]+)\]", re.MULTILINE)
_MTS_TURN: Final = re.compile(r"^\s*([A-Z]\w+):", re.MULTILINE)
_SPEAKERS: Final = {"doctor": Role.DOCTOR, "patient": Role.PATIENT}
_INTERVAL: Final = re.compile(
    r'xmin = (?P<start>[\d.]+)\s+xmax = (?P<end>[\d.]+)\s+text = "(?P<text>(?:[^"]|"")*)"', re.ASCII
)
_TAG: Final = re.compile(r"<[^>]*>")
_SPACED_MARK: Final = re.compile(r"\s+([.,?!;:])")
_CLITIC: Final = re.compile(r"\b(ca|wo|do|did|gon|wan|got) (n't|na|ta)\b")  # as aci-bench cuts words
_SENTENCE_END: Final = re.compile(r"(?<=[.?!])\s+")
_MARKS: Final = re.compile(r"[^\w\s'-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Words of one speaker. Times are seconds, 0 where the set has none."""

    role: Role  # unspecified: a guest
    text: str
    start: float = 0.0
    end: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """One visit, in spoken order."""

    name: str
    corpus: str
    said: tuple[Said, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What a recogniser writes of something said, and what it wrote before."""

    role: Role
    text: str
    before: str
    end: float  # seconds


def aci_bench(file: Path) -> list[Dialogue]:
    """A file of aci-bench: whole visits."""
    return [
        Dialogue(name=row["encounter_id"], corpus=ACI, said=tuple(_turns(row["dialogue"], _ACI_TURN)))
        for row in _rows(file)
    ]


def mts_dialog(file: Path) -> list[Dialogue]:
    """A file of MTS-Dialog: snippets of visits."""
    return [
        Dialogue(name=f"{file.stem}-{row['ID']}", corpus=MTS, said=tuple(_turns(row["dialogue"], _MTS_TURN)))
        for row in _rows(file)
    ]


def primock57(folder: Path) -> list[Dialogue]:
    """The transcripts of PriMock57: a TextGrid for each voice."""
    dialogues = []
    for doctor in sorted(folder.glob("*_doctor.TextGrid")):
        name = doctor.name.removesuffix("_doctor.TextGrid")
        said = [*_intervals(doctor, Role.DOCTOR), *_intervals(folder / f"{name}_patient.TextGrid", Role.PATIENT)]
        said.sort(key=lambda each: each.start)
        dialogues.append(Dialogue(name=name, corpus=PRIMOCK, said=tuple(said)))
    return dialogues


def pieces(said: Sequence[Said], random: Random | None = None) -> list[Said]:
    """Turns cut into sentences of at most `LONGEST_PIECE` words; with chance, some of one turn joined again.

    Times of a piece are the share of its turn that its words have.
    """
    cut: list[Said] = []
    for turn in said:
        joined: list[list[str]] = []
        most = 0 if random is None else random.choice((0, 0, JOINED_WORDS, 2 * JOINED_WORDS))
        for sentence in _SENTENCE_END.split(turn.text):
            words = sentence.split()
            for begin in range(0, len(words), LONGEST_PIECE):
                part = words[begin : begin + LONGEST_PIECE]
                if joined and len(joined[-1]) + len(part) <= most:
                    joined[-1].extend(part)
                else:
                    joined.append(part)
        total = sum(map(len, joined)) or 1
        seconds = (turn.end - turn.start) / total
        done = 0
        for words in joined:
            start = turn.start + done * seconds
            done += len(words)
            cut.append(replace(turn, text=" ".join(words), start=start, end=turn.start + done * seconds))
    return cut


def unmarked(text: str) -> str:
    """As a recogniser writes that knows neither marks nor capitals."""
    return " ".join(_MARKS.sub(" ", text.lower()).split())


def misheard(text: str, share: float, words: Sequence[str], random: Random) -> str:
    """The text with this share of word errors: six of ten are other words, three missing ones, one a word too many."""
    heard: list[str] = []
    for word in text.split():
        if random.random() >= share:
            heard.append(word)
            continue
        kind = random.random()
        if kind < 0.6:
            heard.append(random.choice(words))
        elif kind >= 0.9:
            heard += [word, random.choice(words)]
    return " ".join(heard)


def utterances(
    said: Iterable[Said], words: Sequence[str], random: Random, *, marked: bool, error: float
) -> Iterator[Utterance]:
    """All that is said as a recogniser may write it: with marks or without, with this share of word errors."""
    before = ""
    for each in said:
        text = each.text if marked else unmarked(each.text)
        if error:
            text = misheard(text, error, words, random)
        yield Utterance(role=each.role, text=text, before=before, end=each.end)
        before = text or before


def _rows(file: Path) -> Iterator[dict[str, str]]:
    csv.field_size_limit(LONGEST_FIELD)
    with file.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def _turns(text: str, mark: re.Pattern[str]) -> Iterator[Said]:
    """Turns of a text in which each begins with its speaker."""
    marks = list(mark.finditer(text))
    for this, following in zip(marks, [*marks[1:], None], strict=True):
        words = text[this.end() : following.start() if following else len(text)]
        role = _SPEAKERS.get(this[1].lower(), Role.UNSPECIFIED)
        if said := _plain(words):
            yield Said(role=role, text=said)


def _intervals(file: Path, role: Role) -> Iterator[Said]:
    for interval in _INTERVAL.finditer(file.read_text(encoding="utf-8")):
        if text := _plain(interval["text"].replace('""', '"')):
            yield Said(role=role, text=text, start=float(interval["start"]), end=float(interval["end"]))


def _plain(text: str) -> str:
    """Without the transcriber's tags, and marks where a recogniser writes them."""
    return _CLITIC.sub(r"\1\2", _SPACED_MARK.sub(r"\1", " ".join(_TAG.sub(" ", text).split())))
