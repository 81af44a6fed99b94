"""What is beside a note: domain values → our own bytes. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.notes.beside.coding import Code, Coding
from pipeline.notes.beside.diagnoses import Abstention
from pipeline.notes.beside.summary import patient_summary
from pipeline.notes.note import EXTRACT, MODEL, PROVIDER, Note
from server.domain import NoteVersion, Review
from server.errors import BadRequest, Conflict
from server.facades.auscult import schema

TEXT, MARKDOWN, JSON, FHIR = "text", "markdown", "json", "fhir"
MEDIA_TYPES: Final[Mapping[str, str]] = {  # the first is what is given where a client accepts anything
    JSON: "application/json",
    TEXT: "text/plain",
    MARKDOWN: "text/markdown",
    FHIR: "application/fhir+json",
}
SUFFIXES: Final[Mapping[str, str]] = {JSON: "json", TEXT: "txt", MARKDOWN: "md", FHIR: "fhir.json"}
DRAFT: Final = "Draft: a clinician must review it."
APPROVED: Final = "Approved by a clinician."
BY: Final = {
    "": "",
    EXTRACT: "An extract of what was said, made by a program.",
    PROVIDER: "Edited by a clinician.",
}  # who wrote it


def document_format(asked: str | None, accept: str | None) -> str:
    """The form to give a note in: `format` of the query, else what `Accept` likes best. Raises `BadRequest`."""
    if asked is None:
        return _preferred(accept or "")
    if asked not in MEDIA_TYPES:
        raise BadRequest(f"format must be one of {', '.join(MEDIA_TYPES)}.")
    return asked


def _preferred(accept: str) -> str:
    """RFC 9110 §12.5.1; JSON for who accepts nothing of ours, as everywhere in this API."""
    wanted = dict(map(_ranged, reversed(accept.split(","))))  # the first of equals stays

    def quality(form: str) -> float:
        media_type = MEDIA_TYPES[form]
        ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
        return next((wanted[each] for each in ranges if each in wanted), 0.0)

    return max(MEDIA_TYPES, key=quality)


def _ranged(part: str) -> tuple[str, float]:
    media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weight = next((each.removeprefix("q=") for each in parameters if each.startswith("q=")), "1")
    try:
        return media_range, min(max(float(weight), 0.0), 1.0)
    except ValueError:
        return media_range, 0.0


def file_name(encounter: str, version: int, form: str) -> str:
    """What a browser saves it as. Nothing of who was treated is in it."""
    return f"note-{encounter}-{version}.{SUFFIXES[form]}"


def about(version: NoteVersion) -> str:
    """What whoever reads a version must know of it."""
    generator = "" if version.stored.note is None else version.stored.note.generator
    written = BY.get(generator, f"Written by a language model, {generator.removeprefix(MODEL)}.")
    return f"{APPROVED if version.stored.review is Review.APPROVED else DRAFT} {written}".strip()


def the_note(version: NoteVersion) -> Note:
    """What a version says. Raises `Conflict` where it says nothing."""
    if version.stored.note is None:
        raise Conflict("There is no note in this version: note_absence of the version says why.")
    return version.stored.note


def summary(version: NoteVersion) -> schema.PatientSummary:
    """A version's summary for who was treated."""
    note = the_note(version)
    return schema.PatientSummary(
        version=version.version,
        review_status=version.stored.review,
        language=note.language,
        text=patient_summary(note),
    )


def codes(version: NoteVersion, found: Coding) -> schema.NoteCodes:
    """A version's billing codes."""
    return schema.NoteCodes(
        version=version.version,
        catalogue=found.release,
        notices=list(found.notices),
        icd10=_codes(found.icd10),
        cpt=_codes(found.cpt),
        abstentions=[_abstention(each) for each in found.abstentions],
    )


def _codes(found: Sequence[Code]) -> list[schema.BillingCode]:
    return [
        schema.BillingCode(
            code=each.code,
            description=each.description,
            origin=each.origin,
            standing=each.standing,
            score=each.score,
            problem=each.problem,
            sentence=each.sentence,
            items=list(each.items),
        )
        for each in found
    ]


def _abstention(found: Abstention) -> schema.Abstention:
    return schema.Abstention(problem=found.problem, why=found.why, sentence=found.sentence, items=list(found.items))
