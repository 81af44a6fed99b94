"""Who speaks a unit, where nobody declared it: a guess from its words and from those around it, or none.

Each unit's words speak for doctor or patient (`pipeline.attribution.wording`); of all ways to give out the two roles
along the talk the likeliest is taken (Viterbi 1967), one that changes within a transcript item being unlikely. A guess
never overrides a declared role. What stays unspecified is only ever quoted.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from pipeline.attribution.wording import role_wording
from pipeline.notes.english.units import Unit
from pipeline.types import Role

# Natural log-odds. Found on the valid files of aci-bench and MTS-Dialog.
CHANGE_WITHIN_AN_ITEM = 3.0  # against another speaker within a transcript item
DECLARED = 1_000.0  # of a role that is known
LEAST = 0.5  # a run of units whose words say less about who speaks stays unspecified
ROLES: Final = (Role.DOCTOR, Role.PATIENT)


def with_guessed_roles(units: Sequence[Unit]) -> list[Unit]:
    """The units, those of unspecified role with the role that their wording and their place suggest."""
    if all(unit.role is not Role.UNSPECIFIED for unit in units):
        return list(units)
    odds = _log_odds(units)
    roles = _likeliest(odds, [_cost_of_change(*pair) for pair in pairwise(units)])
    surely = _said_enough(odds, roles)
    return [
        replace(unit, role=role) if sure and unit.role is Role.UNSPECIFIED else unit
        for unit, role, sure in zip(units, roles, surely, strict=True)
    ]


def _log_odds(units: Sequence[Unit]) -> list[float]:
    """log P(doctor) / P(patient) of each unit by itself."""
    wording = role_wording()
    known = {Role.DOCTOR: DECLARED, Role.PATIENT: -DECLARED}
    odds: list[float] = []
    for at, unit in enumerate(units):
        if unit.role in known:
            odds.append(known[unit.role])
        else:
            before = " ".join(units[at - 1].tokens) if at else ""
            odds.append(wording.log_odds(" ".join(unit.tokens), before))
    return odds


def _cost_of_change(unit: Unit, following: Unit) -> float:
    return CHANGE_WITHIN_AN_ITEM if unit.items[-1] == following.items[0] else 0.0


def _likeliest(odds: Sequence[float], costs: Sequence[float]) -> list[Role]:
    """The likeliest roles of all units; `costs` of a change between each unit and the next."""
    scores = (odds[0] / 2, -odds[0] / 2)  # of the likeliest ways that end with the doctor, with the patient
    origins: list[tuple[int, int]] = []
    for each, cost in zip(odds[1:], costs, strict=True):
        doctor = 0 if scores[0] >= scores[1] - cost else 1
        patient = 1 if scores[1] >= scores[0] - cost else 0
        origins.append((doctor, patient))
        scores = (
            scores[doctor] - cost * (doctor != 0) + each / 2,
            scores[patient] - cost * (patient != 1) - each / 2,
        )
    at = 0 if scores[0] >= scores[1] else 1
    path = [at]
    for origin in reversed(origins):
        at = origin[at]
        path.append(at)
    return [ROLES[each] for each in reversed(path)]


def _said_enough(odds: Sequence[float], roles: Sequence[Role]) -> list[bool]:
    """For each unit whether the words of its run, the neighbours of the same role, say enough about it."""
    sums: list[float] = []
    runs: list[int] = []
    for at, each in enumerate(odds):
        if at == 0 or roles[at] is not roles[at - 1]:
            sums.append(0.0)
        sums[-1] += each
        runs.append(len(sums) - 1)
    return [abs(sums[run]) >= LEAST for run in runs]
