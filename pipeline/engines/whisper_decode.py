"""Segments → hypotheses, on one loaded model: audio is encoded, decoded and aligned, as many pieces at once as fit.

CTranslate2 takes pieces in one call that share the length of what is encoded, the position at which the text starts,
and how the text is searched for. So a batch falls into groups, and a group that fails takes nobody else with it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

import ctranslate2
import numpy as np
from faster_whisper.tokenizer import Tokenizer

from pipeline.engines import whisper_text as text
from pipeline.engines.whisper_model import LoadedModel
from pipeline.engines.whisper_text import Prompter
from pipeline.engines.whisper_window import FRAME, EncoderWindow, Features, padded, pieces
from pipeline.errors import RecognitionFailed
from pipeline.types import SAMPLE_RATE, Hypothesis, Pcm, RecognitionRequest, Word

SHORTEST = SAMPLE_RATE // 10  # samples; less holds no word
BEST_OF = 5  # texts sampled at a temperature above 0, of which the most probable is taken (Whisper's own default)
LEAST = 1e-10  # probability of a token that has a logarithm
FAULTS = (RuntimeError, ValueError, MemoryError)  # what CTranslate2 and numpy raise

Answer: TypeAlias = Hypothesis | RecognitionFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """What pieces share that are computed in one call."""

    frames: int  # that the encoder computes
    start: int  # tokens before the start of the transcript
    beam_size: int
    temperature: float
    language: str  # empty: to be detected …
    alone: int = -1  # … for this request alone


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """What is decoded in one pass: a request, or a part of a long one."""

    request: int  # its place in the batch
    span: range  # samples of the request
    features: Features  # (n_mels, n_frames)
    before: tuple[int, ...]  # tokens before the start of the transcript
    prefix: tuple[int, ...]  # tokens that the text must begin with
    manner: Manner

    @property
    def samples(self) -> int:
        return len(self.span)


@dataclass(slots=True, kw_only=True)
class _Plan:
    """A batch on its way: pieces to be computed, and the answers that need no computing."""

    pieces: list[Piece] = field(default_factory=list)
    answers: dict[int, Answer] = field(default_factory=dict)


class Decoder:
    """Answers batches with one model; several threads may use it at a time."""

    def __init__(
        self, model: LoadedModel, *, window: EncoderWindow, beam_size: int, use_prompt: bool, max_batch: int
    ) -> None:
        self._model = model
        self._window = window
        self._beam_size = beam_size
        self._max_batch = max_batch  # pieces in one call
        self._prompter = Prompter(model.tokenizer) if use_prompt else None

    @property
    def languages(self) -> frozenset[str]:
        """ISO 639-1 codes, as far as languages have one."""
        return frozenset(self._model.languages)

    def answer(self, batch: Sequence[RecognitionRequest]) -> list[Answer]:
        """One answer for each request, in order."""
        plan = _Plan()
        for index, request in enumerate(batch):
            self._prepare(plan, index, request)
        parts: dict[int, list[tuple[range, Answer]]] = {}
        for group in grouped(plan.pieces, self._max_batch):
            for piece, answer in zip(group, self._attempt(group), strict=True):
                parts.setdefault(piece.request, []).append((piece.span, answer))
        return [plan.answers.get(index) or joined(parts[index]) for index in range(len(batch))]

    # Requests → pieces

    def _prepare(self, plan: _Plan, index: int, request: RecognitionRequest) -> None:
        language = request.language or ("" if self._model.multilingual else "en")
        if language and language not in self._model.languages:
            plan.answers[index] = RecognitionFailed(f"The Whisper model does not know the language {language!r}.")
        elif len(request.pcm) < SHORTEST:
            plan.answers[index] = Hypothesis(words=(), language=language)
        else:
            try:
                plan.pieces.extend(self.cut(replace(request, language=language), index))
            except FAULTS as exc:
                plan.answers[index] = _failure(exc)

    def cut(self, request: RecognitionRequest, index: int = 0) -> list[Piece]:
        """The request's pieces; most have one. What was committed is said in the first.

        Raises: `ValueError` where the audio holds samples that no arithmetic is possible with.
        """
        before = self._prompter.before(request.prompt, request.glossary) if self._prompter else ()
        prefix = text.prefix(self._tokenizer(request.language), request.committed)
        return [
            self._piece(request, index, span, before, () if number else prefix)
            for number, span in enumerate(pieces(request.pcm))
        ]

    def _piece(
        self, request: RecognitionRequest, index: int, span: range, before: tuple[int, ...], prefix: tuple[int, ...]
    ) -> Piece:
        features = self._features(request.pcm[span.start : span.stop])
        careful = request.purpose.whole and not request.temperature
        manner = Manner(
            frames=self._window.frames(features.shape[-1]),
            start=len(before),
            beam_size=self._beam_size if careful else 1,
            temperature=request.temperature,
            language=request.language,
            alone=-1 if request.language else index,
        )
        return Piece(request=index, span=span, features=features, before=before, prefix=prefix, manner=manner)

    def _features(self, pcm: Pcm) -> Features:
        with np.errstate(all="ignore"):  # looked for below
            features: Features = self._model.extractor(pcm)
        if not np.isfinite(features).all():
            raise ValueError("the audio holds samples that are infinite or no numbers")
        return features[:, : len(pcm) // FRAME]

    # Pieces → hypotheses

    def _attempt(self, group: Sequence[Piece]) -> Sequence[Answer]:
        try:
            return self._compute(group)
        except FAULTS as exc:
            return [_failure(exc)] * len(group)

    def _compute(self, group: Sequence[Piece]) -> Sequence[Hypothesis]:
        encoded = self.encode(group)
        tokenizer = self._tokenizer(group[0].manner.language or self._detect(encoded))
        written = self.write(encoded, group, tokenizer)
        aligned = self.align(encoded, group, tokenizer, written)
        return [_hypothesis(*answer, tokenizer) for answer in zip(group, written, aligned, strict=True)]

    def encode(self, group: Sequence[Piece]) -> "Encoded":
        """What the decoder hears of each piece.

        A CPU encodes and aligns one by one, because a batch of pieces falls out of its caches: eight segments of 5 s
        took up to twice as long at once as one after the other. On a GPU it is the other way round.
        """
        features = [padded(piece.features, piece.manner.frames) for piece in group]
        encode = self._model.whisper.encode
        if self._model.on_gpu:
            return Encoded(together=encode(_view(np.stack(features))))
        each = [encode(_view(one[None])) for one in features]
        return Encoded(
            together=each[0] if len(each) == 1 else _view(np.concatenate([np.asarray(one) for one in each])), each=each
        )

    def write(self, encoded: "Encoded", group: Sequence[Piece], tokenizer: Tokenizer) -> Sequence["Written"]:
        """A text for each piece, in a language."""
        manner = group[0].manner
        sampled = manner.temperature > 0
        start = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        results = self._model.whisper.generate(
            encoded.together,
            [[*piece.before, *start, *piece.prefix] for piece in group],
            beam_size=manner.beam_size,
            num_hypotheses=BEST_OF if sampled else 1,
            sampling_topk=0 if sampled else 1,
            sampling_temperature=manner.temperature if sampled else 1.0,
            max_length=text.max_length(
                manner.start + len(start) - 1, max(text.limit(piece.samples, len(piece.prefix)) for piece in group)
            ),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._model.suppressed,
        )
        return [
            Written(
                tokens=[token for token in result.sequences_ids[0] if token < tokenizer.eot],
                length=len(result.sequences_ids[0]),
                score=result.scores[0],
                no_speech_prob=result.no_speech_prob,
            )
            for result in results
        ]

    def align(
        self, encoded: "Encoded", group: Sequence[Piece], tokenizer: Tokenizer, written: Sequence["Written"]
    ) -> Sequence["Alignment"]:
        """When each token of each text was said, and how probable it was."""
        tokens = [one.tokens for one in written]
        frames = [piece.features.shape[-1] for piece in group]
        align, start = self._model.whisper.align, tokenizer.sot_sequence
        if encoded.each:
            single = zip(encoded.each, tokens, frames, strict=True)
            return [align(one, start, [its_tokens], its_frames)[0] for one, its_tokens, its_frames in single]
        together: Sequence[Alignment] = align(encoded.together, start, tokens, frames)
        return together

    def _detect(self, encoded: "Encoded") -> str:
        """The language of the first piece, among those that the tokenizer knows. Raises: `ValueError`: none of them."""
        ranked: list[tuple[str, float]] = self._model.whisper.detect_language(encoded.together)[0]
        known = [code for code in (token[2:-2] for token, _ in ranked) if code in self._model.languages]
        if not known:
            raise ValueError("the model names no language that its tokenizer knows")
        return known[0]

    def _tokenizer(self, language: str) -> Tokenizer:
        return self._model.languages[language or next(iter(self._model.languages))]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """What the encoder made of a group, on the model's device. Shape `(n_pieces, n_frames / 2, n_dimensions)`."""

    together: ctranslate2.StorageView
    each: Sequence[ctranslate2.StorageView] = ()  # one piece in each, where they were encoded one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the model wrote for a piece."""

    tokens: list[int]  # of text, prefix included
    length: int  # tokens in all
    score: float  # mean log-probability of those, where forced ones count 0
    no_speech_prob: float

    def avg_logprob(self, forced: Sequence[float]) -> float:
        """Mean log-probability of the tokens and of the end; `forced`: probabilities of those that were not chosen."""
        chosen = self.score * self.length
        return (chosen + float(np.log(np.maximum(forced, LEAST)).sum())) / (self.length + 1) if self.length else 0.0


class Alignment(Protocol):
    """What CTranslate2 returns for a text."""

    alignments: Sequence[tuple[int, int]]  # token, position of the encoder
    text_token_probs: Sequence[float]


def _hypothesis(piece: Piece, written: Written, aligned: Alignment, tokenizer: Tokenizer) -> Hypothesis:
    words: tuple[Word, ...] = ()
    if written.tokens:
        found = text.spans(tokenizer, written.tokens)
        words = text.timed(found, aligned.alignments, aligned.text_token_probs, piece.samples)
    return Hypothesis(
        words=words,
        language=tokenizer.language_code,
        avg_logprob=written.avg_logprob(aligned.text_token_probs[: len(piece.prefix)]),
        no_speech_prob=written.no_speech_prob,
        compression_ratio=text.compression_ratio(tokenizer.decode(written.tokens).strip()) if words else 1.0,
    )


def grouped(pieces: Iterable[Piece], most: int) -> list[list[Piece]]:
    """Pieces that can be computed in one call together, at most so many."""
    groups: dict[Manner, list[Piece]] = {}
    for piece in pieces:
        groups.setdefault(piece.manner, []).append(piece)
    return [group[at : at + most] for group in groups.values() for at in range(0, len(group), most)]


def joined(parts: Sequence[tuple[range, Answer]]) -> Answer:
    """The answer about a request, from those about its pieces."""
    words: list[Word] = []
    hypotheses: list[Hypothesis] = []
    for span, answer in sorted(parts, key=lambda part: part[0].start):
        if isinstance(answer, RecognitionFailed) or len(parts) == 1:
            return answer
        words += (replace(word, start=word.start + span.start, end=word.end + span.start) for word in answer.words)
        hypotheses.append(answer)
    spoken = [hypothesis for hypothesis in hypotheses if hypothesis.words] or hypotheses
    return Hypothesis(
        words=tuple(words),
        language=spoken[0].language,
        avg_logprob=sum(one.avg_logprob for one in spoken) / len(spoken),
        no_speech_prob=min(one.no_speech_prob for one in spoken),  # speech anywhere is speech
        compression_ratio=max(one.compression_ratio for one in spoken),  # a loop anywhere is a loop
    )


def _view(array: Features) -> ctranslate2.StorageView:
    """An array as CTranslate2 takes it, not copied."""
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))


def _failure(exc: Exception) -> RecognitionFailed:
    failure = RecognitionFailed()
    failure.__cause__ = exc
    return failure
