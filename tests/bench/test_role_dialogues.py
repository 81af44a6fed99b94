"""Dialogues in the formats of the three sets, and what training makes of them. The dialogues were written here."""

from pathlib import Path
from random import Random

import pytest

from bench.role_dialogues import Dialogue, Said, aci_bench, misheard, mts_dialog, pieces, primock57, unmarked
from pipeline.types import Role

GRID = """File type = "ooTextFile"
xmin = 0
xmax = 9
item []:
    item [1]:
        intervals: size = 2
        intervals [1]:
            xmin = {start}
            xmax = {end}
            text = "{text}"
        intervals [2]:
            xmin = {end}
            xmax = 9
            text = ""
"""


def test_a_visit_of_aci_bench_is_read(tmp_path: Path) -> None:
    file = tmp_path / "visits.csv"
    turns = "[doctor] so , ca n't you sleep ?\n[patient] no .\n[patient_guest] he ca n't ."
    file.write_text(f'dataset,encounter_id,dialogue,note\nx,V1,"{turns}",n\n', encoding="utf-8")
    [visit] = aci_bench(file)
    assert visit.name == "V1"
    assert [(said.role, said.text) for said in visit.said] == [
        (Role.DOCTOR, "so, can't you sleep?"),
        (Role.PATIENT, "no."),
        (Role.UNSPECIFIED, "he can't."),
    ]


def test_a_snippet_of_mts_dialog_is_read(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    turns = "Doctor: Any pain? \nPatient: Only here: my toe.\nGuest_family: And the thumb."
    file.write_text(f'ID,section_header,section_text,dialogue\n7,ROS,t,"{turns}"\n', encoding="utf-8")
    [snippet] = mts_dialog(file)
    assert snippet.name == "train-7"
    assert [(said.role, said.text) for said in snippet.said] == [
        (Role.DOCTOR, "Any pain?"),
        (Role.PATIENT, "Only here: my toe."),
        (Role.UNSPECIFIED, "And the thumb."),
    ]


def test_a_call_of_primock57_is_read_in_spoken_order(tmp_path: Path) -> None:
    late = GRID.format(start=3.5, end=5, text="It's <UNSURE>my</UNSURE> toe.")
    soon = GRID.format(start=0.5, end=3, text='So, ""what"" hurts?')
    (tmp_path / "day9_consultation01_patient.TextGrid").write_text(late, encoding="utf-8")
    (tmp_path / "day9_consultation01_doctor.TextGrid").write_text(soon, encoding="utf-8")
    assert primock57(tmp_path) == [
        Dialogue(
            name="day9_consultation01",
            corpus="primock57",
            said=(
                Said(role=Role.DOCTOR, text='So, "what" hurts?', start=0.5, end=3.0),
                Said(role=Role.PATIENT, text="It's my toe.", start=3.5, end=5.0),
            ),
        )
    ]


def test_turns_are_cut_into_sentences_that_share_their_time() -> None:
    turn = Said(role=Role.PATIENT, text="It hurts. It hurts at night.", start=10.0, end=16.0)
    assert [(piece.text, piece.start, piece.end) for piece in pieces([turn])] == [
        ("It hurts.", 10.0, 12.0),
        ("It hurts at night.", 12.0, 16.0),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_cutting_and_joining_loses_no_word(seed: int) -> None:
    turn = Said(role=Role.DOCTOR, text="One two. Three? Four five six. " * 20)
    assert " ".join(piece.text for piece in pieces([turn], Random(seed))).split() == turn.text.split()


def test_as_many_words_are_misheard_as_asked_for() -> None:
    text = "word " * 10_000
    heard = misheard(text, 0.2, ["other"], Random(0)).split()
    assert heard.count("other") == pytest.approx(0.2 * 10_000 * 0.7, rel=0.1)  # six of ten replaced, one in ten added
    assert misheard(text, 0.0, ["other"], Random(0)).split() == text.split()


def test_a_recogniser_without_marks_writes_lower_case_and_keeps_apostrophes() -> None:
    assert unmarked("So, Doctor – isn't it X-ray?") == "so doctor isn't it x-ray"
