"""Speech recognition by pocketsphinx, with the English model of its wheel, in worker processes.

A worker decodes a segment while it grows, so a stream's requests go back to the worker that has heard the segment so
far, and only the new samples travel. Finals are therefore cheap (the last samples only) and do not depend on which
partials came before them; how that is done is told in `sphinx_worker`.

Not used, because pocketsphinx has no place for them: a request's prompt and glossary. Its language is not looked at
either: callers read `languages`.
"""

import os
import sys
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from subprocess import DEVNULL
from typing import TypeAlias

import anyio
import msgspec
import numpy as np
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

import pipeline
from pipeline.engines.sphinx_wire import LENGTH_BYTES, Answer, Decode, Decoded, body_length, frame, read_answer
from pipeline.errors import RecogniserUnavailable, RecognitionFailed
from pipeline.types import SAMPLE_RATE, Hypothesis, Pcm, RecognitionRequest, Word

MAX_WORKERS = 8  # where the number is not set: one a core, but not more
SLOTS = 4  # segments that a worker can hold open; each costs about 70 MB once it is used
SHORTEST = SAMPLE_RATE // 10  # samples; less holds no word
SAMPLE_BYTES = 2  # on the pipe: s16, little-endian
LOUDNESS_BLOCK = SAMPLE_RATE // 10  # samples over which loudness is measured
QUIET = 0.1  # of the loudest block's RMS (-20 dB): pauses are quieter, in anything but loud noise
FAREWELL = 2.0  # seconds a worker gets to end by itself

Key: TypeAlias = tuple[str, int, int]
"""Whose audio it is: stream, segment, first sample."""


class SphinxRecogniser:
    """English for machines without a better model."""

    name = "sphinx"
    languages = frozenset({"en"})
    max_batch = 1
    window = 0
    continues = False
    speculates = False  # its finals are decoded while the segment grows
    temperatures: tuple[float, ...] = (0.0,)

    def __init__(self, workers: int | None = None) -> None:
        """`workers` processes; by default one for each core this process may use, at most `MAX_WORKERS`."""
        self.capacity = workers or min(len(os.sched_getaffinity(0)), MAX_WORKERS)
        self.model = f"en-us (pocketsphinx {_installed_version()})"
        self._workers = tuple(_Worker() for _ in range(self.capacity))

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the running workers."""
        return tuple(worker.pid for worker in self._workers if worker.pid is not None)

    async def start(self) -> None:
        """Start the workers and wait until their models are loaded. Raises `RecogniserUnavailable`."""
        failures: list[RecogniserUnavailable] = []

        async def start(worker: _Worker) -> None:
            try:
                await worker.start()
            except RecogniserUnavailable as exc:
                failures.append(exc)

        async with anyio.create_task_group() as starting:
            for worker in self._workers:
                starting.start_soon(start, worker)
        if failures:
            await self.aclose()
            raise failures[0]

    async def recognise(self, batch: Sequence[RecognitionRequest]) -> Sequence[Hypothesis | RecognitionFailed]:
        """One answer for each request, in order."""
        return [await self._answer(request) for request in batch]

    async def aclose(self) -> None:
        """End the workers."""
        async with anyio.create_task_group() as ending:
            for worker in self._workers:
                ending.start_soon(worker.aclose)

    async def _answer(self, request: RecognitionRequest) -> Hypothesis | RecognitionFailed:
        if len(request.pcm) < SHORTEST:
            return Hypothesis(words=())
        key = (request.stream_id, request.segment, request.start)
        # The worker that will be done first: it has heard most of this segment, or has least else to do.
        worker = min(self._workers, key=lambda w: (w.samples_until_done(key, len(request.pcm)), w.open_segments))
        try:
            return await worker.recognise(key, request)
        except RecognitionFailed as exc:
            return exc


@dataclass(slots=True)
class _Held:
    """What a worker has of an open segment."""

    slot: int
    samples: int = 0


class _Slots:
    """Which of a worker's decoders holds which segment; the one not asked for longest gives way."""

    def __init__(self) -> None:
        self._held: OrderedDict[Key, _Held] = OrderedDict()
        self._free = list(reversed(range(SLOTS)))

    def __len__(self) -> int:
        return len(self._held)

    def samples(self, key: Key) -> int:
        """How much of the segment its decoder has."""
        return self._held[key].samples if key in self._held else 0

    def take(self, key: Key) -> _Held:
        """The slot of the segment."""
        if key not in self._held:
            slot = self._free.pop() if self._free else self._held.popitem(last=False)[1].slot
            self._held[key] = _Held(slot)
        self._held.move_to_end(key)
        return self._held[key]

    def give_back(self, key: Key) -> None:
        """The segment is complete."""
        self._free.append(self._held.pop(key).slot)


class _Child:
    """A running worker process and the pipe to it."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._requests = process.stdin
        self._answers = BufferedByteReceiveStream(process.stdout)

    @classmethod
    async def spawn(cls) -> "_Child":
        """Raises: `RecognitionFailed` where the process ends before its model is loaded."""
        command = [sys.executable, "-m", "pipeline.engines.sphinx_worker"]
        child = cls(await anyio.open_process(command, stderr=DEVNULL, env=_environment()))
        try:
            await child._receive()  # Ready
        except BaseException:
            await child.kill()
            raise
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, request: Decode) -> Answer:
        """Raises: `RecognitionFailed` where the process ends."""
        try:
            await self._requests.send(frame(request))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as exc:
            raise RecognitionFailed("The decoder process has ended.") from exc
        return await self._receive()

    async def aclose(self) -> None:
        """Let the process end by itself, by ending its input; kill it if it does not."""
        with anyio.move_on_after(FAREWELL, shield=True):
            await self._process.aclose()

    async def kill(self) -> None:
        """End the process at once."""
        with suppress(ProcessLookupError):
            self._process.kill()
        with anyio.CancelScope(shield=True):
            await self._process.aclose()

    async def _receive(self) -> Answer:
        try:
            prefix = await self._answers.receive_exactly(LENGTH_BYTES)
            return read_answer(await self._answers.receive_exactly(body_length(prefix)))
        except (anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError, msgspec.DecodeError) as exc:
            raise RecognitionFailed("The decoder process has ended.") from exc


class _Worker:
    """The requests of one child process: one at a time, in order of arrival."""

    def __init__(self) -> None:
        self._child: _Child | None = None
        self._slots = _Slots()
        self._turn = anyio.Lock()
        self._queued = 0  # samples that the requests in work and in line still have to decode

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def open_segments(self) -> int:
        return len(self._slots)

    def samples_until_done(self, key: Key, length: int) -> int:
        """How much must be decoded before a segment of this length is."""
        return self._queued + max(0, length - self._slots.samples(key))

    async def start(self) -> None:
        """Raises: `RecogniserUnavailable`."""
        try:
            await self._running()
        except RecognitionFailed as exc:
            raise RecogniserUnavailable("The pocketsphinx recogniser does not start: pip install pocketsphinx") from exc

    async def recognise(self, key: Key, request: RecognitionRequest) -> Hypothesis:
        """Raises: `RecognitionFailed`; a process that has ended is replaced at the next request."""
        cost = max(0, len(request.pcm) - self._slots.samples(key))
        self._queued += cost
        try:
            async with self._turn:
                return await self._recognise(await self._running(), key, request)
        finally:
            self._queued -= cost

    async def aclose(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        if child is not None:
            await child.aclose()

    async def _running(self) -> _Child:
        """The child, started (again) where there is none."""
        if self._child is None or not self._child.alive:
            self._slots = _Slots()
            self._child = await _Child.spawn()
        return self._child

    async def _recognise(self, child: _Child, key: Key, request: RecognitionRequest) -> Hypothesis:
        final = request.purpose.whole
        held = self._slots.take(key)
        length = len(request.pcm) if final else max(held.samples, _last_sound(request.pcm))
        kept = min(held.samples, length)
        held.samples = length
        pcm = _s16(request.pcm[kept:length])
        answer = await self._ask(child, Decode(slot=held.slot, offset=kept * SAMPLE_BYTES, pcm=pcm, final=final))
        if final or not isinstance(answer, Decoded):
            self._slots.give_back(key)
        if not isinstance(answer, Decoded):
            raise RecognitionFailed
        return _hypothesis(answer)

    async def _ask(self, child: _Child, request: Decode) -> Answer:
        try:
            return await child.ask(request)
        except BaseException:  # cancelled, too: an answer left in the pipe would be taken for the next request's
            self._child = None
            await child.kill()
            raise


def _hypothesis(answer: Decoded) -> Hypothesis:
    return Hypothesis(
        words=tuple(Word(text=w.text, start=w.start, end=w.end, probability=w.probability) for w in answer.words)
    )


def _last_sound(pcm: Pcm) -> int:
    """Where the last block that is not quiet ends, in samples.

    A pause at the end of an open segment is not decoded yet: if it lasts, the segment ends soon after its last word,
    and a decoder that has gone past that end would have to begin again.
    """
    blocks = pcm[: len(pcm) // LOUDNESS_BLOCK * LOUDNESS_BLOCK].reshape(-1, LOUDNESS_BLOCK)
    power = np.square(blocks).mean(axis=1)
    loud = np.flatnonzero(power >= QUIET**2 * power.max())
    return (int(loud[-1]) + 1) * LOUDNESS_BLOCK


def _s16(pcm: Pcm) -> bytes:
    """Samples as the worker reads them."""
    return np.rint(pcm * 32768).clip(-32768, 32767).astype("<i2").tobytes()


def _environment() -> dict[str, str]:
    """Ours, with the place of this package: a child does not inherit `sys.path`."""
    roots = [str(Path(pipeline.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, roots))}


def _installed_version() -> str:
    try:
        return version("pocketsphinx")
    except PackageNotFoundError:
        return "not installed"
