from importlib.resources import files
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.attribution.wording import BOUND, MAX_WORDS, role_wording

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


def test_marks_and_capitals_are_not_needed() -> None:
    assert MODEL.log_odds("so how long have you been having these headaches") > 0.5
    assert MODEL.log_odds("well i've had this terrible pain in my back since monday") < -0.5


def test_numbers_weigh_the_same_as_figures_and_as_words() -> None:
    assert MODEL.log_odds("take 20 of these") == MODEL.log_odds("take twenty of these")


def test_hesitations_weigh_nothing() -> None:
    assert MODEL.log_odds("um do you uh have any pain") == MODEL.log_odds("do you have any pain")


@pytest.mark.parametrize("text", ["", " ", "?", "…", "um uh", "\x00", "。"])
def test_no_words_say_nothing(text: str) -> None:
    assert MODEL.log_odds(text) == 0.0


def test_of_a_speech_without_end_the_beginning_counts() -> None:
    speech = "my knee hurts " * MAX_WORDS
    assert MODEL.log_odds(speech * 20) == MODEL.log_odds(speech)


def test_of_what_was_said_before_the_end_counts() -> None:
    question = "And how long have you been having these headaches?"
    long_before, longer_before = ("i hurt my knee " * times + question for times in (90, 900))
    assert MODEL.log_odds("three days", longer_before) == MODEL.log_odds("three days", long_before)


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


def test_the_weights_are_small_and_plain_json_and_say_whose_they_are() -> None:
    shipped = files("pipeline.attribution").joinpath("roles.json").read_bytes()
    assert len(shipped) < 1_000_000
    assert shipped[:1] == b"{"
    assert all(name in shipped for name in (b"aci-bench", b"MTS-Dialog", b"PriMock57", b"CC BY 4.0"))
