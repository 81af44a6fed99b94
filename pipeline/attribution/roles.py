"""Speakers → doctor and patient: what each of them said, weighed against what the others said. Pure.

One speaker is the doctor, one is the patient, and whoever else talks is neither. Of all ways to give out the two roles
the one is taken that explains best what was said; a role is given where no way without it comes near.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.types import Role

TEMPER = 0.5  # what one says is not independent of what the same one said before: their log-odds count by half
MARGIN = 3.0  # natural log-odds from which a role is given: 95 %
FLIP = 8.0  # from which a role that was given is taken back for another
ALONE = 5.0  # from which it is given to who is the only one that speaks: nobody says the opposite
UNUSUAL = 3.0  # log-odds against a visit whose doctor, or whose patient, has not said anything …
ONE_OF_TWO = 3.0  # … against one of only two people being neither …
NEITHER = 0.06  # … and, for each word of theirs, against somebody being neither while a role is free
MOST_NEITHER = 6.0
DOUBT = 12.0  # log-odds against a declared role that are worth a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for a speaker's role."""

    speaker: str
    log_odds: float = 0.0  # sum over what they said of log P(doctor) / P(patient)
    words: int = 0
    declared: Role = Role.UNSPECIFIED  # as the client says; then nothing else counts


def assign(evidence: Sequence[Evidence], given: Mapping[str, Role]) -> dict[str, Role]:
    """Everybody's role. `given` are those that were told: they are kept unless much speaks against them."""
    roles = {each.speaker: each.declared for each in evidence}
    free = [each for each in evidence if each.declared is Role.UNSPECIFIED]
    if not free:
        return roles
    taken = {each.declared for each in evidence} - {Role.UNSPECIFIED}
    ways = [(way, _score(free, way, taken)) for way in _ways(len(free), taken)]
    best, score = max(ways, key=lambda scored: scored[1])
    lonely = len(evidence) == 1
    for at, each in enumerate(free):
        rivals = max((value for way, value in ways if way[at] is not best[at]), default=float("-inf"))
        before = given.get(each.speaker, Role.UNSPECIFIED)
        if best[at] is not before and before is not Role.UNSPECIFIED:
            roles[each.speaker] = best[at] if score - rivals >= FLIP else before
        elif best[at] is before or score - rivals >= (ALONE if lonely else MARGIN):
            roles[each.speaker] = best[at]
    return _without_doubles(roles, given, evidence)


def doubted(each: Evidence) -> bool:
    """Whether what is said is overwhelmingly unlike the declared role."""
    against = {Role.DOCTOR: -each.log_odds, Role.PATIENT: each.log_odds}.get(each.declared, 0.0)
    return against * TEMPER >= DOUBT


def _ways(count: int, taken: set[Role]) -> Iterator[tuple[Role, ...]]:
    """All ways to give out what is left of the two roles; nobody has two, and none may be given to more than one."""
    doctors = [None] if Role.DOCTOR in taken else [*range(count), None]
    patients = [None] if Role.PATIENT in taken else [*range(count), None]
    for doctor in doctors:
        for patient in patients:
            if doctor is None or doctor != patient:
                yield tuple(
                    Role.DOCTOR if at == doctor else Role.PATIENT if at == patient else Role.UNSPECIFIED
                    for at in range(count)
                )


def _score(free: Sequence[Evidence], way: Sequence[Role], taken: set[Role]) -> float:
    """Log-probability of what was said, up to a constant, if these were the roles."""
    score = 0.0
    for each, role in zip(free, way, strict=True):
        if role is Role.UNSPECIFIED:
            score -= ONE_OF_TWO if len(free) + len(taken) <= 2 else min(MOST_NEITHER, NEITHER * each.words)
        else:
            score += (0.5 if role is Role.DOCTOR else -0.5) * TEMPER * each.log_odds
    present = taken | set(way)
    return score - sum(UNUSUAL for role in (Role.DOCTOR, Role.PATIENT) if role not in present) / 2


def _without_doubles(
    roles: dict[str, Role], given: Mapping[str, Role], evidence: Sequence[Evidence]
) -> dict[str, Role]:
    """A role that several have stays with who declared it, or else with who had it before."""
    declared = {each.speaker for each in evidence if each.declared is not Role.UNSPECIFIED}
    for role in (Role.DOCTOR, Role.PATIENT):
        holders = [speaker for speaker, held in roles.items() if held is role]
        if len(holders) > 1:
            rightful = [speaker for speaker in holders if speaker in declared]
            kept = rightful or [speaker for speaker in holders if given.get(speaker) is role][:1]
            roles |= {speaker: Role.UNSPECIFIED for speaker in holders if speaker not in kept}
    return roles
