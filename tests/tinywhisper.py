"""Writes Whisper models with random weights, so that real loading and decoding code runs where no weights are.

Their text is gibberish. A model of 64 dimensions takes 0.1 s to write and 1 MB.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ctranslate2.specs import attention_spec, common_spec, transformer_spec, whisper_spec
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

N_MELS = 80
N_AUDIO_CTX = 1500  # encoder positions: 30 s
N_TEXT_CTX = 448  # decoder positions
KERNEL = 3  # of both convolutions
WEIGHT_SCALE = 0.05
LANGUAGES = ("en", "de", "fr", "es")  # that a multilingual model has tokens for
CONTROL_TOKENS = ("<|endoftext|>", "<|startoftranscript|>")
TASK_TOKENS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
FRONTEND = {"feature_size": N_MELS, "sampling_rate": 16000, "hop_length": 160, "chunk_length": 30, "n_fft": 400}

Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Size of a model; the default is the smallest that exercises everything."""

    dimensions: int = 64
    heads: int = 2
    layers: int = 2
    feed_forward: int = 128
    text_tokens: int = 400  # beside the control tokens; 50,257 in real models


def write_model(folder: Path, *, multilingual: bool = True, shape: Shape | None = None, seed: int = 0) -> Path:
    """Write model.bin, config.json, vocabulary.json, tokenizer.json and preprocessor_config.json; return the folder."""
    shape = shape or Shape()
    folder.mkdir(parents=True, exist_ok=True)
    languages = LANGUAGES if multilingual else LANGUAGES[:1]
    tokenizer = _tokenizer(shape.text_tokens, languages, empty_token=multilingual)
    size = tokenizer.get_vocab_size()

    spec = whisper_spec.WhisperSpec(shape.layers, shape.heads, shape.layers, shape.heads)
    _Filler(shape, np.random.default_rng(seed)).fill(spec, size)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.lang_ids = [tokenizer.token_to_id(f"<|{code}|>") for code in languages] if multilingual else []
    spec.config.alignment_heads = [
        (layer, head) for layer in range(shape.layers // 2, shape.layers) for head in range(shape.heads)
    ]
    spec.register_vocabulary([tokenizer.id_to_token(index) for index in range(size)])
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps(FRONTEND))
    return folder


def _tokenizer(text_tokens: int, languages: tuple[str, ...], *, empty_token: bool) -> Tokenizer:
    """Byte-level, without merges. CTranslate2 takes a model for multilingual if its vocabulary has the empty token."""
    vocabulary = {symbol: index for index, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    while len(vocabulary) < text_tokens - empty_token:
        vocabulary[f"Ġw{len(vocabulary)}"] = len(vocabulary)
    if empty_token:
        vocabulary[""] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    marks = [f"<|{name}|>" for name in (*languages, *TASK_TOKENS)]
    times = [f"<|{0.02 * step:.2f}|>" for step in range(N_AUDIO_CTX + 1)]
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text in (*CONTROL_TOKENS, *marks, *times)]
    )
    return tokenizer


class _Filler:
    """Puts random weights of the right shapes into a specification."""

    def __init__(self, shape: Shape, random: np.random.Generator) -> None:
        self._width = shape.dimensions
        self._feed_forward = shape.feed_forward
        self._random = random

    def fill(self, spec: whisper_spec.WhisperSpec, vocabulary: int) -> None:
        width, encoder, decoder = self._width, spec.encoder, spec.decoder
        for convolution, channels in ((encoder.conv1, N_MELS), (encoder.conv2, width)):
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
        return (self._random.normal(size=shape) * WEIGHT_SCALE).astype(np.float32)
