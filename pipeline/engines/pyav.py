"""Bytes of one stream → 16 kHz audio, live and restartable (PyAV, which is FFmpeg's libav*).

Raw samples are converted in place. Containers get a thread each, because libav pulls its bytes and blocks for them:
`pyav_thread` decodes, `pyav_exchange` carries bytes and audio between it and the loop.

Chunks may be cut anywhere, with one exception: where one *begins* with a new file's header, another file begins, so
whoever feeds a stream again must not glue such a chunk to the one before it.
"""

import asyncio
from contextlib import suppress
from typing import Self

import anyio

from pipeline.containers import begins_file
from pipeline.engines.pyav_clock import RestartIndex
from pipeline.engines.pyav_exchange import AudioPipe, BytePipe, Turns
from pipeline.engines.pyav_raw import RawConverter
from pipeline.engines.pyav_thread import DecoderThread, Whole
from pipeline.errors import UnsupportedAudio
from pipeline.pcm import ENCODINGS
from pipeline.ports import AudioDecoder
from pipeline.types import Audio, AudioFormat, PcmBlock, RestartPoint

MAX_BUFFERED_BYTES = 1 << 20
TURNS = Turns(2)  # most of a decoder's work needs the GIL: more threads at a time are only in each other's way
RAW_RATES = range(4_000, 192_001)  # hertz
RAW_CHANNELS = range(1, 9)


def open_decoder(
    format: AudioFormat,
    *,
    restart: RestartPoint | None = None,
    whole: Whole | None = None,
    max_buffered_bytes: int = MAX_BUFFERED_BYTES,
) -> AudioDecoder:
    """A decoder for one stream, at its beginning or at a restart point. Call it in the event loop that will use it.

    An mp4 with its index behind the audio is read through `whole` where there is one (it gets the offset in the stream
    of the file's first byte, and returns a seekable file); else it is kept in memory until its end comes.

    Raises `UnsupportedAudio` for a raw format that does not exist.
    """
    first = restart or RestartPoint()
    if format.encoding == "container":
        return ContainerDecoder(first, max_buffered_bytes, whole)
    if format.encoding not in ENCODINGS:
        raise UnsupportedAudio(f"Unknown encoding: send a container, or one of {', '.join(sorted(ENCODINGS))}.")
    if format.sample_rate not in RAW_RATES or format.channels not in RAW_CHANNELS:
        raise UnsupportedAudio("Raw audio needs 1 to 8 channels and a sample rate of 4000 to 192000 hertz.")
    return RawDecoder(format, first, max_buffered_bytes)


class ContainerDecoder:
    """Decodes webm, mp4, ogg, mp3, flac, wav and bare AAC: whatever the first bytes are."""

    def __init__(self, restart: RestartPoint, max_buffered_bytes: int, whole: Whole | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._gone = asyncio.Event()
        self._pipe = BytePipe(max_buffered_bytes, TURNS)
        self._audio = AudioPipe(restart.position, TURNS)
        self._index = RestartIndex(restart)
        self._thread: DecoderThread | None = None  # from the first byte on
        self._restart = restart
        self._whole = whole

    @property
    def nonfinite(self) -> int:
        """Samples made silent because they were no numbers."""
        return self._audio.nonfinite

    @property
    def skipped(self) -> int:
        """See `AudioDecoder.skipped`."""
        return self._pipe.dropped + (self._thread.skipped if self._thread is not None else 0)

    async def feed(self, chunk: bytes, *, new_file: bool = False) -> None:
        """See `AudioDecoder.feed`."""
        if chunk:
            new_file = self._thread is not None and (new_file or begins_file(chunk))
            self._work()
            await self._pipe.write(chunk, new_file=new_file)

    def end(self) -> None:
        """See `AudioDecoder.end`."""
        self._pipe.close()
        self._work()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PcmBlock:
        block = await self._audio.read()
        if block is None:
            raise StopAsyncIteration
        return block

    def restart_point(self, position: int) -> RestartPoint:
        """See `AudioDecoder.restart_point`. Positions must not decrease from call to call."""
        return self._index.at(position)

    async def aclose(self) -> None:
        """See `AudioDecoder.aclose`."""
        self._audio.discard()
        self._pipe.discard()
        if self._thread is not None:
            with anyio.CancelScope(shield=True):  # short: the thread is woken, and its next read finds nothing
                await self._gone.wait()
            self._thread.join()  # it has nothing left to do

    def _work(self) -> None:
        if self._thread is None:
            self._thread = DecoderThread(
                self._pipe, self._audio, self._index, self._restart, TURNS, self._tell_gone, self._whole
            )
            self._thread.start()

    def _tell_gone(self) -> None:
        with suppress(RuntimeError):  # the loop was closed before the thread
            self._loop.call_soon_threadsafe(self._gone.set)


class RawDecoder:
    """Converts raw samples, in the reader's own steps: no thread, and no work that nobody waits for."""

    def __init__(self, format: AudioFormat, restart: RestartPoint, max_buffered_bytes: int) -> None:
        first = RestartPoint(offset=restart.offset, position=restart.position)
        self._converter = RawConverter(format.encoding, format.sample_rate, format.channels, first)
        self._max_buffered_bytes = max_buffered_bytes
        self._buffer = bytearray()
        self._position = restart.position
        self._open = True  # more bytes may come
        self._flushed = False
        self._changed = asyncio.Event()  # bytes came or went, or the end

    @property
    def nonfinite(self) -> int:
        """Samples made silent because they were no numbers."""
        return self._converter.nonfinite

    @property
    def skipped(self) -> int:
        """None: every byte is a part of a sample."""
        return 0

    async def feed(self, chunk: bytes, *, new_file: bool = False) -> None:
        """See `AudioDecoder.feed`."""
        while self._open and self._buffer and len(self._buffer) + len(chunk) > self._max_buffered_bytes:
            await self._change()
        if self._open:
            self._buffer += chunk
            self._changed.set()

    def end(self) -> None:
        """See `AudioDecoder.end`."""
        self._open = False
        self._changed.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PcmBlock:
        while True:
            while not self._buffer and self._open:
                await self._change()
            pcm = self._convert()
            if pcm is None:
                raise StopAsyncIteration
            if len(pcm):
                self._position += len(pcm)
                return PcmBlock(start=self._position - len(pcm), pcm=pcm)

    def restart_point(self, position: int) -> RestartPoint:
        """See `AudioDecoder.restart_point`."""
        return self._converter.restart_point(position)

    async def aclose(self) -> None:
        """See `AudioDecoder.aclose`."""
        self._buffer.clear()
        self._flushed = True
        self.end()

    def _convert(self) -> Audio | None:
        """Audio of the next half second of bytes, or of the end; None behind it."""
        if self._buffer:
            size = self._converter.bytes_per_second // 2
            piece = bytes(self._buffer[:size])
            del self._buffer[:size]
            self._changed.set()
            return self._converter.receive(piece)
        if self._flushed:
            return None
        self._flushed = True
        return self._converter.flush()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
