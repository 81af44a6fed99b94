"""A recogniser worker's routes: requests of other processes go through one `Batcher`, whose order holds for all.

So what somebody waits for goes before files, whoever asks. An answer begins at once, with a sign of life each second:
a caller can tell a worker that has much to do from one that is gone.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from pipeline.batching import Batcher
from pipeline.errors import AuscultError, Overloaded, RecognitionFailed
from pipeline.types import Hypothesis, RecognitionRequest
from server.errors import BadRequest, TooLarge, Unauthorized
from server.http import body, cancel_when_gone, guarded, retry_after
from server.internal.credentials import check_token
from server.internal.wire import (
    ALIVE,
    DESCRIBE,
    MAX_CALL_BYTES,
    RECOGNISE,
    Description,
    Superseded,
    read_call,
    write_answers,
)

ALIVE_S = 1.0  # between two signs of life
FORGET_S = 30.0  # a stream that asked for nothing so long has ended: nobody says so
FILES_SHARE = 0.75  # of what is taken at a time
RETRY_S = 1
MEDIA_TYPE = "application/msgpack"

Answer: TypeAlias = Hypothesis | RecognitionFailed


@dataclass(slots=True)
class _Stream:
    open: int = 0  # requests taken and not answered
    asked: float = 0.0  # when the last one came


class RecogniserRoutes:
    """See the module."""

    def __init__(self, batcher: Batcher, *, ready: Callable[[], str | None], token: str, max_waiting: int) -> None:
        self._batcher = batcher
        self._ready = ready
        self._token = token
        self._max_waiting = max_waiting
        self._streams: OrderedDict[str, _Stream] = OrderedDict()  # the one not asked about longest first
        self.waiting = 0  # requests taken and not answered
        self.refused = 0  # calls sent away

    def routes(self) -> list[Route]:
        """`POST /internal/recognise` and `GET /internal/recogniser`."""
        return [
            Route(RECOGNISE, guarded(self._recognise, _refuse), methods=["POST"]),
            Route(DESCRIBE, guarded(self._describe, _refuse)),
        ]

    async def _describe(self, request: Request) -> Response:
        check_token(self._token, request.headers)
        self._check_ready()
        engine = self._batcher.recogniser
        description = Description(
            name=engine.name,
            model=engine.model,
            languages=engine.languages,
            capacity=engine.capacity,
            max_batch=engine.max_batch,
            window=engine.window,
            continues=engine.continues,
            speculates=engine.speculates,
            temperatures=engine.temperatures,
            streams_carried=self._batcher.streams_carried,
            waiting=self.waiting,
        )
        return Response(msgspec.json.encode(description), media_type="application/json")

    async def _recognise(self, request: Request) -> Response:
        check_token(self._token, request.headers)
        self._check_ready()
        asked = read_call(await body(request, MAX_CALL_BYTES))
        room = self._max_waiting * (1.0 if any(each.live for each in asked) else FILES_SHARE)
        if self.waiting and self.waiting + len(asked) > room:
            self.refused += 1
            raise Overloaded(retry_after_s=RETRY_S)
        return _Call(self, asked)

    def _check_ready(self) -> None:
        if self._ready() is not None:
            raise Overloaded(retry_after_s=RETRY_S)

    def take(self, asked: Sequence[RecognitionRequest], call: "_Open") -> None:
        """Queue all requests of a call."""
        self._forget()
        for index, request in enumerate(asked):
            self.waiting += 1
            stream = self._streams.setdefault(request.stream_id, _Stream())
            stream.open += 1
            stream.asked = anyio.current_time()
            self._streams.move_to_end(request.stream_id)
            call.withdraw.append(
                self._batcher.submit(
                    request,
                    lambda _, answer, index=index: call.answer(index, answer),  # type: ignore[misc]
                    lambda index=index: call.answer(index, Superseded()),  # type: ignore[misc]
                )
            )

    def let_go(self, asked: Sequence[RecognitionRequest], call: "_Open") -> None:
        """A call is over: what it still waits for is not wanted any more."""
        for index, request in enumerate(asked):
            if index not in call.answers:
                call.withdraw[index]()
            self.waiting -= 1
            self._streams[request.stream_id].open -= 1

    def _forget(self) -> None:
        now = anyio.current_time()
        for name, stream in tuple(self._streams.items()):
            if now - stream.asked < FORGET_S:
                return
            if not stream.open:
                self._batcher.cancel(name)
                del self._streams[name]


@dataclass(slots=True)
class _Open:
    """A call's answers as they come."""

    wanted: int
    answers: dict[int, Answer] = field(default_factory=dict)
    complete: anyio.Event = field(default_factory=anyio.Event)
    withdraw: list[Callable[[], None]] = field(default_factory=list)

    def answer(self, index: int, answer: Answer) -> None:
        self.answers[index] = answer
        if len(self.answers) == self.wanted:
            self.complete.set()


class _Call(Response):
    """The answer to a call, which ends early when the caller goes away."""

    media_type = MEDIA_TYPE

    def __init__(self, owner: RecogniserRoutes, asked: Sequence[RecognitionRequest]) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._owner = owner
        self._asked = asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = _Open(len(self._asked))
        if not self._asked:
            call.complete.set()
        self._owner.take(self._asked, call)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cancel_when_gone, receive, tasks.cancel_scope)
                while not call.complete.is_set():
                    with anyio.move_on_after(ALIVE_S):
                        await call.complete.wait()
                    if not call.complete.is_set():
                        await send({"type": "http.response.body", "body": ALIVE, "more_body": True})
                answers = [call.answers[index] for index in range(len(self._asked))]
                await send({"type": "http.response.body", "body": write_answers(answers)})
                tasks.cancel_scope.cancel()
        finally:
            self._owner.let_go(self._asked, call)


def _refuse(exc: AuscultError) -> Response:
    status = 503
    match exc:
        case Unauthorized():
            status = 401
        case TooLarge():
            status = 413
        case BadRequest():
            status = 400
    return JSONResponse({"error": {"code": exc.code, "message": str(exc)}}, status, retry_after(exc))
