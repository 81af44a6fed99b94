from dataclasses import replace

import pytest

from pipeline.fallback import best, looks_wrong, next_temperature
from pipeline.types import Hypothesis
from tests.fakes import hypothesis

GOOD = replace(hypothesis("my head hurts"), avg_logprob=-0.3)
GUESSED = replace(GOOD, avg_logprob=-1.4)
GUESSED_BETTER = replace(GOOD, avg_logprob=-1.1)
LOOPING = replace(GOOD, avg_logprob=-0.1, compression_ratio=3.0)
NOBODY_SPOKE = replace(GUESSED, no_speech_prob=0.9)
EMPTY = Hypothesis(words=(), avg_logprob=-2.0)

TEMPERATURES = (0.0, 0.4, 0.8)


@pytest.mark.parametrize(
    ("made", "wrong"),
    [(GOOD, False), (GUESSED, True), (LOOPING, True), (NOBODY_SPOKE, False), (EMPTY, False)],
)
def test_texts_look_wrong_by_whispers_own_rule(made: Hypothesis, wrong: bool) -> None:
    assert looks_wrong(made) is wrong


def test_a_text_that_looks_wrong_is_tried_at_each_temperature_once() -> None:
    assert next_temperature([GUESSED], TEMPERATURES) == 0.4
    assert next_temperature([GUESSED, LOOPING], TEMPERATURES) == 0.8
    assert next_temperature([GUESSED, LOOPING, GUESSED], TEMPERATURES) is None
    assert next_temperature([GUESSED, GOOD], TEMPERATURES) is None
    assert next_temperature([GUESSED], (0.0,)) is None


def test_the_best_text_looks_right_else_it_does_not_repeat_itself_else_it_is_the_most_probable() -> None:
    assert best([GUESSED_BETTER, LOOPING, GOOD]) is GOOD
    assert best([GUESSED, LOOPING, GUESSED_BETTER]) is GUESSED_BETTER
    assert best([LOOPING, replace(LOOPING, avg_logprob=-0.2)]) is LOOPING
