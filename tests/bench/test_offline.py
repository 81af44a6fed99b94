"""Recordings as files, through the pipeline and through what it is compared with."""

import os
from pathlib import Path

import pytest
from rich.console import Console

from bench.accuracy import AccuracyOptions, run
from bench.manifest import entries
from bench.offline import Engine, open_offline, tracks_of
from bench.reference import NoReference, Reference
from pipeline.types import Role
from server.settings import SettingsError

MODEL = Path(__file__).parent.parent / "models" / "whisper-fixture-en"
SCRIPTED = Engine(recogniser="scripted")


@pytest.fixture(autouse=True)
def _no_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AUSCULT_RECOGNISER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AUSCULT_RECOGNISER_USE_PROMPT", "false")  # the fixture was not trained with prompts


def test_an_engine_is_the_same_in_a_server_and_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(recogniser="whisper", model="small.en", compute_type="int8")
    here = engine.settings().recogniser
    for name, value in engine.environment().items():
        monkeypatch.setenv(name, value)
    assert Engine(recogniser="").settings().recogniser == here
    assert (here.kind, here.model, here.compute_type, here.use_prompt) == ("whisper", "small.en", "int8", False)


def test_an_engine_can_do_without_prompts_wherever_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUSCULT_RECOGNISER_USE_PROMPT")
    assert Engine().settings().recogniser.use_prompt
    assert not Engine(prompt=False).settings().recogniser.use_prompt
    assert Engine(prompt=False).environment()["AUSCULT_RECOGNISER_USE_PROMPT"] == "false"


def test_an_unknown_arithmetic_is_named() -> None:
    with pytest.raises(SettingsError, match="int3"):
        Engine(compute_type="int3").settings()


@pytest.mark.parametrize(("split", "roles"), [(True, {Role.DOCTOR, Role.PATIENT}), (False, {Role.UNSPECIFIED})])
async def test_voices_are_heard_apart_or_together(split: bool, roles: set[Role]) -> None:
    (entry,) = entries([], only="headache")
    async with open_offline(SCRIPTED.settings()) as offline:
        transcript = await offline.transcribe(tracks_of(entry, split=split), entry.language)
    assert {item.role for item in transcript.items} == roles
    assert [item.start for item in transcript.items] == sorted(item.start for item in transcript.items)
    assert transcript.errors == ()
    assert transcript.took_s > 0


async def test_every_recording_has_figures_and_all_together_too() -> None:
    report = await run(AccuracyOptions(engine=SCRIPTED), Console(quiet=True))
    (variant,) = report.variants
    assert [each.id for each in variant.recordings] == ["cough", "headache"]
    total = variant.total
    words = [each.figures.medical.errors.words for each in variant.recordings]
    assert total.medical.errors.words == sum(words)
    assert total.terms.said == sum(each.figures.terms.said for each in variant.recordings)
    assert total.start_error_ms is not None
    assert total.start_error_ms.median < 400  # the scripted recogniser starts with the pre-roll
    assert total.lost_items == 0
    assert report.skipped == ()


async def test_there_is_no_reference_for_other_recognisers() -> None:
    with pytest.raises(NoReference, match="Whisper models only"):
        Reference(SCRIPTED.settings())


@pytest.mark.slow
async def test_the_reference_hears_the_same_tracks() -> None:
    (entry,) = entries([], only="headache")
    tracks = tracks_of(entry, split=True)
    reference = Reference(Engine(recogniser="whisper", model=str(MODEL)).settings())
    said, took_s = reference.transcribe(tracks, entry.language)
    assert {each.role for each in said} == {Role.DOCTOR, Role.PATIENT}
    assert all(0 <= each.start_ms <= each.end_ms <= entry.seconds * 1000 for each in said)
    assert took_s > 0
