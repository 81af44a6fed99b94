"""A batch on one model: what shares a call, what a failing call takes with it, and the way of a GPU."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.random_model import write_model
from pipeline.engines.whisper_decode import Decoder, grouped, joined
from pipeline.engines.whisper_model import LoadedModel, ModelOptions, find, load
from pipeline.engines.whisper_window import EncoderWindow
from pipeline.errors import RecognitionFailed
from pipeline.types import SAMPLE_RATE, Hypothesis, Pcm, Purpose, RecognitionRequest, Word
from tests.pipeline.engines.conftest import Phrase

FIXTURE = Path(__file__).parents[2] / "models" / "whisper-fixture-en"


def loaded(folder: Path) -> LoadedModel:
    options = ModelOptions(model=str(folder), device="cpu", workers=1)
    found, placement = find(options)
    return load(found, options, placement, 0)


@pytest.fixture(scope="module")
def trained() -> LoadedModel:
    return loaded(FIXTURE)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A model of several languages that says twelve words."""
    return loaded(write_model(tmp_path_factory.mktemp("models") / "many", tokens=12))


def decoder(model: LoadedModel, window: str = "dynamic", *, use_prompt: bool = False, max_batch: int = 8) -> Decoder:
    return Decoder(model, window=EncoderWindow.parse(window), beam_size=5, use_prompt=use_prompt, max_batch=max_batch)


def request(pcm: Pcm, purpose: Purpose = Purpose.FINAL, **more: object) -> RecognitionRequest:
    plain = RecognitionRequest(stream_id="e/s", segment=0, purpose=purpose, start=0, pcm=pcm, language="en")
    return replace(plain, **more)  # type: ignore[arg-type]


def noise(seconds: float) -> Pcm:
    return np.random.default_rng(3).normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)


def groups(engine: Decoder, *requests: RecognitionRequest, most: int = 8) -> list[list[int]]:
    """Which requests share a call."""
    pieces = [piece for index, one in enumerate(requests) for piece in engine.cut(one, index)]
    return [[piece.request for piece in group] for group in grouped(pieces, most)]


# What shares a call


def test_segments_of_similar_length_share_a_call(many: LoadedModel) -> None:
    lengths = (4.1, 1.5, 4.6, 1.7, 9.0)
    assert groups(decoder(many), *(request(noise(seconds)) for seconds in lengths)) == [[0, 2], [1, 3], [4]]


def test_in_a_full_window_all_lengths_share_a_call(many: LoadedModel) -> None:
    assert groups(decoder(many, "full"), *(request(noise(seconds)) for seconds in (1, 9, 20))) == [[0, 1, 2]]


def test_what_is_searched_for_differently_does_not_share_a_call(many: LoadedModel) -> None:
    pcm = noise(2)
    requests = (
        request(pcm),
        request(pcm, Purpose.SPECULATIVE),
        request(pcm, Purpose.REFRESH),
        request(pcm, Purpose.FIRST_PARTIAL),
        request(pcm, temperature=0.4),
        request(pcm, language="de"),
    )
    assert groups(decoder(many), *requests) == [[0, 1], [2, 3], [4], [5]]


def test_prompts_of_similar_length_share_a_call(many: LoadedModel) -> None:
    prompts = ("", "abcdefghij", "abcdefghijkl", "abcdefghijklmnopqrstuvwxyz")
    requests = (request(noise(2), prompt=prompt) for prompt in prompts)
    assert groups(decoder(many, use_prompt=True), *requests) == [[0], [1, 2], [3]]


def test_committed_texts_of_any_length_share_a_call(many: LoadedModel) -> None:
    requests = (request(noise(2), committed=committed) for committed in ("", "yes", "yes I have"))
    assert groups(decoder(many), *requests) == [[0, 1, 2]]


def test_a_language_to_be_detected_has_a_call_for_itself(many: LoadedModel) -> None:
    requests = (request(noise(2), language=language) for language in ("", "en", "", "en"))
    assert groups(decoder(many), *requests) == [[0], [1, 3], [2]]


def test_a_call_has_no_more_than_it_may(many: LoadedModel) -> None:
    assert groups(decoder(many), *[request(noise(2))] * 5, most=2) == [[0, 1], [2, 3], [4]]
    answers = decoder(many, max_batch=2).answer([request(noise(2))] * 5)
    assert [len(answer.words) for answer in answers if isinstance(answer, Hypothesis)] == [12] * 5


# A call that fails


class Failing:
    """A model that fails to sample."""

    def __init__(self, model: object) -> None:
        self._model = model

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def generate(self, *inputs: object, sampling_temperature: float, **options: object) -> object:
        if sampling_temperature != 1:
            raise RuntimeError("out of memory")
        return self._model.generate(*inputs, sampling_temperature=sampling_temperature, **options)  # type: ignore[attr-defined]


def test_a_call_that_fails_takes_only_its_own_requests_with_it(many: LoadedModel) -> None:
    engine = decoder(replace(many, whisper=Failing(many.whisper)))
    answers = engine.answer(
        [request(noise(2)), request(noise(2), temperature=0.8), request(noise(2)), request(noise(2), temperature=0.8)]
    )
    assert [type(answer) for answer in answers] == [Hypothesis, RecognitionFailed, Hypothesis, RecognitionFailed]
    assert isinstance(answers[1], RecognitionFailed)
    assert str(answers[1].__cause__) == "out of memory"


# As on a GPU


class Pretending:
    """A model on a CPU that says it is on a GPU, so that everything is computed at once."""

    device = "cuda"

    def __init__(self, model: object) -> None:
        self._model = model

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)


@pytest.mark.parametrize("purpose", [Purpose.FINAL, Purpose.REFRESH])
def test_what_is_computed_at_once_gives_the_same_answers(
    trained: LoadedModel, phrases: list[Phrase], purpose: Purpose
) -> None:
    requests = [request(phrase.pcm, purpose) for phrase in phrases[:8]]
    at_once = decoder(replace(trained, whisper=Pretending(trained.whisper))).answer(requests)
    assert said(at_once) == said(decoder(trained).answer(requests))
    assert times(at_once) == times(decoder(trained).answer(requests))


def test_languages_are_detected_on_a_gpu_too(many: LoadedModel) -> None:
    engine = decoder(replace(many, whisper=Pretending(many.whisper)))
    answers = engine.answer([request(noise(2), language=""), request(noise(2), language="de")])
    assert [answer.language for answer in answers if isinstance(answer, Hypothesis)] == ["en", "de"]


def test_a_model_that_names_no_language_that_its_tokenizer_knows_fails_on_that_request_alone(many: LoadedModel) -> None:
    engine = decoder(replace(many, languages={"tlh": many.languages["en"]}))
    detected, given = engine.answer([request(noise(2), language=""), request(noise(2), language="tlh")])
    assert isinstance(detected, RecognitionFailed)
    assert isinstance(given, Hypothesis)


def said(answers: Sequence[Hypothesis | RecognitionFailed]) -> list[str]:
    return [answer.text for answer in answers if isinstance(answer, Hypothesis)]


def times(answers: Sequence[Hypothesis | RecognitionFailed]) -> list[list[int]]:
    hypotheses = (answer for answer in answers if isinstance(answer, Hypothesis))
    return [[word.start for word in answer.words] for answer in hypotheses]


# Answers from parts


def hypothesis(*words: str, language: str = "en", probability: float = -0.5) -> Hypothesis:
    timed = tuple(Word(text=text, start=100 * n, end=100 * n + 50) for n, text in enumerate(words))
    return Hypothesis(words=timed, language=language, avg_logprob=probability, no_speech_prob=0.5)


def test_the_words_of_parts_are_in_the_time_of_the_whole() -> None:
    whole = joined([(range(1000, 2000), hypothesis("b", "c")), (range(1000), hypothesis("a"))])
    assert isinstance(whole, Hypothesis)
    assert [(word.text, word.start, word.end) for word in whole.words] == [
        ("a", 0, 50),
        ("b", 1000, 1050),
        ("c", 1100, 1150),
    ]


def test_a_silent_part_says_nothing_about_the_whole() -> None:
    silent = replace(hypothesis(probability=-3.0, language="de"), no_speech_prob=0.9)
    whole = joined([(range(1000), silent), (range(1000, 2000), hypothesis("a"))])
    assert isinstance(whole, Hypothesis)
    assert (whole.avg_logprob, whole.no_speech_prob, whole.language) == (-0.5, 0.5, "en")


def test_a_part_that_failed_fails_the_whole() -> None:
    failure = RecognitionFailed()
    assert joined([(range(1000), hypothesis("a")), (range(1000, 2000), failure)]) is failure
