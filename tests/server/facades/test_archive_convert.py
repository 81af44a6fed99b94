"""Lists, captions, corrections and notes: our own bytes ⇄ domain values."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.notes.note import Note, NoteSection, NoteSentence, Style, Topic
from pipeline.notes.templates import read_templates
from pipeline.types import Role, Utterance
from server.captions import plain, srt, vtt
from server.domain import (
    EncounterOptions,
    Failure,
    Filter,
    NoteVersion,
    Place,
    Review,
    Stage,
    State,
    StoredNote,
    StreamSpec,
)
from server.editing import check, edited, swapped
from server.errors import BadRequest, NotFound, PreconditionFailed, PreconditionRequired
from server.facades.auscult import catalogue_convert, editing_convert, schema
from tests.server.facades.test_auscult_convert import NOTE, view

TEMPLATES = read_templates(Path(__file__).parents[3] / "config" / "templates")
ITEM = Utterance(id="a", stream="s", role=Role.DOCTOR, start=0, end=0, text="How\n\nare --> you?", speaker="s1")


def test_a_cursor_leads_back_to_the_very_place() -> None:
    place = Place(created_at=1764153600.1234567, encounter="0f" * 12)
    cursor = catalogue_convert.cursor(place)
    assert cursor is not None
    assert catalogue_convert.place(cursor) == place
    assert catalogue_convert.cursor(None) is None
    assert catalogue_convert.place(None) is None


@pytest.mark.parametrize("cursor", ["", "x", "ä", "A" * 300, "bnVsbA", "eyJjcmVhdGVkX2F0IjoieCJ9"])
def test_another_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(BadRequest):
        catalogue_convert.place(cursor)


def test_a_filter_takes_several_states_and_times_of_any_zone() -> None:
    wanted = catalogue_convert.wanted(
        [("status", "done,failed"), ("status", "done"), ("created_from", "1970-01-01T01:00:00+01:00"), ("x", "y")]
    )
    assert wanted == Filter(states=(State.DONE, State.FAILED), created_from=0.0)
    assert catalogue_convert.wanted([("created_before", "1970-01-02")]).created_before == 86_400


def test_a_list_says_what_an_encounters_words_come_from() -> None:
    row = msgspec.structs.replace(view(State.DONE).row, stages={Stage.DONE: 0.0})

    def listed(options: EncounterOptions) -> str:
        return catalogue_convert.summary(msgspec.structs.replace(row, options=options)).source

    live = EncounterOptions(api="auscult", streams=(StreamSpec(name="stream0"),))
    assert listed(live) == "live"
    assert listed(msgspec.structs.replace(live, recording=True)) == "recording"
    assert listed(msgspec.structs.replace(live, streams=())) == "text"


def test_captions_keep_to_one_line_and_to_their_format() -> None:
    said = msgspec.structs.replace(view(State.DONE), items=(ITEM,))
    cues = catalogue_convert.cues(said)
    assert plain(cues) == "Doctor: How are -> you?\n"
    assert srt(cues).startswith("1\n00:00:00,000 --> 00:00:00,001\nDoctor: How are -> you?\n")
    assert "<v Doctor>How are --&gt; you?" in vtt(cues)


@pytest.mark.parametrize(
    ("header", "tags"),
    [(None, None), ("", None), ('"a"', {"a"}), ('"a", "b"', {"a", "b"}), ("*", {"*"}), ('W/"a"', set()), ("a", set())],
)
def test_if_match_names_strong_tags(header: str | None, tags: set[str] | None) -> None:
    assert editing_convert.expected(header) == tags


def test_only_who_names_the_state_there_is_may_change_it() -> None:
    for expected in (frozenset({"t"}), frozenset({"*"}), frozenset({"u", "t"})):
        check("t", expected)
    for expected in (frozenset({"u"}), frozenset()):
        with pytest.raises(PreconditionFailed):
            check("t", expected)
    with pytest.raises(PreconditionRequired):
        check("t", None)


def test_swapping_leaves_alone_who_is_neither() -> None:
    other = Utterance(id="b", stream="s", role=Role.UNSPECIFIED, start=1, end=2, text="Yes.", speaker="s2")
    assert swapped([ITEM, other]) == {"s1": Role.PATIENT}


def test_a_version_is_told_with_all_that_is_known_of_it() -> None:
    stored = StoredNote(note=NOTE, style="auto", review=Review.APPROVED, edited_at=0.0)
    told: Any = msgspec.to_builtins(
        editing_convert.note_version(NoteVersion(version=2, created_at=0.0, stored=stored, tag="t"))
    )
    assert told | {"sections": []} == {
        "version": 2,
        "created_at": "1970-01-01T00:00:00Z",
        "template": "SOAP",
        "review_status": "approved",
        "style": "auto",
        "language": "en",
        "edited_at": "1970-01-01T00:00:00Z",
        "generator": "embedded-extractive",
        "title": "Headache",
        "sections": [],
    }
    assert told["sections"][0]["sentences"] == [{"text": "It aches.", "items": ["a", "b"]}]


def test_an_edited_section_says_exactly_what_was_sent() -> None:
    sections = [schema.EditedSection(key="PLAN", title="Plan", text="- Rest.\n- Water.")]
    edit = editing_convert.note_edit(schema.NotePatch(sections=sections))
    assert edit.sections is not None
    assert edit.sections[0].text == "- Rest.\n- Water."
    sentences = (NoteSentence(text="- Rest.\n- Water.", items=()),)
    assert edit.sections == (NoteSection(key="PLAN", title="Plan", sentences=sentences, style=Style.PARAGRAPHS),)


def version(stored: StoredNote) -> NoteVersion:
    return NoteVersion(version=1, created_at=0.0, stored=stored, tag="t")


def test_what_was_approved_of_is_a_draft_again_once_it_says_something_else() -> None:
    row = view(State.DONE).row
    approved = StoredNote(note=NOTE, review=Review.APPROVED)
    title = editing_convert.note_edit(schema.NotePatch(title="Migraine"))
    changed = edited(version(approved), row, title, 1.0, TEMPLATES)
    assert (changed.review, changed.edited_at) == (Review.DRAFT, 1.0)
    assert isinstance(changed.note, Note)
    assert (changed.note.title, changed.note.sections) == ("Migraine", NOTE.sections)
    both = editing_convert.note_edit(schema.NotePatch(title="Migraine", review_status="approved"))
    assert edited(version(approved), row, both, 1.0, TEMPLATES).review is Review.APPROVED
    alone = editing_convert.note_edit(schema.NotePatch(review_status="approved"))
    only = edited(version(StoredNote(note=NOTE)), row, alone, 1.0, TEMPLATES)
    assert (only.review, only.edited_at, only.note) == (Review.APPROVED, None, NOTE)


def test_an_edited_section_keeps_the_topics_of_its_key() -> None:
    sections = [schema.EditedSection(key=key, text="Rest.") for key in ("SOAP_PLAN", "MINE")]
    edit = editing_convert.note_edit(schema.NotePatch(sections=sections))
    changed = edited(version(StoredNote(note=NOTE)), view(State.DONE).row, edit, 1.0, TEMPLATES).note
    assert changed is not None
    plan, other = changed.sections
    assert plan.topics == (Topic.PLAN, Topic.PRESCRIPTION, Topic.APPOINTMENTS)
    assert other.topics == ()


def test_nobody_approves_of_a_note_that_there_is_not() -> None:
    absent = StoredNote(absence=Failure(code="x", message="x"))
    edit = editing_convert.note_edit(schema.NotePatch(review_status="approved"))
    with pytest.raises(BadRequest):
        edited(version(absent), view(State.DONE).row, edit, 0.0, TEMPLATES)


@pytest.mark.parametrize("number", ["", "x", "-1", "1.0", "٣", "1" * 7])
def test_a_version_that_is_no_number_is_not_found(number: str) -> None:
    with pytest.raises(NotFound):
        editing_convert.version_number(number)


@pytest.mark.parametrize(
    ("sections", "sentences", "characters", "items", "fits"),
    [
        (5, 1_000, 1, 100, True),
        (6, 900, 1, 0, False),  # too many sentences
        (5, 1, 100_000, 0, True),
        (6, 1, 90_000, 0, False),  # too much text
        (1, 1, 1, 101, False),
        (1, 1_001, 1, 0, False),
        (101, 1, 1, 0, False),
    ],
)
def test_a_note_has_a_size(sections: int, sentences: int, characters: int, items: int, fits: bool) -> None:
    sentence = schema.EditedSentence(text="x" * characters, items=["i"] * items)
    edited = [schema.EditedSection(key=f"K{at}", title="", sentences=[sentence] * sentences) for at in range(sections)]
    with nullcontext() if fits else pytest.raises(BadRequest):
        editing_convert.note_edit(schema.NotePatch(sections=edited))
