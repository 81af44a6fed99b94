"""All billing codes of a consultation: spoken, suggested, or proposed by a model; each checked. Pure.

ICD-10-CM is checked against the shipped release. CPT belongs to the American Medical Association and is not shipped:
its codes are checked against the operator's own file, and are marked unverified without one.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from pipeline.notes.beside.codes import spoken_codes
from pipeline.notes.beside.diagnoses import Abstention, Suggestion, suggest
from pipeline.notes.beside.icd10 import Catalogue, Standing
from pipeline.notes.note import Note
from pipeline.notes.proposals import Proposal as Proposal
from pipeline.notes.proposals import System as System
from pipeline.types import Utterance

NO_PROCEDURES: Final[Mapping[str, str]] = MappingProxyType({})
SUGGESTED: Final = "ICD-10-CM codes are suggestions, for a coder to check; what is not exact has none."
UNLICENSED: Final = "CPT is licensed: no file of its codes was supplied, so those listed are unverified."

_CPT: Final = re.compile(r"\d{4}[0-9A-Z]")


class Origin(StrEnum):
    """Where a code comes from, the surest first."""

    SPOKEN = "spoken"
    SUGGESTED = "suggested"  # looked up
    PROPOSED = "proposed"  # by a model


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A code, and what is known of it."""

    code: str
    description: str  # the catalogue's; else what came with it, or the sentence in which it was said
    origin: Origin
    standing: Standing  # UNKNOWN also where there is nothing to check it against
    items: tuple[str, ...]  # of the transcript
    score: float | None = None  # of suggestions
    problem: str = ""  # that it is suggested for, in the note's words
    sentence: str = ""  # of the note, or of the talk where it was spoken

    @property
    def verified(self) -> bool:
        """Whether the code exists and a claim may carry it."""
        return self.standing is Standing.BILLABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """The codes of one consultation."""

    release: str  # of ICD-10-CM
    icd10: tuple[Code, ...]
    cpt: tuple[Code, ...]
    abstentions: tuple[Abstention, ...]
    notices: tuple[str, ...]


def code_visit(
    note: Note | None,
    items: Iterable[Utterance],
    catalogue: Catalogue,
    procedures: Mapping[str, str] = NO_PROCEDURES,
    proposed: Sequence[Proposal] = (),
) -> Coding:
    """All codes, each once, from where it is surest. `procedures`: the operator's CPT file, by code.

    `proposed`: besides those of the note.
    """
    said = list(items)
    icd10: dict[str, Code] = {}
    cpt: dict[str, Code] = {}
    for item in said:
        spoken = spoken_codes([item.text])
        for each in spoken.icd10:
            found = _diagnosis(each.code, each.sentence, catalogue)
            icd10.setdefault(found.code, _from(found, Origin.SPOKEN, (item.id,), each.sentence))
        for each in spoken.cpt:
            found = _procedure(each.code, each.sentence, procedures)
            cpt.setdefault(found.code, _from(found, Origin.SPOKEN, (item.id,), each.sentence))
    diagnoses = None if note is None else suggest(note, said, catalogue)
    for suggested in () if diagnoses is None else diagnoses.suggestions:
        icd10.setdefault(suggested.code, _suggested(suggested))
    known = {item.id for item in said}
    for proposal in (*(() if note is None else note.proposals), *proposed):
        cited = tuple(item for item in proposal.items if item in known)
        if proposal.system is System.ICD10CM:
            found = _diagnosis(proposal.code, proposal.description, catalogue)
            icd10.setdefault(found.code, _from(found, Origin.PROPOSED, cited))
        else:
            found = _procedure(proposal.code, proposal.description, procedures)
            cpt.setdefault(found.code, _from(found, Origin.PROPOSED, cited))
    return Coding(
        release=catalogue.release,
        icd10=tuple(icd10.values()),
        cpt=tuple(cpt.values()),
        abstentions=() if diagnoses is None else diagnoses.abstentions,
        notices=(SUGGESTED,) if procedures else (SUGGESTED, UNLICENSED),
    )


def read_procedures(text: str) -> dict[str, str]:
    """An operator's CPT file: CSV with code and description, with or without a heading; other columns are ignored.

    Raises `ValueError`, which names the line and none of its content.
    """
    found: dict[str, str] = {}
    for number, row in enumerate(csv.reader(text.splitlines()), 1):
        code = row[0].strip().upper() if row else ""
        if not code or (number == 1 and not any(map(str.isdigit, code))):
            continue
        if not _CPT.fullmatch(code) or len(row) < 2:
            raise ValueError(f"line {number}: a line must have a code of five characters and its description")
        found[code] = row[1].strip()
    return found


@dataclass(frozen=True, slots=True)
class _Checked:
    code: str
    description: str
    standing: Standing


def _diagnosis(code: str, otherwise: str, catalogue: Catalogue) -> _Checked:
    entry = catalogue.entry(code)
    if entry is None:
        return _Checked(code.strip().upper(), otherwise, Standing.UNKNOWN)
    return _Checked(entry.code, entry.description, Standing.BILLABLE if entry.billable else Standing.INCOMPLETE)


def _procedure(code: str, otherwise: str, procedures: Mapping[str, str]) -> _Checked:
    written = code.strip().upper()
    known = procedures.get(written)
    return _Checked(written, known or otherwise, Standing.UNKNOWN if known is None else Standing.BILLABLE)


def _from(found: _Checked, origin: Origin, items: tuple[str, ...], sentence: str = "") -> Code:
    return Code(
        code=found.code,
        description=found.description,
        origin=origin,
        standing=found.standing,
        items=items,
        sentence=sentence,
    )


def _suggested(one: Suggestion) -> Code:
    return Code(
        code=one.code,
        description=one.description,
        origin=Origin.SUGGESTED,
        standing=Standing.BILLABLE if one.billable else Standing.INCOMPLETE,
        items=one.items,
        score=one.score,
        problem=one.problem,
        sentence=one.sentence,
    )
