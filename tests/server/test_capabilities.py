"""What a caller is told that it can have."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine

from pipeline.engines.scripted import ScriptedRecogniser
from pipeline.engines.whisper_ct2 import WhisperRecogniser
from pipeline.ports import NoteWriter, Recogniser
from server.app import ceilings
from server.capabilities import Capabilities
from server.domain import Caller, TenantSettings
from server.facades.auscult.capabilities import capabilities
from server.notes import Notes
from server.retention import Retention
from server.settings import load_settings
from server.store import keys
from server.store import tenants as sql
from server.store.database import Reader
from server.templates import shipped_templates
from server.tenants import Tenants
from server.writers import EmbeddedWriter
from tests.clock import Clock

TEMPLATES = shipped_templates()
SETTINGS = load_settings(
    environment={}, flags={"limits.max_recording_files": 3, "tokens.max_expires_s": 700, "tokens.expires_s": 60}
)
RETENTION = Retention(upload_audio=0, live_audio=24, results=48, patient_contexts=72)


class Model(EmbeddedWriter):
    """A writer in any language."""

    name = "model"
    generator = "model:our-model"


async def told(
    engine: Engine,
    settings: TenantSettings | None = None,
    *,
    recogniser: Recogniser | None = None,
    model: NoteWriter | None = None,
    language: str = "",
) -> dict[str, Any]:
    """What a tenant with these settings reads."""
    with engine.begin() as connection:
        keys.create(connection, "practice", 1.0)
        tenant = sql.named(connection, "practice")
        if settings is not None:
            sql.put_settings(connection, tenant.id, settings)
    offering = Capabilities(
        recogniser or ScriptedRecogniser(),
        Notes(TEMPLATES, template="SOAP", style="bullet_points", model=model),
        Tenants(Reader(engine), Clock()),
        RETENTION,
        ceilings(SETTINGS),
    )
    offer = await offering.offered(Caller(tenant_id=tenant.id, key_id="k"))
    read: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(capabilities(offer, language, "1.2")))
    return read


async def test_a_server_without_a_model_takes_speech_of_many_languages_and_writes_english(engine: Engine) -> None:
    offer = await told(engine)
    assert offer["version"] == "1.2"
    assert (offer["recogniser"]["kind"], offer["recogniser"]["model"]) == ("scripted", ScriptedRecogniser.model)
    assert set(offer["recogniser"]["languages"]) == ScriptedRecogniser.languages
    assert (offer["writer"], offer["note_languages"]) == ("embedded-extractive", ["en"])
    assert (offer["default_template"], offer["default_style"]) == ("SOAP", "bullet_points")


async def test_a_model_writes_in_any_language_and_is_named_as_its_notes_name_it(engine: Engine) -> None:
    offer = await told(engine, model=Model())
    assert (offer["writer"], offer["note_languages"]) == ("model:our-model", [])


async def test_a_recogniser_that_is_still_loading_is_told_without_languages_and_without_its_place(
    engine: Engine,
) -> None:
    offer = await told(engine, recogniser=WhisperRecogniser("/srv/models/our-whisper"))
    assert offer["recogniser"] == {"kind": "whisper", "model": "our-whisper", "languages": []}


@pytest.mark.parametrize(
    ("own", "hours"),
    [
        (None, (0, 24, 48)),
        (TenantSettings(upload_audio_hours=2, live_audio_hours=0), (2, 0, 48)),
        (TenantSettings(result_hours=0.5), (0, 24, 0.5)),
    ],
)
async def test_hours_are_the_tenants_own_where_it_has_some(
    engine: Engine, own: TenantSettings | None, hours: tuple[float, ...]
) -> None:
    names = ("upload_audio_hours", "live_audio_hours", "result_hours")
    assert (await told(engine, own))["retention"] == dict(zip(names, hours, strict=True))


async def test_every_template_is_told_with_its_title_in_the_language_asked_for(engine: Engine) -> None:
    for language in ("", "en", "de-CH", "ja"):
        offered = (await told(engine, language=language))["templates"]
        assert [each["name"] for each in offered] == sorted(TEMPLATES)
        for each in offered:
            template = TEMPLATES[each["name"]]
            assert tuple(each["languages"]) == template.languages
            used = language.partition("-")[0]
            assert each["title"] == template.title[used if used in template.languages else template.languages[0]]


async def test_limits_are_those_of_the_settings(engine: Engine) -> None:
    limits = (await told(engine))["limits"]
    assert (limits["max_recording_files"], limits["max_token_s"]) == (3, 700)
    assert limits["max_recording_bytes"] == SETTINGS.limits.max_recording_bytes
    assert limits["max_chunk_bytes"] == SETTINGS.limits.max_chunk_bytes
    assert limits["reconnect_timeout_s"] == SETTINGS.limits.reconnect_timeout_s
