"""Training on dialogues that were written here: what is learned, what is left out, and the same each time."""

from importlib.util import find_spec

import pytest

from bench.role_accuracy import Judged
from bench.role_dialogues import ACI, MTS, Dialogue, Said
from bench.train_roles import interchanged, train
from pipeline.attribution.wording import RoleWording
from pipeline.types import Role

pytestmark = pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed: make setup")

ASKED = ("do you have any pain?", "how long have you had it?", "let me look at your knee.")
TOLD = ("i hurt my knee, Walter says.", "my leg is sore.", "i can't sleep at night.")


def dialogue(name: str, corpus: str = MTS, *, doctor: Role = Role.DOCTOR) -> Dialogue:
    patient = Role.PATIENT if doctor is Role.DOCTOR else Role.DOCTOR
    turns = zip(ASKED, TOLD, strict=True)
    said = (Said(role=role, text=text) for pair in turns for role, text in zip((doctor, patient), pair, strict=True))
    return Dialogue(name=name, corpus=corpus, said=tuple(said))


DIALOGUES = [dialogue(f"d{number}") for number in range(12)]


def test_what_was_learned_is_told_apart_and_the_same_each_time() -> None:
    weights = train(DIALOGUES)
    model = RoleWording(weights)
    assert all(model.log_odds(text) > 0 for text in ASKED)
    assert all(model.log_odds(text) < 0 for text in TOLD)
    assert train(DIALOGUES) == weights


def test_names_and_rare_words_are_not_kept() -> None:
    once = Dialogue(name="rare", corpus=MTS, said=(Said(role=Role.PATIENT, text="it throbs."),))
    kept = " ".join(train([*DIALOGUES, once]).features)
    assert "knee" in kept
    assert "walter" not in kept
    assert "throbs" not in kept


def test_a_visit_with_doctor_and_patient_interchanged_is_found() -> None:
    model = RoleWording(train(DIALOGUES))
    visits = [dialogue("right", ACI), dialogue("wrong", ACI, doctor=Role.PATIENT)]
    assert interchanged(Judged(dialogue=visit, model=model) for visit in visits) == ["wrong"]
