"""Notes as FHIR documents: valid by the package, closed in themselves, true to the note."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.notes.note import Note, NoteSection, NoteSentence, Style, Topic
from server.domain import EncounterOptions, EncounterRow, NoteVersion, Review, Stage, State, StoredNote
from server.fhir import EVIDENCE, XHTML, document, section_code
from server.intake import Patient
from tests.pipeline.notes.talk import general, visit

ITEMS = visit("P: I take 400 mg of ibuprofen.", "D: Your blood pressure is 120 over 80.")
NOTE = general(ITEMS)
ROW = EncounterRow(
    id="0" * 24,
    tenant_id="t",
    key_id="k",
    token_id="",
    options=EncounterOptions(api="auscult", streams=()),
    state=State.DONE,
    stages={Stage.DONE: 2.0},
    percentage=100,
    failure=None,
    warnings=(),
    epoch=0,
    owner="",
    data_key=None,
    last_key=None,
    resumptions=0,
    created_at=1_800_000_000.0,
    active_at=1_800_000_000.0,
    completed_at=1_800_000_600.0,
    fetched_at=None,
)
VERSION = NoteVersion(version=1, created_at=1_800_000_601.0, stored=StoredNote(note=NOTE), tag="a")


def made(
    note: Note = NOTE, version: NoteVersion = VERSION, *, patient: Patient | None = None, amending: bool = False
) -> dict[str, Any]:
    """The document, which the package has read again without a complaint."""
    written = document(ROW, version, note, patient=patient or Patient(), items=ITEMS, amends=amending, program="1.2.3")
    assert Bundle.model_validate_json(written).get_resource_type() == "Bundle"
    found: dict[str, Any] = json.loads(written)
    return found


def changed(**stored: Any) -> NoteVersion:
    return msgspec.structs.replace(VERSION, stored=msgspec.structs.replace(VERSION.stored, **stored))


def resource(found: dict[str, Any], kind: str) -> dict[str, Any]:
    (one,) = [entry["resource"] for entry in found["entry"] if entry["resource"]["resourceType"] == kind]
    return dict(one)


def references(element: object) -> Iterator[str]:
    if isinstance(element, dict):
        if isinstance(element.get("reference"), str):
            yield element["reference"]
        for each in element.values():
            yield from references(each)
    if isinstance(element, list):
        for each in element:
            yield from references(each)


@pytest.mark.parametrize("version", [VERSION, changed(edited_from=1, edited_at=1_800_000_700.0)])
def test_every_reference_leads_to_an_entry_and_every_entry_is_referred_to(version: NoteVersion) -> None:
    found = made(version=version)
    assert (found["type"], found["entry"][0]["resource"]["resourceType"]) == ("document", "Composition")
    urls = [entry["fullUrl"] for entry in found["entry"]]
    assert len(set(urls)) == len(urls)
    assert set(references(found)) == set(urls[1:])
    assert all(entry["fullUrl"] == f"urn:uuid:{entry['resource']['id']}" for entry in found["entry"])


def test_a_document_says_the_note_with_its_evidence() -> None:
    sections = resource(made(), "Composition")["section"]
    assert [section["title"] for section in sections] == [section.title for section in NOTE.sections]
    said = {item.id: item for item in ITEMS}
    for section, noted in zip(sections, NOTE.sections, strict=True):
        narrative = ElementTree.fromstring(section["text"]["div"])
        assert narrative.tag == f"{{{XHTML}}}div"
        assert all(sentence.text in "".join(narrative.itertext()) for sentence in noted.sentences)
        assert [each["url"] for each in section["extension"]] == [EVIDENCE] * len(noted.sentences)
        for evidence, sentence in zip(section["extension"], noted.sentences, strict=True):
            text, *items = evidence["extension"]
            assert text == {"url": "sentence", "valueString": sentence.text}
            heard = [
                {each["url"]: next(v for k, v in each.items() if k != "url") for each in i["extension"]} for i in items
            ]
            assert [each["id"] for each in heard] == list(sentence.items)
            assert [(each["text"], each["speaker"], each["startMs"]) for each in heard] == [
                (said[item].text, said[item].role, said[item].start_ms) for item in sentence.items
            ]


def test_the_same_version_gives_the_same_document() -> None:
    assert made() == made()


@pytest.mark.parametrize(
    ("version", "amending", "status", "attested"),
    [
        (VERSION, False, "preliminary", False),
        (changed(review=Review.APPROVED), False, "final", True),
        (changed(review=Review.APPROVED, edited_from=1), True, "amended", True),
        (changed(edited_from=1), True, "preliminary", False),  # nobody approved of the change yet
    ],
)
def test_the_status_is_that_of_the_review(version: NoteVersion, amending: bool, status: str, attested: bool) -> None:
    composition = resource(made(version=version, amending=amending), "Composition")
    assert composition["status"] == status
    assert ("attester" in composition) == attested
    assert ("relatesTo" in composition) == bool(version.stored.edited_from)


def test_who_wrote_it_is_the_device_or_a_provider() -> None:
    written = made()
    assert "embedded-extractive" in resource(written, "Device")["note"][0]["text"]
    edited = made(version=changed(edited_from=1))
    assert not [entry for entry in edited["entry"] if entry["resource"]["resourceType"] == "Device"]


def test_the_patient_is_who_the_client_says() -> None:
    known = resource(made(patient=Patient(name="Ada <Lovelace>", gender=" F", birth_date="1970-12-31")), "Patient")
    assert (known["name"], known["gender"], known["birthDate"]) == (
        [{"text": "Ada <Lovelace>"}],
        "female",
        "1970-12-31",
    )
    unknown = resource(made(patient=Patient(gender="see chart", birth_date="in May")), "Patient")
    assert not {"gender", "birthDate"} & set(unknown)


@pytest.mark.parametrize(
    ("topics", "code"),
    [
        ((Topic.COMPLAINT,), "10154-3"),
        ((Topic.PLAN, Topic.PRESCRIPTION, Topic.APPOINTMENTS), "18776-5"),
        ((Topic.ASSESSMENT, Topic.PLAN), "51847-2"),
        ((Topic.VITALS, Topic.EXAM), "61149-1"),
        ((Topic.COMPLAINT, Topic.HISTORY, Topic.FAMILY), "61150-9"),
        ((Topic.HISTORY, Topic.EXAM), ""),  # nothing means just that
        ((Topic.APPOINTMENTS,), ""),
        ((), ""),
    ],
)
def test_a_section_has_a_code_where_one_means_just_that(topics: tuple[Topic, ...], code: str) -> None:
    assert section_code(topics) == code


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from([Style.PARAGRAPHS, Style.BULLET_POINTS]))
def test_whatever_a_provider_wrote_the_document_is_valid(text: str, title: str, style: Style) -> None:
    sentences = (NoteSentence(text=text, items=(), problem=title), NoteSentence(text="Rest.", items=("nobody's",)))
    section = NoteSection(key=title, title=title, sentences=sentences, style=style)
    note = replace(NOTE, title=title, language=text, template=text, sections=(section, replace(section, sentences=())))
    found = made(note, patient=Patient(name=text, gender=title, birth_date=text))
    for each in resource(found, "Composition")["section"]:
        ElementTree.fromstring(each["text"]["div"])
