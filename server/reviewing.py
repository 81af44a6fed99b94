"""Who spoke, looked at once more when a consultation is over: its audio is decoded again and diarised as a whole."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import anyio
import anyio.to_thread
import numpy as np
import structlog

from pipeline.attribution.review import review
from pipeline.errors import AuscultError
from pipeline.events import SpeakerRenamed
from pipeline.pcm import mixed
from pipeline.ports import AudioDecoder, OfflineDiarizer
from pipeline.types import SAMPLE_RATE, Pcm, SpokenSpan, Utterance

log = structlog.get_logger()

MAX_SAMPLES = 90 * 60 * SAMPLE_RATE  # 345 MB as float32, and about four times that while it is diarised
PATIENCE_S = 600.0  # for any audio, and …
PATIENCE = 5.0  # … times its length: a diarisation that takes longer hangs
NOT_REVIEWED = "Who spoke was not looked at once more: the labels are those of the live transcript."


class RecordingTooLong(AuscultError):
    """The audio is too long to be diarised as a whole."""

    code = "recording_too_long"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recorded:
    """A stream that is over: where its audio is, and what was said on it."""

    encounter: str
    decoder: AudioDecoder  # at the stream's first byte; closed by who takes it
    chunks: AsyncIterator[bytes]
    duration: int  # samples, up to where the stream was heard
    items: Sequence[Utterance]
    expected_speakers: int | None


def worth_it(items: Sequence[Utterance]) -> bool:
    """Whether a review could change anything: it makes no speakers, it only moves words between them."""
    return len({item.speaker for item in items if item.speaker}) > 1


class Reviewer:
    """One per process; one recording at a time, because each takes a core and a gigabyte."""

    def __init__(self, diarizer: OfflineDiarizer, *, max_samples: int = MAX_SAMPLES) -> None:
        self._diarizer = diarizer
        self._max_samples = max_samples
        self._turn = anyio.Lock()
        self.reviewed = 0  # streams
        self.failed = 0

    async def renames(self, recorded: Recorded) -> list[SpeakerRenamed] | None:
        """What changes; None where it could not be found out, which the log explains. Raises nothing of its own."""
        try:
            if recorded.duration > self._max_samples:
                raise RecordingTooLong
            async with self._turn:
                with anyio.fail_after(PATIENCE_S + PATIENCE * recorded.duration / SAMPLE_RATE):
                    spans = await self._spans(recorded)
                renames = await anyio.to_thread.run_sync(review, recorded.items, spans)
        except Exception as exc:  # a foreign package, a full memory: labels stay as they were, nobody loses words
            self.failed += 1
            code, reason = (exc.code, str(exc)) if isinstance(exc, AuscultError) else (type(exc).__name__, "")
            log.warning("review.failed", encounter=recorded.encounter, code=code, reason=reason)
            return None
        finally:
            with anyio.CancelScope(shield=True):
                await recorded.decoder.aclose()
        self.reviewed += 1
        return renames

    async def _spans(self, recorded: Recorded) -> list[SpokenSpan]:
        """Who spoke when, in the stream's own samples."""
        await self._diarizer.start()
        pcm = await _decoded(recorded)
        shift = recorded.duration - len(pcm)  # a stream that was added later begins later
        spans = await self._diarizer.diarize(pcm, expected_speakers=recorded.expected_speakers)
        return [
            SpokenSpan(start=span.start + shift, end=span.end + shift, speaker=span.speaker, overlap=span.overlap)
            for span in spans
        ]


async def _decoded(recorded: Recorded) -> Pcm:
    """All audio of the stream, in one piece that is made once: two copies of an hour would be half a gigabyte."""
    pcm = np.zeros(recorded.duration, np.float32)
    heard = 0

    async def feed() -> None:
        async for chunk in recorded.chunks:
            await recorded.decoder.feed(chunk)
        recorded.decoder.end()

    async with anyio.create_task_group() as feeding:
        feeding.start_soon(feed)
        async for block in recorded.decoder:
            piece = mixed(block.pcm)[: len(pcm) - heard]
            pcm[heard : heard + len(piece)] = piece
            heard += len(piece)
    return pcm[:heard]
