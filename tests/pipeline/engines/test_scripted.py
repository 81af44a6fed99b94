import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engines.scripted import WORD, ScriptedRecogniser, script
from pipeline.errors import RecognitionFailed
from pipeline.types import Hypothesis, Purpose, RecognitionRequest


def request(
    samples: int, *, segment: int = 0, purpose: Purpose = Purpose.FINAL, language: str = "en"
) -> RecognitionRequest:
    return RecognitionRequest(
        stream_id="e1/stream1",
        segment=segment,
        purpose=purpose,
        start=0,
        pcm=np.zeros(samples, np.float32),
        language=language,
    )


def test_one_word_is_said_for_each_400_ms() -> None:
    spoken = script(request(4 * WORD + 100))
    assert spoken.text == "alpha one two three"
    assert [word.start for word in spoken.words] == [0, WORD, 2 * WORD, 3 * WORD]


def test_segments_can_be_told_apart() -> None:
    assert script(request(2 * WORD, segment=0)).text == "alpha one"
    assert script(request(2 * WORD, segment=1)).text == "bravo one"


def test_a_final_is_never_empty_and_a_partial_may_be() -> None:
    assert script(request(10)).text == "alpha"
    assert script(request(10, purpose=Purpose.REFRESH)).words == ()


@given(length=st.integers(0, 300_000), segment=st.integers(0, 10_000))
def test_a_partial_is_the_beginning_of_its_final(length: int, segment: int) -> None:
    final = script(request(300_000, segment=segment)).words
    partial = script(request(length, segment=segment, purpose=Purpose.REFRESH)).words
    assert partial == final[: len(partial)]


@given(length=st.integers(0, 300_000))
def test_words_lie_in_their_segment_one_after_the_other(length: int) -> None:
    times = [time for word in script(request(length)).words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(0 <= time <= length for time in times)


async def test_any_language_is_spoken() -> None:
    engine = ScriptedRecogniser()
    assert {"en", "de", "fr"} <= engine.languages
    (answer,) = await engine.recognise([request(WORD, language="de")])
    assert isinstance(answer, Hypothesis)
    assert answer.language == "de"


async def test_it_fails_where_it_is_told_to_and_only_there() -> None:
    engine = ScriptedRecogniser(fails=lambda request: request.segment == 1)
    answers = await engine.recognise([request(WORD, segment=segment) for segment in range(3)])
    assert [isinstance(answer, RecognitionFailed) for answer in answers] == [False, True, False]


async def test_a_call_takes_as_long_as_it_is_told_to() -> None:
    began = time.perf_counter()
    await ScriptedRecogniser(delay_ms=30).recognise([request(WORD), request(WORD)])
    assert time.perf_counter() - began >= 0.03
