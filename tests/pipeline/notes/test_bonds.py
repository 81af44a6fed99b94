"""Sentences that have all words of a talk, and yet say something else."""

import pytest

from pipeline.notes.evidence.checking import Checker
from pipeline.notes.note import NoteSentence
from tests.pipeline.notes.talk import talk, unmarked

MEDICINES = ("P: I take lisinopril 10 milligrams every morning and metformin 500 milligrams twice a day.",)
KNEE = ("P: My left knee has been hurting for three weeks, and it's worse when I climb stairs.",)
FAMILY = ("P: My mother had breast cancer and my father has diabetes. I don't have diabetes.",)
SMOKING = ("P: I used to smoke a pack a day but I quit in 2012.",)
NODULE = ("D: The CT shows a six millimeter nodule in the left lower lobe. We'll repeat it in three months.",)
CHANGED = (
    "P: I stopped taking the atorvastatin because my legs ached.",
    "D: Let's start you on rosuvastatin 5 milligrams at night instead.",
)
WARNED = ("D: If the pain gets worse or you get a fever, go to the emergency room.",)
VIRAL = ("D: I think this is probably a viral infection. I don't think you need antibiotics.",)
OPTIONS = ("D: We could try physical therapy or a steroid injection.", "P: I'd rather try the physical therapy first.")
FLU = ("P: My husband has the flu and I'm scared that I have it too.",)
HEADACHES = ("P: The headaches come about twice a week, on the right side.",)


def faults(lines: tuple[str, ...], text: str) -> set[tuple[str, ...]]:
    """The faults of a sentence that cites all of a talk, with and without marks in it."""
    sentence = NoteSentence(text=text, items=tuple(str(at) for at in range(len(lines))))
    items = talk(*lines)
    return {Checker(same).faults(sentence) for same in (items, unmarked(items))}


@pytest.mark.parametrize(
    ("lines", "text", "fault"),
    [
        (MEDICINES, "Takes metformin 10 mg twice a day.", "number"),
        (MEDICINES, "Takes lisinopril 500 mg.", "number"),
        (MEDICINES, "Takes lisinopril 10 mcg every morning.", "number"),
        (MEDICINES, "Takes lisinopril 10 mg every evening.", "number"),
        (MEDICINES, "Takes metformin 500 g twice a day.", "number"),
        (CHANGED, "Start atorvastatin 5 mg at night.", "number"),
        (CHANGED, "Rosuvastatin 5 mg in the morning.", "number"),
        (KNEE, "Left knee pain for three days.", "number"),
        (HEADACHES, "Headaches twice a day.", "number"),
        (HEADACHES, "Headaches once a week.", "number"),
        (NODULE, "6 cm nodule in the left lower lobe.", "number"),
        (NODULE, "Nodule in the left upper lobe.", "side"),
        (KNEE, "Left hip pain for three weeks.", "term"),
        (KNEE, "Left knee pain is better when climbing stairs.", "polarity"),
        (FAMILY, "Father had breast cancer.", "person"),
        (FAMILY, "Mother has diabetes.", "person"),
        (FAMILY, "Has diabetes.", "person"),
        (FLU, "Has influenza.", "person"),
        (SMOKING, "Smokes a pack a day.", "polarity"),
        (SMOKING, "Current smoker, one pack per day.", "polarity"),
        (SMOKING, "Never smoked.", "polarity"),
        (WARNED, "Has a fever.", "condition"),
        (OPTIONS, "Will get a steroid injection.", "condition"),
    ],
)
def test_what_was_bound_otherwise_does_not_stand(lines: tuple[str, ...], text: str, fault: str) -> None:
    assert all(fault in found for found in faults(lines, text))


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (MEDICINES, "Current medications include lisinopril 10 mg daily and metformin 500 mg twice daily."),
        (MEDICINES, "Lisinopril 10 mg every morning."),
        (CHANGED, "Stopped atorvastatin because of leg aches; start rosuvastatin 5 mg at bedtime."),
        (KNEE, "Reports a 3 week history of left knee pain, exacerbated by climbing stairs."),
        (HEADACHES, "Headaches on the right side 2 times a week."),
        (NODULE, "CT shows a 6 mm nodule in the left lower lobe; repeat in 3 months."),
        (FAMILY, "Family history of breast cancer in mother and diabetes in father."),
        (FAMILY, "Denies diabetes."),
        (FLU, "Husband has influenza."),
        (SMOKING, "Former smoker, one pack per day, quit in 2012."),
        (SMOKING, "Quit smoking in 2012."),
        (WARNED, "Advised to go to the emergency room if the pain gets worse or a fever occurs."),
        (VIRAL, "Probable viral infection; antibiotics are not needed."),
        (VIRAL, "Antibiotics are not indicated."),
        (OPTIONS, "Discussed physical therapy and a steroid injection; the patient would try physical therapy first."),
    ],
)
def test_the_same_in_other_words_stands(lines: tuple[str, ...], text: str) -> None:
    assert faults(lines, text) == {()}


def test_a_dose_that_was_changed_is_not_held_against_the_new_one() -> None:
    lines = ("D: Are you taking your lisinopril 10 mg?", "P: No, they increased it to 20 mg.")
    assert faults(lines, "Lisinopril was increased to 20 mg.") == {()}
