"""Training on talks that were written here: what is learned, and the same file each time."""

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: make setup")

from pathlib import Path

from rich.console import Console

from bench.train_notes import Rarity, likeness, note_sentences, read, run
from pipeline.notes.english.wording import content_words
from pipeline.notes.extract.scoring import SECTIONS, unpacked

DIALOGUE = "\n".join(
    (
        "[doctor] what brings you in today ?",
        "[patient] i have had a bad cough for {n} weeks .",
        "[doctor] your lungs are clear on exam .",
        "[doctor] i want you to start prednisone for number {n} .",
        "[patient] we went to the lake with friend {n} .",
    )
)
NOTE = "\n\n".join(
    (
        "HISTORY OF PRESENT ILLNESS",
        "The patient has had a bad cough for {n} weeks.",
        "PHYSICAL EXAM",
        "Lungs are clear.",
        "PLAN",
        "Start prednisone.",
    )
)
SNIPPETS = {"ALLERGY": "allergic to penicillin", "MEDICATIONS": "taking lisinopril", "GENHX": "a sore throat"}


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder as the authors of the sets publish them, with talks of our own."""
    (tmp_path / "aci-bench").mkdir()
    (tmp_path / "mts-dialog").mkdir()
    visits = [f'v,D{n},"{DIALOGUE.format(n=n)}","{NOTE.format(n=n)}"' for n in range(10)]
    (tmp_path / "aci-bench" / "train.csv").write_text("dataset,encounter_id,dialogue,note\n" + "\n".join(visits) + "\n")
    pieces = [
        f'{n},{header},"Patient is {said}.","Doctor: Tell me more.\nPatient: I am {said}."'
        for n, (header, said) in enumerate(list(SNIPPETS.items()) * 4)
    ]
    header = "ID,section_header,section_text,dialogue\n"
    (tmp_path / "mts-dialog" / "train.csv").write_text(header + "\n".join(pieces) + "\n")
    return tmp_path


def test_the_same_talks_give_the_same_bytes(notes: Path) -> None:
    first, second = notes / "first.npz", notes / "second.npz"
    for out in (first, second):
        run(notes, out, Console(quiet=True))
    assert first.read_bytes() == second.read_bytes()


def test_what_a_note_tells_is_learned(notes: Path) -> None:
    run(notes, notes / "sections.npz", Console(quiet=True))
    weights = unpacked((notes / "sections.npz").read_bytes())
    seen = read(notes)[0].seen
    scores = weights.scores(seen)
    history = SECTIONS.index("history")
    chat = next(at for at, one in enumerate(seen) if "lake" in one.own)
    cough = next(at for at, one in enumerate(seen) if "cough" in one.own)
    assert scores[cough].argmax() == history
    assert scores[cough, history] > scores[chat].max()


def test_rare_words_make_passages_alike(notes: Path) -> None:
    rarity = Rarity([example.seen for example in read(notes)])
    cough, lake = content_words(["bad", "cough"]), content_words(["lake", "friend"])
    assert likeness(cough, content_words(["cough", "bad"]), rarity) == pytest.approx(1.0)
    assert likeness(cough, lake, rarity) == 0.0


def test_a_note_is_read_by_its_headings() -> None:
    told = [(section, sorted(stems)) for section, stems in note_sentences(NOTE.format(n=2))]
    assert [section for section, _ in told] == ["history", "exam", "plan"]
    assert "prednison" in told[-1][1]
