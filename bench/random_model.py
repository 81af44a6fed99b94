"""Writes Whisper models with random weights: real loading and decoding code runs, at a real model's cost, without one.

Their text is gibberish. `SHAPES` holds the exact sizes of the published models, so that time and memory are theirs; a
model of the default shape takes 0.1 s to write and 1 MB. With a cap on tokens the weights themselves end the text, so
that every server that loads the model decodes the same number of tokens, however it is configured.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from ctranslate2.specs import attention_spec, common_spec, transformer_spec, whisper_spec
from faster_whisper.tokenizer import _LANGUAGE_CODES
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

N_AUDIO_CTX = 1500  # encoder positions: 30 s
N_TEXT_CTX = 448  # decoder positions
KERNEL = 3  # of both convolutions
WEIGHT_SCALE = 0.4  # standard deviation of a weight × √dimensions: what a layer puts out stays as large as what goes in
SCRIPT_WEIGHT = 50.0  # a scripted position against what all layers add to it, which is about 3 in the deepest model
SCRIPT_SHARPNESS = 20.0  # gain of the last normalisation: a scripted token has a probability of nearly 1
ALIGNMENT_HEADS = 8  # as many as tiny and base have
FEW_LANGUAGES = ("en", "de", "fr", "es")
ALL_LANGUAGES = tuple(code for code in _LANGUAGE_CODES if code != "yue")  # the 99 that all but large-v3 know
CONTROL_TOKENS = ("<|endoftext|>", "<|startoftranscript|>")
TASK_TOKENS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
CONSONANTS = "bdfghjklmnprstvz"
VOWELS = "aeiou"
SCATTER = 100_003  # a prime that shares no factor with the number of words

Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Size of a model; the default is the smallest that exercises everything."""

    dimensions: int = 64
    heads: int = 2
    encoder_layers: int = 2
    decoder_layers: int = 2
    mels: int = 80
    text_tokens: int = 4_000  # beside the control tokens; one less where the model knows only English
    languages: tuple[str, ...] = FEW_LANGUAGES  # that there are tokens for


def _published(dimensions: int, heads: int, encoder_layers: int, decoder_layers: int) -> Shape:
    return Shape(
        dimensions=dimensions,
        heads=heads,
        encoder_layers=encoder_layers,
        decoder_layers=decoder_layers,
        text_tokens=50_257,
        languages=ALL_LANGUAGES,
    )


SHAPES: Mapping[str, Shape] = MappingProxyType(  # openai/whisper model.py and the published checkpoints' dimensions
    {
        "tiny": _published(384, 6, 4, 4),
        "base": _published(512, 8, 6, 6),
        "small": _published(768, 12, 12, 12),
        "medium": _published(1024, 16, 24, 24),
        "distil-small": _published(768, 12, 12, 4),
    }
)


def write_model(
    folder: Path,
    *,
    multilingual: bool = True,
    shape: Shape | None = None,
    tokens: int = 0,
    quantization: str = "int8",
    seed: int = 0,
) -> Path:
    """Write model.bin, config.json, vocabulary.json, tokenizer.json and preprocessor_config.json; return the folder.

    `tokens`: text tokens after which the model ends its text, where nothing precedes the start of the transcript (a
    prompt's tokens count as well, so measure without prompts); 0 leaves it to chance. `quantization`: one of
    CTranslate2's ("int8", "float16", "float32", …).
    """
    shape = shape or Shape()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(shape, multilingual=multilingual)
    size = tokenizer.get_vocab_size()
    spec = whisper_spec.WhisperSpec(shape.encoder_layers, shape.heads, shape.decoder_layers, shape.heads)
    filler = _Filler(shape, np.random.default_rng(seed))
    filler.fill(spec, size)
    if tokens:
        _script(spec, _said(tokenizer, tokens, multilingual=multilingual, seed=seed))
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    ids = tokenizer.get_vocab()
    spec.config.lang_ids = [ids[f"<|{code}|>"] for code in shape.languages] if multilingual else []
    spec.config.alignment_heads = _alignment_heads(shape)
    spec.register_vocabulary([tokenizer.id_to_token(index) for index in range(size)])
    spec.validate()
    spec.optimize(quantization=None if quantization == "float32" else quantization)
    spec.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    frontend = {
        "feature_size": shape.mels,
        "sampling_rate": 16_000,
        "hop_length": 160,
        "chunk_length": 30,
        "n_fft": 400,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(frontend))
    return folder


def _tokenizer(shape: Shape, *, multilingual: bool) -> Tokenizer:
    """Byte-level, without merges. CTranslate2 takes a model for multilingual if its vocabulary has the empty token."""
    vocabulary = {symbol: index for index, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    words = shape.text_tokens - 1 - len(vocabulary)
    vocabulary |= {f"Ġ{_word(number)}": len(vocabulary) + number for number in range(words)}
    if multilingual:
        vocabulary[""] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    marks = [f"<|{name}|>" for name in (*shape.languages, *TASK_TOKENS)]
    times = [f"<|{0.02 * step:.2f}|>" for step in range(N_AUDIO_CTX + 1)]
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text in (*CONTROL_TOKENS, *marks, *times)]
    )
    return tokenizer


def _word(number: int) -> str:
    """Three syllables; no two numbers below 400,000 have the same, and neighbours have little in common."""
    syllables = len(CONSONANTS) * len(VOWELS)
    rest = number * SCATTER % syllables**3
    word = ""
    for _ in range(3):
        rest, syllable = divmod(rest, syllables)
        word += CONSONANTS[syllable // len(VOWELS)] + VOWELS[syllable % len(VOWELS)]
    return word


def _alignment_heads(shape: Shape) -> list[tuple[int, int]]:
    """Heads of the upper half of the decoder, as in real models."""
    layers = range(shape.decoder_layers // 2, shape.decoder_layers)
    heads = [(layer, head) for head in range(shape.heads) for layer in layers]
    return sorted(heads[:ALIGNMENT_HEADS])


def _said(tokenizer: Tokenizer, tokens: int, *, multilingual: bool, seed: int) -> Sequence[int]:
    """The token that follows each position: the language, the rest of the start sequence, words, the end for ever."""
    ids = tokenizer.get_vocab()
    start = ["<|en|>", "<|transcribe|>", "<|notimestamps|>"] if multilingual else ["<|notimestamps|>"]
    words = [token for token in sorted(ids) if token.startswith("Ġ") and len(token) > 1]
    chosen = np.random.default_rng(seed).choice(words, min(tokens, N_TEXT_CTX))
    said = [*start, *chosen, *["<|endoftext|>"] * N_TEXT_CTX]
    return [ids[token] for token in said[:N_TEXT_CTX]]


def _script(spec: whisper_spec.WhisperSpec, said: Sequence[int]) -> None:
    """Let each position of the decoder say its token, whatever is heard.

    A position's encoding points where that token's embedding does, and is far larger than all that the layers add; the
    projection to tokens becomes the embedding, so that this token has the highest value.
    """
    directions = spec.decoder.embeddings.weight[list(said)]
    width = directions.shape[1]
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    spec.decoder.position_encodings.encodings = (directions * SCRIPT_WEIGHT * np.sqrt(width)).astype(np.float32)
    spec.decoder.layer_norm.gamma = np.full(width, SCRIPT_SHARPNESS, np.float32)
    spec.decoder.projection.weight = spec.decoder.embeddings.weight  # as in real models


class _Filler:
    """Puts random weights of the right shapes into a specification."""

    def __init__(self, shape: Shape, random: np.random.Generator) -> None:
        self._mels = shape.mels
        self._width = shape.dimensions
        self._feed_forward = 4 * shape.dimensions
        self._scale = np.float32(WEIGHT_SCALE / np.sqrt(shape.dimensions))
        self._random = random

    def fill(self, spec: whisper_spec.WhisperSpec, vocabulary: int) -> None:
        width, encoder, decoder = self._width, spec.encoder, spec.decoder
        for convolution, channels in ((encoder.conv1, self._mels), (encoder.conv2, width)):
            convolution.weight = self._weights(width, channels, KERNEL)
            convolution.bias = np.zeros(width, np.float32)
        encoder.position_encodings.encodings = self._weights(N_AUDIO_CTX, width)
        decoder.position_encodings.encodings = self._weights(N_TEXT_CTX, width)
        decoder.embeddings.weight = self._weights(vocabulary, width)
        decoder.projection.weight = self._weights(vocabulary, width)
        self._normalisation(encoder.layer_norm)
        self._normalisation(decoder.layer_norm)
        for layer in encoder.layer:
            self._self_attention(layer.self_attention)
            self._feed_forward_network(layer.ffn)
        for layer in decoder.layer:
            self._self_attention(layer.self_attention)
            self._cross_attention(layer.attention)
            self._feed_forward_network(layer.ffn)

    def _self_attention(self, spec: attention_spec.MultiHeadAttentionSpec) -> None:
        self._normalisation(spec.layer_norm)
        self._linear(spec.linear[0], 3 * self._width, self._width)  # queries, keys and values in one
        self._linear(spec.linear[1], self._width, self._width)

    def _cross_attention(self, spec: attention_spec.MultiHeadAttentionSpec) -> None:
        self._normalisation(spec.layer_norm)
        self._linear(spec.linear[0], self._width, self._width)
        self._linear(spec.linear[1], 2 * self._width, self._width)  # keys and values
        self._linear(spec.linear[2], self._width, self._width)

    def _feed_forward_network(self, spec: transformer_spec.FeedForwardSpec) -> None:
        self._normalisation(spec.layer_norm)
        self._linear(spec.linear_0, self._feed_forward, self._width)
        self._linear(spec.linear_1, self._width, self._feed_forward)

    def _linear(self, spec: common_spec.LinearSpec, outputs: int, inputs: int) -> None:
        spec.weight = self._weights(outputs, inputs)
        spec.bias = np.zeros(outputs, np.float32)

    def _normalisation(self, spec: common_spec.LayerNormSpec) -> None:
        spec.gamma = np.ones(self._width, np.float32)
        spec.beta = np.zeros(self._width, np.float32)

    def _weights(self, *shape: int) -> Weights:
        return self._random.standard_normal(shape, np.float32) * self._scale
