from importlib.resources import files
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.attribution.wording import BOUND, role_wording

MODEL = role_wording()


@pytest.mark.parametrize(
    "text",
    [
        "Are you taking any medication at the moment?",
        "how long have you had this cough",
        "I'm going to prescribe you some antibiotics and I want you to come back in a week.",
        "let me have a listen to your chest",
        "do you have any allergies that you know of",
    ],
)
def test_who_asks_examines_and_prescribes_is_the_doctor(text: str) -> None:
    assert MODEL.log_odds(text) > 0.5


@pytest.mark.parametrize(
    "text",
    [
        "I've had this terrible headache since yesterday, doctor.",
        "my wife told me to come because i could not sleep",
        "yeah it hurts when i walk",
        "I take my tablets every morning.",
        "no i have never smoked",
    ],
)
def test_who_reports_is_the_patient(text: str) -> None:
    assert MODEL.log_odds(text) < -0.5


def test_an_answer_is_the_other_one_s() -> None:
    alone = MODEL.log_odds("two or three times")
    assert MODEL.log_odds("two or three times", "how often do you have to get up at night") < alone


@pytest.mark.parametrize(
    ("language", "doctor", "patient"),
    [
        ("de", "Seit wann haben Sie diese Schmerzen?", "Ich habe seit gestern Kopfschmerzen, Herr Doktor."),
        ("fr", "Depuis quand avez-vous mal ?", "J'ai mal à la tête, docteur."),
        ("it", "Da quando ha questo dolore? Le prescrivo una cura.", "Mi fa male la testa, dottore."),
        ("es", "¿Desde cuándo le duele? Le receto algo.", "Me duele la cabeza, doctor."),
    ],
)
def test_other_languages_have_cues(language: str, doctor: str, patient: str) -> None:
    assert MODEL.log_odds(doctor, language=language) > 0.3
    assert MODEL.log_odds(patient, language=language) < -0.3
    assert MODEL.log_odds(doctor, language=f"{language}-CH") == MODEL.log_odds(doctor, language=language)


def test_of_a_language_that_nobody_taught_it_says_nothing() -> None:
    assert MODEL.log_odds("Hoe lang heeft u al pijn?", language="nl") == 0.0
    assert MODEL.log_odds("how long have you had it", language="") == 0.0


@given(st.text(max_size=300), st.text(max_size=100), st.sampled_from(["en", "de", "fr", "it", "es", "xx", ""]))
def test_any_text_has_a_bounded_answer(text: str, before: str, language: str) -> None:
    odds = MODEL.log_odds(text, before, language=language)
    assert isfinite(odds)
    assert abs(odds) <= BOUND


def test_the_weights_are_small_and_plain_json() -> None:
    shipped = files("pipeline.attribution").joinpath("roles.json").read_bytes()
    assert len(shipped) < 1_000_000
    assert shipped[:1] == b"{"
