"""Recognition over HTTP: requests and answers as msgpack. A plain translation, no I/O.

A `POST /internal/recognise` carries `Call`, and is answered by any number of `ALIVE` bytes, each a sign that the worker
still lives, and then `Answers`. `GET /internal/recogniser` is answered by `Description`.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from pipeline.errors import RecogniserHung, RecognitionFailed, RecognitionGivenUp
from pipeline.types import Hypothesis, Purpose, RecognitionRequest
from server.errors import BadRequest

RECOGNISE = "/internal/recognise"
DESCRIBE = "/internal/recogniser"
ALIVE = b"\xc0"  # msgpack's nil; an array, which the answers are, never begins with it
MAX_CALL_BYTES = 64 << 20  # 30 s of audio are 2 MB

_SAMPLES = np.dtype("<f4")


class Superseded(RecognitionFailed):
    """The stream asked for something newer before this request was looked at."""

    code = "recognition_superseded"


_FAILURES = {kind.code: kind for kind in (RecognitionFailed, RecogniserHung, RecognitionGivenUp, Superseded)}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A `RecognitionRequest`; its audio as float32, little-endian."""

    stream_id: str
    segment: int
    purpose: Purpose
    start: int
    pcm: bytes
    language: str
    prompt: str = ""
    glossary: tuple[str, ...] = ()
    committed: str = ""
    tenant: str = ""
    live: bool = True


class Call(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Requests of one process."""

    caller: str  # its streams' ids are unique among its own
    requests: tuple[Asked, ...]


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: words, or the code of a failure."""

    hypothesis: Hypothesis | None = None
    failure: str = ""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is and how it does. The fields are those of `pipeline.ports.Recogniser`, and of its `Batcher`."""

    name: str
    model: str
    languages: frozenset[str]
    capacity: int
    max_batch: int
    window: int
    continues: bool
    speculates: bool
    temperatures: tuple[float, ...]
    streams_carried: int
    waiting: int  # requests that it has taken and not answered


def write_call(caller: str, requests: Sequence[RecognitionRequest]) -> bytes:
    """The body of a call."""
    asked = tuple(
        Asked(
            stream_id=request.stream_id,
            segment=request.segment,
            purpose=request.purpose,
            start=request.start,
            pcm=request.pcm.astype(_SAMPLES, copy=False).tobytes(),
            language=request.language,
            prompt=request.prompt,
            glossary=request.glossary,
            committed=request.committed,
            tenant=request.tenant,
            live=request.live,
        )
        for request in requests
    )
    return msgspec.msgpack.encode(Call(caller=caller, requests=asked))


def read_call(body: bytes) -> list[RecognitionRequest]:
    """The requests of a call; their streams' ids are unique among those of all callers. Raises `BadRequest`."""
    try:
        call = msgspec.msgpack.decode(body, type=Call)
        return [_request(call.caller, asked) for asked in call.requests]
    except (msgspec.DecodeError, ValueError) as exc:  # their words may quote the body
        raise BadRequest("This is no call of a recogniser worker: run the same version everywhere.") from exc


def _request(caller: str, asked: Asked) -> RecognitionRequest:
    return RecognitionRequest(
        stream_id=f"{caller}/{asked.stream_id}",
        segment=asked.segment,
        purpose=asked.purpose,
        start=asked.start,
        pcm=np.frombuffer(asked.pcm, _SAMPLES).astype(np.float32),  # a copy, which an engine may write into
        language=asked.language,
        prompt=asked.prompt,
        glossary=asked.glossary,
        committed=asked.committed,
        tenant=asked.tenant,
        live=asked.live,
    )


def write_answers(answers: Sequence[Hypothesis | RecognitionFailed]) -> bytes:
    """The end of a call's answer."""
    return msgspec.msgpack.encode(
        [
            Answered(failure=answer.code) if isinstance(answer, RecognitionFailed) else Answered(hypothesis=answer)
            for answer in answers
        ]
    )


def read_answers(body: bytes) -> list[Hypothesis | RecognitionFailed]:
    """The answers, in order, behind the signs of life. Raises `msgspec.DecodeError`."""
    answered = msgspec.msgpack.decode(body.lstrip(ALIVE), type=list[Answered])
    return [each.hypothesis or _FAILURES.get(each.failure, RecognitionFailed)() for each in answered]
