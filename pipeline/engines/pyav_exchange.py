"""What passes between an event loop and the thread that decodes one stream: bytes one way, audio the other.

Both directions are bounded. The thread waits on a condition, the loop on an event that the thread sets through
`call_soon_threadsafe`; neither ever blocks the other. A call into the loop costs more than decoding a packet, so the
thread wakes the loop only when it waits, and hands over audio when it runs out of bytes or has a good piece.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from threading import Condition

import numpy as np

from pipeline.errors import InvalidAudio
from pipeline.pcm import finite
from pipeline.types import SAMPLE_RATE, Audio, PcmBlock

PIECE = SAMPLE_RATE // 2  # samples handed over at once while bytes are plenty
MAX_READY = 16 * SAMPLE_RATE  # samples decoded ahead of the reader


class LoopSignal:
    """Wakes a task of the loop that made it, from any thread.

    Whoever finds, under its owner's lock, that it must wait sets `awaited`, lets the lock go and waits.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self.awaited = False

    async def wait(self) -> None:
        """Until `set` was called since `awaited` was set; now and then sooner, so look again."""
        await self._event.wait()
        self._event.clear()

    def set(self) -> None:
        """Wake the waiting task, if there is one. To be called under the owner's lock."""
        if self.awaited:
            self.awaited = False
            with suppress(RuntimeError):  # the loop is closing: nobody waits any more
                self._loop.call_soon_threadsafe(self._event.set)


class Turns:
    """How many of the process's decoder threads may work at a time; the others wait for a turn, not for the GIL.

    Threads that wait for the GIL wake every 5 ms to ask for it. A hundred that do so with two cores took three times
    the work of the decoding, most of it in the kernel, and never caught up.
    """

    def __init__(self, most: int) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(most):
            self._free.put(None)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Work in this block."""
        self._free.get()
        try:
            yield
        finally:
            self._free.put(None)

    @contextmanager
    def given_up(self) -> Iterator[None]:
        """Wait in this block, which is inside of `taken`: others have the turn meanwhile."""
        self._free.put(None)
        try:
            yield
        finally:
            self._free.get()

    def await_with(self, condition: Condition, ready: Callable[[], object]) -> None:
        """Wait until something is ready, without a turn, and without the condition's lock when that has come."""
        with condition:
            if ready():
                return
        with self.given_up(), condition:
            condition.wait_for(ready)


class BytePipe:
    """Bytes from the loop to the thread, in files: a stream may hold several, one behind the other."""

    def __init__(self, max_bytes: int, turns: Turns) -> None:
        self._max_bytes = max_bytes
        self._turns = turns
        self._condition = Condition()
        self._files: deque[deque[memoryview]] = deque()  # the first is being read
        self._waiting = 0  # bytes in `_files`
        self._open = True
        self._room = LoopSignal()
        self.dropped = 0  # bytes that came when nobody read any more

    # The loop's side

    async def write(self, chunk: bytes, *, new_file: bool) -> None:
        """Append bytes; waits while more than the bound would lie here (a chunk above it goes through alone)."""
        while not self._append(chunk, new_file=new_file):
            await self._room.wait()

    def close(self) -> None:
        """No more bytes will come."""
        with self._condition:
            self._open = False
            self._condition.notify()

    def discard(self) -> None:
        """Nobody reads any more: drop what lies here and what will still be written."""
        with self._condition:
            self._open = False
            self._files.clear()
            self._waiting = 0
            self._condition.notify()
            self._room.set()

    def _append(self, chunk: bytes, *, new_file: bool) -> bool:
        with self._condition:
            if not self._open:
                self.dropped += len(chunk)
                return True
            if self._waiting and self._waiting + len(chunk) > self._max_bytes:
                self._room.awaited = True
                return False
            if new_file or not self._files:
                self._files.append(deque())
            self._files[-1].append(memoryview(chunk))
            self._waiting += len(chunk)
            self._condition.notify()
            return True

    # The thread's side

    def next_file(self) -> bool:
        """Go on to the next file, waiting for it; False when the stream has ended."""
        with self._condition:
            if self._files and not self._files[0]:
                self._files.popleft()
        self._turns.await_with(self._condition, lambda: self._files or not self._open)
        return bool(self._files)

    def would_block(self) -> bool:
        """Whether the file being read goes on, but its next bytes have not come."""
        with self._condition:
            return self._open and len(self._files) == 1 and not self._files[0]

    def read(self, size: int) -> bytes:
        """At most `size` bytes, at least one, waiting for them; none at the end of the file."""
        self._turns.await_with(
            self._condition, lambda: not self._open or len(self._files) > 1 or (self._files and self._files[0])
        )
        with self._condition:
            if not self._files or not self._files[0]:
                return b""
            chunks = self._files[0]
            octets = chunks[0][:size]
            if size < len(chunks[0]):
                chunks[0] = chunks[0][size:]
            else:
                chunks.popleft()
            self._waiting -= len(octets)
            self._room.set()
            return bytes(octets)


class Discarded(Exception):
    """The reader has gone."""


class AudioPipe:
    """Audio from the thread to the loop, contiguous and numbered."""

    def __init__(self, position: int, turns: Turns) -> None:
        self._turns = turns
        self.position = position  # of the next sample written; the thread's own
        self.nonfinite = 0  # samples made silent
        self._pieces: list[Audio] = []  # written, not yet handed over, of equal channels; the thread's own
        self._condition = Condition()
        self._blocks: deque[PcmBlock] = deque()
        self._ready = 0  # samples in `_blocks`
        self._open = True
        self._error: InvalidAudio | None = None
        self._arrived = LoopSignal()

    # The thread's side

    def write(self, pcm: Audio) -> None:
        """Append samples; waits while the reader is behind. Raises `Discarded`."""
        if not len(pcm):
            return
        if self._pieces and self._pieces[0].ndim != pcm.ndim:
            self.hand_over()
        self._pieces.append(pcm)
        self.position += len(pcm)
        if sum(map(len, self._pieces)) >= PIECE:
            self.hand_over()

    def hand_over(self) -> None:
        """Make what was written readable. Raises `Discarded`."""
        if not self._pieces:
            return
        pcm, wrong = finite(np.concatenate(self._pieces))
        self._pieces.clear()
        self.nonfinite += wrong
        self._turns.await_with(self._condition, lambda: self._ready < MAX_READY or not self._open)
        with self._condition:
            if not self._open:
                raise Discarded
            self._blocks.append(PcmBlock(start=self.position - len(pcm), pcm=pcm))
            self._ready += len(pcm)
            self._arrived.set()

    def finish(self, error: InvalidAudio | None) -> None:
        """Nothing more will be written: the stream ended, or failed behind what was written."""
        with self._condition:
            if self._open:
                self._open, self._error = False, error
                self._arrived.set()

    # The loop's side

    async def read(self) -> PcmBlock | None:
        """The next block, waiting for it; None at the end. Raises the stream's error behind the last block."""
        while True:
            with self._condition:
                if self._blocks:
                    block = self._blocks.popleft()
                    self._ready -= len(block.pcm)
                    self._condition.notify()
                    return block
                if not self._open:
                    if self._error is not None:
                        raise self._error
                    return None
                self._arrived.awaited = True
            await self._arrived.wait()

    def discard(self) -> None:
        """Nobody reads any more."""
        with self._condition:
            self._open = False
            self._blocks.clear()
            self._condition.notify()
            self._arrived.set()
