"""What is beside a note, from a real server: a plain summary, billing codes, the note as a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fhir.resources.R4B.bundle import Bundle

from bench.reading import grade
from bench.server import RunningServer
from pipeline.types import SAMPLE_RATE
from tests.acceptance.conftest import client, start
from tests.acceptance.recorded import finished, sent
from tests.audio import wav

pytestmark = pytest.mark.slow

VISIT = """Doctor: Hello, what brings you in today?
Patient: I have had a bad cough and a fever for two weeks.
Doctor: Do you take any medication?
Patient: I take ten milligrams of lisinopril every morning.
Doctor: I think you have acute bronchitis. I do not think this is pneumonia. Bill CPT code 99213.
Doctor: Please rest and drink plenty of water. I would like to see you again in one week."""
PATIENT = {"name": "Ada Lovelace", "gender": "female", "birth_date": "1970-12-31"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    file: Path = tmp_path_factory.mktemp("licensed") / "cpt.csv"
    file.write_text("code,description\n99213,A visit\n")
    yield from start("scripted", {"AUSCULT_NOTES_CPT_FILE": str(file)})


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[httpx.Client]:
    with client(server.base_url, server.key) as made:
        yield made


@pytest.fixture(scope="module")
def note(api: httpx.Client) -> str:
    """The address of a note."""
    made = api.post("/api/encounters", json={"transcript": VISIT, "template": "GENERAL_MEDICINE", "patient": PATIENT})
    encounter = made.raise_for_status().json()["encounter_id"]
    finished(api, encounter)
    return f"/api/encounters/{encounter}/notes/1"


def read(api: httpx.Client, path: str, **headers: str) -> httpx.Response:
    return api.get(path, headers=headers).raise_for_status()


def composition_of(answer: httpx.Response) -> dict[str, Any]:
    """The first entry of a document that the package finds valid."""
    Bundle.model_validate_json(answer.content)
    found: dict[str, Any] = answer.json()["entry"][0]["resource"]
    assert found["resourceType"] == "Composition"
    return found


def test_a_patient_reads_a_plain_summary(api: httpx.Client, note: str) -> None:
    summary = read(api, f"{note}/summary").json()
    assert (summary["version"], summary["review_status"], summary["language"]) == (1, "draft", "en")
    assert "Your doctor thinks you have acute bronchitis (sore airways in the lungs)." in summary["text"]
    assert "does not think this is pneumonia" in summary["text"]
    assert grade(summary["text"]) <= 8


def test_codes_are_suggested_for_what_was_named_and_checked_by_the_operator_s_file(
    api: httpx.Client, note: str
) -> None:
    codes = read(api, f"{note}/codes").json()
    said: list[dict[str, Any]] = read(api, note.rsplit("/", 2)[0]).json()["items"]
    (bronchitis,) = codes["icd10"]
    assert (bronchitis["code"], bronchitis["origin"], bronchitis["standing"]) == ("J20.9", "suggested", "billable")
    assert bronchitis["score"] >= 0.6
    assert "bronchitis" in next(item["text"] for item in said if item["id"] in bronchitis["items"])
    assert [(each["problem"], each["why"]) for each in codes["abstentions"]] == [("pneumonia", "denied")]
    assert [(each["code"], each["description"], each["standing"]) for each in codes["cpt"]] == [
        ("99213", "A visit", "billable")
    ]
    assert codes["catalogue"].startswith("ICD-10-CM ")


def test_a_note_is_a_file_in_the_form_that_is_liked_best(api: httpx.Client, note: str) -> None:
    version = read(api, note).json()
    assert read(api, f"{note}/document").json() == version
    text = read(api, f"{note}/document", Accept="text/plain")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.headers["x-content-type-options"] == "nosniff"
    assert text.headers["content-disposition"].endswith('-1.txt"')
    marked = read(api, f"{note}/document?format=markdown", Accept="text/plain")
    assert marked.headers["content-type"] == "text/markdown; charset=utf-8"
    assert "An extract of what was said" in marked.text
    for section in version["sections"]:
        assert f"\n{section['title']}\n{section['text']}\n" in text.text
        assert f"\n## {section['title']}\n" in marked.text
    assert api.get(f"{note}/document?format=pdf").status_code == 400


def test_a_note_is_a_fhir_document_final_once_it_is_approved_of(api: httpx.Client, note: str) -> None:
    draft = read(api, f"{note}/document", Accept="application/fhir+json")
    assert draft.headers["content-type"] == "application/fhir+json"
    composition = composition_of(draft)
    assert composition["status"] == "preliminary"
    titles = [section["title"] for section in read(api, note).json()["sections"]]
    assert [section["title"] for section in composition["section"]] == titles
    assert "Ada Lovelace" in draft.text
    seen = read(api, note).headers["etag"]
    api.patch(note, json={"review_status": "approved"}, headers={"If-Match": seen}).raise_for_status()
    assert composition_of(read(api, f"{note}/document?format=fhir"))["status"] == "final"


def test_a_recording_without_speech_is_done_without_a_word_and_its_note_says_why(api: httpx.Client) -> None:
    silence = wav(np.zeros(SAMPLE_RATE * 3, np.float32), SAMPLE_RATE)
    over = finished(api, sent(api, silence))
    assert (over["status"], over.get("items", [])) == ("done", [])
    assert over["note_absence"]["code"] == "transcript_too_short"
    assert "note" not in over


def test_a_version_that_says_nothing_has_nothing_beside_it(api: httpx.Client) -> None:
    made = api.post("/api/encounters", json={"transcript": "Doctor: Hello."}).json()
    finished(api, made["encounter_id"])
    empty = f"/api/encounters/{made['encounter_id']}/notes/1"
    for path in ("summary", "document?format=text", "document?format=fhir"):
        refused = api.get(f"{empty}/{path}")
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert read(api, f"{empty}/document").json()["note_absence"]["code"] == "transcript_too_short"
    assert read(api, f"{empty}/codes").json()["icd10"] == []
    for path in ("summary", "codes", "document", "document?format=fhir"):
        assert api.get(f"{empty[:-1]}2/{path}").status_code == 404
