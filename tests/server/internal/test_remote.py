"""A recogniser elsewhere: real sockets between a process that asks and workers that answer."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

import anyio
import httpx
import numpy as np
import pytest
import uvicorn
from starlette.applications import Starlette

from pipeline.batching import Batcher
from pipeline.errors import RecogniserUnavailable, RecognitionFailed, RecognitionGivenUp
from pipeline.types import Hypothesis, Purpose, RecognitionRequest
from server.internal import wire
from server.internal.recogniser import RecogniserRoutes
from server.internal.remote import RemoteRecogniser
from server.listening import bind
from tests.fakes import EchoRecogniser, hypothesis, speech

TOKEN = "a secret of this test"


class Gated(EchoRecogniser):
    """Answers when it is let; remembers in which order it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.gate = anyio.Event()
        self.first = anyio.Event()

    async def recognise(self, batch: Sequence[RecognitionRequest]) -> list[Hypothesis | RecognitionFailed]:
        self.asked += [request.stream_id.rpartition("/")[2] for request in batch]
        self.first.set()
        await self.gate.wait()
        return await super().recognise(batch)


class Worker:
    def __init__(self, url: str, routes: RecogniserRoutes, batcher: Batcher) -> None:
        self.url, self.routes, self.batcher = url, routes, batcher

    async def until(self, waiting: int) -> None:
        await until(lambda: self.routes.waiting == waiting)


@asynccontextmanager
async def worker(engine: EchoRecogniser, max_waiting: int = 100, token: str = TOKEN) -> AsyncIterator[Worker]:
    batcher = Batcher(engine)
    routes = RecogniserRoutes(batcher, ready=lambda: None, token=token, max_waiting=max_waiting)
    app = Starlette(routes=routes.routes())
    (socket,) = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    server.capture_signals = _no_signals  # type: ignore[method-assign,assignment]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(batcher.run)
        tasks.start_soon(server.serve, [socket])
        yield Worker(f"http://127.0.0.1:{socket.getsockname()[1]}", routes, batcher)
        server.should_exit = True
        await until(lambda: not server.server_state.connections)
        tasks.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what has no event."""
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.01)


def _no_signals() -> AbstractContextManager[None]:
    return nullcontext()


@asynccontextmanager
async def asking(*urls: str, token: str = TOKEN, deadline_s: float = 20) -> AsyncIterator[RemoteRecogniser]:
    remote = RemoteRecogniser(urls, headers={"Authorization": f"Bearer {token}"}, tls=True, deadline_s=deadline_s)
    try:
        yield remote
    finally:
        await remote.aclose()


def request(
    stream: str = "s", segment: int = 0, purpose: Purpose = Purpose.FINAL, live: bool = True, ms: int = 500
) -> RecognitionRequest:
    return RecognitionRequest(
        stream_id=stream, segment=segment, purpose=purpose, start=0, pcm=speech(ms), language="en", live=live
    )


def test_a_request_is_the_same_behind_the_wire() -> None:
    sent = request("a", 3, Purpose.REFRESH, live=False)
    (got,) = wire.read_call(wire.write_call("caller", [sent]))
    assert got.stream_id == "caller/a"
    assert (got.segment, got.purpose, got.live, got.language) == (3, Purpose.REFRESH, False, "en")
    assert np.array_equal(got.pcm, sent.pcm)
    assert got.pcm.dtype == np.float32


def test_answers_are_the_same_behind_the_wire_and_signs_of_life() -> None:
    words, failed = hypothesis("one two"), RecognitionGivenUp()
    first, second = wire.read_answers(wire.ALIVE * 3 + wire.write_answers([words, failed]))
    assert first == words
    assert isinstance(second, RecognitionGivenUp)


async def test_a_worker_answers_as_its_engine_does_and_says_what_it_is() -> None:
    async with worker(EchoRecogniser(capacity=3, failing=frozenset({7}))) as there, asking(there.url) as remote:
        await remote.start()
        assert remote.capacity == 3
        assert remote.languages == {"en"}
        assert remote.continues
        good, bad = await remote.recognise([request(segment=2), request("t", segment=7)])
    assert isinstance(good, Hypothesis)
    assert good.text == "segment 2"
    assert isinstance(bad, RecognitionFailed)


async def test_a_wrong_token_is_refused_with_what_to_do() -> None:
    async with worker(EchoRecogniser()) as there, asking(there.url, token="another") as remote:
        with pytest.raises(RecogniserUnavailable, match=r"internal\.token"):
            await remote.start()
        ((_, ok, why),) = await remote.examine()
        assert not ok
        assert "internal.token" in why
    assert TOKEN not in why


async def test_somebody_who_waits_goes_before_files_of_another_process() -> None:
    engine = Gated()
    async with worker(engine) as there, asking(there.url) as one, asking(there.url) as other:  # noqa: SIM117
        async with anyio.create_task_group() as calls:
            for number in range(5):
                calls.start_soon(one.recognise, [request(f"file{number}", live=False)])
            await there.until(waiting=5)
            await engine.first.wait()
            calls.start_soon(other.recognise, [request("live")])
            await there.until(waiting=6)
            engine.gate.set()
    assert engine.asked[1] == "live"


async def test_a_caller_that_goes_away_takes_what_waits_with_it() -> None:
    engine = Gated()
    async with worker(engine) as there, asking(there.url) as one, asking(there.url) as other:
        async with anyio.create_task_group() as calls:
            calls.start_soon(other.recognise, [request("first")])
            await engine.first.wait()
            async with anyio.create_task_group() as leaving:
                leaving.start_soon(one.recognise, [request("gone")])
                await there.until(waiting=2)
                leaving.cancel_scope.cancel()
            await there.until(waiting=1)
            engine.gate.set()
        await other.recognise([request("last")])
    assert engine.asked == ["first", "last"]


async def test_a_full_worker_sends_files_away_and_still_takes_who_waits() -> None:
    engine = Gated()
    async with worker(engine, max_waiting=4) as there, asking(there.url) as one:
        answers: list[object] = []

        async def ask(stream: str, live: bool) -> None:
            answers.extend(await one.recognise([request(stream, live=live)]))

        async with anyio.create_task_group() as calls:
            for number in range(4):
                calls.start_soon(ask, f"file{number}", False)
            await there.until(waiting=3)
            await until(lambda: there.routes.refused > 0)
            engine.gate.set()
            calls.start_soon(ask, "live", True)
    assert len(answers) == 5
    assert all(isinstance(answer, Hypothesis) for answer in answers)


async def test_a_newer_partial_takes_the_place_of_an_older_one_which_is_answered_as_superseded() -> None:
    engine = Gated()
    async with worker(engine) as there, asking(there.url) as one:
        old: list[object] = []

        async def ask() -> None:
            old.extend(await one.recognise([request("s", purpose=Purpose.REFRESH)]))

        async with anyio.create_task_group() as calls:
            calls.start_soon(one.recognise, [request("other")])
            await engine.first.wait()
            calls.start_soon(ask)
            await there.until(waiting=2)
            calls.start_soon(one.recognise, [request("s", purpose=Purpose.REFRESH, ms=900)])
            await until(lambda: bool(old))
            engine.gate.set()
    assert isinstance(old[0], wire.Superseded)
    assert engine.asked == ["other", "s"]


async def test_while_no_worker_is_there_a_partial_fails_at_once_and_a_final_waits_for_one() -> None:
    (socket,) = bind("127.0.0.1", 0)
    nobody = f"http://127.0.0.1:{socket.getsockname()[1]}"
    async with worker(EchoRecogniser()) as there, asking(nobody, there.url) as remote:
        await remote.start()
        answers = await remote.recognise([request(str(n), n) for n in range(8)])
        assert [answer.text for answer in answers if isinstance(answer, Hypothesis)] == [
            f"segment {n}" for n in range(8)
        ]
    async with asking(nobody, deadline_s=2) as remote:
        (first,) = await remote.recognise([request()])
        assert isinstance(first, RecognitionFailed)
        (partial,) = await remote.recognise([request(purpose=Purpose.REFRESH)])
        assert isinstance(partial, RecognitionFailed)
    socket.close()


async def test_what_is_no_call_is_refused() -> None:
    async with worker(EchoRecogniser()) as there, httpx.AsyncClient(trust_env=False) as http:
        url = there.url + wire.RECOGNISE
        assert (await http.post(url, content=b"x")).status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert (await http.post(url, content=b"x", headers=headers)).status_code == 400
        assert (await http.get(there.url + wire.DESCRIBE)).status_code == 401
