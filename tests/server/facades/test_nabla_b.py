from typing import Any

import msgspec
import pytest

from pipeline.errors import TranscriptTooShort
from pipeline.events import Partial, PartialWithdrawn
from pipeline.types import Role, Utterance
from server.domain import EncounterOptions
from server.errors import BadRequest, Unauthorized
from server.facades.nabla import convert
from server.facades.nabla import schema_b as wire
from server.facades.nabla.generation_b import GenerationB

CONFIG: dict[str, Any] = {
    "object": "listen_config",
    "output_objects": ["transcript_item"],
    "encoding": "pcm_s16le",
    "sample_rate": 16000,
    "language": "en-US",
    "streams": [{"id": "stream1", "speaker_type": "unspecified"}],
}


B = GenerationB()
SETUP = B.setup(msgspec.convert(CONFIG, wire.ListenConfig), 4, {"en"})


def options(**more: Any) -> EncounterOptions:
    return B.setup(msgspec.convert(CONFIG | more, wire.ListenConfig), 4, {"en"}).options


def test_null_is_as_good_as_absent() -> None:
    fields = ("output_objects", "encoding", "sample_rate", "language", "section_style", "note_template")
    switches = ("split_by_sentence", "split_by_problem", "enable_audio_chunk_ack", "expected_speakers")
    nothing = dict.fromkeys((*fields, *switches)) | {"streams": [{"id": "stream1", "speaker_type": None}]}
    assert options(**nothing) == options()


def test_the_vendors_own_config_is_understood() -> None:
    wanted = options()
    assert wanted.note is False
    assert wanted.resumable is False
    assert wanted.attended is True
    assert wanted.base_language == "en"
    assert wanted.streams[0].role is Role.UNSPECIFIED


def test_the_clients_stream_ids_stay_in_the_socket() -> None:
    wanted = options(streams=[{"id": "Mrs Miller", "speaker_type": "PATIENT"}])
    assert "Miller" not in repr(wanted)
    assert wanted.streams[0].role is Role.PATIENT


@pytest.mark.parametrize("language", ["fr", "en", "en-US", "en-GB", "fr-FR", "es-ES", "es-MX"])
def test_every_language_of_the_page_is_known(language: str) -> None:
    assert options(language=language).language == language


def test_an_unknown_language_names_those_there_are() -> None:
    with pytest.raises(BadRequest, match="es-MX"):
        options(language="de-DE")


def test_a_template_that_is_there_in_english_alone_is_refused_in_others() -> None:
    merged = {"note_template": "GENERAL_MEDICINE_AP_MERGED", "output_objects": ["note"]}
    assert options(**merged).template == "GENERAL_MEDICINE_AP_MERGED"
    assert options(**merged, language="en").note
    with pytest.raises(BadRequest, match="English"):
        options(**merged, language="fr-FR")


def test_items_look_like_the_vendors() -> None:
    final = Utterance(id="i", stream="s", role=Role.DOCTOR, start=16000, end=32000, text="hello")
    partial = Partial(id="i", stream="s", role=Role.DOCTOR, start=16000, end=24000, text="hel")
    shape = {
        "object": "transcript_item",
        "id": "i",
        "text": "hello",
        "speaker": "doctor",
        "start_offset_ms": 1000,
        "end_offset_ms": 2000,
        "is_final": True,
    }
    assert msgspec.to_builtins(B.item(final, SETUP)) == shape
    assert msgspec.to_builtins(B.item(partial, SETUP)) == shape | {
        "text": "hel",
        "end_offset_ms": 1500,
        "is_final": False,
    }
    assert B.item(PartialWithdrawn(id="i", stream="s"), SETUP).text == ""


def test_errors_carry_the_vendors_numbers_where_they_are_known() -> None:
    frame = B.error(TranscriptTooShort())
    assert (frame.code, frame.name) == (83005, "NOTE_GENERATION_TRANSCRIPT_TOO_SHORT")
    status, body = convert.http_error(Unauthorized())
    assert (status, body.code, body.name) == (401, 401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("offered", "token"),
    [(["copilot-listen-protocol", "jwt-abc"], "abc"), (["copilot-listen-protocol"], None), ([], None)],
)
def test_a_token_comes_as_a_sub_protocol(offered: list[str], token: str | None) -> None:
    assert convert.token(offered) == token


@pytest.mark.parametrize("payload", ["###", "A", "AAA\u00e9"])
def test_a_payload_that_is_no_base64_is_refused(payload: str) -> None:
    with pytest.raises(BadRequest, match="base64"):
        convert.pcm(payload)
