"""Our own bytes ⇄ domain values."""

from typing import Any

import msgspec
import pytest

from pipeline.errors import UnsupportedAudio
from pipeline.events import Partial, PartialWithdrawn
from pipeline.notes.note import Note, NoteSection, NoteSentence
from pipeline.types import Role, Utterance
from server.domain import EncounterOptions, EncounterRow, EncounterView, Failure, State, StoredNote, StreamSpec
from server.errors import BadRequest
from server.facades.auscult import convert, schema
from server.facades.auscult.telling import told
from server.following import Interrupted, Problem, Resumed, Skipped

HELLO = schema.Hello()
NOTE = Note(
    template="SOAP",
    title="Headache",
    language="en",
    sections=(NoteSection(key="S", title="Subjective", sentences=(NoteSentence(text="It aches.", items=("a", "b")),)),),
)


def said(event: convert.Tellable) -> object:
    return msgspec.to_builtins(convert.event(event))


def view(state: State, *, note: StoredNote | None = None, failure: Failure | None = None) -> EncounterView:
    row = EncounterRow(
        id="e",
        tenant_id="t",
        key_id="k",
        token_id="",
        options=EncounterOptions(api="live", streams=()),
        state=state,
        stages={},
        percentage=100,
        failure=failure,
        warnings=(),
        epoch=1,
        owner="",
        data_key=None,
        last_key=None,
        resumptions=0,
        created_at=0,
        active_at=0,
        completed_at=None,
        fetched_at=None,
    )
    return EncounterView(row=row, note=note)


def test_what_is_said_keeps_its_id_from_partial_to_final_and_tells_what_stays() -> None:
    about: dict[str, Any] = {"id": "a", "stream": "stream0", "role": Role.DOCTOR, "start": 16_000, "end": 32_000}
    assert said(Partial(**about, text="how are", committed=1)) == {
        "type": "partial",
        "id": "a",
        "stream": "stream0",
        "speaker": "doctor",
        "text": "how are",
        "committed": 1,
        "start_ms": 1000,
        "end_ms": 2000,
    }
    assert said(Utterance(**about, text="How are you?")) == {
        "type": "final",
        "id": "a",
        "stream": "stream0",
        "speaker": "doctor",
        "text": "How are you?",
        "start_ms": 1000,
        "end_ms": 2000,
    }


@pytest.mark.parametrize(
    ("update", "event"),
    [
        (PartialWithdrawn(id="a", stream="stream0"), {"type": "withdrawn", "id": "a"}),
        (Skipped(partials=3), {"type": "lagging", "skipped_partials": 3}),
        (Interrupted(stream="stream0"), {"type": "interrupted", "stream": "stream0"}),
        (Resumed(stream="stream0"), {"type": "resumed", "stream": "stream0"}),
    ],
)
def test_every_update_has_its_event(update: convert.Tellable, event: object) -> None:
    assert said(update) == event


def test_audio_that_is_none_asks_for_a_restart_of_the_recorder() -> None:
    event = convert.event(Problem(error=UnsupportedAudio()))
    assert isinstance(event, schema.ErrorEvent)
    assert event.code == "unsupported_audio"
    assert "restart" in event.message


def test_a_note_names_the_finals_that_each_sentence_rests_on() -> None:
    events = convert.last_words(view(State.DONE, note=StoredNote(note=NOTE)))
    assert msgspec.to_builtins(events) == [
        {
            "type": "note",
            "title": "Headache",
            "sections": [
                {
                    "key": "S",
                    "title": "Subjective",
                    "text": "It aches.",
                    "sentences": [{"text": "It aches.", "items": ["a", "b"]}],
                }
            ],
            "generator": "embedded-extractive",
        },
        {"type": "done", "outcome": "done"},
    ]


def test_a_note_that_is_absent_and_a_session_that_failed_say_why() -> None:
    short, broken = Failure(code="short", message="Too short."), Failure(code="broken", message="Broken.")
    events = convert.last_words(view(State.FAILED, note=StoredNote(absence=short), failure=broken))
    assert [getattr(event, "code", "") for event in events] == ["short", "broken", ""]
    assert events[-1] == schema.Done(outcome="failed")


def test_a_session_that_is_done_in_spite_of_a_broken_stream_is_done() -> None:
    broken = Failure(code="broken", message="Broken.")
    assert convert.last_words(view(State.DONE, failure=broken)) == [schema.Done(outcome="done")]


def test_an_event_is_told_with_its_kind_and_how_many_finals_came_so_far() -> None:
    each = told(schema.Done(outcome="done"), 7)
    assert (each.kind, each.finals) == ("done", 7)
    assert msgspec.json.decode(each.json) == {"type": "done", "outcome": "done"}


def test_a_recording_says_by_itself_what_it_is_and_raw_samples_are_declared() -> None:
    assert convert.stream(HELLO) == StreamSpec(name="stream0")
    raw = msgspec.structs.replace(HELLO, encoding="pcm_s16le", sample_rate=48_000, role="Doctor")
    assert convert.stream(raw) == StreamSpec(name="stream0", role=Role.DOCTOR, encoding="pcm_s16le", sample_rate=48_000)


def test_a_recording_is_laid_out_and_cut_as_a_live_session_is() -> None:
    asked = convert.recording(
        schema.RecordingRequest(style="bullet_points", split_by_sentence=True, split_by_problem=True)
    )
    assert (asked.style, asked.split_by_sentence, asked.split_by_problem) == ("bullet_points", True, True)
    with pytest.raises(BadRequest, match="style must be one of auto, paragraphs, bullet_points"):
        convert.recording(schema.RecordingRequest(style="prose"))


def test_a_session_outlives_its_connection() -> None:
    options = convert.options("live", (StreamSpec(name="stream0"),), language="de-CH", glossary=["cardiology"])
    assert options.attended
    assert options.resumable
    assert options.base_language == "de"
    assert options.glossaries == ("cardiology",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"language": ""},
        {"language": "e" * 101},
        {"language": "en\0"},
        {"template": "S" * 101},
        {"glossary": ["x"] * 21},
    ],
)
def test_options_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        convert.options("live", (), **wrong)  # type: ignore[arg-type]  # the values are of the right types


@pytest.mark.parametrize("language", ["", "Mrs Miller", "en\0", "e" * 101])
def test_a_text_names_a_language_and_nothing_else(language: str) -> None:
    with pytest.raises(BadRequest):
        convert.typed(schema.TypedRequest(transcript="Patient: It hurts.", language=language))


def test_a_chunk_may_carry_its_number() -> None:
    assert convert.chunk(b"\x00\x00\x01\x02audio", numbered=True) == (b"audio", 258)
    assert convert.chunk(b"audio", numbered=False) == (b"audio", None)
    with pytest.raises(BadRequest):
        convert.chunk(b"\x00", numbered=True)


def test_the_credential_is_found_among_the_sub_protocols() -> None:
    assert convert.token_of(["auscult-live", "jwt-abc"]) == "abc"
    assert convert.token_of(["auscult-live"]) is None
