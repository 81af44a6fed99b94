"""A language model's server on the loopback device that speaks as each vendor's does, and misbehaves as told."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from server.listening import bind

Json: TypeAlias = dict[str, Any]
Behaviour: TypeAlias = Callable[[Json], Response]
"""What the server answers to the body of a request."""


@dataclass
class LanguageServer:
    """A running server: what it was asked, and what it answers, in turn (the last one again and again)."""

    url: str
    behaviours: list[Behaviour]
    models: list[str] = field(default_factory=lambda: ["test-model"])
    asked: list[Json] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def complete(self, request: Request) -> Response:
        self.asked.append(await request.json())
        self.headers.append(dict(request.headers))
        behaviour = self.behaviours[0] if len(self.behaviours) == 1 else self.behaviours.pop(0)
        return behaviour(self.asked[-1])

    async def list_models(self, request: Request) -> Response:
        self.headers.append(dict(request.headers))
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})


@asynccontextmanager
async def language_server(*behaviours: Behaviour) -> AsyncIterator[LanguageServer]:
    """A server that answers like this."""
    (socket,) = bind("127.0.0.1", 0)
    running = LanguageServer(f"http://127.0.0.1:{socket.getsockname()[1]}/v1", list(behaviours))
    routes = [
        Route("/v1/chat/completions", running.complete, methods=["POST"]),
        Route("/v1/models", running.list_models),
    ]
    config = uvicorn.Config(Starlette(routes=routes), log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals  # type: ignore[method-assign,assignment]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [socket])
        yield running
        server.should_exit = True
        server.force_exit = True


# Wires. Each streams a text in pieces as the vendor's server does.


def openai_wire(text: str, ended: str = "stop") -> Behaviour:
    """OpenAI: a role first, `refusal` beside the content, usage in a chunk without choices."""

    def events() -> Iterator[str]:
        yield event([choice({"role": "assistant", "content": "", "refusal": None})])
        for piece in _pieces(text):
            yield event([choice({"content": piece})])
        yield event([choice({}, ended)])
        yield event([], usage={"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18})
        yield "data: [DONE]\n\n"

    return streamed(events)


def ollama_wire(text: str, *, thoughts: str = "", done: bool = True) -> Behaviour:
    """Ollama: the role in every chunk, thoughts under `reasoning`, no usage; older ones end without [DONE]."""

    def events() -> Iterator[str]:
        for piece in _pieces(thoughts):
            yield event([choice({"role": "assistant", "content": "", "reasoning": piece})], _ollama=True)
        for piece in _pieces(text):
            yield event([choice({"role": "assistant", "content": piece})], _ollama=True)
        yield event([choice({"role": "assistant", "content": ""}, "stop")], _ollama=True)
        if done:
            yield "data: [DONE]\n\n"

    return streamed(events)


def vllm_wire(text: str, *, thoughts: str = "") -> Behaviour:
    """vLLM: thoughts under `reasoning_content`, `stop_reason` and `logprobs` beside each choice."""

    def events() -> Iterator[str]:
        yield event([{**choice({"role": "assistant", "content": ""}), "logprobs": None}])
        for piece in _pieces(thoughts):
            yield event([{**choice({"reasoning_content": piece}), "logprobs": None}])
        for piece in _pieces(text):
            yield event([{**choice({"content": piece}), "logprobs": None, "token_ids": None}])
        yield event([{**choice({"content": ""}, "stop"), "logprobs": None, "stop_reason": None}])
        yield "data: [DONE]\n\n"

    return streamed(events)


def llamacpp_wire(text: str, *, thoughts: str = "") -> Behaviour:
    """llama.cpp's server: null content in the first chunk, timings in the last, comments that keep the line alive."""

    def events() -> Iterator[str]:
        yield ": ping\n\n"
        yield event([choice({"role": "assistant", "content": None})])
        for piece in _pieces(thoughts):
            yield event([choice({"reasoning_content": piece})])
        for piece in _pieces(text):
            yield event([choice({"content": piece})])
            yield ":\n\n"
        yield event([choice({}, "stop")], timings={"predicted_n": 9, "predicted_ms": 1.5})
        yield "data: [DONE]\n\n"

    return streamed(events)


# Misbehaviour


def streamed(events: Callable[[], Iterator[str]]) -> Behaviour:
    """Server-sent events."""

    async def body() -> AsyncIterator[str]:
        for each in events():
            yield each

    return lambda _: StreamingResponse(body(), media_type="text/event-stream")


def refusing_wire() -> Behaviour:
    """OpenAI's model refuses: in a field of its own, and ends as usual."""

    def events() -> Iterator[str]:
        yield event([choice({"role": "assistant", "content": None, "refusal": ""})])
        yield event([choice({"refusal": "I cannot help with that."})])
        yield event([choice({}, "stop")])
        yield "data: [DONE]\n\n"

    return streamed(events)


def failing(status: int, body: Json | str, headers: dict[str, str] | None = None) -> Behaviour:
    """An answer with an error."""
    if isinstance(body, str):
        return lambda _: Response(body, status_code=status, headers=headers)
    return lambda _: JSONResponse(body, status_code=status, headers=headers)


def cut_off(text: str) -> Behaviour:
    """The connection ends amid the answer."""

    async def body() -> AsyncIterator[str]:
        for piece in _pieces(text):
            yield event([choice({"content": piece})])
        await anyio.lowlevel.checkpoint()
        raise ConnectionResetError

    return lambda _: StreamingResponse(body(), media_type="text/event-stream")


def ending_early(text: str) -> Behaviour:
    """The stream ends as if all were well, but the model never said that it was done."""
    return streamed(lambda: (event([choice({"content": piece})]) for piece in _pieces(text)))


def silent(text: str = "", *, comments: bool = False) -> Behaviour:
    """Nothing comes behind the text but, where that is wanted, comments that keep the connection alive."""

    async def body() -> AsyncIterator[str]:
        yield event([choice({"role": "assistant", "content": ""})])
        for piece in _pieces(text):
            yield event([choice({"content": piece})])
        while True:
            await anyio.sleep(0.05)
            if comments:
                yield ": keep-alive\n\n"

    return lambda _: StreamingResponse(body(), media_type="text/event-stream")


def endless(*, in_one_line: bool) -> Behaviour:
    """More megabytes than anybody wants."""

    async def body() -> AsyncIterator[str]:
        if in_one_line:
            yield 'data: {"choices": [{"index": 0, "delta": {"content": "'
        for _ in range(200):
            yield "x" * 65_536 if in_one_line else event([choice({"content": "x" * 65_536})])

    return lambda _: StreamingResponse(body(), media_type="text/event-stream")


def failing_amid(text: str, error: Json) -> Behaviour:
    """An error as an event of the stream, as vLLM and llama.cpp tell of one."""

    def events() -> Iterator[str]:
        for piece in _pieces(text):
            yield event([choice({"content": piece})])
        yield f"data: {json.dumps({'error': error})}\n\n"

    return streamed(events)


def garbled() -> Behaviour:
    """An event that is no JSON."""
    return streamed(lambda: iter(['data: {"choices": [{"index": 0, "del\n\n']))


def choice(delta: Json, ended: str | None = None) -> Json:
    return {"index": 0, "delta": delta, "finish_reason": ended}


def event(choices: Sequence[Json], *, _ollama: bool = False, **more: Any) -> str:
    fingerprint = {"system_fingerprint": "fp_ollama"} if _ollama else {}
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "test-model",
        **fingerprint,
        "choices": choices,
        **more,
    }
    return f"data: {json.dumps(chunk)}\n\n"


def _pieces(text: str, size: int = 11) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _no_signals() -> AbstractContextManager[None]:
    return nullcontext()
