"""A client of generation C whose socket broke opens a new one and repeats what was not acknowledged. Pure decisions.

Nothing on the wire names the session. What tells it is the audio itself: the same bytes under the same number of the
same stream, as long as they are not the bytes of every silence.
"""

from collections.abc import Iterable, Sequence

from pipeline.types import SAMPLE_RATE, Utterance, to_samples
from server.errors import BadRequest
from server.facades.nabla import convert, schema
from server.facades.nabla.dialect import Setup
from server.replays import Candidate, Evidence, Match

MIN_VALUES = 8  # different samples; digital silence and a muted, dithered or humming input have fewer
LOOKED_AT = 64  # samples that settle it for speech, and noise
HELD_S = 3.0  # of audio of one stream that proves nothing: then the session is a new one
FIRST_NUMBERS = (0, 1)  # with which clients begin to count: such a socket displaces no other
TOLD_AGAIN = to_samples(10_000)  # finals that may have been lost with the former socket


def proves(body: bytes) -> bool:
    """Whether a chunk of PCM is unlikely to come from anybody else."""
    samples = memoryview(body)[: len(body) // 2 * 2].cast("h")
    return any(len(set(samples[:most])) >= MIN_VALUES for most in (LOOKED_AT, len(samples)))


class Beginning:
    """The first messages of a socket, held back until one of them can tell whether they were heard before."""

    def __init__(self, setup: Setup) -> None:
        self.messages: list[schema.ClientMessage] = []
        self.first: int | None = None  # number of the first chunk
        self.settled = False  # nothing more is to be waited for
        self._ordinals = {name: ordinal for ordinal, name in enumerate(setup.streams)}
        self._held = [0] * len(setup.streams)  # bytes
        self._most = round(HELD_S * 2 * setup.options.streams[0].sample_rate)

    def add(self, message: schema.ClientMessage) -> Evidence | None:
        """Hold a message back; returns what it proves. Only numbered silence leaves the matter open."""
        self.messages.append(message)
        self.settled = True
        if not isinstance(message, schema.AudioChunk) or message.seq_id is None:
            return None
        stream = self._ordinals.get(message.stream_id)
        try:
            body = convert.pcm(message.payload)
        except BadRequest:
            return None  # it will be answered when it is taken
        if stream is None:
            return None
        self.first = message.seq_id if self.first is None else self.first
        if proves(body):
            before = self._held[stream]
            return Evidence(stream=stream, number=message.seq_id, body=body, before=before, first=self.first)
        self._held[stream] += len(body)
        self.settled = self._held[stream] > self._most
        return None


def eligible(candidates: Iterable[Candidate], first: int | None) -> list[Candidate]:
    """The sessions that a socket may continue, whose first chunk has this number.

    Those without a connection; and where it does not begin to count, those whose connection is broken but not yet known
    to be.
    """
    return [candidate for candidate in candidates if not candidate.attended or first not in FIRST_NUMBERS]


def chosen(matches: Sequence[Match]) -> Match | None:
    """The session that goes on, where there is no doubt: the only one, or the only one without a connection."""
    waiting = [match for match in matches if not match.candidate.attended]
    best = waiting or matches
    return best[0] if len(best) == 1 else None


def zero(offset: int, sample_rate: int) -> int:
    """The stream time, in samples, of a byte of 16-bit PCM."""
    return max(0, round(offset / 2 * SAMPLE_RATE / sample_rate))


def untold(ordinal: int, item: Utterance, told: int, since: int) -> bool:
    """Whether a socket tells a final: one behind the `told` first, or so recent that it may have been lost.

    `since` is the stream time, in samples, from which the socket sends audio.
    """
    return ordinal >= told or item.end > since - TOLD_AGAIN
