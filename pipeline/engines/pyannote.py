"""Voices by a pipeline of pyannote.audio 4 (the extra `auscult[pyannote]`): its embeddings live, all of it afterwards.

torch takes seconds to load and a gigabyte; nothing of it is imported before `start`. See `pyannote_model` for where
the pipeline comes from and what keeps it quiet. Audio is always handed over as samples, never as a file.
"""

import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pipeline.engines.pyannote_model import HERE, check_installed, check_named, checked, directory, importing
from pipeline.errors import VoicesUnavailable
from pipeline.ports import VoiceEmbedder
from pipeline.types import SAMPLE_RATE, Pcm, SpokenSpan

BATCH = 8  # windows of 10 s in a call: more only takes more memory on a CPU
SHORTEST = SAMPLE_RATE // 2  # samples; shorter windows are filled up with silence, shorter recordings have nobody
MAX_SPEAKERS = 6


def pyannote_embedder(model: str, token: str = "", *, device: str = "cpu", threads: int = 1) -> VoiceEmbedder:
    """The embedding model of a pipeline, not yet loaded. Raises `VoicesUnavailable` where it plainly cannot be."""
    check_installed()
    check_named(model, token)
    return PyannoteEmbedder(model, token, device=device, threads=threads)


class PyannoteEmbedder:
    """See the module. `WeSpeaker ResNet34` in pyannote's own pipelines: 256 dimensions."""

    name = "pyannote"
    # For WeSpeaker's ResNet34, from what pyannote's pipelines are tuned to (version 3.1 takes centroids for different
    # people from a cosine of 0.30 down): not measured here, where its weights are not to be had.
    same = 0.55
    different = 0.10

    def __init__(self, model: str, token: str = "", *, device: str = "cpu", threads: int = 1) -> None:
        """`model`: a directory, or a name on the hub (then with a `token`); `device`: cpu, cuda or auto."""
        self.model = model
        self.dimensions = 256  # known once it is loaded
        self._token = token
        self._device = device
        self._threads = threads
        self._network: Any = None
        self._thread = anyio.CapacityLimiter(1)

    async def start(self) -> None:
        """See `VoiceEmbedder.start`."""
        if self._network is None:
            await anyio.to_thread.run_sync(self._load, limiter=self._thread)

    async def embed(self, windows: Sequence[Pcm]) -> NDArray[np.float32]:
        """See `VoiceEmbedder.embed`."""
        if self._network is None:
            raise VoicesUnavailable("The voice encoder was not started.")
        work = partial(self._embed, self._network, windows)
        return await anyio.to_thread.run_sync(work, limiter=self._thread, abandon_on_cancel=True)

    async def aclose(self) -> None:
        """See `VoiceEmbedder.aclose`."""
        self._network = None

    def _load(self) -> None:
        check_installed()
        path = directory(self.model, self._token)
        part = checked(path)["params"]["embedding"].removeprefix(HERE)
        with importing():
            import torch
            from pyannote.audio import Model

            network = Model.from_pretrained(path / part)
            network.eval().to(torch.device(_device(self._device)))
            self.dimensions = int(network.dimension)
        self._network = network

    def _embed(self, network: Any, windows: Sequence[Pcm]) -> NDArray[np.float32]:
        import torch

        torch.set_num_threads(self._threads)
        vectors = np.zeros((len(windows), self.dimensions), np.float32)
        lengths: dict[int, list[int]] = defaultdict(list)
        for index, window in enumerate(windows):
            lengths[max(len(window), SHORTEST)].append(index)
        for length, members in lengths.items():
            for at in range(0, len(members), BATCH):
                chosen = members[at : at + BATCH]
                batch = np.stack([np.pad(windows[index], (0, length - len(windows[index]))) for index in chosen])
                with torch.inference_mode():
                    answer = network(torch.from_numpy(batch.astype(np.float32))[:, None].to(network.device))
                vectors[chosen] = answer.cpu().numpy()
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: NDArray[np.float32] = (vectors / np.maximum(norms, np.finfo(np.float32).tiny)).astype(np.float32)
        return unit


class PyannoteDiarizer:
    """The whole pipeline over a whole recording, one at a time."""

    name = "pyannote"

    def __init__(self, model: str, token: str = "", *, device: str = "cpu", threads: int = 1) -> None:
        """See `PyannoteEmbedder`."""
        self.model = model
        self._token = token
        self._device = device
        self._threads = threads
        self._pipeline: Any = None
        self._thread = anyio.CapacityLimiter(1)

    async def start(self) -> None:
        """See `OfflineDiarizer.start`."""
        if self._pipeline is None:
            await anyio.to_thread.run_sync(self._load, limiter=self._thread)

    async def diarize(self, pcm: Pcm, *, expected_speakers: int | None) -> tuple[SpokenSpan, ...]:
        """See `OfflineDiarizer.diarize`."""
        if self._pipeline is None:
            raise VoicesUnavailable("The diarisation was not started.")
        given_up = threading.Event()
        work = partial(self._diarize, self._pipeline, pcm, expected_speakers, given_up)
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._thread, abandon_on_cancel=True)
        finally:
            given_up.set()  # a thread that was left behind ends behind its next batch

    async def aclose(self) -> None:
        """See `OfflineDiarizer.aclose`."""
        self._pipeline = None

    def _load(self) -> None:
        check_installed()
        path = directory(self.model, self._token)
        with importing():
            self._pipeline = _load_pipeline(path, _device(self._device))

    def _diarize(
        self, pipeline: Any, pcm: Pcm, expected: int | None, given_up: threading.Event
    ) -> tuple[SpokenSpan, ...]:
        import torch

        if len(pcm) < SHORTEST:
            return ()
        torch.set_num_threads(self._threads)
        bounds = {"max_speakers": MAX_SPEAKERS} if expected is None else {"num_speakers": expected}
        audio = {"waveform": torch.from_numpy(pcm)[None], "sample_rate": SAMPLE_RATE}
        with threadpool_limits(limits=self._threads, user_api="blas"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = pipeline(audio, hook=_stopping(given_up), **bounds)
        turns = answer.exclusive_speaker_diarization.itertracks(yield_label=True)
        overlaps = [(_samples(part.start), _samples(part.end)) for part in answer.speaker_diarization.get_overlap()]
        return cut([(_samples(turn.start), _samples(turn.end), str(label)) for turn, _, label in turns], overlaps)


def cut(turns: Iterable[tuple[int, int, str]], overlaps: Iterable[tuple[int, int]]) -> tuple[SpokenSpan, ...]:
    """Turns that do not overlap, cut where somebody else begins or ceases to be heard. Both are in order."""
    parts = list(overlaps)
    spans: list[SpokenSpan] = []
    for start, end, speaker in turns:
        inside = [(max(start, first), min(end, last)) for first, last in parts if first < end and last > start]
        borders = sorted({start, end, *(border for part in inside for border in part)})
        for begin, until in pairwise(borders):
            double = any(first <= begin and until <= last for first, last in inside)
            spans.append(SpokenSpan(start=begin, end=until, speaker=speaker, overlap=double))
    return tuple(spans)


class _GivenUp(Exception):
    """Nobody waits for the answer any more."""


def _stopping(given_up: threading.Event) -> Callable[..., None]:
    """What the pipeline calls behind every batch."""

    def hook(*_: object, **__: object) -> None:
        if given_up.is_set():
            raise _GivenUp

    return hook


def _load_pipeline(path: Path, device: str) -> Any:
    import torch
    from pyannote.audio import Pipeline

    pipeline = Pipeline.from_pretrained(path)
    pipeline.to(torch.device(device))
    pipeline.segmentation_batch_size = BATCH
    pipeline.embedding_batch_size = BATCH
    return pipeline


def _device(wanted: str) -> str:
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wanted


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)
