"""What is pluggable, as protocols. Implementations live in `pipeline.engines`; who chooses among them names them."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import RecognitionFailed
from pipeline.notes.asking.prompting import Asked
from pipeline.notes.request import NoteRequest, NoteUpdate
from pipeline.types import Hypothesis, Pcm, PcmBlock, RecognitionRequest, RestartPoint, SpokenSpan, Utterance


class VoiceActivity(Protocol):
    """Voice activity detection of one stream; holds that stream's state."""

    def probabilities(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of speech in each window, in order.

        Shapes: windows `(n, 512)` float32 in [-1, 1], contiguous audio; returns `(n,)` float32 in [0, 1].
        """
        ...

    def state(self) -> bytes:
        """Everything needed to go on after the last window, for `VoiceActivityModel.open`."""
        ...


class VoiceActivityModel(Protocol):
    """A shared, stateless detector that hands out one `VoiceActivity` per stream."""

    name: str

    def open(self, state: bytes = b"") -> VoiceActivity:
        """A detector at the start of a stream, or behind the window where `state` was taken."""
        ...


class Recogniser(Protocol):
    """Segments in, words out. Shared by all sessions; `pipeline.batching` is its only caller."""

    name: str  # "sphinx"
    model: str  # what is loaded, for people: "en-us (pocketsphinx 5.1.1)"
    languages: frozenset[str]  # ISO 639-1 codes
    capacity: int  # calls of `recognise` that may run at the same time
    max_batch: int  # requests in one call
    window: int  # samples that a call computes at least, whatever it is given; 0: as many as there are
    continues: bool  # whether it decodes behind the committed words of a request
    speculates: bool  # whether a segment that goes on can be recognised as if it had ended
    temperatures: tuple[float, ...]  # of decoding, for successive tries of a text that looks wrong; (0.0,): only one

    async def start(self) -> None:
        """Load what is needed. Raises `RecogniserUnavailable` with the command that mends it."""
        ...

    async def recognise(self, batch: Sequence[RecognitionRequest]) -> Sequence[Hypothesis | RecognitionFailed]:
        """One answer for each request, in order. Never raises for a single bad request.

        An answer to a request with `committed` words begins with them where the engine `continues`.
        """
        ...

    async def aclose(self) -> None:
        """Free processes and memory."""
        ...


class AudioDecoder(Protocol):
    """Bytes of one stream in, 16 kHz audio of one channel or two out, with bounded buffers on both sides."""

    @property
    def nonfinite(self) -> int:
        """Samples so far that were NaN or infinite and became silence."""
        ...

    @property
    def skipped(self) -> int:
        """Bytes so far that made no sense in their container, or came behind a failure."""
        ...

    async def feed(self, chunk: bytes, *, new_file: bool = False) -> None:
        """Take the next bytes; waits while the decoder is behind. Once the stream failed, bytes are ignored.

        A chunk that looks like it begins another file does so; with `new_file`, whatever it looks like.
        """
        ...

    def end(self) -> None:
        """No more bytes will come."""
        ...

    def __aiter__(self) -> AsyncIterator[PcmBlock]:
        """Decoded audio until the end. Raises `InvalidAudio` when the bytes cannot be decoded."""
        ...

    def restart_point(self, position: int) -> RestartPoint:
        """The latest place in the bytes from which the audio at sample `position` and after can be decoded again."""
        ...

    async def aclose(self) -> None:
        """Stop at once and free the decoder's thread."""
        ...


class VoiceEmbedder(Protocol):
    """What a voice sounds like, as a vector: windows of the same speaker point the same way. Shared by all sessions."""

    name: str  # "ge2e"
    model: str  # what is loaded, for people
    dimensions: int
    same: float  # typical cosine of two windows of 1.6 s of the same speaker …
    different: float  # … and of two speakers

    async def start(self) -> None:
        """Load what is needed. Raises `VoicesUnavailable` with the command that mends it."""
        ...

    async def embed(self, windows: Sequence[Pcm]) -> NDArray[np.float32]:
        """Shapes: windows each `(n_samples,)`, from 0.5 s on; returns `(len(windows), dimensions)`, of unit length."""
        ...

    async def aclose(self) -> None:
        """Free threads and memory."""
        ...


class OfflineDiarizer(Protocol):
    """Who spoke when, of a whole recording at once. Shared by all sessions; one call at a time."""

    name: str  # "pyannote"
    model: str  # what is loaded, for people

    async def start(self) -> None:
        """Load what is needed; nothing happens the second time. Raises `VoicesUnavailable`, as `VoiceEmbedder`."""
        ...

    async def diarize(self, pcm: Pcm, *, expected_speakers: int | None) -> tuple[SpokenSpan, ...]:
        """Spans in order; none where nobody speaks. `expected_speakers` None: to be found out.

        Takes about as long as the audio lasts on one core; a call that is cancelled ends within seconds.
        """
        ...

    async def aclose(self) -> None:
        """Free threads and memory."""
        ...


class LanguageModel(Protocol):
    """A chat model that writes what it is asked for. Shared by all encounters."""

    name: str  # of the model, for people: "llama3.1:8b"

    def answer(self, asked: Asked, *, most_tokens: int) -> AsyncGenerator[str]:
        """The pieces of one answer as they are written; what a model thinks beside it is left out where that is known.

        Closing the generator ends the writing. Raises `ModelError`, before or between pieces.
        """
        ...

    async def aclose(self) -> None:
        """End connections and free memory."""
        ...


class NoteWriter(Protocol):
    """Writes notes. Shared by all encounters; whoever asked checks what it writes (`notes.evidence.checking`)."""

    name: str  # "embedded", "model"
    generator: str  # what its notes say of who wrote them: see `Note.generator`

    def write(self, request: NoteRequest, items: Sequence[Utterance]) -> AsyncGenerator[NoteUpdate]:
        """Sections of a note in the template's order, each as soon as it is written, and at last the whole note.

        Each sentence names the items that it rests on. Closing the generator ends the writing. Raises `NoteError`.
        """
        ...
