from pathlib import Path

import numpy as np
import pytest
from ctranslate2 import StorageView
from faster_whisper import BatchedInferencePipeline, WhisperModel

from bench.random_model import SHAPES, write_model

NOISE = np.random.default_rng(0).normal(0, 0.1, 80_000).astype(np.float32)  # 5 s


@pytest.mark.parametrize("multilingual", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beam_size": 1},
        {"without_timestamps": True},
        {"word_timestamps": True},
        {"language": "en", "temperature": 0.0},
    ],
    ids=lambda options: " ".join(options) or "as it is",
)
def test_a_model_with_a_cap_writes_so_many_tokens_in_faster_whisper_at_the_first_try(
    tmp_path: Path, multilingual: bool, options: dict[str, object]
) -> None:
    model = WhisperModel(str(write_model(tmp_path, multilingual=multilingual, tokens=23)))
    segments, heard = model.transcribe(NOISE, **options)
    (segment,) = segments
    end = model.hf_tokenizer.token_to_id("<|endoftext|>")
    assert len([token for token in segment.tokens if token < end]) == 23
    assert segment.temperature == 0
    assert heard.language == "en"


def test_a_model_with_a_cap_writes_so_many_tokens_in_a_batch_as_well(tmp_path: Path) -> None:
    batched = BatchedInferencePipeline(WhisperModel(str(write_model(tmp_path, tokens=23))))
    segments, _ = batched.transcribe(NOISE, vad_filter=False, batch_size=4)
    assert [len(segment.text.split()) for segment in segments] == [23]


def test_every_token_is_another_word(tmp_path: Path) -> None:
    model = WhisperModel(str(write_model(tmp_path, tokens=40)))
    words = " ".join(segment.text for segment in model.transcribe(NOISE)[0]).split()
    assert len(words) == 40
    assert len(set(words)) > 38  # chance may choose one twice


def test_the_same_seed_writes_the_same_model(tmp_path: Path) -> None:
    first, second, other = (write_model(tmp_path / str(n), seed=seed) for n, seed in enumerate((1, 1, 2)))
    assert (first / "model.bin").read_bytes() == (second / "model.bin").read_bytes()
    assert (first / "model.bin").read_bytes() != (other / "model.bin").read_bytes()


@pytest.mark.parametrize("quantization", ["int8", "float16", "float32"])
def test_weights_come_in_several_precisions(tmp_path: Path, quantization: str) -> None:
    model = WhisperModel(str(write_model(tmp_path, tokens=5, quantization=quantization)))
    assert [len(segment.text.split()) for segment in model.transcribe(NOISE)[0]] == [5]


@pytest.mark.parametrize(("multilingual", "vocabulary"), [(True, 51_865), (False, 51_864)])
def test_tiny_has_the_size_of_the_published_model(tmp_path: Path, multilingual: bool, vocabulary: int) -> None:
    folder = write_model(tmp_path, shape=SHAPES["tiny"], multilingual=multilingual, tokens=5)
    model = WhisperModel(str(folder))
    assert model.hf_tokenizer.get_vocab_size() == vocabulary
    assert model.model.n_mels == 80
    assert len(model.supported_languages) > 90 if multilingual else model.supported_languages == ["en"]
    assert 38e6 < (folder / "model.bin").stat().st_size < 45e6  # 39 M parameters of a byte each
    encoded = model.model.encode(StorageView.from_array(np.zeros((1, 80, 3000), np.float32)))
    assert encoded.shape == [1, 1500, 384]
