"""Which form a note is given in, and what is beside it."""

import pytest

from server.errors import BadRequest
from server.facades.auscult.note_exports_convert import document_format, file_name


@pytest.mark.parametrize(
    ("asked", "accept", "form"),
    [
        (None, None, "json"),
        (None, "*/*", "json"),
        (None, "application/fhir+json", "fhir"),
        (None, "text/*", "text"),
        (None, "text/markdown;q=0.9, text/plain;q=0.5", "markdown"),
        (None, "text/plain;q=0.5,text/markdown;q=0.5", "text"),
        (None, "TEXT/MARKDOWN , */*;q=0.1", "markdown"),
        (None, "text/html,application/xhtml+xml,*/*;q=0.8", "json"),  # a browser
        (None, "application/pdf", "json"),  # nothing of ours
        (None, "text/plain;q=0, application/json;q=0.1", "json"),
        (None, "text/plain;q=much, text/markdown", "markdown"),
        (None, ";;,,q=", "json"),
        ("fhir", "text/plain", "fhir"),  # what is asked for by name
        ("json", "text/plain", "json"),
    ],
)
def test_the_form_is_what_is_asked_for_or_what_is_liked_best(asked: str | None, accept: str | None, form: str) -> None:
    assert document_format(asked, accept) == form


@pytest.mark.parametrize("asked", ["", "pdf", "JSON", "text/plain"])
def test_other_forms_are_refused(asked: str) -> None:
    with pytest.raises(BadRequest):
        document_format(asked, None)


def test_a_file_is_named_by_its_encounter() -> None:
    assert file_name("ab12", 3, "fhir") == "note-ab12-3.fhir.json"
