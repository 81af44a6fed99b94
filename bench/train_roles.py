"""Train the wording model of `pipeline.attribution`: who speaks, by the words alone.

    auscult-bench train-roles NOTES [--out pipeline/attribution/roles.json]

NOTES is a folder with aci-bench, MTS-Dialog and PriMock57 as their authors publish them. A logistic regression over
words and pairs of words, each dialogue seen in three views: whole turns, and pieces of turns; with marks or without;
with up to 30 % word errors. The same data give the same file.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from bench.role_dialogues import (
    ACI,
    HELD_OUT,
    MTS,
    PRIMOCK,
    Dialogue,
    Said,
    aci_bench,
    misheard,
    mts_dialog,
    pieces,
    primock57,
    unmarked,
)
from pipeline.attribution.wording import RoleWording, Weights, features, tokens, word_count
from pipeline.types import Role

ABOUT: Final = (
    "Weights for who speaks in a consultation, learned from aci-bench (Yim et al. 2023), MTS-Dialog (Ben Abacha et al."
    " 2023) and PriMock57 (Papadopoulos Korfiatis et al. 2022), all CC BY 4.0; see NOTICE. Positive: the doctor."
)
WORTH: Final = {ACI: 1.0, MTS: 0.7, PRIMOCK: 2.5}  # of a turn: snippets say less, telehealth is what is listened to
VIEWS: Final = 3
ERRORS: Final = (0.0, 0.0, 0.1, 0.2, 0.3)  # shares of misheard words
LEAST: Final = 8  # dialogues in which a feature occurs: fewer may tell of one person
NAMED: Final = 0.5  # share of capitals in the middle of a sentence from which a word counts as a name
LENGTH: Final = 0.25
REGULARISATION: Final = 0.1  # scikit-learn's C
STEPS: Final = 128  # of a weight of 1
ERROR: Final = 0.2  # word errors of the hard evaluation
AFTER: Final = (5, 10, 20, 40)  # utterances of a session behind which the roles are looked at
TEMPER: Final = 0.5  # see `pipeline.attribution.roles`

_INNER: Final = re.compile(r"(?<=[a-z,;] )[A-Za-z][\w'-]*")
Features = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One utterance, and what came before it."""

    text: str
    before: str
    role: Role
    worth: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """What is learned from, what the scale is fitted on, and what is only measured."""

    learned: list[Dialogue]
    scaled: list[Dialogue]
    measured: dict[str, list[Dialogue]]


def run(notes: Path, out: Path, console: Console) -> None:
    """Train, measure, and write the weights."""
    sets = _read(notes)
    trained = train(sets)
    out.write_bytes(msgspec.json.format(msgspec.json.encode(trained), indent=0) + b"\n")
    size = out.stat().st_size
    console.print(f"{len(trained.features)} weights, {size / 1e6:.2f} MB: {out}")
    _measure(RoleWording(trained), sets, console)


def _read(notes: Path) -> Sets:
    visits = aci_bench(notes / ACI / "train.csv")
    snippets = mts_dialog(notes / MTS / "train.csv")
    calls = primock57(notes / PRIMOCK / "transcripts")
    mock = [call for call in calls if call.name not in HELD_OUT]
    others = [aci_bench(notes / ACI / name) for name in ("valid.csv", "clinicalnlp_taskB_test1.csv")]
    return Sets(
        learned=[*visits, *snippets, *(call for at, call in enumerate(mock) if at % 4)],
        scaled=mock[::4],
        measured={
            "aci-bench valid, test 1": [visit for part in others for visit in part],
            "MTS-Dialog valid, test 1": [
                *mts_dialog(notes / MTS / "valid.csv"),
                *mts_dialog(notes / MTS / "test1.csv"),
            ],
            "PriMock57, every fourth": mock[::4],
            "PriMock57, the six of the bench": [call for call in calls if call.name in HELD_OUT],
        },
    )


def train(sets: Sets) -> Weights:
    """The weights for these dialogues."""
    words = [word for dialogue in sets.learned for said in dialogue.said for word in unmarked(said.text).split()]
    random = Random(0)
    examples = [example for dialogue in sets.learned for example in _views(dialogue, words, random)]
    known = _vocabulary(sets.learned)
    roles = np.array([example.role is Role.DOCTOR for example in examples])
    worth = np.array([example.worth for example in examples])
    share = worth[roles].sum() / worth.sum()
    model = LogisticRegression(C=REGULARISATION, max_iter=500, fit_intercept=False, tol=1e-4)
    model.fit(_matrix(examples, known), roles, np.where(roles, worth / share, worth / (1 - share)) / 2)
    steps = np.rint(model.coef_[0] * STEPS).astype(int)
    weights = Weights(
        about=ABOUT,
        scale=1 / STEPS,
        length=LENGTH,
        bias=int(steps[-1]),
        features={feature: int(step) for feature, step in zip(known, steps, strict=False) if step},
    )
    return msgspec.structs.replace(weights, scale=round(_scale(weights, sets.scaled, words), 6))


def _views(dialogue: Dialogue, words: Sequence[str], random: Random) -> Iterator[Example]:
    for view in range(VIEWS):
        said = dialogue.said if view == 0 else pieces(dialogue.said, random)
        marked, error = random.random() < 0.5, random.choice(ERRORS)
        for example in _spoken(said, words, random, marked=marked, error=error):
            if example.role is not Role.UNSPECIFIED and word_count(tokens(example.text)):
                before = example.before if random.random() > 0.25 else ""
                yield Example(text=example.text, before=before, role=example.role, worth=WORTH[dialogue.corpus])


def _spoken(
    said: Iterable[Said], words: Sequence[str], random: Random, *, marked: bool, error: float
) -> Iterator[Example]:
    before = ""
    for each in said:
        text = each.text if marked else unmarked(each.text)
        if error:
            text = misheard(text, error, words, random)
        yield Example(text=text, before=before, role=each.role)
        before = text or before


def _vocabulary(dialogues: Sequence[Dialogue]) -> list[str]:
    """Features that occur in many dialogues and name nobody."""
    found: Counter[str] = Counter()
    inner, capital = Counter[str](), Counter[str]()
    for dialogue in dialogues:
        seen: set[str] = set()
        before = ""
        for said in dialogue.said:
            for text in (said.text, unmarked(said.text)):
                seen |= features(tokens(text), tokens(before))
            for piece in pieces([said]):
                seen |= features(tokens(piece.text), [])
            for match in _INNER.finditer(said.text):
                inner[match[0].lower()] += 1
                capital[match[0].lower()] += match[0][0].isupper()
            before = said.text
        found.update(seen)
    names = {word for word, times in inner.items() if capital[word] >= NAMED * times and not re.match(r"i('|$)", word)}
    return sorted(
        feature
        for feature, times in found.items()
        if times >= LEAST and not names.intersection(feature.lstrip("<").split())
    )


def _matrix(examples: Sequence[Example], known: Sequence[str]) -> csr_matrix:
    column = {feature: at for at, feature in enumerate(known)}
    rows, columns, values = [0], [], []
    for example in examples:
        said = tokens(example.text)
        at = sorted(column[each] for each in features(said, tokens(example.before)) if each in column)
        columns += [*at, len(known)]
        values += [word_count(said) ** -LENGTH] * (len(at) + 1)
        rows.append(len(columns))
    return csr_matrix((np.array(values), np.array(columns), np.array(rows)), (len(examples), len(known) + 1))


def _scale(weights: Weights, dialogues: Sequence[Dialogue], words: Sequence[str]) -> float:
    """What makes the log-odds true for pieces of turns in a recogniser's words (Platt 1999, slope alone)."""
    model = RoleWording(weights)
    examples = list(_hard(dialogues, words))
    odds = np.array([model.log_odds(each.text, each.before) for each in examples])
    doctor = np.array([each.role is Role.DOCTOR for each in examples])

    def loss(factor: float) -> float:
        return float(np.logaddexp(0, np.where(doctor, -odds, odds) * factor).mean())

    return weights.scale * float(minimize_scalar(loss, bounds=(0.2, 5), method="bounded").x)


def _hard(dialogues: Sequence[Dialogue], words: Sequence[str]) -> Iterator[Example]:
    random = Random(1)
    for dialogue in dialogues:
        for example in _spoken(pieces(dialogue.said), words, random, marked=False, error=ERROR):
            if example.role is not Role.UNSPECIFIED and example.text:
                yield example


def _measure(model: RoleWording, sets: Sets, console: Console) -> None:
    words = [word for dialogue in sets.learned for said in dialogue.said for word in unmarked(said.text).split()]
    shown = Table("set", "as", "right turns", "right words", *(f"roles right after {n}" for n in AFTER), "at the end")
    for name, dialogues in sets.measured.items():
        for view in ("turns", "pieces, no marks, 20 % errors"):
            shown.add_row(name, view, *_judged(model, dialogues, words, hard=view != "turns"))
    console.print(shown)


def _judged(model: RoleWording, dialogues: Sequence[Dialogue], words: Sequence[str], *, hard: bool) -> list[str]:
    right = total = right_words = all_words = 0
    after = {limit: [0, 0] for limit in (*AFTER, 10_000)}
    random = Random(2)
    for dialogue in dialogues:
        said = pieces(dialogue.said) if hard else dialogue.said
        sums = {Role.DOCTOR: 0.0, Role.PATIENT: 0.0}
        spoken = list(_spoken(said, words, random, marked=not hard, error=ERROR if hard else 0.0))
        spoken = [each for each in spoken if each.role is not Role.UNSPECIFIED and each.text]
        for at, each in enumerate(spoken, 1):
            odds = model.log_odds(each.text, each.before)
            sums[each.role] += TEMPER * odds
            good = (odds > 0) is (each.role is Role.DOCTOR)
            right, total = right + good, total + 1
            right_words, all_words = right_words + good * len(each.text.split()), all_words + len(each.text.split())
            for limit, score in after.items():
                if at == limit or (limit == 10_000 and at == len(spoken)):
                    score[0] += sums[Role.DOCTOR] > sums[Role.PATIENT]
                    score[1] += 1
    shares = [f"{100 * good / max(1, of):.0f} %" for good, of in after.values()]
    return [f"{100 * right / total:.1f} %", f"{100 * right_words / all_words:.1f} %", *shares]
