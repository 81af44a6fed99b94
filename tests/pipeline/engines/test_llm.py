"""A language model's server as each vendor's is on the wire, and as it should not be."""

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.engines.llm import ChatModel, LlmOptions
from pipeline.errors import (
    ModelBrokenAnswer,
    ModelBusy,
    ModelError,
    ModelRefused,
    ModelRejected,
    ModelTimeout,
    ModelTooLong,
    ModelUnauthorised,
    ModelUnavailable,
)
from pipeline.notes.asking.prompting import Asked, Message, schema
from tests.language_models import (
    Behaviour,
    LanguageServer,
    cut_off,
    ending_early,
    endless,
    failing,
    failing_amid,
    garbled,
    language_server,
    llamacpp_wire,
    ollama_wire,
    openai_wire,
    refusing_wire,
    silent,
    vllm_wire,
)

TEXT = '{"sections": [{"key": "A", "sentences": [{"text": "Husten, ça va – 咳.", "items": [1]}]}], "title": "x"}'
SECRET = "the patient's own words"
ASKED = Asked(
    messages=(Message(role="system", text="orders"), Message(role="user", text=SECRET)),
    schema=schema(["A"], by_problem=False),
)


@asynccontextmanager
async def model(*behaviours: Behaviour, **options: Any) -> AsyncIterator[tuple[ChatModel, LanguageServer]]:
    async with language_server(*behaviours) as server:
        chosen = {"url": server.url, "model": "test-model", "timeout_s": 20.0, **options}
        chat = ChatModel(LlmOptions(**chosen))
        try:
            yield chat, server
        finally:
            await chat.aclose()


async def answered(chat: ChatModel) -> str:
    with anyio.fail_after(30):
        async with aclosing(chat.answer(ASKED, most_tokens=100)) as pieces:
            return "".join([piece async for piece in pieces])


@pytest.mark.parametrize(
    "wire",
    [
        openai_wire(TEXT),
        ollama_wire(TEXT),
        ollama_wire(TEXT, thoughts="Let me think about {this}.", done=False),
        vllm_wire(TEXT),
        vllm_wire(TEXT, thoughts="Hm."),
        llamacpp_wire(TEXT),
        llamacpp_wire(TEXT, thoughts="Hm."),
    ],
    ids=["openai", "ollama", "ollama-thinking", "vllm", "vllm-thinking", "llama.cpp", "llama.cpp-thinking"],
)
async def test_the_answer_is_read_from_each_vendors_stream(wire: Behaviour) -> None:
    async with model(wire) as (chat, _):
        assert await answered(chat) == TEXT


async def test_what_is_asked_is_on_the_wire_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/of-another-program")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with model(openai_wire(TEXT), headers={"X-Team": "clinic"}, temperature=0.2) as (chat, server):
        await answered(chat)
    (body,) = server.asked
    assert body == {
        "model": "test-model",
        "messages": [{"role": "system", "content": "orders"}, {"role": "user", "content": SECRET}],
        "stream": True,
        "max_tokens": 100,
        "temperature": 0.2,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "note", "strict": True, "schema": schema(["A"], by_problem=False)},
        },
    }
    (headers,) = server.headers
    assert headers["x-team"] == "clinic"
    assert headers["user-agent"] == "auscult"
    assert "authorization" not in headers
    assert not [name for name in headers if name.startswith(("x-stainless", "openai-"))]


async def test_a_key_is_sent_as_a_bearer_token() -> None:
    async with model(openai_wire(TEXT), key="sk-secret") as (chat, server):
        await answered(chat)
    assert server.headers[0]["authorization"] == "Bearer sk-secret"


REFUSED_BY_VLLM = {
    "object": "error",
    "message": "The provided JSON schema contains features not supported by xgrammar.",
    "type": "BadRequestError",
    "param": None,
    "code": 400,
}
REFUSED_BY_OPENAI = {
    "error": {
        "message": "Unsupported parameter: 'max_tokens' is not supported with this model.",
        "type": "invalid_request_error",
        "param": "max_tokens",
        "code": "unsupported_parameter",
    }
}
NO_TEMPERATURE = {
    "error": {
        "message": "Unsupported value: 'temperature' does not support 0.0 with this model.",
        "type": "invalid_request_error",
        "param": "temperature",
        "code": "unsupported_value",
    }
}


async def test_a_server_that_knows_no_schemas_is_asked_for_json_and_remembered() -> None:
    async with model(failing(400, REFUSED_BY_VLLM), ollama_wire(TEXT)) as (chat, server):
        assert await answered(chat) == TEXT
        assert await answered(chat) == TEXT
    kinds = [body["response_format"]["type"] for body in server.asked]
    assert kinds == ["json_schema", "json_object", "json_object"]


async def test_a_server_that_knows_no_json_mode_either_is_asked_plainly() -> None:
    complaint = {"error": "response_format is not supported"}
    async with model(failing(422, complaint), failing(400, complaint), ollama_wire(TEXT)) as (chat, server):
        assert await answered(chat) == TEXT
    assert "response_format" not in server.asked[-1]


async def test_a_model_that_takes_no_temperature_and_names_the_length_otherwise_is_asked_its_way() -> None:
    async with model(failing(400, REFUSED_BY_OPENAI), failing(400, NO_TEMPERATURE), openai_wire(TEXT)) as (
        chat,
        server,
    ):
        assert await answered(chat) == TEXT
    assert server.asked[-1]["max_completion_tokens"] == 100
    assert not {"max_tokens", "temperature"} & set(server.asked[-1])


FILTERED = {
    "error": {
        "message": "The response was filtered: prompt has a schema and a temperature of 39. Please modify your prompt.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
    }
}


async def test_what_a_filter_refuses_is_asked_once_and_changes_nothing() -> None:
    async with model(failing(400, FILTERED), openai_wire(TEXT)) as (chat, server):
        with pytest.raises(ModelRefused):
            await answered(chat)
        assert await answered(chat) == TEXT
    assert len(server.asked) == 2
    assert server.asked[0] == server.asked[1]


async def test_what_was_left_out_in_vain_is_not_left_out_from_then_on() -> None:
    complaint = failing(400, {"error": {"message": "Invalid prompt: 'a temperature of 39, by any schema'"}})
    async with model(*[complaint] * 4, openai_wire(TEXT)) as (chat, server):
        with pytest.raises(ModelRejected):
            await answered(chat)
        assert "temperature" not in server.asked[-1]
        assert await answered(chat) == TEXT
    assert server.asked[-1] == server.asked[0]


async def test_a_parameter_that_is_named_counts_more_than_what_is_said_of_it() -> None:
    named = {"error": {"message": "'The temperature is max_tokens', she said.", "param": "messages", "code": None}}
    async with model(failing(400, named)) as (chat, server):
        with pytest.raises(ModelRejected):
            await answered(chat)
    assert len(server.asked) == 1


async def test_a_structure_that_was_set_is_not_left_out() -> None:
    async with model(failing(400, REFUSED_BY_VLLM), structured="json_schema") as (chat, server):
        with pytest.raises(ModelRejected):
            await answered(chat)
    assert len(server.asked) == 1


CONTEXT_OF_LLAMACPP = {
    "error": {
        "code": 400,
        "message": "the request exceeds the available context size, try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 1407,
        "n_ctx": 256,
    }
}
CONTEXT_OF_OPENAI = {
    "error": {
        "message": "This model's maximum context length is 8192 tokens.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
}


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (failing(401, {"error": {"message": f"Incorrect key; you said {SECRET}"}}), ModelUnauthorised),
        (failing(403, {"error": "no"}), ModelUnauthorised),
        (failing(404, {"error": {"message": "model 'x' not found, try pulling it first"}}), ModelRejected),
        (failing(400, CONTEXT_OF_LLAMACPP), ModelTooLong),
        (failing(400, CONTEXT_OF_OPENAI), ModelTooLong),
        (
            failing(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}),
            ModelUnavailable,
        ),
        (failing(500, "<html>" + SECRET), ModelUnavailable),
        (failing(502, ""), ModelUnavailable),
        (failing(429, {"error": {"message": "", "code": "insufficient_quota"}}), ModelRejected),
        (failing(307, "", {"Location": "http://127.0.0.1:9/v1/chat/completions"}), ModelRejected),
        (failing_amid(TEXT[:20], {"message": SECRET, "code": 500}), ModelUnavailable),
        (failing_amid(TEXT[:20], {"message": "context size exceeded"}), ModelTooLong),
        (failing_amid(TEXT[:20], {"message": SECRET, "code": "content_filter"}), ModelRefused),
        (refusing_wire(), ModelRefused),
        (openai_wire("", "content_filter"), ModelRefused),
        (openai_wire(TEXT[:30], "length"), ModelTooLong),
        (cut_off(TEXT[:30]), ModelUnavailable),
        (ending_early(TEXT[:30]), ModelBrokenAnswer),
        (garbled(), ModelBrokenAnswer),
        (endless(in_one_line=True), ModelBrokenAnswer),
        (endless(in_one_line=False), ModelBrokenAnswer),
    ],
)
async def test_what_goes_wrong_is_told_in_our_words(behaviour: Behaviour, error: type[ModelError]) -> None:
    async with model(behaviour) as (chat, _):
        with pytest.raises(error) as caught:
            await answered(chat)
    assert type(caught.value) is error
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is None or SECRET not in repr(caught.value.__cause__)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "1.2"}, 2),
        ({"retry-after-ms": "2500"}, 3),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 1),
        ({"Retry-After": "99999999"}, 600),
        ({"Retry-After": "-5"}, 1),
        ({}, 1),
    ],
)
async def test_a_server_that_is_busy_says_when_to_come_back(headers: dict[str, str], seconds: int) -> None:
    async with model(failing(429, {"error": {"message": "Rate limit reached"}}, headers)) as (chat, _):
        with pytest.raises(ModelBusy) as caught:
            await answered(chat)
    assert caught.value.retry_after_s == seconds
    assert caught.value.retryable


@pytest.mark.parametrize("comments", [False, True])
async def test_a_server_that_falls_silent_is_given_up(comments: bool) -> None:
    async with model(silent(TEXT[:30], comments=comments), timeout_s=0.3) as (chat, _):
        with pytest.raises(ModelTimeout):
            await answered(chat)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    chat = ChatModel(LlmOptions(url="http://127.0.0.1:9/v1", model="m", timeout_s=5))
    with pytest.raises(ModelUnavailable):
        await answered(chat)
    await chat.aclose()


async def test_an_answer_that_nobody_waits_for_ends() -> None:
    async with model(silent(TEXT)) as (chat, _), aclosing(chat.answer(ASKED, most_tokens=10)) as pieces:
        assert await anext(pieces) == TEXT[:11]


async def test_the_models_of_a_server_are_named() -> None:
    async with model(openai_wire(TEXT)) as (chat, _):
        assert await chat.models() == ("test-model",)


async def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    chat = ChatModel(LlmOptions(url="https://127.0.0.1:9/v1", model="m", ca=str(tmp_path / "none.pem")))
    with pytest.raises(ModelUnavailable, match=r"note_model\.ca"):
        await answered(chat)


async def test_nothing_that_is_asked_or_answered_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_LOG", "debug")
    caplog.set_level(logging.DEBUG)
    async with model(openai_wire(TEXT), key="sk-secret") as (chat, _):
        await answered(chat)
    assert not [record for record in caplog.records if record.name.startswith(("openai", "httpx2", "httpcore2"))]
    for said in (SECRET, TEXT, "sk-secret"):
        assert said not in caplog.text


def test_secrets_do_not_show() -> None:
    options = LlmOptions(url="http://h/v1", model="m", key="sk-secret", headers={"X-Key": "sk-other"})
    assert "sk-" not in repr(options)
