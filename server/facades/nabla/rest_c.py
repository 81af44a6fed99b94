"""Generation C over REST: texts in, notes out, in its names for templates, sections, locales. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline.notes.note import Note, NoteSection, Style
from pipeline.typed import Turn
from pipeline.types import Role
from server.domain import EncounterOptions, EncounterView
from server.errors import BadRequest
from server.facades.nabla import convert, rest_b, schema
from server.facades.nabla import schema_rest as wire
from server.facades.nabla.asked import API, Asked, Kind, Wanted, places, request_id, result, wanted
from server.facades.nabla.generation_b import check_template
from server.intake import Intake, Patient

Answer = tuple[int, wire.NoteAnswerC | schema.HttpError]
"""HTTP status and body."""

LOCALES = {"ENGLISH_US": "en-US", "ENGLISH_UK": "en-GB", "FRENCH_FR": "fr-FR"}
TEMPLATES = {  # its names → those of generation B, which are ours
    "GENERIC_MULTIPLE_SECTIONS": "GENERAL_MEDICINE",
    "GENERIC_MULTIPLE_SECTIONS_AP_MERGED": "GENERAL_MEDICINE_AP_MERGED",
    "GENERIC_SOAP": "SOAP",
    "CARDIOLOGY_MULTIPLE_SECTIONS": "CARDIOLOGY",
    "PSYCHIATRY_MULTIPLE_SECTIONS": "PSYCHIATRY",
    "DIET_MULTIPLE_SECTIONS": "DIET",
    "PSYCHOLOGY_MULTIPLE_SECTIONS": "PSYCHOLOGY",
    "WCC_MULTIPLE_SECTIONS": "GENERAL_MEDICINE_WCC",
    "WCC_SOAP": "SOAP_WCC",
    "EMERGENCY_MULTIPLE_SECTIONS": "GENERAL_MEDICINE_EMERGENCY",
    "EMERGENCY_SOAP": "SOAP_EMERGENCY",
}
KEYS = {  # B's section keys → its own, where they differ
    "CARDIOVASCULAR_RISKS": "CARDIOVASCULAR_RISK_FACTORS",
    "SOAP_SUBJECTIVE": "SUBJECTIVE",
    "SOAP_OBJECTIVE": "OBJECTIVE",
    "SOAP_ASSESSMENT": "ASSESSMENT",
    "SOAP_PLAN": "PLAN",
    "PSYCHOLOGY_HISTORY_OF_COMPLAINT": "HISTORY_OF_PRESENT_COMPLAINT",
    "DIET_APPOINTMENTS": "APPOINTMENTS",
    "DIET_CHIEF_COMPLAINT": "CHIEF_COMPLAINT",
    "DIET_HABITS": "FOOD_HABITS",
    "DIET_LIFESTYLE": "LIFESTYLE",
    "DIET_MEDICAL_HISTORY": "PAST_MEDICAL_HISTORY",
    "DIET_OBJECTIVES": "OBJECTIVES_AND_ADVICE",
    "DIET_VITALS": "VITALS",
}
STYLES = {"AUTO": Style.AUTO, "PARAGRAPH": Style.PARAGRAPHS, "BULLET_POINTS": Style.BULLET_POINTS}
BY_PROBLEM = ("HISTORY_OF_PRESENT_ILLNESS", "SUBJECTIVE")  # sections that are split so, in English
MOST_SECTIONS = 100  # that can be customised


def generating(request: wire.GenerateNoteRequest, kind: Kind, client_request_id: str | None = None) -> Wanted:
    """A text of which a note is to be written. Raises `BadRequest`, `TranscriptTooShort`."""
    locale = request.note_locale or "ENGLISH_US"
    template = request.note_template_key or request.note_template or "GENERIC_MULTIPLE_SECTIONS"
    convert.one_of("note_locale", [locale], tuple(LOCALES))
    convert.one_of("note_template", [template], tuple(TEMPLATES))
    check_template(TEMPLATES[template], LOCALES[locale])
    customized = request.note_sections_customization or []
    options = EncounterOptions(
        api=API,
        streams=(),
        language=LOCALES[locale],
        template=TEMPLATES[template],
        style=Style.AUTO,
        split_by_problem=any(each.split_by_problem and each.section_key in BY_PROBLEM for each in customized),
        resumable=False,
    )
    asked = Asked(
        kind=kind,
        client_request_id=client_request_id,
        generation="C",
        styles=_styles(customized),
    )
    turns = [
        Turn(text=item.text, role=convert.role(item.speaker_type or Role.UNSPECIFIED))
        for item in request.transcript_items
    ]
    return wanted(options, asked, turns, _known(request, customized))


def answer(view: EncounterView, asked: Asked) -> Answer:
    """What `generate-note` answers: status and body."""
    got = result(view, asked)
    if got.note is not None:
        return 200, wire.NoteAnswerC(note=_note(got.note, view, asked))
    assert got.problem is not None
    return convert.http_error(got.problem)


def job(view: EncounterView, asked: Asked) -> wire.NoteJobC:
    """How far a note is, and the note."""
    shown = wire.NoteJobC(
        id=request_id(view.row.id), status=rest_b.status(view).upper(), client_request_id=asked.client_request_id
    )
    if shown.status != "ONGOING":
        got = result(view, asked)
        if got.note is not None:
            shown.payload = wire.NoteAnswerC(note=_note(got.note, view, asked))
        else:
            shown.error = rest_b.problem(got.problem)
    return shown


def _note(written: Note, view: EncounterView, asked: Asked) -> wire.NoteC:
    sections = tuple(_section(section, asked.styles) for section in written.sections)
    told = rest_b.note(replace(written, sections=sections), places=places(view, asked))
    template = _name(TEMPLATES, view.row.options.template)
    locale = _name(LOCALES, view.row.options.language)
    return wire.NoteC(
        title=told.title,
        sections=told.sections,
        generator=told.generator,
        fallback=told.fallback,
        locale=locale,
        template=template,
        template_key=template,
    )


def _section(section: NoteSection, styles: Mapping[str, str]) -> NoteSection:
    """In this generation's words, laid out as it was asked for."""
    key = KEYS.get(section.key, section.key)
    style = STYLES[styles.get(key, "AUTO")]
    return replace(section, key=key, style=section.style if style is Style.AUTO else style)


def _styles(customized: Sequence[wire.SectionCustomization]) -> dict[str, str]:
    if len(customized) > MOST_SECTIONS:
        raise BadRequest(f"note_sections_customization has more than {MOST_SECTIONS} sections.")
    styles = {each.section_key: each.style or "AUTO" for each in customized}
    for style in styles.values():
        convert.one_of("style", [style], tuple(STYLES))
    return styles


def _known(request: wire.GenerateNoteRequest, customized: Sequence[wire.SectionCustomization]) -> Intake:
    """What the client knows, and wants of the note's sections."""
    structured = request.structured_context or wire.StructuredContext()
    diagnoses = [_diagnosis(each) for each in structured.active_encounter_diagnoses_coding or ()]
    context = (
        request.unstructured_context or request.patient_context or "",
        f"Date of the visit: {structured.encounter_date}" if structured.encounter_date else "",
        f"Diagnoses on record for the visit: {'; '.join(diagnoses)}" if diagnoses else "",
    )
    wishes: dict[str, str] = {}
    for each in customized:
        names = {each.section_key, *(ours for ours, theirs in KEYS.items() if theirs == each.section_key)}
        wishes |= dict.fromkeys(names, _wish(each))
    return Intake(
        patient=_patient(structured),
        context="\n".join(filter(None, context)),
        earlier_note=rest_b.earlier_note(request.previous_note),
        sections={key: wish for key, wish in wishes.items() if wish},
    )


def _wish(customized: wire.SectionCustomization) -> str:
    detail = customized.level_of_detail
    return " ".join(filter(None, (customized.custom_instruction, f"Level of detail: {detail}." if detail else "")))


def _diagnosis(coding: wire.Coding) -> str:
    return " ".join(filter(None, (coding.display, f"({coding.code})" if coding.code else "")))


def _patient(context: wire.StructuredContext) -> Patient:
    told = context.patient_demographics
    if told is None:
        return Patient()
    return Patient(name=told.name or "", birth_date=told.birth_date or "", gender=told.gender or "")


def _name(names: Mapping[str, str], ours: str) -> str:
    """What this generation calls it; ours where it has no name for it."""
    return next((name for name, meant in names.items() if meant == ours), ours)
