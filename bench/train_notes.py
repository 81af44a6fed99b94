"""Train the section scorer of `pipeline.notes`: what of a talk is worth noting, and in which section.

    auscult-bench train-notes NOTES [--out pipeline/notes/extract/sections.npz]

NOTES is a folder with aci-bench and MTS-Dialog as their authors publish them; their train files are learned from.
Nobody marked which passages a note was written from: a passage is held to be told in a section as far as its words are
those of one of the section's sentences (rare words count more). The same data give the same file.
"""

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Final, TypeAlias
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.sparse import csr_matrix, hstack, vstack
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from bench.role_dialogues import ACI, MTS, Dialogue, aci_bench, mts_dialog, unmarked
from pipeline.notes.english.units import units
from pipeline.notes.english.wording import clean, content_words, words
from pipeline.notes.extract.exchanges import passages
from pipeline.notes.extract.hints import Hinted, hinted
from pipeline.notes.extract.scoring import (
    SECTIONS,
    Matrix,
    SectionWeights,
    around,
    sigmoid,
    signs_of,
    terms,
)
from pipeline.notes.extract.snippets import HEADERS, terms_of
from pipeline.notes.extract.speakers import with_guessed_roles
from pipeline.types import Utterance

HEADINGS: Final = {
    "history": "CHIEF COMPLAINT|CC|HISTORY OF PRESENT ILLNESS|HPI|SUBJECTIVE",
    "review": r"REVIEW OF S\w+",
    "exam": "PHYSICAL EXAM(?:INATION)?|EXAM|EXAMINATION",
    "vitals": "VITALS(?: REVIEWED)?",
    "results": "RESULTS",
    "plan": "ASSESSMENT AND PLAN|ASSESSMENT|PLAN|IMPRESSION|PROCEDURE|ORDERS|INSTRUCTIONS",
    "social": "SOCIAL HISTORY",
    "family": "FAMILY HISTORY",
    "past_medical": "(?:PAST )?MEDICAL HISTORY|PAST HISTORY",
    "surgical": "(?:PAST )?SURGICAL HISTORY",
    "medications": "(?:CURRENT )?MEDICATIONS",
    "allergies": "ALLERGIES",
    "obstetric": "BIRTH HISTORY",
}
_HEADER: Final = re.compile(
    "|".join(rf"(?P<{name}>^\s*(?:{titles})\s*(?::|$))" for name, titles in HEADINGS.items()), re.MULTILINE
)
SNIPPETS: Final = {
    "GENHX": "history", "CC": "history", "ROS": "review", "PASTMEDICALHX": "past_medical",
    "OTHER_HISTORY": "past_medical", "PASTSURGICAL": "surgical", "GYNHX": "obstetric", "ALLERGY": "allergies",
    "MEDICATIONS": "medications", "IMMUNIZATIONS": "immunizations", "EXAM": "exam", "LABS": "results",
    "IMAGING": "results", "ASSESSMENT": "plan", "DIAGNOSIS": "plan", "PLAN": "plan", "DISPOSITION": "plan",
    "EDCOURSE": "plan", "PROCEDURES": "surgical",
}  # fmt: skip
_RELATIVE: Final = re.compile(
    r"\b(mother|father|mom|dad|brother|sister|grand\w+|aunt|uncle|family|siblings?|parents?|cousin)\b", re.IGNORECASE
)
_SENTENCE_END: Final = re.compile(r"(?<=[.;?!])\s+|\n+")
TOLD: Final = 0.38  # likeness from which a passage counts as told
LEAST_TOLD: Final = 4  # passages told in a section, below which nothing is learned about it
NEVER: Final = -20.0  # log-odds
LEAST: Final = 5  # talks, and views of talks, in which a term occurs
MOST_TERMS: Final = 12_000
FREQUENT: Final = 4_000  # terms that are also known in questions and before
WORTH_OF_SNIPPETS: Final = 0.5
FIRST_C, SECOND_C = 2.0, 1.0  # scikit-learn's C
FOLDS: Final = 5
MARKED: Final = (True, False)  # views of a visit
BEFORE_WEIGHT: Final = 0.5
SNIPPET_C: Final = 0.5
IN_STEPS: Final = ("own", "asked", "before", "snippet_said", "snippet_doctors")  # arrays of 8 bits

Snippet: TypeAlias = tuple[list[Utterance], str]
"""The items of a snippet, and its header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A talk with how well each passage is told in each section. Shape (n_passages, n_sections)."""

    seen: list[Hinted]
    told: Matrix
    visit: bool  # else a snippet


def items_of(dialogue: Dialogue, *, marked: bool = True) -> list[Utterance]:
    """What was said, as the items of a transcript."""
    return [
        Utterance(
            id=str(at),
            stream="",
            role=said.role,
            start=at,
            end=at,
            text=said.text if marked else unmarked(said.text),
        )
        for at, said in enumerate(dialogue.said)
    ]


def talk(dialogue: Dialogue, *, marked: bool = True) -> list[Hinted]:
    """The passages of a dialogue as the writer sees them."""
    items = items_of(dialogue, marked=marked)
    cleaned = {item.id: clean(item.text) for item in items}
    return hinted(passages(with_guessed_roles(units(items, cleaned))))


class Rarity:
    """How much a word's stem says: the fewer talks hold it, the more."""

    def __init__(self, talks: Iterable[Sequence[Hinted]]) -> None:
        counted: Counter[str] = Counter()
        self._count = 0
        for one in talks:
            for each in one:
                counted.update(content_words(each.passage.words))
                self._count += 1
        self._counted = counted

    def __call__(self, stems: Iterable[str]) -> float:
        return sum(math.log((self._count + 1) / (self._counted[stem] + 1)) + 0.2 for stem in stems)


def likeness(one: frozenset[str], other: frozenset[str], rarity: Rarity) -> float:
    """How much two sentences have in common, 0 to 1."""
    shared = one & other
    if not shared:
        return 0.0
    common = rarity(shared)
    like = math.sqrt(common / rarity(one) * common / rarity(other))
    return like / 2 if len(shared) < 2 and like < 0.6 else like


def told_in(seen: Sequence[Hinted], sentences: Sequence[tuple[str, frozenset[str]]], rarity: Rarity) -> Matrix:
    """The likeness of each passage to the nearest sentence of each section."""
    told = np.zeros((len(seen), len(SECTIONS)), dtype=np.float32)
    for row, one in enumerate(seen):
        content = content_words(one.passage.words)
        for section, stems in sentences:
            column = SECTIONS.index(section)
            told[row, column] = max(told[row, column], likeness(content, stems, rarity))
    return told


def note_sentences(note: str) -> Iterator[tuple[str, frozenset[str]]]:
    """The sentences of a visit's note, each with its section and its stems."""
    marks = list(_HEADER.finditer(note))
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        body = note[mark.end() : following.start() if following else len(note)]
        for sentence in _SENTENCE_END.split(body):
            if len(sentence.split()) > 1:
                yield mark.lastgroup or "", content_words(words(clean(sentence)))


def snippet_sentences(header: str, text: str) -> Iterator[tuple[str, frozenset[str]]]:
    for sentence in _SENTENCE_END.split(text):
        section = SNIPPETS.get(header) or ("family" if _RELATIVE.search(sentence) else "social")
        yield section, content_words(words(clean(sentence)))


def rows(file: Path) -> list[dict[str, str]]:
    csv.field_size_limit(1_000_000)
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def read(notes: Path) -> list[Example]:
    """The examples of the two train files: visits with marks and without, then snippets."""
    rarity, visits = _visits(notes / ACI / "train.csv")
    return [*visits, *_snippets(notes / MTS / "train.csv", rarity)]


def _visits(file: Path) -> tuple[Rarity, list[Example]]:
    views = [
        (talk(dialogue, marked=marked), row["note"])
        for dialogue, row in zip(aci_bench(file), rows(file), strict=True)
        for marked in MARKED
    ]
    rarity = Rarity(seen for seen, _ in views)
    return rarity, [
        Example(seen=seen, told=told_in(seen, list(note_sentences(note)), rarity), visit=True) for seen, note in views
    ]


def _snippets(file: Path, rarity: Rarity) -> list[Example]:
    examples = []
    for dialogue, row in zip(mts_dialog(file), rows(file), strict=True):
        if seen := talk(dialogue):
            sentences = list(snippet_sentences(row["section_header"], row["section_text"]))
            examples.append(Example(seen=seen, told=told_in(seen, sentences, rarity), visit=False))
    return examples


def headed(file: Path) -> list[Snippet]:
    """The snippets of a file of MTS-Dialog."""
    return [
        (items_of(dialogue), row["section_header"]) for dialogue, row in zip(mts_dialog(file), rows(file), strict=True)
    ]


def vocabulary(examples: Sequence[Example]) -> tuple[list[str], Matrix]:
    """The terms of many talks, most frequent first, and their inverse document frequency.

    What few talks hold may be the name of one person.
    """
    counted: Counter[str] = Counter()
    talks: Counter[str] = Counter()
    count = 0
    for example in examples:
        found: set[str] = set()
        for one in example.seen:
            for said in (one.own, one.question):
                known = set(terms(said))
                counted.update(known)
                found |= known
            count += 1
        talks.update(found)
    ranked = sorted(counted, key=lambda term: (-counted[term], term))
    kept = [term for term in ranked if talks[term] >= LEAST][:MOST_TERMS]
    idf = np.array([math.log((1 + count) / (1 + counted[term])) + 1 for term in kept], dtype=np.float32)
    return kept, idf


def blank(known: Sequence[str], idf: Matrix) -> SectionWeights:
    none = np.zeros((0, len(SECTIONS)), dtype=np.float32)
    return SectionWeights(
        terms={term: at for at, term in enumerate(known)},
        idf=idf,
        own=none,
        asked=none,
        before=none,
        signs=none,
        bias=none,
        second=none,
        second_bias=none,
        snippet_said=none,
        snippet_doctors=none,
        snippet_bias=none,
    )


def matrix(seen: Sequence[Hinted], weights: SectionWeights) -> csr_matrix:
    """What the first round looks at."""
    known = weights.known(seen)
    parts = []
    for found, count, factor in (
        (known.own, len(weights.terms), 1.0),
        (known.asked, FREQUENT, 1.0),
        (known.before, FREQUENT, BEFORE_WEIGHT),
    ):
        at, columns, values = weights.vectors(found, count)
        parts.append(csr_matrix((values * factor, (at, columns)), (len(seen), count)))
    return hstack([*parts, csr_matrix(signs_of(seen))]).tocsr()


def regressions(
    features: csr_matrix | Matrix, told: Matrix, worth: NDArray[np.float64], *, c: float, solver: str
) -> tuple[Matrix, Matrix]:
    """Weights and biases, one column for each section."""
    columns, biases = [], []
    for column in told.T:
        true = column > TOLD
        if true.sum() < LEAST_TOLD:
            columns.append(np.zeros(features.shape[1]))
            biases.append(NEVER)
            continue
        model = LogisticRegression(C=c, max_iter=400, solver=solver, random_state=0)
        model.fit(features, true, worth)
        columns.append(model.coef_[0])
        biases.append(float(model.intercept_[0]))
    return np.array(columns, dtype=np.float32).T, np.array(biases, dtype=np.float32)


def train(examples: Sequence[Example]) -> SectionWeights:
    """The weights for these examples. The second round learns from answers of models that had not seen the visit."""
    weights = blank(*vocabulary(examples))
    features = [matrix(one.seen, weights) for one in examples]
    worth = [np.full(len(one.seen), 1.0 if one.visit else WORTH_OF_SNIPPETS) for one in examples]

    def first_round(kept: Sequence[int]) -> tuple[Matrix, Matrix]:
        return regressions(
            vstack([features[at] for at in kept]),
            np.vstack([examples[at].told for at in kept]),
            np.concatenate([worth[at] for at in kept]),
            c=FIRST_C,
            solver="liblinear",
        )

    visits = [at for at, one in enumerate(examples) if one.visit]
    answers: dict[int, Matrix] = {}
    for fold in range(FOLDS):
        held = {at for at in visits if at // len(MARKED) % FOLDS == fold}
        columns, biases = first_round([at for at in range(len(examples)) if at not in held])
        answers.update({at: sigmoid(features[at] @ columns + biases) for at in held})
    first, bias = first_round(range(len(examples)))
    views = np.vstack([np.hstack([around(answers[at]), signs_of(examples[at].seen)]) for at in visits])
    told = np.vstack([examples[at].told for at in visits])
    second, second_bias = regressions(views, told, np.ones(len(views)), c=SECOND_C, solver="lbfgs")
    own, asked, earlier, signs = np.split(first, np.cumsum([len(weights.terms), FREQUENT, FREQUENT]))
    return replace(
        weights,
        own=own,
        asked=asked,
        before=earlier * BEFORE_WEIGHT,
        signs=signs,
        bias=bias,
        second=second,
        second_bias=second_bias,
    )


def with_snippets(weights: SectionWeights, snippets: Sequence[Snippet]) -> SectionWeights:
    """The weights with those that tell the headers of snippets."""
    known = len(weights.terms)
    places = [terms_of(items, weights) for items, _ in snippets]
    parts = []
    for found in zip(*places, strict=True):
        at, columns, values = weights.vectors(found, known)
        parts.append(csr_matrix((values, (at, columns)), (len(snippets), known)))
    model = LinearSVC(C=SNIPPET_C, class_weight="balanced", random_state=0)
    model.fit(hstack(parts).tocsr(), [header for _, header in snippets])
    table = np.zeros((2 * known, len(HEADERS)), dtype=np.float32)
    bias = np.full(len(HEADERS), NEVER, dtype=np.float32)
    for header, learned, intercept in zip(model.classes_, model.coef_, model.intercept_, strict=True):
        place = HEADERS.index(header)
        table[:, place] = learned
        bias[place] = intercept
    said, doctors = np.split(table, 2)
    return replace(weights, snippet_said=said, snippet_doctors=doctors, snippet_bias=bias)


def packed(weights: SectionWeights) -> bytes:
    """The weights as a file: those of terms in steps of 8 bits, everything else in 16."""
    arrays: dict[str, NDArray[np.generic]] = {
        "terms": np.frombuffer("\n".join(weights.terms).encode(), dtype=np.uint8),
        "idf": weights.idf.astype(np.float16),
        "signs": weights.signs.astype(np.float16),
        "bias": weights.bias,
        "second": weights.second.astype(np.float16),
        "second_bias": weights.second_bias,
        "snippet_bias": weights.snippet_bias,
    }
    for name in IN_STEPS:
        values = getattr(weights, name)
        step = float(np.abs(values).max()) / 127 or 1.0
        arrays[name] = np.rint(values / step).astype(np.int8)
        arrays[f"{name}_step"] = np.array(step, dtype=np.float32)
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in sorted(arrays.items()):
            content = BytesIO()
            np.save(content, array, allow_pickle=False)
            archive.writestr(ZipInfo(f"{name}.npy"), content.getvalue(), ZIP_DEFLATED, 9)
    return file.getvalue()


def run(notes: Path, out: Path, console: Console) -> None:
    """Train, and write the weights."""
    examples = read(notes)
    with console.status("Training"):
        weights = with_snippets(train(examples), headed(notes / MTS / "train.csv"))
    out.write_bytes(packed(weights))
    console.print(f"{len(weights.terms)} terms, {out.stat().st_size / 1e6:.2f} MB: {out}")
