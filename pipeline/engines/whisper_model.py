"""Loading a Whisper model onto the devices of a machine, and what goes wrong with it in words that help."""

import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper import WhisperModel
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens
from threadpoolctl import threadpool_limits

from pipeline.engines.models import RECOMMENDED, LocalModel, locate
from pipeline.errors import RecogniserUnavailable
from pipeline.types import SAMPLE_RATE

SMALL_BYTES = 200_000_000  # a model up to base in half precision, to which more threads for a call do harm
CALL_THREADS = 4  # for one call of a larger model on a CPU; more help little (and CTranslate2's own default)
GPU_CALLS = 2  # at a time on each GPU: while one computes, the other's audio and words are seen to


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """Which model, and on what it computes."""

    model: str  # directory, or name in the cache
    root: Path | None = None  # a directory of models instead of the hub's cache
    device: str = "auto"  # auto, cpu or cuda
    compute_type: str = "auto"  # auto, or one of CTranslate2's; default: as the model was saved
    workers: int = 0  # calls at a time; 0: by device and model
    threads: int = 0  # for each of them on a CPU; 0: by model


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a model computes: on each of these devices, so many calls at a time."""

    device: str  # cpu or cuda
    indices: tuple[int, ...]
    workers: int  # on each device
    threads: int  # of each call, on a CPU


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedModel:
    """A model on one device, with all that is around it."""

    whisper: ctranslate2.models.Whisper
    extractor: FeatureExtractor
    tokenizer: tokenizers.Tokenizer
    languages: Mapping[str, Tokenizer]  # ISO 639-1 code → the tokenizer that starts a text in that language
    suppressed: tuple[int, ...]  # tokens that are never written: symbols nobody says, and control tokens

    @property
    def on_gpu(self) -> bool:
        return bool(self.whisper.device == "cuda")

    @property
    def multilingual(self) -> bool:
        return bool(self.whisper.is_multilingual)


def find(options: ModelOptions) -> tuple[LocalModel, Placement]:
    """The model on disk, and where it will compute. Raises `RecogniserUnavailable` that says what to do."""
    found = locate(options.model, options.root)
    gpus = ctranslate2.get_cuda_device_count() if options.device != "cpu" else 0
    if options.device == "cuda" and not gpus:
        raise RecogniserUnavailable(
            "There is no NVIDIA GPU that CTranslate2 can use: see whether nvidia-smi lists one (a container needs "
            "--gpus all), or set recogniser.device to auto or cpu."
        )
    return found, place(options, gpus=gpus, cores=len(os.sched_getaffinity(0)), size=found.size)


def place(options: ModelOptions, *, gpus: int, cores: int, size: int) -> Placement:
    """What is automatic, decided. `size`: of the model, in bytes.

    On a CPU a small model is fastest on one thread for each call and as many calls as cores: OpenMP's threads wait for
    each other in every one of thousands of small operations. A larger one gains from a few threads, but two calls at a
    time come first: else a short one would wait behind a long one.
    """
    if gpus:
        workers = math.ceil(options.workers / gpus) or GPU_CALLS
        return Placement(device="cuda", indices=tuple(range(gpus)), workers=workers, threads=1)
    wanted = 1 if size <= SMALL_BYTES else min(CALL_THREADS, max(1, cores // 2))
    threads = options.threads or max(1, min(wanted, cores // max(1, options.workers)))
    return Placement(device="cpu", indices=(0,), workers=options.workers or max(1, cores // threads), threads=threads)


def compute_type(wanted: str, device: str, supported: Collection[str]) -> str:
    """CTranslate2's name of the arithmetic. Automatic is int8 on a CPU, and on a GPU float16, which loses nothing.

    Raises: `RecogniserUnavailable` with the names there are, for one that the device lacks.
    """
    if wanted == "auto":
        best = "float16" if device == "cuda" else "int8"
        return best if best in supported else "float32"
    if wanted != "default" and wanted not in supported:
        raise RecogniserUnavailable(
            f"The Whisper model cannot compute in {wanted} on {device}: choose a compute type of "
            f"{', '.join(sorted(supported))}, or auto."
        )
    return wanted


def load(found: LocalModel, options: ModelOptions, placement: Placement, index: int) -> LoadedModel:
    """The model on one of its devices. Raises `RecogniserUnavailable` that says what to do.

    From then on numpy multiplies matrices on one thread in the whole process: the threads of its BLAS wait for each
    other while every core has a call of its own, and a spectrogram took 15 ms instead of 1 (two calls on two cores).
    """
    threadpool_limits(limits=1, user_api="blas")
    try:
        supported = ctranslate2.get_supported_compute_types(placement.device, index)
        model = WhisperModel(
            str(found.path),
            device=placement.device,
            device_index=index,
            compute_type=compute_type(options.compute_type, placement.device, supported),
            cpu_threads=placement.threads,
            num_workers=placement.workers,
            local_files_only=True,
        )
        return _tried(_described(model))
    except RecogniserUnavailable:
        raise
    except Exception as exc:  # a broken file ends in errors of CTranslate2, tokenizers or json
        raise RecogniserUnavailable(_advice(found, options, str(exc))) from exc


def _described(model: WhisperModel) -> LoadedModel:
    """What there is around the model. A multilingual one may lack tokens for some of the languages known today."""
    known = (code for code in model.supported_languages if model.hf_tokenizer.token_to_id(f"<|{code}|>") is not None)
    languages = {
        code: Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=code)
        for code in (known if model.model.is_multilingual else ("en",))
    }
    return LoadedModel(
        whisper=model.model,
        extractor=model.feature_extractor,
        tokenizer=model.hf_tokenizer,
        languages=languages,
        suppressed=get_suppressed_tokens(next(iter(languages.values())), [-1]),
    )


def _tried(model: LoadedModel) -> LoadedModel:
    """The model, when it has computed once from end to end: that opens a GPU's libraries."""
    features = model.extractor(np.zeros(SAMPLE_RATE, np.float32))
    encoded = model.whisper.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(features[None])))
    tokenizer = next(iter(model.languages.values()))
    start = tokenizer.sot_sequence
    model.whisper.generate(encoded, [[*start, tokenizer.no_timestamps]], beam_size=1, max_length=2 * len(start) + 2)
    model.whisper.align(encoded, start, [[tokenizer.eot - 1]], features.shape[-1])
    return model


def _advice(found: LocalModel, options: ModelOptions, problem: str) -> str:
    if "libcublas" in problem:
        return (
            f"CUDA's library is missing ({problem}): pip install nvidia-cublas-cu12, and name the folder of its "
            "libcublas.so.12 in LD_LIBRARY_PATH."
        )
    fetchable = RECOMMENDED if Path(options.model).is_dir() else options.model  # a directory has no name to fetch by
    return (
        f"The Whisper model in {found.path} cannot be used: {problem.rstrip('.')}. "
        f"If a file of it is damaged, fetch it again: auscult models fetch {fetchable}"
    )
