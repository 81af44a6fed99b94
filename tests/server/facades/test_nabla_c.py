from typing import Any

import msgspec
import pytest

from pipeline.events import Partial, PartialWithdrawn
from pipeline.types import Role, Utterance
from server.errors import BadRequest
from server.facades.nabla import schema_b
from server.facades.nabla import schema_c as wire
from server.facades.nabla.dialect import Setup
from server.facades.nabla.generation_c import GenerationC
from server.facades.nabla.locales import LANGUAGES
from server.ingest.websocket import StreamSilent

C = GenerationC()
CONFIG: dict[str, Any] = {  # as the vendor's own client sends it
    "type": "CONFIG",
    "encoding": "PCM_S16LE",
    "sample_rate": 16000,
    "speech_locales": ["ENGLISH_US", "FRENCH_FR"],
    "streams": [{"id": "stream1", "speaker_type": "UNSPECIFIED"}],
    "enable_audio_chunk_ack": True,
    "split_by_sentence": True,
}


def setup(*languages: str, **more: Any) -> Setup:
    return C.setup(msgspec.convert(CONFIG | more, wire.Config), 4, languages or {"en", "fr"})


def test_the_vendors_own_config_is_understood() -> None:
    understood = setup()
    assert understood.streams == ("stream1",)
    assert understood.acknowledges
    assert understood.options.split_by_sentence
    assert understood.options.note is False
    assert understood.options.streams[0].role is Role.UNSPECIFIED


def test_only_a_client_that_is_told_what_arrived_can_come_back() -> None:
    assert setup().options.resumable
    assert not setup(enable_audio_chunk_ack=False).options.resumable


def test_an_older_client_names_one_locale() -> None:
    assert setup(speech_locales=[], speech_locale="ENGLISH_UK").options.language == "en-GB"


@pytest.mark.parametrize("speaker_type", ["patient", "PATIENT"])
def test_a_speaker_type_may_be_written_in_either_case(speaker_type: str) -> None:
    understood = setup(streams=[{"id": "Mrs Miller", "speaker_type": speaker_type}])
    assert understood.options.streams[0].role is Role.PATIENT
    assert "Miller" not in repr(understood.options)


def test_of_several_locales_the_first_that_the_recogniser_knows_is_spoken() -> None:
    assert setup("en", "fr").locale == "ENGLISH_US"
    assert setup("fr").locale == "FRENCH_FR"
    assert setup("fr").options.language == "fr-FR"
    assert setup("de").locale == "ENGLISH_US"


def test_there_are_35_locales_of_the_vendor() -> None:
    assert len(LANGUAGES) == 35
    assert all(setup("en", speech_locales=[name]).options.language == tag for name, tag in LANGUAGES.items())


@pytest.mark.parametrize("wrong", [[], ["KLINGON_QO"], ["ENGLISH_US", "en-US"]])
def test_a_locale_that_is_missing_or_unknown_names_those_there_are(wrong: list[str]) -> None:
    with pytest.raises(BadRequest, match="GERMAN_DE"):
        setup(speech_locales=wrong)


def test_the_first_message_is_a_config() -> None:
    with pytest.raises(BadRequest, match="CONFIG"):
        C.setup(wire.End(), 4, {"en"})


def test_messages_of_one_generation_are_none_of_the_other() -> None:
    for message, other in ((wire.End(), schema_b.ClientMessage), (schema_b.End(), wire.ClientMessage)):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(msgspec.json.encode(message), type=other)


def test_items_look_like_the_vendors() -> None:
    final = Utterance(id="i", stream="s", role=Role.DOCTOR, start=16000, end=32000, text="hello")
    partial = Partial(id="i", stream="s", role=Role.DOCTOR, start=16000, end=24000, text="hel")
    shape = {
        "type": "TRANSCRIPT_ITEM",
        "id": "i",
        "text": "hello",
        "speaker_type": "DOCTOR",
        "locale": "ENGLISH_US",
        "start_offset_ms": 1000,
        "end_offset_ms": 2000,
        "is_final": True,
    }
    assert msgspec.to_builtins(C.item(final, setup())) == shape
    assert msgspec.to_builtins(C.item(partial, setup())) == shape | {
        "text": "hel",
        "end_offset_ms": 1500,
        "is_final": False,
    }
    withdrawn = C.item(PartialWithdrawn(id="i", stream="s"), setup())
    assert (withdrawn.text, withdrawn.is_final) == ("", False)


def test_acknowledgements_and_errors_look_like_the_vendors() -> None:
    assert msgspec.to_builtins(C.acknowledgement(7)) == {"type": "AUDIO_CHUNK_ACK", "ack_id": 7}
    told = msgspec.to_builtins(C.error(StreamSilent()))
    assert (told["type"], told["code"]) == ("ERROR_MESSAGE", 83011)
