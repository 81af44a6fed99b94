"""How well words alone tell doctor from patient: utterance by utterance, session by session, second by second."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.role_dialogues import Dialogue, pieces, utterances
from bench.tables import share
from pipeline.attribution.roles import TEMPER, Evidence, assign
from pipeline.attribution.wording import RoleWording
from pipeline.types import Role

ERROR: Final = 0.2  # word errors of the hard view
AFTER: Final = (5, 10, 20)  # utterances of a session behind which the roles are looked at
SECONDS: Final = (10, 20, 30, 45, 60)  # of a session behind which they are
CERTAIN: Final = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)  # lower ends of the ranges of tempered log-odds
DOCTOR, PATIENT = "doctor", "patient"  # as whom clustering would know them


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A dialogue and the model that judges it."""

    dialogue: Dialogue
    model: RoleWording


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One utterance of doctor or patient."""

    role: Role
    words: int
    end: float  # seconds
    truth_odds: float  # log-odds for who it was


def judgements(judged: Judged, words: Sequence[str] = (), *, hard: bool = False) -> Iterator[Judgement]:
    """Every utterance of doctor and patient: whole turns as written, or pieces of them as badly recognised."""
    said = pieces(judged.dialogue.said) if hard else judged.dialogue.said
    for each in utterances(said, words, Random(1), marked=not hard, error=ERROR if hard else 0.0):
        if each.role is Role.UNSPECIFIED or not each.text:
            continue
        odds = judged.model.log_odds(each.text, each.before)
        yield Judgement(
            role=each.role,
            words=len(each.text.split()),
            end=each.end,
            truth_odds=odds if each.role is Role.DOCTOR else -odds,
        )


def show(sets: Mapping[str, Sequence[Judged]], words: Sequence[str], console: Console) -> None:
    """Every set in both views."""
    for view, hard in (("Whole turns, as written", False), (f"Pieces, without marks, {ERROR:.0%} word errors", True)):
        heard = {
            name: [list(judgements(each, words, hard=hard)) for each in dialogues] for name, dialogues in sets.items()
        }
        console.print(f"[bold]{view}[/bold]")
        console.print(_shares(heard))
        timed = {name: [each for each in sessions if each and each[-1].end] for name, sessions in heard.items()}
        console.print(_times({name: sessions for name, sessions in timed.items() if sessions}))
        console.print(_truth(timed.values()))


def _shares(heard: Mapping[str, Sequence[Sequence[Judgement]]]) -> Table:
    shown = Table("right", "utterances", "words", *(f"roles after {count}" for count in AFTER), "roles at the end")
    for name, sessions in heard.items():
        every = [each for session in sessions for each in session]
        right = [each for each in every if each.truth_odds > 0]
        shown.add_row(
            name,
            share(len(right) / len(every)),
            share(sum(each.words for each in right) / sum(each.words for each in every)),
            *(share(_right([session[:count] for session in sessions if len(session) >= count])) for count in AFTER),
            share(_right([session for session in sessions if session])),
        )
    return shown


def _right(sessions: Sequence[Sequence[Judgement]]) -> float | None:
    """Share of the sessions whose two speakers compare rightly."""
    if not sessions:
        return None
    return sum(sum(each.truth_odds for each in session) > 0 for session in sessions) / len(sessions)


def _times(heard: Mapping[str, Sequence[Sequence[Judgement]]]) -> Table:
    shown = Table("roles given to both, right + wrong, within", *(f"{seconds} s" for seconds in SECONDS))
    for name, sessions in heard.items():
        given = [[_given(session, seconds) for session in sessions] for seconds in SECONDS]
        shown.add_row(name, *(f"{share(one.count(True) / len(one), 0)} + {one.count(False)}" for one in given))
    return shown


def _given(session: Sequence[Judgement], seconds: float) -> bool | None:
    """Whether both roles that are given by then are right; nothing where none is."""
    told: dict[str, Role] = {}
    sums, spoken = {DOCTOR: 0.0, PATIENT: 0.0}, {DOCTOR: 0, PATIENT: 0}
    for each in session:
        if each.end > seconds:
            break
        name, sign = (DOCTOR, 1) if each.role is Role.DOCTOR else (PATIENT, -1)
        sums[name] += sign * each.truth_odds
        spoken[name] += each.words
        known = [Evidence(speaker=who, log_odds=sums[who], words=spoken[who]) for who in sums if spoken[who]]
        told = assign(known, told)
    roles = {told.get(DOCTOR, Role.UNSPECIFIED), told.get(PATIENT, Role.UNSPECIFIED)}
    if Role.UNSPECIFIED in roles and told.get(DOCTOR) is not Role.PATIENT and told.get(PATIENT) is not Role.DOCTOR:
        return None
    return told.get(DOCTOR) is Role.DOCTOR and told.get(PATIENT) is Role.PATIENT


def _truth(sets: Iterable[Sequence[Sequence[Judgement]]]) -> Table:
    """How often the tempered sum of a session is right, by how much it says."""
    found: dict[float, list[bool]] = {least: [] for least in CERTAIN}
    for sessions in sets:
        for session in sessions:
            total = 0.0
            for each in session:
                total += TEMPER * each.truth_odds / 2  # of both, as `assign` compares
                reached = [least for least in CERTAIN if abs(total) >= least]
                if reached:
                    found[reached[-1]].append(total > 0)
    shown = Table("margin so far", *(f"from {least:g}" for least in CERTAIN))
    shown.add_row("right", *(share(sum(one) / len(one)) if one else "–" for one in found.values()))
    shown.add_row("times", *(str(len(one)) for one in found.values()))
    return shown
