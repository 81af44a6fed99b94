"""Speech recognition by a Whisper model, straight on CTranslate2: several calls at a time, each in a thread of its own.

What a call computes is in `whisper_decode`, what the model reads and writes in `whisper_text`, how much audio is
encoded in `whisper_window`, loading and devices in `whisper_model`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TypeVar

import anyio
import anyio.to_thread

from pipeline.engines.models import LocalModel, shown
from pipeline.engines.whisper_decode import Answer, Decoder
from pipeline.engines.whisper_model import ModelOptions, Placement, find, load
from pipeline.engines.whisper_window import EncoderWindow
from pipeline.errors import RecogniserUnavailable, RecognitionFailed
from pipeline.types import RecognitionRequest

MAX_BATCH_CPU = 8  # more gain little: by then a decoder's weights are read once for many rows
MAX_BATCH_GPU = 16  # large-v3 keeps 0.25 GB for each row while it decodes
TEMPERATURES = (0.0, 0.4, 0.8)  # Whisper itself has six; each try costs a whole decode

T = TypeVar("T")


class WhisperRecogniser:
    """A faster-whisper model: a directory, or a name that is in the local cache. Never downloads."""

    name = "whisper"
    continues = True
    speculates = True
    temperatures: tuple[float, ...] = TEMPERATURES

    def __init__(
        self,
        model: str,
        *,
        device: str = "auto",
        compute_type: str = "auto",
        encoder_window: str = "full",
        beam_size: int = 5,
        workers: int = 0,
        threads: int = 0,
        use_prompt: bool = True,
        download_root: Path | None = None,
    ) -> None:
        """`workers`: calls at a time; `threads`: of each, on a CPU; 0 leaves either to device and model.

        `encoder_window`: full, dynamic or seconds, see `whisper_window`. `beam_size`: of finals; partials have 1.
        `use_prompt`: whether the model sees what was said before and the glossary. Turn it off for a model that was
        trained without prompts. `download_root`: a directory of models instead of the hub's cache.
        Raises: `ValueError` for an encoder window that there is not.
        """
        self.model = shown(model)
        self.languages: frozenset[str] = frozenset()  # known once the model is loaded, as are …
        self.capacity = 1
        self.max_batch = 1
        self._window = EncoderWindow.parse(encoder_window)
        self.window = self._window.samples
        self._options = ModelOptions(
            model=model, root=download_root, device=device, compute_type=compute_type, workers=workers, threads=threads
        )
        self._beam_size = beam_size
        self._use_prompt = use_prompt
        self._seats: list[_Device] = []  # one for each call that may begin now
        self._free = anyio.Semaphore(0)
        self._threads = anyio.CapacityLimiter(1)

    async def start(self) -> None:
        """Load the model on every device. Raises `RecogniserUnavailable` with the command that mends it."""
        if self._seats:
            return
        found, placement = find(self._options)
        devices = [_Device(partial(self._load, found, placement, index)) for index in placement.indices]
        for device in devices:
            decoder = await anyio.to_thread.run_sync(device.loaded)
            self.languages = decoder.languages
        self.max_batch = _max_batch(placement)
        self.capacity = placement.workers * len(devices)
        self._free = anyio.Semaphore(self.capacity)
        self._threads = anyio.CapacityLimiter(self.capacity)
        self._seats = [device for _ in range(placement.workers) for device in devices]

    async def recognise(self, batch: Sequence[RecognitionRequest]) -> Sequence[Answer]:
        """One answer for each request, in order.

        A call that is cancelled is left behind: its thread cannot be stopped, and keeps the model that it computes
        with. The next call on that device loads another. So a call that hangs for ever costs a thread and the memory
        of one model, not the recogniser; but Python waits for such a thread when the process is to end.
        """
        seats = self._seats
        if not seats:
            return [RecognitionFailed("The recogniser was not started.")] * len(batch)
        async with self._free:
            device = max(seats, key=seats.count)  # the one with the least to do
            seats.remove(device)
            try:
                decoder = device.decoder
                if decoder is None:
                    decoder = await self._in_thread(device.loaded)
                with device.given_up_when_cancelled(decoder):
                    return await self._in_thread(partial(decoder.answer, batch))
            except RecogniserUnavailable as exc:  # the model could not be loaded again
                failure = RecognitionFailed()
                failure.__cause__ = exc
                return [failure] * len(batch)
            finally:
                seats.append(device)

    async def aclose(self) -> None:
        """Free the models' memory."""
        self._seats = []

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(call, limiter=self._threads, abandon_on_cancel=True)

    def _load(self, found: LocalModel, placement: Placement, index: int) -> Decoder:
        return Decoder(
            load(found, self._options, placement, index),
            window=self._window,
            beam_size=self._beam_size,
            use_prompt=self._use_prompt,
            max_batch=_max_batch(placement),
        )


class _Device:
    """What decodes on one device. It is loaded when it is first asked for, and again after it was given up."""

    def __init__(self, load: Callable[[], Decoder]) -> None:
        self.decoder: Decoder | None = None
        self._load = load
        self._loading = Lock()

    def loaded(self) -> Decoder:
        """Blocks while it is loaded. Raises `RecogniserUnavailable`."""
        with self._loading:
            if self.decoder is None:
                self.decoder = self._load()
            return self.decoder

    @contextmanager
    def given_up_when_cancelled(self, decoder: Decoder) -> Iterator[None]:
        """Use this decoder no more once a call that it is busy with was cancelled: it may be stuck.

        Other calls that hold it go on; its memory is freed when the last of them ends.
        """
        try:
            yield
        except anyio.get_cancelled_exc_class():
            if self.decoder is decoder:
                self.decoder = None
            raise


def _max_batch(placement: Placement) -> int:
    return MAX_BATCH_GPU if placement.device == "cuda" else MAX_BATCH_CPU
