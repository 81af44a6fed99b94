"""Consultations and their notes in the formats of the three sets. The texts were written here."""

from pathlib import Path

import pytest

from bench.notes_sets import NoNotes, calls, notes_folder, snippets, visits
from pipeline.types import SAMPLE_RATE, Role

GRID = 'xmin = {start}\nxmax = {end}\ntext = "{text}"\n'


def test_a_visit_has_an_item_for_each_turn_and_the_note_that_was_written(tmp_path: Path) -> None:
    (tmp_path / "aci-bench").mkdir()
    turns = "[doctor] so , does it hurt ?\n[patient] yes .\n[patient_guest] she ca n't walk ."
    note = "CHIEF COMPLAINT\n\nToe pain."
    rows = f'dataset,encounter_id,dialogue,note\nx,V1,"{turns}","{note}"\n'
    (tmp_path / "aci-bench" / "valid.csv").write_text(rows, encoding="utf-8")
    [visit] = visits(tmp_path, "valid")
    assert (visit.name, visit.reference, visit.words) == ("V1", note, 8)
    assert [(item.role, item.text) for item in visit.items] == [
        (Role.DOCTOR, "so, does it hurt?"),
        (Role.PATIENT, "yes."),
        (Role.UNSPECIFIED, "she can't walk."),
    ]
    assert len({item.id for item in visit.items}) == 3
    assert [item.end for item in visit.items][:-1] == [item.start for item in visit.items][1:]


def test_a_snippet_has_the_header_of_its_section(tmp_path: Path) -> None:
    (tmp_path / "mts-dialog").mkdir()
    rows = 'ID,section_header,section_text,dialogue\n7,ALLERGY,Latex.,"Doctor: Any allergies?\nPatient: Latex."\n'
    (tmp_path / "mts-dialog" / "train.csv").write_text(rows, encoding="utf-8")
    [snippet] = snippets(tmp_path, "train")
    assert (snippet.name, snippet.header, snippet.reference) == ("train-7", "ALLERGY", "Latex.")


def test_a_call_keeps_its_times(tmp_path: Path) -> None:
    transcripts, notes = tmp_path / "primock57" / "transcripts", tmp_path / "primock57" / "notes"
    transcripts.mkdir(parents=True)
    notes.mkdir()
    doctor, patient = GRID.format(start=1, end=2, text="Hello."), GRID.format(start=2.5, end=4, text="My toe hurts.")
    (transcripts / "day9_consultation01_doctor.TextGrid").write_text(doctor, encoding="utf-8")
    (transcripts / "day9_consultation01_patient.TextGrid").write_text(patient, encoding="utf-8")
    written = '{"day": 9, "consultation": 1, "note": "Toe pain.", "highlights": []}'
    (notes / "day9_consultation01.json").write_text(written, encoding="utf-8")
    [call] = calls(tmp_path)
    assert call.reference == "Toe pain."
    assert [(item.start, item.end) for item in call.items] == [
        (SAMPLE_RATE, 2 * SAMPLE_RATE),
        (5 * SAMPLE_RATE // 2, 4 * SAMPLE_RATE),
    ]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoNotes, match="nowhere"):
        notes_folder(tmp_path / "nowhere")
    with pytest.raises(NoNotes, match=r"valid\.csv"):
        visits(tmp_path, "valid")
    with pytest.raises(NoNotes, match="primock57"):
        calls(tmp_path)
    monkeypatch.delenv("AUSCULT_TEST_DATA", raising=False)
    with pytest.raises(NoNotes, match="AUSCULT_TEST_DATA"):
        notes_folder(None)
    monkeypatch.setenv("AUSCULT_TEST_DATA", str(tmp_path))
    (tmp_path / "notes").mkdir()
    assert notes_folder(None) == tmp_path / "notes"
