"""Speech recognition by a Whisper model on CTranslate2, through faster-whisper, in a thread of its own."""

import os
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread
import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.transcribe import Segment

from pipeline.engines.models import RECOMMENDED, locate
from pipeline.errors import RecogniserUnavailable, RecognitionFailed
from pipeline.types import SAMPLE_RATE, Hypothesis, RecognitionRequest, Word

SHORTEST = SAMPLE_RATE // 10  # samples; less holds no word
MAX_THREADS = 4  # more help little with one segment at a time (and CTranslate2's own default)
PROMPT_TOKENS = 223  # as in training: half of the 448 that prompt and text share, less the one that marks the prompt
HOTWORD_TOKENS = 100  # of these; what was said before gets the rest
FINAL_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # the library's own: higher ones where a text looks wrong
PARTIAL_TEMPERATURES = (0.0,)  # a partial is replaced soon enough


class WhisperRecogniser:
    """A faster-whisper model: a directory, or a name that is in the local cache. Never downloads."""

    name = "whisper"
    capacity = 1
    max_batch = 1
    window = 30 * SAMPLE_RATE
    continues = False
    speculates = True
    temperatures: tuple[float, ...] = (0.0,)

    def __init__(
        self,
        model: str,
        *,
        device: str = "auto",
        compute_type: str = "default",
        beam_size: int = 5,
        threads: int = 0,
        use_prompt: bool = True,
        download_root: Path | None = None,
    ) -> None:
        """`threads`: on a CPU; 0 takes what is there, at most `MAX_THREADS`. `beam_size`: of finals; partials have 1.

        `use_prompt`: whether the model sees what was said before and the glossary. Turn it off for a model that was
        trained without prompts. `download_root`: a directory of models instead of the hub's cache.
        """
        self.model = model
        self.languages: frozenset[str] = frozenset()  # known once the model is loaded
        self._device = device
        self._compute_type = compute_type
        self._beam_size = beam_size
        self._threads = threads or min(len(os.sched_getaffinity(0)), MAX_THREADS)
        self._use_prompt = use_prompt
        self._download_root = download_root
        self._whisper: WhisperModel | None = None
        self._thread = anyio.CapacityLimiter(1)

    async def start(self) -> None:
        """Load the model. Raises `RecogniserUnavailable` with the command that mends it."""
        if self._whisper is None:
            whisper = await anyio.to_thread.run_sync(self._load, limiter=self._thread)
            self.languages = frozenset(whisper.supported_languages)
            self._whisper = whisper

    async def recognise(self, batch: Sequence[RecognitionRequest]) -> Sequence[Hypothesis | RecognitionFailed]:
        """One answer for each request, in order."""
        return [await anyio.to_thread.run_sync(self._answer, request, limiter=self._thread) for request in batch]

    async def aclose(self) -> None:
        """Free the model's memory."""
        self._whisper = None

    def _load(self) -> WhisperModel:
        found = locate(self.model, self._download_root)
        try:
            whisper = WhisperModel(
                str(found.path),
                device=self._device,
                compute_type=self._compute_type,
                cpu_threads=self._threads,
                local_files_only=True,
            )
            whisper.encode(whisper.feature_extractor(np.zeros(SAMPLE_RATE, np.float32)))  # opens a GPU's libraries
        except ValueError as exc:  # what CTranslate2 raises for its options
            raise RecogniserUnavailable(
                f"The Whisper model cannot compute in {self._compute_type} on {self._device}: "
                f"choose a compute type of {_compute_types()}, or default."
            ) from exc
        except Exception as exc:  # a broken file ends in errors of CTranslate2, tokenizers or json
            raise RecogniserUnavailable(
                f"The Whisper model in {found.path} cannot be used: {exc}. "
                f"If a file of it is damaged, fetch it again: auscult models fetch {_fetchable(self.model)}"
            ) from exc
        return whisper

    def _answer(self, request: RecognitionRequest) -> Hypothesis | RecognitionFailed:
        if len(request.pcm) < SHORTEST:
            return Hypothesis(words=(), language=request.language)
        try:
            return self._transcribe(request)
        except (RuntimeError, ValueError) as exc:  # what CTranslate2 and faster-whisper raise
            failure = RecognitionFailed()
            failure.__cause__ = exc
            return failure

    def _transcribe(self, request: RecognitionRequest) -> Hypothesis:
        if self._whisper is None:
            raise RuntimeError("start() was not called")
        final = request.purpose.whole
        segments, spoken = self._whisper.transcribe(
            request.pcm,
            language=request.language,
            beam_size=self._beam_size if final else 1,
            temperature=FINAL_TEMPERATURES if final else PARTIAL_TEMPERATURES,
            condition_on_previous_text=False,
            initial_prompt=self._prompt(request.prompt) if self._use_prompt else None,
            hotwords=self._hotwords(request.glossary) if self._use_prompt else None,
            word_timestamps=True,
            vad_filter=False,
        )
        return _hypothesis(tuple(segments), spoken.language, len(request.pcm))

    def _prompt(self, text: str) -> list[int] | None:
        """The last tokens of what was said before."""
        return self._tokens(text.strip())[HOTWORD_TOKENS - PROMPT_TOKENS :] or None

    def _hotwords(self, glossary: Sequence[str]) -> str | None:
        """As many terms as there is room for, the first ones first."""
        kept: list[str] = []
        room = HOTWORD_TOKENS
        for term in glossary:
            room -= len(self._tokens(f"{term},"))
            if room < 0:
                break
            kept.append(term)
        return ", ".join(kept) or None

    def _tokens(self, text: str) -> list[int]:
        """The model's tokens for words within a text; none for none."""
        if self._whisper is None or not text:
            return []
        tokens: list[int] = self._whisper.hf_tokenizer.encode(f" {text}", add_special_tokens=False).ids
        return tokens


def _hypothesis(segments: Sequence[Segment], language: str, length: int) -> Hypothesis:
    """What Whisper wrote about `length` samples, which it may have cut into several segments."""
    tokens = sum(len(segment.tokens) for segment in segments)
    if not tokens:
        return Hypothesis(words=(), language=language)
    return Hypothesis(
        words=tuple(
            Word(
                text=word.word.strip(),
                start=min(round(word.start * SAMPLE_RATE), length),
                end=min(round(word.end * SAMPLE_RATE), length),
                probability=min(1.0, max(0.0, float(word.probability))),
            )
            for segment in segments
            for word in segment.words or ()
            if word.word.strip()
        ),
        language=language,
        avg_logprob=sum(segment.avg_logprob * len(segment.tokens) for segment in segments) / tokens,
        no_speech_prob=min(segment.no_speech_prob for segment in segments),  # speech anywhere is speech
        compression_ratio=max(segment.compression_ratio for segment in segments),  # a loop anywhere is a loop
    )


def _compute_types() -> str:
    """What CTranslate2 can compute in on this machine's CPU, for people."""
    return ", ".join(sorted(ctranslate2.get_supported_compute_types("cpu")))


def _fetchable(model: str) -> str:
    """The name to fetch a model by; a directory has none."""
    return RECOMMENDED if Path(model).is_dir() else model
