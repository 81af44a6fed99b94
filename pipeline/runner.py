"""The shell around a session: moves bytes to the decoder, audio to the session, requests to the batcher, events out.

It decides nothing. Its only waits are for bytes, for the decoder and for room in the recogniser's backlog.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeAlias

import anyio
import numpy as np

from pipeline.batching import Answer, Batcher
from pipeline.errors import AudioTooLong, InvalidAudio, RecognitionFailed
from pipeline.events import Event
from pipeline.ports import AudioDecoder
from pipeline.stereo import StereoSession
from pipeline.types import (
    SAMPLE_RATE,
    Audio,
    PcmBlock,
    RecognitionRequest,
    RestartPoint,
    VoiceprintRequest,
    Voiceprints,
)
from pipeline.voicing import Voicing

Sink: TypeAlias = Callable[[Event], None]


class Stream:
    """One audio stream in work. Made by `open_stream`."""

    def __init__(
        self,
        session: StereoSession,
        decoder: AudioDecoder,
        batcher: Batcher,
        sink: Sink,
        voicing: Voicing | None,
        max_samples: int | None,
    ) -> None:
        self._session = session
        self._max_samples = max_samples
        self._voicing = voicing
        self._decoder = decoder
        self._batcher = batcher
        self._sink = sink
        self._heard = session.hears_from  # first sample not yet given to the session
        self._fault: Exception | None = None  # what broke while an answer was taken
        self._changed = anyio.Event()  # an answer came: there may be room, or the session may be finished

    async def feed(self, chunk: bytes, *, new_file: bool = False) -> None:
        """Bytes as the client sent them; waits while decoder and recogniser are behind. See `AudioDecoder.feed`."""
        await self._decoder.feed(chunk, new_file=new_file)

    def end(self) -> None:
        """No more bytes will come."""
        self._decoder.end()

    def restart_point(self, position: int) -> RestartPoint:
        """See `AudioDecoder.restart_point`."""
        return self._decoder.restart_point(position)

    @property
    def nonfinite(self) -> int:
        """Samples so far that were NaN or infinite and became silence."""
        return self._decoder.nonfinite

    @property
    def skipped(self) -> int:
        """See `AudioDecoder.skipped`."""
        return self._decoder.skipped

    @property
    def duration(self) -> int:
        """Samples received since the start of the stream."""
        return self._session.duration

    async def run(self) -> None:
        """Work until the stream is finished: every final is out, or the source failed."""
        try:
            await self._hear()
        finally:
            for stream_id in self._session.ids:
                self._batcher.cancel(stream_id)
                if self._voicing is not None:
                    self._voicing.cancel(stream_id)

    async def _hear(self) -> None:
        try:
            async for block in self._decoder:
                await self._room()
                async with self._batcher.turn:
                    self._check()
                    self._session.receive_audio(self._unheard(block))
                    self._pass_on()
                if self._max_samples is not None and self.duration > self._max_samples:  # only decoding tells
                    minutes = self._max_samples // (60 * SAMPLE_RATE)
                    raise AudioTooLong(f"The recording is longer than {minutes} minutes: split it.")
            self._session.receive_end()
        except InvalidAudio as exc:
            self._session.fail(exc)
        self._pass_on()
        while not self._session.finished:
            await self._answer()
        self._check()

    def _unheard(self, block: PcmBlock) -> Audio:
        """The part of a block that the session expects next; silence first where the source left a hole."""
        skip = self._heard - block.start
        pcm = block.pcm[max(0, skip) :]
        if skip < 0:
            pcm = np.concatenate([np.zeros((-skip, *pcm.shape[1:]), np.float32), pcm])
        self._heard += len(pcm)
        return pcm

    async def _room(self) -> None:
        while self._session.behind:
            await self._answer()

    async def _answer(self) -> None:
        self._changed = anyio.Event()
        await self._changed.wait()
        self._check()

    def _check(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _reply(self, request: RecognitionRequest, answer: Answer) -> None:
        with self._taking_answer():
            if isinstance(answer, RecognitionFailed):
                self._session.receive_failure(request, answer)
            else:
                self._session.receive_hypothesis(request, answer)

    def _reply_voices(self, request: VoiceprintRequest, prints: Voiceprints | None) -> None:
        with self._taking_answer():
            self._session.receive_voiceprints(request, prints)

    @contextmanager
    def _taking_answer(self) -> Iterator[None]:
        try:
            yield
            self._pass_on()
        except Exception as exc:  # it is this stream's fault, not the batcher's who calls
            self._fault = exc
        self._changed.set()

    def _pass_on(self) -> None:
        for request in self._session.recognition_requests():
            self._batcher.submit(request, self._reply)
        for wanted in self._session.voiceprint_requests():
            if self._voicing is not None:
                self._voicing.submit(wanted, self._reply_voices)
            else:
                self._session.receive_voiceprints(wanted, None)
        for event in self._session.events():
            self._sink(event)


@asynccontextmanager
async def open_stream(
    session: StereoSession,
    decoder: AudioDecoder,
    batcher: Batcher,
    sink: Sink,
    voicing: Voicing | None = None,
    *,
    max_samples: int | None = None,
) -> AsyncIterator[Stream]:
    """A stream whose work is owned by this block: leaving it early stops the work and frees the decoder.

    Without `voicing` voices are not told apart. A stream that has more than `max_samples` fails.

    Leaving it normally waits until everything heard is committed, so call `Stream.end` before.
    """
    stream = Stream(session, decoder, batcher, sink, voicing, max_samples)
    try:
        async with anyio.create_task_group() as owner:
            owner.start_soon(stream.run)
            yield stream
    finally:
        with anyio.CancelScope(shield=True):
            await decoder.aclose()
