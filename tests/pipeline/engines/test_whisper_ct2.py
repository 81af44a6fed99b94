import re
from collections.abc import AsyncIterator
from pathlib import Path

import jiwer
import numpy as np
import pytest

from pipeline.engines.whisper_ct2 import WhisperRecogniser
from pipeline.errors import RecogniserUnavailable, RecognitionFailed
from pipeline.types import SAMPLE_RATE, Hypothesis, Pcm, Purpose, RecognitionRequest
from tests.pipeline.engines.conftest import Phrase
from tests.tinywhisper import write_model

FIXTURE = Path(__file__).parents[2] / "models" / "whisper-fixture-en"


def request(
    pcm: Pcm,
    purpose: Purpose = Purpose.FINAL,
    *,
    language: str = "en",
    glossary: tuple[str, ...] = (),
    prompt: str = "",
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
    )


def noise(seconds: float) -> Pcm:
    return np.random.default_rng(5).normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)


async def hypotheses(engine: WhisperRecogniser, *requests: RecognitionRequest) -> list[Hypothesis]:
    answers = await engine.recognise(requests)
    assert all(isinstance(answer, Hypothesis) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Hypothesis)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A multilingual model that writes gibberish."""
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
async def trained() -> AsyncIterator[WhisperRecogniser]:
    """A model that knows a thousand English words in these voices; it was trained without prompts."""
    engine = WhisperRecogniser(str(FIXTURE), use_prompt=False)
    await engine.start()
    yield engine
    await engine.aclose()


async def test_a_fair_share_of_the_words_is_right(trained: WhisperRecogniser, phrases: list[Phrase]) -> None:
    spoken = phrases[:4]
    answers = await hypotheses(trained, *(request(phrase.pcm) for phrase in spoken))
    written = " ".join(answer.text for answer in answers)
    assert jiwer.wer(bare(" ".join(phrase.text for phrase in spoken)), bare(written)) < 0.5


def bare(text: str) -> str:
    return re.sub(r"[^a-z ]", "", text.lower())


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


async def test_the_same_segment_gives_the_same_words(trained: WhisperRecogniser, phrases: list[Phrase]) -> None:
    first, _, again = await hypotheses(trained, *(request(phrases[number].pcm) for number in (0, 1, 0)))
    assert again == first


async def test_the_model_says_which_languages_it_knows(trained: WhisperRecogniser, tiny: Path) -> None:
    assert trained.languages == {"en"}
    many = WhisperRecogniser(str(tiny))
    await many.start()
    assert {"en", "de", "fr"} <= many.languages


async def test_the_language_asked_for_is_the_language_of_the_answer(tiny: Path) -> None:
    engine = WhisperRecogniser(str(tiny))
    await engine.start()
    (answer,) = await hypotheses(engine, request(noise(1), Purpose.REFRESH, language="de"))
    assert answer.language == "de"


async def test_an_unknown_language_fails_that_request_only(tiny: Path) -> None:
    engine = WhisperRecogniser(str(tiny))
    await engine.start()
    failed, answered = await engine.recognise(
        [request(noise(1), language="xx"), request(noise(1), Purpose.REFRESH, language="de")]
    )
    assert isinstance(failed, RecognitionFailed)
    assert isinstance(answered, Hypothesis)


async def test_prompt_and_glossary_change_what_is_written_only_where_the_model_may_see_them(tiny: Path) -> None:
    for use_prompt in (True, False):
        engine = WhisperRecogniser(str(tiny), use_prompt=use_prompt)
        await engine.start()
        untold, with_glossary, with_prompt = await hypotheses(
            engine,
            request(noise(1), Purpose.REFRESH),
            request(noise(1), Purpose.REFRESH, glossary=("amlodipine", "metoprolol")),
            request(noise(1), Purpose.REFRESH, prompt="the patient takes"),
        )
        assert (with_glossary != untold, with_prompt != untold) == (use_prompt, use_prompt)


async def test_a_glossary_of_any_length_leaves_room_for_the_text(tiny: Path) -> None:
    engine = WhisperRecogniser(str(tiny))
    await engine.start()
    terms = tuple(f"medicine {number}" for number in range(2000))
    (answer,) = await hypotheses(engine, request(noise(1), Purpose.REFRESH, glossary=terms, prompt="before " * 400))
    assert answer.avg_logprob < 0


async def test_noise_holds_no_words(trained: WhisperRecogniser) -> None:
    (hiss,) = await hypotheses(trained, request(noise(2)))
    assert hiss.words == ()


async def test_too_little_audio_holds_no_words(trained: WhisperRecogniser) -> None:
    empty, short = await hypotheses(trained, request(noise(0)), request(noise(0.05)))
    assert empty.words == short.words == ()


# What can be wrong with a model


async def start(model: Path | str, compute_type: str = "default", root: Path | None = None) -> None:
    await WhisperRecogniser(str(model), compute_type=compute_type, download_root=root).start()


async def test_a_model_that_was_not_fetched_is_never_downloaded(tmp_path: Path) -> None:
    with pytest.raises(RecogniserUnavailable, match=r"is not on this machine: auscult models fetch small\.en"):
        await start("small.en", root=tmp_path)


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecogniserUnavailable, match=r"nowhere is no faster-whisper model.*auscult models fetch"):
        await start(tmp_path / "nowhere")


@pytest.mark.parametrize("missing", ["tokenizer.json", "model.bin"])
async def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    folder = write_model(tmp_path / "model")
    (folder / missing).unlink()
    with pytest.raises(RecogniserUnavailable, match=f"{missing} is missing.*auscult models fetch"):
        await start(folder)


@pytest.mark.parametrize("damaged", ["model.bin", "tokenizer.json", "vocabulary.json"])
async def test_a_damaged_file_is_one_clear_error(tmp_path: Path, damaged: str) -> None:
    folder = write_model(tmp_path / "model")
    content = (folder / damaged).read_bytes()
    (folder / damaged).write_bytes(content[: len(content) // 2])
    with pytest.raises(RecogniserUnavailable, match=r"cannot be used.*auscult models fetch"):
        await start(folder)


async def test_an_unknown_compute_type_is_answered_with_those_there_are(tiny: Path) -> None:
    with pytest.raises(RecogniserUnavailable, match=r"cannot compute in int3.*int8"):
        await start(tiny, compute_type="int3")


async def test_a_recogniser_that_was_not_started_fails_its_requests(tiny: Path) -> None:
    (answer,) = await WhisperRecogniser(str(tiny)).recognise([request(noise(1))])
    assert isinstance(answer, RecognitionFailed)
