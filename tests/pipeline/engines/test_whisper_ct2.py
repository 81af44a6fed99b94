import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import jiwer
import numpy as np
import pytest

from bench.random_model import Shape, write_model
from pipeline.engines.whisper_ct2 import WhisperRecogniser
from pipeline.engines.whisper_text import limit
from pipeline.errors import RecogniserUnavailable, RecognitionFailed
from pipeline.hallucination import believed
from pipeline.types import SAMPLE_RATE, Hypothesis, Pcm, Purpose, RecognitionRequest
from tests.pipeline.engines.conftest import Phrase

FIXTURE = Path(__file__).parents[2] / "models" / "whisper-fixture-en"


def request(
    pcm: Pcm,
    purpose: Purpose = Purpose.FINAL,
    *,
    language: str = "en",
    glossary: tuple[str, ...] = (),
    prompt: str = "",
    committed: str = "",
    temperature: float = 0.0,
) -> RecognitionRequest:
    return RecognitionRequest(
        stream_id="e1/stream1",
        segment=0,
        purpose=purpose,
        start=0,
        pcm=pcm,
        language=language,
        glossary=glossary,
        prompt=prompt,
        committed=committed,
        temperature=temperature,
    )


def noise(seconds: float, seed: int = 5) -> Pcm:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)


async def hypotheses(engine: WhisperRecogniser, *requests: RecognitionRequest) -> list[Hypothesis]:
    answers = await engine.recognise(requests)
    assert all(isinstance(answer, Hypothesis) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Hypothesis)]


@pytest.fixture(scope="session")
def gibberish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A multilingual model that writes anything and never ends."""
    return write_model(tmp_path_factory.mktemp("models") / "gibberish")


@pytest.fixture
async def random(gibberish: Path) -> AsyncIterator[WhisperRecogniser]:
    engine = WhisperRecogniser(str(gibberish), encoder_window="dynamic")
    await engine.start()
    yield engine
    await engine.aclose()


@pytest.fixture
async def trained() -> AsyncIterator[WhisperRecogniser]:
    """A model that knows a thousand English words in these voices; it was trained without prompts or padding."""
    engine = WhisperRecogniser(str(FIXTURE), use_prompt=False, encoder_window="dynamic")
    await engine.start()
    yield engine
    await engine.aclose()


def bare(text: str) -> str:
    return re.sub(r"[^a-z ]", "", text.lower())


# What is heard


@pytest.mark.parametrize("window", ["dynamic", "10", pytest.param("full", marks=pytest.mark.slow)])
async def test_a_fair_share_of_the_words_is_right(phrases: list[Phrase], window: str) -> None:
    engine = WhisperRecogniser(str(FIXTURE), use_prompt=False, encoder_window=window)
    await engine.start()
    spoken = phrases[:8]
    answers = await hypotheses(engine, *(request(phrase.pcm) for phrase in spoken))
    written = " ".join(answer.text for answer in answers)
    assert jiwer.wer(bare(" ".join(phrase.text for phrase in spoken)), bare(written)) < 0.4


async def test_words_have_times_and_probabilities(trained: WhisperRecogniser, phrases: list[Phrase]) -> None:
    (answer,) = await hypotheses(trained, request(phrases[1].pcm))
    assert len(answer.words) > 3
    times = [time for word in answer.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[-1] <= len(phrases[1].pcm)
    assert all(0 < word.probability <= 1 for word in answer.words)
    assert all(word.text == word.text.strip() != "" for word in answer.words)


async def test_how_sure_the_model_is_comes_with_the_words(trained: WhisperRecogniser, phrases: list[Phrase]) -> None:
    (spoken,) = await hypotheses(trained, request(phrases[1].pcm))
    assert -1 < spoken.avg_logprob < 0
    assert spoken.no_speech_prob < 0.1
    assert 0.5 < spoken.compression_ratio < 2


async def test_a_partial_is_recognised_as_well(trained: WhisperRecogniser, phrases: list[Phrase]) -> None:
    half = phrases[1].pcm[: len(phrases[1].pcm) // 2]
    partial, final = await hypotheses(trained, request(half, Purpose.REFRESH), request(phrases[1].pcm))
    assert 0 < len(partial.words) < len(final.words)


async def test_company_in_a_batch_changes_no_answer(trained: WhisperRecogniser, phrases: list[Phrase]) -> None:
    requests = [
        *(request(phrase.pcm) for phrase in phrases[:6]),
        *(request(phrase.pcm, Purpose.REFRESH) for phrase in phrases[:3]),
        request(phrases[1].pcm, committed="I have"),
    ]
    together = await hypotheses(trained, *requests)
    alone = [(await hypotheses(trained, one))[0] for one in requests]
    assert [answer.text for answer in together] == [answer.text for answer in alone]
    times = [[[(word.start, word.end) for word in answer.words] for answer in answers] for answers in (together, alone)]
    assert times[0] == times[1]


async def test_audio_longer_than_the_window_keeps_its_tail(trained: WhisperRecogniser, phrases: list[Phrase]) -> None:
    first, last = phrases[1].pcm, phrases[4].pcm
    at = 30 * SAMPLE_RATE
    pcm = np.concatenate([first, noise(30)[len(first) :] / 1000, last])
    pcm[at - SAMPLE_RATE // 5 : at] = 0  # where it is cut
    (answer,) = await hypotheses(trained, request(pcm))
    (alone,) = await hypotheses(trained, request(last))
    assert bare(answer.text).endswith(bare(alone.text))
    times = [time for word in answer.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] < SAMPLE_RATE
    assert len(pcm) - SAMPLE_RATE < times[-1] <= len(pcm)


async def test_of_a_hiss_the_model_says_itself_that_nobody_spoke(trained: WhisperRecogniser) -> None:
    (hiss,) = await hypotheses(trained, request(noise(2) * np.float32(0.1)))
    assert hiss.no_speech_prob > 0.8
    assert believed(hiss)[0] == ()


async def test_too_little_audio_holds_no_words(trained: WhisperRecogniser) -> None:
    empty, short = await hypotheses(trained, request(noise(0)), request(noise(0.05)))
    assert empty.words == short.words == ()


# Behind what is committed


async def test_words_that_are_committed_are_decoded_behind(trained: WhisperRecogniser, phrases: list[Phrase]) -> None:
    (free,) = await hypotheses(trained, request(phrases[1].pcm))
    committed = " ".join(word.text for word in free.words[:3])
    (behind,) = await hypotheses(trained, request(phrases[1].pcm, committed=committed))
    assert behind.text == free.text
    assert [abs(a.start - b.start) < 400 for a, b in zip(behind.words, free.words, strict=True)] == [True] * len(
        free.words
    )


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_an_answer_begins_with_what_is_committed_whatever_is_heard(
    trained: WhisperRecogniser, phrases: list[Phrase], purpose: Purpose
) -> None:
    committed = "And how long have you had it, about"
    (answer,) = await hypotheses(trained, request(phrases[1].pcm, purpose, committed=committed))
    assert answer.text.startswith(committed)
    assert len(answer.words) > len(committed.split())


async def test_the_model_is_as_sure_of_a_text_it_was_led_to(trained: WhisperRecogniser, phrases: list[Phrase]) -> None:
    (free,) = await hypotheses(trained, request(phrases[1].pcm))
    right = " ".join(word.text for word in free.words[:4])
    led, misled = await hypotheses(
        trained, *(request(phrases[1].pcm, committed=committed) for committed in (right, "No, it is my fault, so"))
    )
    assert led.text == free.text
    assert abs(led.avg_logprob - free.avg_logprob) < 0.1
    assert misled.avg_logprob < free.avg_logprob - 0.5


# Languages


async def test_the_model_says_which_languages_it_knows(trained: WhisperRecogniser, random: WhisperRecogniser) -> None:
    assert trained.languages == {"en"}
    assert random.languages == {"en", "de", "fr", "es"}


async def test_the_language_asked_for_is_the_language_of_the_answer(random: WhisperRecogniser) -> None:
    german, french = await hypotheses(
        random, request(noise(1), Purpose.REFRESH, language="de"), request(noise(1), Purpose.REFRESH, language="fr")
    )
    assert (german.language, french.language) == ("de", "fr")
    assert german.text != french.text


async def test_a_language_that_is_not_given_is_detected(tmp_path: Path) -> None:
    engine = WhisperRecogniser(str(write_model(tmp_path / "english", tokens=5)), encoder_window="dynamic")
    await engine.start()
    known, first, second = await hypotheses(
        engine, request(noise(1), language="de"), request(noise(1), language=""), request(noise(2), language="")
    )
    assert known.language == "de"
    assert first.language == second.language == "en"  # what the weights lead to
    assert first.words


async def test_a_model_of_one_language_detects_that(trained: WhisperRecogniser, phrases: list[Phrase]) -> None:
    (answer,) = await hypotheses(trained, request(phrases[1].pcm, language=""))
    assert answer.language == "en"


# Prompts


async def test_prompt_and_glossary_change_what_is_written_only_where_the_model_may_see_them(gibberish: Path) -> None:
    for use_prompt in (True, False):
        engine = WhisperRecogniser(str(gibberish), use_prompt=use_prompt, encoder_window="dynamic")
        await engine.start()
        untold, with_glossary, with_prompt = await hypotheses(
            engine,
            request(noise(1), Purpose.REFRESH),
            request(noise(1), Purpose.REFRESH, glossary=("amlodipine", "metoprolol")),
            request(noise(1), Purpose.REFRESH, prompt="the patient takes"),
        )
        assert (with_glossary != untold, with_prompt != untold) == (use_prompt, use_prompt)


async def test_a_glossary_of_any_length_leaves_room_for_the_text(random: WhisperRecogniser) -> None:
    terms = tuple(f"medicine {number}" for number in range(2000))
    (answer,) = await hypotheses(random, request(noise(1), Purpose.REFRESH, glossary=terms, prompt="before " * 400))
    assert answer.words


# Later tries, and loops


async def test_a_temperature_samples_other_texts(random: WhisperRecogniser) -> None:
    greedy, first, second = await hypotheses(
        random, request(noise(1)), *(request(noise(1), temperature=one) for one in random.temperatures[1:])
    )
    assert len({greedy.text, first.text, second.text}) == 3
    assert first.words
    assert np.isfinite([first.avg_logprob, second.avg_logprob]).all()


@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize("purpose", [Purpose.FINAL, Purpose.REFRESH])
async def test_a_model_that_never_ends_is_stopped(tmp_path: Path, purpose: Purpose, temperature: float) -> None:
    endless = write_model(tmp_path / "endless", tokens=10_000, multilingual=False)  # every token a word
    engine = WhisperRecogniser(str(endless), encoder_window="dynamic")
    await engine.start()
    short, long = await hypotheses(
        engine, *(request(noise(seconds), purpose, temperature=temperature) for seconds in (1, 8))
    )
    assert len(short.words) == limit(SAMPLE_RATE, 0)
    assert len(long.words) == limit(8 * SAMPLE_RATE, 0)


# Bad requests


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e30])
async def test_a_sample_that_is_no_number_fails_that_request_only(
    trained: WhisperRecogniser, phrases: list[Phrase], bad: float
) -> None:
    broken = phrases[1].pcm.copy()
    broken[1000] = bad
    failed, answered = await trained.recognise([request(broken), request(phrases[1].pcm)])
    assert isinstance(failed, RecognitionFailed)
    assert [answered] == await hypotheses(trained, request(phrases[1].pcm))


async def test_an_unknown_language_fails_that_request_only(random: WhisperRecogniser) -> None:
    failed, answered = await random.recognise(
        [request(noise(1), language="xx"), request(noise(1), Purpose.REFRESH, language="de")]
    )
    assert isinstance(failed, RecognitionFailed)
    assert isinstance(answered, Hypothesis)


async def test_control_tokens_in_a_glossary_fail_nobody(random: WhisperRecogniser) -> None:
    mark = "<|startoftranscript|>"
    told, beside = await hypotheses(
        random, request(noise(1), glossary=(mark,), prompt=mark, committed=mark), request(noise(1))
    )
    assert told.words
    assert beside == (await hypotheses(random, request(noise(1))))[0]


async def test_a_text_behind_which_nothing_fits_is_decoded_anew(random: WhisperRecogniser) -> None:
    (answer,) = await hypotheses(random, request(noise(1), committed="amlodipine " * 100, prompt="before " * 400))
    assert answer.words


async def test_a_recogniser_that_was_not_started_fails_its_requests(gibberish: Path) -> None:
    (answer,) = await WhisperRecogniser(str(gibberish)).recognise([request(noise(1))])
    assert isinstance(answer, RecognitionFailed)


async def test_a_model_that_cannot_be_loaded_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RecogniserUnavailable, match="auscult models fetch"):
        await WhisperRecogniser(str(tmp_path / "nowhere")).start()


def test_an_encoder_window_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="full, dynamic"):
        WhisperRecogniser("small.en", encoder_window="half")


# Calls


async def test_calls_at_a_time_are_as_many_as_it_says(trained: WhisperRecogniser, phrases: list[Phrase]) -> None:
    answers: list[Hypothesis] = []

    async def call(phrase: Phrase) -> None:
        answers.extend(await hypotheses(trained, request(phrase.pcm)))

    async with anyio.create_task_group() as calls:
        for phrase in phrases[:8]:
            calls.start_soon(call, phrase)
    assert len(answers) == 8
    two = WhisperRecogniser(str(FIXTURE), workers=2, threads=1)
    await two.start()
    assert two.capacity == 2


class Stuck(np.ndarray[tuple[int], np.dtype[np.float32]]):
    """Audio that makes whoever pads it wait, in the engine's thread."""

    entered: threading.Event
    released: threading.Event

    def __array_finalize__(self, whole: object) -> None:
        if isinstance(whole, Stuck):
            self.entered, self.released = whole.entered, whole.released

    def __array_function__(self, *call: object) -> Pcm:
        self.entered.set()
        self.released.wait()
        return noise(1)


def stuck() -> Stuck:
    pcm = noise(1).view(Stuck)
    pcm.entered, pcm.released = threading.Event(), threading.Event()
    return pcm


async def test_a_call_that_hangs_is_left_behind_and_the_next_ones_are_answered(phrases: list[Phrase]) -> None:
    engine = WhisperRecogniser(str(FIXTURE), use_prompt=False, encoder_window="dynamic", workers=1)
    await engine.start()
    (before,) = await hypotheses(engine, request(phrases[1].pcm))
    hanging = [stuck(), stuck()]
    try:
        for pcm in hanging:
            with anyio.CancelScope() as patience:
                async with anyio.create_task_group() as calls:
                    calls.start_soon(engine.recognise, [request(pcm)])
                    await anyio.to_thread.run_sync(pcm.entered.wait)
                    patience.cancel()
            assert await hypotheses(engine, request(phrases[1].pcm)) == [before]
    finally:
        for pcm in hanging:
            pcm.released.set()


async def test_a_model_that_is_gone_when_it_must_be_loaded_again_fails_its_requests(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    engine = WhisperRecogniser(str(folder), encoder_window="dynamic", workers=1)
    await engine.start()
    pcm = stuck()
    with anyio.CancelScope() as patience:
        async with anyio.create_task_group() as calls:
            calls.start_soon(engine.recognise, [request(pcm)])
            await anyio.to_thread.run_sync(pcm.entered.wait)
            patience.cancel()
    (folder / "model.bin").unlink()
    pcm.released.set()
    (answer,) = await engine.recognise([request(noise(1))])
    assert isinstance(answer, RecognitionFailed)


async def test_a_closed_recogniser_can_be_started_again(gibberish: Path) -> None:
    engine = WhisperRecogniser(str(gibberish), encoder_window="dynamic")
    await engine.start()
    await engine.aclose()
    (answer,) = await engine.recognise([request(noise(1))])
    assert isinstance(answer, RecognitionFailed)
    await engine.start()
    assert (await hypotheses(engine, request(noise(1))))[0].words


async def test_a_shape_with_more_mels_is_recognised_too(tmp_path: Path) -> None:
    engine = WhisperRecogniser(str(write_model(tmp_path / "model", shape=Shape(mels=128), tokens=5)))
    await engine.start()
    assert len((await hypotheses(engine, request(noise(1))))[0].words) == 5
