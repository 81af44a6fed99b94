"""Scores of transcripts that were made by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import score
from bench.recordings import TruthItem
from bench.score import Final, Spread
from bench.words import WordErrors, medical_form
from pipeline.types import Role

DOCTOR, PATIENT = Role.DOCTOR, Role.PATIENT


def said(speaker: Role, start_ms: int, end_ms: int, text: str = "a b c") -> TruthItem:
    return TruthItem(speaker=speaker, start_ms=start_ms, end_ms=end_ms, text=text)


def heard(
    role: Role,
    start_ms: int,
    end_ms: int,
    text: str = "a b c",
    *,
    arrived_ms: float = 0,
    partial_ms: float | None = None,
) -> Final:
    return Final(
        role=role, start_ms=start_ms, end_ms=end_ms, text=text, arrived_ms=arrived_ms, first_partial_ms=partial_ms
    )


def test_words_are_compared_by_speaker_and_in_the_order_of_their_start() -> None:
    truth = [
        said(DOCTOR, 0, 1000, "Good morning."),
        said(PATIENT, 1500, 2500, "I have a cough."),
        said(DOCTOR, 3000, 4000, "Dry?"),
    ]
    finals = [
        heard(DOCTOR, 3000, 4000, "dry"),
        heard(PATIENT, 1500, 2500, "i had a bad cough"),
        heard(DOCTOR, 0, 900, "good"),
    ]

    doctor = score.word_errors(truth, finals, DOCTOR)
    patient = score.word_errors(truth, finals, PATIENT)

    assert doctor == WordErrors(words=3, substitutions=0, deletions=1, insertions=0)
    assert patient == WordErrors(words=4, substitutions=1, deletions=0, insertions=1)
    assert (doctor + patient).rate == pytest.approx(3 / 7)


def test_words_may_be_compared_in_another_form() -> None:
    truth, finals = [said(DOCTOR, 0, 1000, "Okay, eighty.")], [heard(DOCTOR, 0, 1000, "ok 80")]
    assert score.word_errors(truth, finals, DOCTOR).substitutions == 2
    assert score.word_errors(truth, finals, DOCTOR, medical_form("en")).substitutions == 0


def test_speaker_accuracy_weighs_items_by_their_words() -> None:
    truth = [said(DOCTOR, 0, 2000), said(PATIENT, 3000, 5000)]
    finals = [heard(DOCTOR, 0, 2000, "one two three"), heard(DOCTOR, 3000, 5000, "four")]
    assert score.speaker_accuracy(truth, finals) == pytest.approx(3 / 4)


def test_a_short_answer_inside_the_others_sentence_has_its_own_speaker() -> None:
    truth = [said(DOCTOR, 0, 8000), said(PATIENT, 4000, 4500)]
    finals = [heard(DOCTOR, 0, 8000), heard(PATIENT, 3800, 4700, "yes")]
    assert score.speaker_accuracy(truth, finals) == 1.0


def test_items_on_silence_have_no_speaker_and_are_listed() -> None:
    truth = [said(DOCTOR, 0, 2000)]
    phantom = heard(PATIENT, 5000, 6000, "thank you")
    finals = [heard(DOCTOR, 0, 2000), phantom]
    assert score.speaker_accuracy(truth, finals) == 1.0
    assert score.on_silence(truth, finals) == [phantom]


def test_start_errors_are_signed() -> None:
    truth = [said(DOCTOR, 1000, 3000), said(PATIENT, 4000, 5000)]
    finals = [heard(DOCTOR, 1080, 3100), heard(PATIENT, 3960, 5000)]
    assert score.start_errors(truth, finals) == [80, -40]


def test_an_item_over_two_sentences_starts_with_the_first_and_ends_with_the_last() -> None:
    truth = [said(PATIENT, 1000, 2000), said(PATIENT, 2300, 4000)]
    finals = [heard(PATIENT, 1050, 4100, arrived_ms=4600, partial_ms=1700)]
    assert score.start_errors(truth, finals) == [50]
    assert score.final_delays(truth, finals) == [600]
    assert score.partial_delays(truth, finals) == [700]


def test_a_sentence_cut_in_two_has_one_start_and_one_end() -> None:
    truth = [said(DOCTOR, 1000, 20_000)]
    finals = [
        heard(DOCTOR, 1020, 16_000, arrived_ms=16_300, partial_ms=1900),
        heard(DOCTOR, 16_000, 20_100, arrived_ms=20_700, partial_ms=16_900),
    ]
    assert score.start_errors(truth, finals) == [20]
    assert score.final_delays(truth, finals) == [700]
    assert score.partial_delays(truth, finals) == [900]


def test_speech_ends_when_the_last_of_those_who_talk_at_once_is_silent() -> None:
    truth = [said(DOCTOR, 1000, 5000), said(PATIENT, 4000, 4600)]
    finals = [heard(Role.UNSPECIFIED, 1000, 5100, arrived_ms=5400)]
    assert score.final_delays(truth, finals) == [400]
    assert list(score.timed_finals(truth, finals)) == [(truth[0], 400)]


def test_an_end_inside_a_sentence_is_false_and_one_between_two_is_not() -> None:
    truth = [said(DOCTOR, 0, 6000), said(DOCTOR, 6500, 8000)]
    whole = [heard(DOCTOR, 0, 6100), heard(DOCTOR, 6450, 8000)]
    assert score.false_endpoints(truth, whole) == 0
    assert score.false_endpoints(truth, [heard(DOCTOR, 0, 8000)]) == 0  # late, but not false
    assert score.false_endpoints(truth, [heard(DOCTOR, 0, 2000), heard(DOCTOR, 2500, 4000), *whole[1:]]) == 1
    assert score.false_endpoints(truth, [heard(DOCTOR, 0, 2000), heard(DOCTOR, 2500, 8000)]) == 1


def test_missing_words_at_the_end_are_no_false_end() -> None:
    truth = [said(DOCTOR, 0, 6000)]
    assert score.false_endpoints(truth, [heard(DOCTOR, 0, 4000)]) == 0


def test_the_other_voice_ends_nothing() -> None:
    truth = [said(DOCTOR, 0, 6000), said(PATIENT, 2000, 2600)]
    finals = [heard(DOCTOR, 0, 6000), heard(PATIENT, 1900, 2700)]
    assert score.false_endpoints(truth, finals) == 0


def test_padding_into_the_next_sentence_does_not_take_its_start() -> None:
    truth = [said(DOCTOR, 0, 1000), said(DOCTOR, 1500, 3000)]
    finals = [heard(DOCTOR, 0, 1540), heard(DOCTOR, 1540, 3000)]
    assert score.start_errors(truth, finals) == [0, 40]


def test_the_other_speakers_sentence_is_nobodys_start() -> None:
    assert score.start_errors([said(DOCTOR, 0, 1000)], [heard(PATIENT, 0, 1000)]) == []


def test_delays_are_real_time_also_when_the_recording_is_played_faster() -> None:
    truth = [said(DOCTOR, 4000, 8000)]
    finals = [heard(DOCTOR, 4000, 8000, arrived_ms=2500, partial_ms=1400)]
    assert score.final_delays(truth, finals, speed=4.0) == [500]
    assert score.partial_delays(truth, finals, speed=4.0) == [400]


def test_what_no_final_of_its_speaker_overlaps_is_lost() -> None:
    truth = [said(DOCTOR, 0, 1000), said(PATIENT, 500, 1500), said(DOCTOR, 2000, 3000)]
    assert score.lost(truth, [heard(DOCTOR, 0, 1000)]) == truth[1:]
    assert score.lost(truth, [heard(Role.UNSPECIFIED, 0, 1000)]) == truth[2:]


def test_an_empty_transcript_has_scores_that_say_so() -> None:
    truth = [said(DOCTOR, 0, 1000)]
    assert score.speaker_accuracy(truth, []) is None
    assert score.start_errors(truth, []) == []
    assert score.word_errors(truth, [], DOCTOR).rate == 1.0
    assert Spread.of([]) is None


def test_a_spread_names_middle_and_tail() -> None:
    assert Spread.of([float(n) for n in range(1, 102)]) == Spread(count=101, median=51, p95=96, p99=100, max=101)


spans = st.tuples(st.integers(0, 5000), st.integers(1, 3000)).map(lambda pair: (pair[0], sum(pair)))


@given(st.lists(spans), st.lists(spans))
def test_every_item_is_either_on_silence_or_overlaps_something_said(
    truth_spans: list[tuple[int, int]], final_spans: list[tuple[int, int]]
) -> None:
    truth = [said(DOCTOR, *span) for span in truth_spans]
    finals = [heard(DOCTOR, *span) for span in final_spans]
    silent = score.on_silence(truth, finals)
    assert len(score.start_errors(truth, finals)) <= len(finals) - len(silent)
    if len(silent) == len(finals):
        assert score.lost(truth, finals) == truth
