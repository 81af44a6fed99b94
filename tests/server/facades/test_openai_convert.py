"""OpenAI's values and ours, without a server. Keys are those that the types of OpenAI's own client have."""

import json
from typing import Any

import msgspec
import openai.types.audio as theirs
import pytest

import pipeline.errors
import server.errors
from pipeline.errors import AuscultError
from pipeline.types import SAMPLE_RATE, Role, Utterance, Word
from server.domain import EncounterOptions, EncounterRow, EncounterView, Failure, Stage, State
from server.facades.openai import convert, schema
from server.facades.openai.convert import Failed, Invalid, asked
from server.ingest.multipart import UploadStalled

BOTH = frozenset({"word", "segment"})


def utterance(number: int, begin: float, text: str, role: Role = Role.UNSPECIFIED, speaker: str = "") -> Utterance:
    start = int(begin * SAMPLE_RATE)
    words = tuple(
        Word(text=word, start=start + at * 8000, end=start + (at + 1) * 8000, probability=0.5)
        for at, word in enumerate(text.split())
    )
    return Utterance(
        id=f"item{number}",
        stream="stream0",
        role=role,
        start=words[0].start,
        end=words[-1].end,
        text=text,
        words=words,
        speaker=speaker,
    )


def view(*items: Utterance, failure: Failure | None = None) -> EncounterView:
    row = EncounterRow(
        id="e",
        tenant_id="t",
        key_id="k",
        token_id="",
        options=EncounterOptions(api="openai", streams=()),
        state=State.FAILED if failure else State.DONE,
        stages={Stage.DONE: 1.0},
        percentage=100,
        failure=failure,
        warnings=(),
        epoch=1,
        owner="",
        audio_ms=9_500,
        data_key=None,
        last_key=None,
        resumptions=0,
        created_at=0.0,
        active_at=0.0,
        completed_at=1.0,
        fetched_at=None,
    )
    return EncounterView(row=row, items=items)


TALK = view(
    utterance(1, 2.5, "It hurts here.", Role.PATIENT, "p"),
    utterance(0, 0.0, "Where does it hurt?", Role.DOCTOR, "d"),
    utterance(2, 6.0, "I see.", speaker="x"),
    utterance(3, 7.0, "Yes.", speaker="y"),
    utterance(4, 8.0, "Good.", speaker="x"),
)
TEXT = "Where does it hurt? It hurts here. I see. Yes. Good."


def body(format: schema.Format, granularities: frozenset[str] = BOTH) -> Any:
    return json.loads(convert.transcription(TALK, format, granularities, "en"))


def test_answers_have_every_field_that_their_client_knows_of_such_a_model() -> None:
    assert body("json") == {"text": TEXT, "usage": {"type": "duration", "seconds": 9.5}}
    verbose = body("verbose_json")
    assert set(theirs.TranscriptionVerbose.model_fields) <= set(verbose)
    assert set(theirs.TranscriptionSegment.model_fields) == set(verbose["segments"][0])
    assert set(theirs.TranscriptionWord.model_fields) == set(verbose["words"][0])
    diarized = body("diarized_json")
    assert set(theirs.TranscriptionDiarized.model_fields) == set(diarized)
    assert set(theirs.TranscriptionDiarizedSegment.model_fields) == set(diarized["segments"][0])
    for model, made in (
        (theirs.Transcription, body("json")),
        (theirs.TranscriptionVerbose, verbose),
        (theirs.TranscriptionDiarized, diarized),
    ):
        model.model_validate(made)  # with types


def test_verbose_json_is_in_seconds_and_in_order() -> None:
    verbose = body("verbose_json")
    assert [segment["start"] for segment in verbose["segments"]] == [0.0, 2.5, 6.0, 7.0, 8.0]
    assert verbose["words"][1] == {"word": "does", "start": 0.5, "end": 1.0}
    assert verbose["segments"][0]["avg_logprob"] == pytest.approx(-0.6931)
    assert (verbose["language"], verbose["duration"], verbose["text"]) == ("english", 9.5, TEXT)


def test_only_granularities_that_were_asked_for_are_there() -> None:
    assert "words" not in body("verbose_json", frozenset({"segment"}))
    assert "segments" not in body("verbose_json", frozenset({"word"}))


def test_speakers_have_their_role_or_a_letter() -> None:
    speakers = [segment["speaker"] for segment in body("diarized_json")["segments"]]
    assert speakers == ["doctor", "patient", "A", "B", "A"]


def test_captions_and_text_are_plain() -> None:
    assert convert.transcription(TALK, "text", BOTH, "en") == f"{TEXT}\n"
    assert "00:00:02,500 --> 00:00:04,000\nIt hurts here.\n" in convert.transcription(TALK, "srt", BOTH, "en")
    assert "00:00:02.500 --> 00:00:04.000\nIt hurts here.\n" in convert.transcription(TALK, "vtt", BOTH, "en")


def test_events_are_those_of_their_client() -> None:
    first, second = (convert.delta(item, first=item is TALK.items[0]) for item in TALK.items[:2])
    assert (first.delta, second.delta) == ("It hurts here.", " Where does it hurt?")
    told = json.loads(convert.frame(second).removeprefix(b"data: "))
    theirs.TranscriptionTextDeltaEvent.model_validate(told)
    assert convert.frame(schema.ErrorBody(error=convert.error(Failed(Failure(code="x", message="m")))[1].error))


def test_a_form_becomes_an_encounter_of_which_nothing_is_kept() -> None:
    form = asked({"model": ["m"], "language": ["de"], "keywords": ["Ramipril"], "prompt": ["a  visit"]})
    options = form.options
    assert (options.api, options.language, options.note, options.kept) == ("openai", "de", False, False)
    assert options.recording
    assert form.intake.expected == ("Ramipril", "a visit")
    assert (form.format, form.granularities, form.stream) == ("json", frozenset({"segment"}), False)


def test_of_a_long_prompt_its_end_counts() -> None:
    prompt = " ".join(f"word{number}" for number in range(1_000))
    (kept,) = asked({"model": ["m"], "prompt": [prompt]}).intake.expected
    assert len(kept) <= convert.MAX_TERM
    assert prompt.endswith(f" {kept}")


def test_of_languages_only_a_single_one_is_meant() -> None:
    assert asked({"model": ["m"], "languages": ["fr"]}).options.language == "fr"
    assert asked({"model": ["m"], "languages": ["fr", "de"]}).options.language == ""
    assert asked({"model": ["m"]}).options.language == ""


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "model"),
        ({"response_format": ["xml"]}, "response_format"),
        ({"language": ["../etc"]}, "language"),
        ({"temperature": ["-1"]}, "temperature"),
        ({"temperature": ["inf"]}, "temperature"),
        ({"stream": ["2"]}, "stream"),
        ({"stream": ["true"], "response_format": ["verbose_json"]}, "stream"),
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities"),
        ({"keywords": ["x" * 1001]}, "keywords"),
    ],
)
def test_what_cannot_be_is_refused_by_name(fields: dict[str, list[str]], param: str) -> None:
    with pytest.raises(Invalid) as refused:
        asked({"model": ["m"], **fields} if param != "model" else fields)
    assert refused.value.param == param
    assert convert.error(refused.value)[0] == 400


def test_a_failure_is_raised_with_its_code() -> None:
    with pytest.raises(Failed) as failed:
        convert.check(view(failure=Failure(code="undecodable_audio", message="m")))
    status, told = convert.error(failed.value)
    assert (status, told.error.code, told.error.param) == (400, "undecodable_audio", "file")
    convert.check(TALK)


@pytest.mark.parametrize(
    ("code", "status", "kind", "theirs"),
    [
        ("unauthorized", 401, "authentication_error", "invalid_api_key"),
        ("forbidden", 403, "permission_error", "forbidden"),
        ("rate_limited", 429, "rate_limit_error", "rate_limit_exceeded"),
        ("quota_minutes", 429, "insufficient_quota", "insufficient_quota"),
        ("store_unavailable", 503, "server_error", "store_unavailable"),
        ("never heard of", 500, "server_error", "never heard of"),
    ],
)
def test_errors_are_told_in_their_words(code: str, status: int, kind: str, theirs: str) -> None:
    got, told = convert.error(Failed(Failure(code=code, message="m")))
    assert (got, told.error.type, told.error.code) == (status, kind, theirs)
    assert json.loads(msgspec.json.encode(told)) == {
        "error": {"message": "m", "type": kind, "param": None, "code": theirs}
    }


def test_every_error_of_an_upload_has_a_status() -> None:
    ours: list[type[AuscultError]] = [
        server.errors.TooLarge,
        server.errors.StorageFull,
        server.errors.Cancelled,
        server.errors.RecordingBroken,
    ]
    audio: list[type[AuscultError]] = [
        pipeline.errors.UndecodableAudio,
        pipeline.errors.AudioTooLong,
        pipeline.errors.LanguageUnsupported,
    ]
    codes = {UploadStalled.code, *(kind.code for kind in ours), *(kind.code for kind in audio)}
    assert codes <= set(convert.STATUS)
