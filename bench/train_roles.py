"""Train the wording model of `pipeline.attribution`: who speaks, by the words alone.

    auscult-bench train-roles NOTES [--out pipeline/attribution/roles.json]

NOTES is a folder with aci-bench, MTS-Dialog and PriMock57 as their authors publish them. A logistic regression over
words and pairs of words, each dialogue seen in three views: whole turns, and pieces of turns; with marks or without;
with up to 30 % word errors. Some visits of aci-bench have doctor and patient interchanged; a first round of models,
each trained without the visits that it judges, finds them, and they are left out. The same models say what the
log-odds must be multiplied by to be true. The same data give the same file.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import numpy as np
from rich.console import Console

from bench.role_accuracy import Judged, judgements, show
from bench.role_dialogues import (
    ACI,
    HELD_OUT,
    INTERCHANGED,
    MTS,
    PRIMOCK,
    Dialogue,
    Utterance,
    aci_bench,
    mts_dialog,
    pieces,
    primock57,
    unmarked,
    utterances,
)
from pipeline.attribution.wording import RoleWording, Weights, features, tokens, word_count
from pipeline.types import Role

ABOUT: Final = (
    "Weights for who speaks in a consultation, learned from aci-bench (Yim et al. 2023), MTS-Dialog (Ben Abacha et al."
    " 2023) and PriMock57 (Papadopoulos Korfiatis et al. 2022), all CC BY 4.0; see NOTICE. Positive: the doctor."
)
WORTH: Final = {ACI: 1.0, MTS: 0.7, PRIMOCK: 2.5}  # of a turn: snippets say less, telehealth is what is listened to
VIEWS: Final = 3
ALONE: Final = 0.25  # of the utterances are seen without what was said before
ERRORS: Final = (0.0, 0.0, 0.1, 0.2, 0.3)  # shares of misheard words
LEAST: Final = 8  # dialogues in which a feature occurs: fewer may tell of one person
NAMED: Final = 0.5  # share of capitals in the middle of a sentence from which a word counts as a name
LENGTH: Final = 0.25
REGULARISATION: Final = 0.1  # scikit-learn's C
STEPS: Final = 128  # of a weight of 1
FOLDS: Final = 5  # of the first round
PRODUCTS: Final = frozenset({"dax", "dragon"})  # what aci-bench's doctors dictate to

_INNER: Final = re.compile(r"(?<=[a-z,;] )[A-Za-z][\w'-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """What is learned from, and what is only measured."""

    learned: list[Dialogue]
    measured: dict[str, list[Dialogue]]


def run(notes: Path, out: Path, console: Console) -> None:
    """Train, measure, and write the weights."""
    sets = read(notes)
    words = spoken_words(sets.learned)
    with console.status("Training on all but a fifth, five times"):
        crossed = list(_crossed(sets.learned))
        suspects = interchanged(crossed)
    console.print(f"left out, doctor and patient interchanged: {', '.join(suspects) or 'none'}")
    calls = [each for each in crossed if each.dialogue.corpus == PRIMOCK]
    with console.status("Training"):
        weights = train([dialogue for dialogue in sets.learned if dialogue.name not in suspects])
        weights = msgspec.structs.replace(weights, scale=round(weights.scale * _scale(calls, words), 6))
    out.write_bytes(msgspec.json.format(msgspec.json.encode(weights), indent=0) + b"\n")
    console.print(f"{len(weights.features)} weights, {out.stat().st_size / 1e6:.2f} MB: {out}")
    model = RoleWording(weights)
    measured = {
        name: [Judged(dialogue=dialogue, model=model) for dialogue in dialogues]
        for name, dialogues in sets.measured.items()
    }
    show({**measured, "PriMock57, by models that do not know it": calls}, words, console)


def read(notes: Path) -> Sets:
    """The dialogues in a folder that holds the three sets."""
    calls = primock57(notes / PRIMOCK / "transcripts")
    return Sets(
        learned=[
            *aci_bench(notes / ACI / "train.csv"),
            *mts_dialog(notes / MTS / "train.csv"),
            *(call for call in calls if call.name not in HELD_OUT),
        ],
        measured={
            "aci-bench valid, test 1": [
                visit
                for name in ("valid.csv", "clinicalnlp_taskB_test1.csv")
                for visit in aci_bench(notes / ACI / name)
                if visit.name not in INTERCHANGED
            ],
            "MTS-Dialog valid, test 1": [
                *mts_dialog(notes / MTS / "valid.csv"),
                *mts_dialog(notes / MTS / "test1.csv"),
            ],
            "PriMock57, the six of the bench": [call for call in calls if call.name in HELD_OUT],
        },
    )


def spoken_words(dialogues: Iterable[Dialogue]) -> list[str]:
    """Every word as often as it is said: what a word may be misheard as."""
    return [word for dialogue in dialogues for said in dialogue.said for word in unmarked(said.text).split()]


def interchanged(crossed: Iterable[Judged]) -> list[str]:
    """Names of the visits of aci-bench in which all speaks for the patient being the doctor."""
    return [
        each.dialogue.name
        for each in crossed
        if each.dialogue.corpus == ACI and sum(judged.truth_odds for judged in judgements(each)) < 0
    ]


def train(dialogues: Sequence[Dialogue]) -> Weights:
    """The weights for these dialogues, not scaled yet."""
    words = spoken_words(dialogues)
    random = Random(0)
    examples = [example for dialogue in dialogues for example in _views(dialogue, words, random)]
    known = _vocabulary(dialogues)
    roles = np.array([utterance.role is Role.DOCTOR for utterance, _ in examples])
    worth = np.array([worth for _, worth in examples])
    share = worth[roles].sum() / worth.sum()
    from sklearn.linear_model import LogisticRegression  # two seconds, which only who trains should wait for

    model = LogisticRegression(C=REGULARISATION, max_iter=500, fit_intercept=False, tol=1e-4)
    matrix = _matrix([utterance for utterance, _ in examples], known)
    model.fit(matrix, roles, np.where(roles, worth / share, worth / (1 - share)) / 2)
    steps = np.rint(model.coef_[0] * STEPS).astype(int)
    return Weights(
        about=ABOUT,
        scale=1 / STEPS,
        length=LENGTH,
        bias=int(steps[-1]),
        features={feature: int(step) for feature, step in zip(known, steps, strict=False) if step},
    )


def _crossed(dialogues: Sequence[Dialogue]) -> Iterator[Judged]:
    """Every dialogue with a model that has not seen it."""
    for fold in range(FOLDS):
        model = RoleWording(train([each for at, each in enumerate(dialogues) if at % FOLDS != fold]))
        yield from (Judged(dialogue=each, model=model) for each in dialogues[fold::FOLDS])


def _views(dialogue: Dialogue, words: Sequence[str], random: Random) -> Iterator[tuple[Utterance, float]]:
    """Utterances with what each is worth."""
    for view in range(VIEWS):
        said = dialogue.said if view == 0 else pieces(dialogue.said, random)
        marked, error = random.random() < 0.5, random.choice(ERRORS)
        for each in utterances(said, words, random, marked=marked, error=error):
            if each.role is not Role.UNSPECIFIED and word_count(tokens(each.text)):
                alone = random.random() < ALONE
                yield replace(each, before="") if alone else each, WORTH[dialogue.corpus]


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
    names |= PRODUCTS
    return sorted(
        feature
        for feature, times in found.items()
        if times >= LEAST and not names.intersection(feature.lstrip("<").split())
    )


def _matrix(examples: Sequence[Utterance], known: Sequence[str]) -> Any:
    from scipy.sparse import csr_matrix

    column = {feature: at for at, feature in enumerate(known)}
    rows, columns, values = [0], [], []
    for example in examples:
        said = tokens(example.text)
        at = sorted(column[each] for each in features(said, tokens(example.before)) if each in column)
        columns += [*at, len(known)]
        values += [word_count(said) ** -LENGTH] * (len(at) + 1)
        rows.append(len(columns))
    return csr_matrix((np.array(values), np.array(columns), np.array(rows)), (len(examples), len(known) + 1))


def _scale(calls: Sequence[Judged], words: Sequence[str]) -> float:
    """What makes the log-odds true for pieces of turns in a recogniser's words (Platt 1999, slope alone)."""
    from scipy.optimize import minimize_scalar

    odds = np.array([each.truth_odds for call in calls for each in judgements(call, words, hard=True)])

    def loss(factor: float) -> float:
        return float(np.logaddexp(0, -odds * factor).mean())

    return float(minimize_scalar(loss, bounds=(0.2, 5), method="bounded").x)
