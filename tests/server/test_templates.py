"""Note templates of the operator's own, beside those that come with the program."""

from pathlib import Path

import pytest

from pipeline.errors import InvalidTemplate, UnknownTemplate
from pipeline.types import Role, Utterance
from server.doctor import examine
from server.domain import EncounterOptions
from server.notes import Notes
from server.settings import NoteSettings, load_settings
from server.templates import note_templates, own_templates, shipped_templates
from tests.preforked import auscult

TRIAGE = """
name = "triage"
languages = ["en"]
title = { en = "Triage note" }
[[sections]]
key = "NEED"
title = { en = "Need" }
topics = ["complaint", "history"]
"""
WRONG = TRIAGE.replace('"history"', '"hystory"')
FAULT = "triage.toml: section 1 topics: there is no 'hystory'; known ones: complaint, history, "


@pytest.fixture
def own(tmp_path: Path) -> Path:
    directory = tmp_path / "templates"
    directory.mkdir()
    (directory / "triage.toml").write_text(TRIAGE, encoding="utf-8")
    return directory


def test_own_templates_stand_beside_the_shipped_ones_and_in_place_of_those_of_their_name(own: Path) -> None:
    (own / "SOAP.toml").write_text(TRIAGE.replace('"triage"', '"SOAP"'), encoding="utf-8")
    known = note_templates(NoteSettings(templates_dir=str(own)))
    assert set(known) == {*shipped_templates(), "triage"}
    assert [section.key for section in known["SOAP"].sections] == ["NEED"]


def test_without_a_directory_there_are_no_own_templates() -> None:
    assert own_templates(NoteSettings()) == {}
    assert note_templates(NoteSettings()) == shipped_templates()


def test_an_own_template_may_be_the_default_one(own: Path) -> None:
    settings = NoteSettings(template="triage", templates_dir=str(own))
    assert settings.template in note_templates(settings)
    with pytest.raises(
        UnknownTemplate, match=r'^notes\.template is "triage", which is no note template\. Known ones: CA'
    ):
        note_templates(NoteSettings(template="triage"))


def test_a_directory_that_is_not_there_is_named_with_its_setting() -> None:
    with pytest.raises(InvalidTemplate, match=r"^notes\.templates_dir: there is no directory /nowhere\. Make it, or"):
        note_templates(NoteSettings(templates_dir="/nowhere"))


async def test_a_note_whose_template_is_gone_says_so() -> None:
    said = [Utterance(id="1", stream="room", role=Role.PATIENT, start=0, end=1, text="I have a cough. " * 10)]
    options = EncounterOptions(api="auscult", streams=(), template="triage")
    written = await Notes(shipped_templates()).write(options, said)
    assert written.note is None
    assert written.absence is not None
    assert written.absence.code == "unknown_template"


@pytest.mark.parametrize(("content", "ok", "detail"), [(TRIAGE, True, ", of which 1 in "), (WRONG, False, FAULT)])
def test_the_doctor_reads_every_template(own: Path, tmp_path: Path, content: str, ok: bool, detail: str) -> None:
    (own / "triage.toml").write_text(content, encoding="utf-8")
    environment = {"AUSCULT_NOTES_TEMPLATES_DIR": str(own), "AUSCULT_SERVER_DATA_DIR": str(tmp_path / "data")}
    (found,) = [one for one in examine(load_settings(environment=environment)) if one.what == "note templates"]
    assert (found.ok, found.needed) == (ok, True)
    assert detail in found.detail


def test_the_command_lists_templates_and_says_which_are_own(own: Path) -> None:
    listed = auscult("templates", "list", environment={"AUSCULT_NOTES_TEMPLATES_DIR": str(own)})
    lines = {line.split()[0]: line.rstrip() for line in listed.stdout.splitlines()}
    assert lines["triage"].endswith(" own")
    assert lines["SOAP"].split()[1:] == ["SOAP", "note", "en,", "fr,", "de", "4"]


def test_the_command_shows_the_sections_of_a_file_and_what_has_no_place_in_it(own: Path) -> None:
    checked = auscult("templates", "check", str(own / "triage.toml"))
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.splitlines()[1].split() == ["NEED", "Need", "paragraphs", "complaint,", "history"]
    assert "left out by the embedded writer: past_medical, surgical, " in checked.stdout


def test_the_command_says_in_one_line_what_is_wrong_with_a_file(own: Path) -> None:
    (own / "triage.toml").write_text(WRONG, encoding="utf-8")
    checked = auscult("templates", "check", str(own / "triage.toml"))
    assert checked.returncode == 1
    assert checked.stdout == ""
    (line,) = checked.stderr.splitlines()
    assert line.startswith("auscult: Template file /")
    assert FAULT in line


def test_a_server_does_not_start_with_a_wrong_template_and_shows_no_key(own: Path, tmp_path: Path) -> None:
    (own / "triage.toml").write_text(WRONG, encoding="utf-8")
    started = auscult(
        "serve", "--port", "0", "--data-dir", str(tmp_path / "data"),
        environment={"AUSCULT_NOTES_TEMPLATES_DIR": str(own)},
    )  # fmt: skip
    assert started.returncode == 1
    assert "API key" not in started.stdout
    (line,) = started.stderr.splitlines()
    assert FAULT in line
