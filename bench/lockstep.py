"""The live pipeline as if computing took no time: what is left of a delay when the machine is infinitely fast.

The same session, settings and chunks as a live stream has, but the stream waits whenever something is being
recognised: its clock counts audio alone. What remains of TTFS is the *endpoint delay*, the price of being sure that the
speaker has finished; the rest of what a client measures is computing, scheduling and transport. Computation-unaware
latency in the sense of whisper_streaming's `--comp_unaware` and simulstream, with which it can be compared.
"""

import anyio

from bench.clients import CHUNK_MS
from bench.score import Final
from pipeline.batching import Answer, Batcher
from pipeline.errors import RecognitionFailed
from pipeline.events import Committed, Partial
from pipeline.ports import VoiceActivityModel
from pipeline.session import Session, SessionOptions
from pipeline.types import Pcm, RecognitionRequest, Role, StreamOptions, Utterance, to_ms, to_samples


async def lockstep(
    pcm: Pcm,
    *,
    role: Role,
    language: str,
    options: SessionOptions,
    voice_activity: VoiceActivityModel,
    batcher: Batcher,
) -> list[Final]:
    """The finals of a live stream. `arrived_ms` and `first_partial_ms` count the audio that had been heard by then."""
    stream = StreamOptions(encounter="bench", stream="lockstep", role=role, language=language)
    session = Session(stream, options, voice_activity)
    watch = _Watch()
    step = to_samples(CHUNK_MS)
    for begin in range(0, len(pcm), step):
        session.receive_audio(pcm[begin : begin + step])
        await _answer(session, batcher)
        watch.take(session, to_ms(min(begin + step, len(pcm))))
    session.receive_end()
    await _answer(session, batcher)
    watch.take(session, to_ms(len(pcm)))
    return watch.finals


class _Watch:
    """Notes when things come out of a session."""

    def __init__(self) -> None:
        self.finals: list[Final] = []
        self._shown: dict[str, int] = {}  # id of an item → when its first words came

    def take(self, session: Session, at_ms: int) -> None:
        for event in session.events():
            if isinstance(event, Partial) and event.text:
                self._shown.setdefault(event.id, at_ms)
            elif isinstance(event, Committed):
                self.finals += [self._final(item, at_ms) for item in event.utterances]

    def _final(self, item: Utterance, at_ms: int) -> Final:
        return Final(
            role=item.role,
            start_ms=item.start_ms,
            end_ms=item.end_ms,
            text=item.text,
            arrived_ms=at_ms,
            first_partial_ms=self._shown.get(item.id),
        )


async def _answer(session: Session, batcher: Batcher) -> None:
    """Recognise whatever the session asks, and what it asks because of the answers."""
    while requests := session.recognition_requests():
        for request in requests:
            answer = await _recognised(request, batcher)
            if isinstance(answer, RecognitionFailed):
                session.receive_failure(request, answer)
            else:
                session.receive_hypothesis(request, answer)


async def _recognised(request: RecognitionRequest, batcher: Batcher) -> Answer:
    answers: list[Answer] = []
    answered = anyio.Event()

    def take(_: RecognitionRequest, answer: Answer) -> None:
        answers.append(answer)
        answered.set()

    batcher.submit(request, take)
    await answered.wait()
    return answers[0]
