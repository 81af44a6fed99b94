"""A note as a FHIR document (R4B; nothing in it differs from R4): a `Bundle` whose first entry is a `Composition`.

Pure. Built through fhir.resources, which checks every element. References are `urn:uuid:` and made of the encounter's
id, so that the same version gives the same document. Sections carry LOINC codes where one means just that. Each
sentence names the transcript items that it rests on, in an extension of its section.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from html import escape
from itertools import groupby
from typing import Any, Final, TypeAlias
from uuid import UUID, uuid5

from pipeline.notes.note import Note, NoteSection, NoteSentence, Style, Topic
from pipeline.types import Utterance
from server.domain import EncounterRow, NoteVersion, Review
from server.intake import Patient

Element: TypeAlias = dict[str, Any]

NAMESPACE: Final = UUID("7d3a3c5e-0d55-4c5a-9a43-3a1a1f6f5b0e")  # of the ids made here
EVIDENCE: Final = "urn:auscult:fhir:evidence"  # our extension: a sentence, and what it rests on
LOINC: Final = "http://loinc.org"
NOTE: Final = "34109-9"  # LOINC: Note
UNKNOWN: Final = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
NULL_FLAVOR: Final = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
XHTML: Final = "http://www.w3.org/1999/xhtml"

SUBJECTIVE: Final = frozenset(
    {
        Topic.COMPLAINT, Topic.HISTORY, Topic.PAST_MEDICAL, Topic.SURGICAL, Topic.OBSTETRIC, Topic.FAMILY, Topic.SOCIAL,
        Topic.ALLERGIES, Topic.MEDICATIONS, Topic.IMMUNIZATIONS,
    }
)  # fmt: skip
OBJECTIVE: Final = frozenset({Topic.VITALS, Topic.EXAM, Topic.LABS, Topic.IMAGING})
PLAN: Final = frozenset({Topic.PLAN, Topic.PRESCRIPTION, Topic.APPOINTMENTS})

# Section codes of HL7's C-CDA 2.1 (and its SOAP parts); there is none for what is not here.
SECTION_CODES: Final[Mapping[Topic, str]] = {
    Topic.COMPLAINT: "10154-3",  # Chief complaint
    Topic.HISTORY: "10164-2",  # History of present illness
    Topic.PAST_MEDICAL: "11348-0",  # History of past illness
    Topic.OBSTETRIC: "10162-6",  # History of pregnancies
    Topic.FAMILY: "10157-6",  # History of family member diseases
    Topic.SOCIAL: "29762-2",  # Social history
    Topic.ALLERGIES: "48765-2",  # Allergies and adverse reactions
    Topic.MEDICATIONS: "10160-0",  # History of medication use
    Topic.IMMUNIZATIONS: "11369-6",  # History of immunizations
    Topic.VITALS: "8716-3",  # Vital signs
    Topic.LABS: "30954-2",  # Relevant diagnostic tests and laboratory data
    Topic.EXAM: "29545-1",  # Physical findings
    Topic.ASSESSMENT: "51848-0",  # Evaluation note
    Topic.PLAN: "18776-5",  # Plan of care
}
SEVERAL: Final = (  # sections that hold more than one topic, the narrowest first
    (PLAN, "18776-5"),
    (PLAN | {Topic.ASSESSMENT}, "51847-2"),  # Evaluation and plan
    (OBJECTIVE, "61149-1"),  # Objective
    (SUBJECTIVE, "61150-9"),  # Subjective
)
GENDERS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("male", "m", "man", "männlich", "homme", "masculin"), "male"),
    **dict.fromkeys(("female", "f", "woman", "weiblich", "w", "femme", "féminin"), "female"),
    **dict.fromkeys(("other", "divers", "nonbinary", "non-binary"), "other"),
}

_OTHER_BLANKS: Final = re.compile(r"[^\S \t\r\n]")  # FHIR's strings know but these
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 §2.2


def document(
    row: EncounterRow,
    version: NoteVersion,
    note: Note,
    *,
    patient: Patient,
    items: Iterable[Utterance],
    amends: bool,
    program: str,
) -> bytes:
    """The document of one version, as JSON. `items`: of the transcript. `amends`: whether a version that was approved
    of is behind it. `program`: the version of this server.
    """
    from fhir.resources.R4B.bundle import Bundle  # 8 MB, and only who asks for a document needs it

    bundle = Bundle.model_validate(
        {
            "resourceType": "Bundle",
            "type": "document",
            "identifier": _identifier(row, f"document/{version.version}/{version.tag}"),
            "timestamp": _time(_written_at(version)),
            "entry": [
                {"fullUrl": _urn(row, name), "resource": {"resourceType": kind, "id": _uuid(row, name), **content}}
                for name, kind, content in _resources(row, version, note, patient, items, amends, program)
            ],
        }
    )
    return bundle.model_dump_json().encode()


def _resources(
    row: EncounterRow,
    version: NoteVersion,
    note: Note,
    patient: Patient,
    items: Iterable[Utterance],
    amends: bool,
    program: str,
) -> Iterator[tuple[str, str, Element]]:
    """Name, kind and content of each resource, the composition first."""
    yield "composition", "Composition", _composition(row, version, note, {item.id: item for item in items}, amends)
    yield "encounter", "Encounter", _encounter(row)
    yield "patient", "Patient", _patient(patient)
    yield "practitioner", "Practitioner", {"name": [{"extension": [UNKNOWN]}]}  # no API tells who it was
    if not version.stored.edited_from:  # else it is the practitioner's
        yield "device", "Device", _device(note, program)


def _composition(
    row: EncounterRow, version: NoteVersion, note: Note, said: Mapping[str, Utterance], amends: bool
) -> Element:
    approved = version.stored.review is Review.APPROVED
    composed: Element = {
        "identifier": _identifier(row, f"note/{version.version}"),
        "status": ("amended" if amends else "final") if approved else "preliminary",
        "type": {"coding": [{"system": LOINC, "code": NOTE}]},
        "subject": _reference(row, "patient"),
        "encounter": _reference(row, "encounter"),
        "date": _time(_written_at(version)),
        "author": [_reference(row, "practitioner" if version.stored.edited_from else "device")],
        "title": _text(note.title) or _text(note.template) or "Note",
    }
    if sections := [_section(each, said) for each in map(_legible, note.sections) if each.sentences]:
        composed["section"] = sections
    if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", note.language):
        composed["language"] = note.language
    if approved:
        composed["attester"] = [{"mode": "professional", "party": _reference(row, "practitioner")}]
    if version.stored.edited_from:
        before = _identifier(row, f"note/{version.stored.edited_from}")
        composed["relatesTo"] = [{"code": "replaces", "targetIdentifier": before}]
    return composed


def _legible(section: NoteSection) -> NoteSection:
    """Without sentences that hold nothing: a provider may have sent blanks."""
    return replace(section, sentences=tuple(each for each in section.sentences if _text(each.text)))


def _section(section: NoteSection, said: Mapping[str, Utterance]) -> Element:
    found: Element = {"text": {"status": "generated", "div": _narrative(section)}}
    if title := _text(section.title) or _text(section.key):
        found["title"] = title
    if code := section_code(section.topics):
        found["code"] = {"coding": [{"system": LOINC, "code": code}]}
    evidence = [_evidence(sentence, said) for sentence in section.sentences if sentence.items]
    if evidence:
        found["extension"] = evidence
    return found


def section_code(topics: Sequence[Topic]) -> str:
    """The LOINC code of a section that holds these topics; empty where none means just that."""
    if len(topics) == 1:
        return SECTION_CODES.get(topics[0], "")
    return next((code for several, code in SEVERAL if topics and several.issuperset(topics)), "")


def _evidence(sentence: NoteSentence, said: Mapping[str, Utterance]) -> Element:
    """A sentence with its items: of each its id, and what was said, by whom, when, while that is kept."""
    parts: list[Element] = [{"url": "sentence", "valueString": _text(sentence.text)}]
    for item in sentence.items:
        one: list[Element] = [{"url": "id", "valueString": item}]
        if item in said and _text(said[item].text):
            heard = said[item]
            one += [
                {"url": "text", "valueString": _text(heard.text)},
                {"url": "speaker", "valueCode": str(heard.role)},
                {"url": "startMs", "valueInteger": heard.start_ms},
                {"url": "endMs", "valueInteger": heard.end_ms},
            ]
        parts.append({"url": "item", "extension": one})
    return {"url": EVIDENCE, "extension": parts}


def _narrative(section: NoteSection) -> str:
    blocks = []
    for problem, sentences in groupby(section.sentences, key=lambda sentence: sentence.problem):
        if problem:
            blocks.append(f"<p><b>{_xhtml(problem)}</b></p>")
        texts = [_xhtml(sentence.text) for sentence in sentences]
        if section.style is Style.BULLET_POINTS:
            blocks.append(f"<ul>{''.join(f'<li>{text}</li>' for text in texts)}</ul>")
        else:
            blocks.append(f"<p>{' '.join(texts)}</p>")
    return f'<div xmlns="{XHTML}">{"".join(blocks)}</div>'


def _encounter(row: EncounterRow) -> Element:
    period = {"start": _time(row.created_at)}
    if row.completed_at is not None:
        period["end"] = _time(row.completed_at)
    return {
        "identifier": [{"system": "urn:auscult:encounter", "value": row.id}],
        "status": "finished",
        "class": {"system": NULL_FLAVOR, "code": "UNK"},  # in the room or over a line: nobody said
        "subject": _reference(row, "patient"),
        "participant": [{"individual": _reference(row, "practitioner")}],
        "period": period,
    }


def _patient(patient: Patient) -> Element:
    name = _text(patient.name)
    known: Element = {"name": [{"text": name} if name else {"extension": [UNKNOWN]}]}
    gender = GENDERS.get(patient.gender.strip().lower())
    if gender is not None:
        known["gender"] = gender
    with suppress(ValueError):  # not told, or in words of the client's own
        known["birthDate"] = date.fromisoformat(patient.birth_date).isoformat()
    return known


def _device(note: Note, program: str) -> Element:
    return {
        "deviceName": [{"name": "Auscult", "type": "manufacturer-name"}],
        "version": [{"value": program}],
        "note": [{"text": f"The note was written by: {note.generator}"}],
    }


def _written_at(version: NoteVersion) -> float:
    return version.created_at if version.stored.edited_at is None else version.stored.edited_at


def _identifier(row: EncounterRow, name: str) -> Element:
    return {"system": "urn:ietf:rfc:3986", "value": _urn(row, name)}


def _reference(row: EncounterRow, name: str) -> Element:
    return {"reference": _urn(row, name)}


def _urn(row: EncounterRow, name: str) -> str:
    return f"urn:uuid:{_uuid(row, name)}"


def _uuid(row: EncounterRow, name: str) -> str:
    return str(uuid5(NAMESPACE, f"{row.id}/{name}"))


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _text(text: str) -> str:
    """A text that is one in XML, too; without blanks around it."""
    return _OTHER_BLANKS.sub(" ", _NO_XML.sub("", text)).strip()


def _xhtml(text: str) -> str:
    return escape(_text(text), quote=False).replace("\n", "<br/>")
