"""Text that somebody typed or a program exported → turns: who says what, a sentence each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from pipeline.transcript import ends
from pipeline.types import Role

# What people write before a turn, in the languages of the vendors' APIs; a name may follow: "Dr. Smith:".
LABELS = {
    Role.DOCTOR: "doctor dr doc provider clinician physician nurse therapist"
    " arzt ärztin doktor docteur médecin medico medica dottore dottoressa médico médica doctora",
    Role.PATIENT: "patient patientin pt client patiente paziente paciente",
}
_LABEL = re.compile(r"\s*\**([^\W\d_]+)\b\.?(?: [^\W_][^:\n]{0,40})?\**\s*:\**\s+")
_ROLES = {label: role for role, labels in LABELS.items() for label in labels.split()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one of them said at a time. Times in milliseconds, where they are known."""

    text: str
    role: Role = Role.UNSPECIFIED
    start_ms: int = 0
    end_ms: int = 0


def read_turns(text: str) -> list[Turn]:
    """The turns of a text. A line that begins with "Doctor:" or "Patient:" says whose it and those below it are."""
    turns: list[Turn] = []
    role = Role.UNSPECIFIED
    for line in text.splitlines():
        label = _LABEL.match(line)
        if label is not None and (labelled := _ROLES.get(label[1].lower())) is not None:
            role, line = labelled, line[label.end() :]
        turns.extend(Turn(text=sentence, role=role) for sentence in _sentences(line))
    return turns


def _sentences(line: str) -> Iterator[str]:
    words: list[str] = []
    written = line.split()
    for word, after in zip_longest(written, written[1:], fillvalue=""):
        words.append(word)
        if ends(word, after) and not (len(words) == 1 and word[:-1].isdigit()):  # "1." numbers what follows
            yield " ".join(words)
            words = []
    if words:
        yield " ".join(words)
