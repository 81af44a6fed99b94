"""Language models behind OpenAI's chat completions: Ollama, vLLM, llama.cpp's server, OpenAI and what speaks like them.

They differ in what they take. A request begins with all that helps (a JSON schema, a temperature); what a server says
it does not know is left out, and from then on where the request is taken without it. The client is loaded when it is
first needed: it takes 0.4 s and 23 MB.
"""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import anyio
import anyio.to_thread

from pipeline.errors import ModelBrokenAnswer, ModelError, ModelRefused, ModelTimeout, ModelTooLong
from pipeline.notes.asking.prompting import Asked, JsonSchema

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletionChunk

Structured: TypeAlias = Literal["auto", "json_schema", "json_object", "none"]
"""How a server is told that the answer is JSON; "auto": by the first of these that it takes."""

STEPS: Final[tuple[Structured, ...]] = ("json_schema", "json_object", "none")
MOST_TRIES = 6  # of one request: more cannot be left out
BYTES_PER_TOKEN = 1_000  # of an answer on the wire, where each token comes in a chunk of its own with much around it
LEAST_BYTES = 4_194_304
LOGGERS: Final = ("openai", "httpx2", "httpcore2")
# Words by which servers name what they do not take.
OF_STRUCTURE: Final = ("response_format", "json_schema", "json_object", "schema", "grammar", "guided", "structured")


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmOptions:
    """Where a model is, and how it is asked."""

    url: str  # "http://127.0.0.1:11434/v1"
    model: str  # "llama3.1:8b"
    key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca: str = ""  # PEM file with certificates that are trusted, too
    timeout_s: float = 60.0  # for a connection, and from one piece of an answer to the next
    most_tokens: int = 4_096  # of an answer, for what may come on the wire
    temperature: float = 0.0
    structured: Structured = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What a request has beside the messages."""

    structured: Structured
    temperature: float | None
    length_name: str = "max_tokens"  # OpenAI's newer models know only max_completion_tokens


class ChatModel:
    """One model of one server. Implements `LanguageModel`."""

    def __init__(self, options: LlmOptions) -> None:
        self.name = options.model
        self._options = options
        self._client: openai.AsyncOpenAI | None = None
        self._loading = anyio.Lock()
        self._taken = _Form(
            structured="json_schema" if options.structured == "auto" else options.structured,
            temperature=options.temperature,
        )

    async def answer(self, asked: Asked, *, most_tokens: int) -> AsyncGenerator[str]:
        """See `LanguageModel`."""
        import openai

        from pipeline.engines.llm_errors import told

        try:
            stream = await self._begin(asked, most_tokens)
            async with stream, aclosing(self._pieces(stream)) as pieces:
                async for piece in pieces:
                    yield piece
        except openai.OpenAIError as exc:
            raise told(exc) from None  # the cause holds the request

    async def models(self) -> tuple[str, ...]:
        """Names of the models that the server has. Raises `ModelError`."""
        client = await self._open()
        import openai

        from pipeline.engines.llm_errors import told

        try:
            with anyio.fail_after(self._options.timeout_s):
                page = await client.models.list()
        except TimeoutError as exc:
            raise ModelTimeout from exc
        except openai.OpenAIError as exc:
            raise told(exc) from None
        except (ValueError, AttributeError, TypeError) as exc:
            raise ModelBrokenAnswer("note_model.url answers, but not as a language model's server does.") from exc
        return tuple(str(model.id) for model in page.data or ())

    async def aclose(self) -> None:
        """See `LanguageModel`."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _open(self) -> "openai.AsyncOpenAI":
        async with self._loading:
            if self._client is None:
                self._client = await anyio.to_thread.run_sync(_load, self._options)
            return self._client

    async def _begin(self, asked: Asked, most_tokens: int) -> "openai.AsyncStream[ChatCompletionChunk]":
        """The stream of an answer; what the server refuses to take is left out, once for each thing."""
        client = await self._open()
        import openai

        from pipeline.engines.llm_errors import is_about_content, wording

        form = self._taken
        for _ in range(MOST_TRIES):
            try:
                with anyio.fail_after(self._options.timeout_s):
                    stream: openai.AsyncStream[ChatCompletionChunk] = await client.chat.completions.create(
                        **self._arguments(asked, most_tokens, form)
                    )
                self._taken = form
                return stream
            except TimeoutError:
                raise ModelTimeout from None
            except (openai.BadRequestError, openai.UnprocessableEntityError) as exc:
                named = f"{exc.param or ''}".lower()
                less = self._without(form, named or wording(exc).lower(), bool(named))
                if less is None or is_about_content(exc):
                    raise
                form = less
        raise ModelError

    def _arguments(self, asked: Asked, most_tokens: int, form: "_Form") -> dict[str, Any]:
        return {
            "model": self._options.model,
            "messages": [{"role": message.role, "content": message.text} for message in asked.messages],
            "stream": True,
            form.length_name: most_tokens,
            **({} if form.temperature is None else {"temperature": form.temperature}),
            **_response_format(form.structured, asked.schema),
        }

    def _without(self, form: "_Form", complaint: str, named: bool) -> "_Form | None":
        """The form without what the server complains of; None: there is nothing to leave out.

        `named`: the complaint is the name of a parameter, and no free text, which may quote what was asked.
        """
        if "max_tokens" in complaint and form.length_name == "max_tokens":
            return replace(form, length_name="max_completion_tokens")
        if "temperature" in complaint and form.temperature is not None:
            return replace(form, temperature=None)
        if self._options.structured != "auto" or form.structured == "none":
            return None
        if any(word in complaint for word in OF_STRUCTURE):
            return replace(form, structured=STEPS[STEPS.index(form.structured) + 1])
        # Some servers only say "invalid request" of a schema that they do not know.
        return None if named else replace(form, structured="none")

    async def _pieces(self, stream: "openai.AsyncStream[ChatCompletionChunk]") -> AsyncGenerator[str]:
        """What the model writes. Comments that only keep the connection alive do not count as writing."""
        refused, ended = False, ""
        chunks = aiter(stream)
        while True:
            try:
                with anyio.fail_after(self._options.timeout_s):
                    chunk = await anext(chunks, None)
            except TimeoutError:
                raise ModelTimeout from None
            except ValueError:  # no JSON in an event; the exception holds the text
                raise ModelBrokenAnswer from None
            if chunk is None:
                break
            for choice in (chunk.choices or ())[:1]:
                delta = choice.delta
                ended = choice.finish_reason or ended
                refused = refused or bool(delta and getattr(delta, "refusal", None))
                if delta and isinstance(delta.content, str) and delta.content and not refused:
                    yield delta.content
        if refused or ended == "content_filter":
            raise ModelRefused
        if ended == "length":
            raise ModelTooLong("The language model's answer was cut: see note_model.max_output_tokens.")
        if not ended:
            raise ModelBrokenAnswer("The language model's answer broke off.")


def _response_format(structured: Structured, schema: JsonSchema) -> dict[str, object]:
    match structured:
        case "json_schema":
            named = {"name": "note", "schema": schema, "strict": True}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case "json_object":
            return {"response_format": {"type": "json_object"}}
        case _:
            return {}


def _load(options: LlmOptions) -> "openai.AsyncOpenAI":
    """The client. It tries nothing twice: who asks knows how much time there is."""
    import openai

    from pipeline.engines.llm_transport import open_client

    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
    return openai.AsyncOpenAI(
        base_url=options.url,
        api_key=options.key or "none",
        max_retries=0,
        timeout=options.timeout_s,
        http_client=open_client(
            headers=options.headers,
            keyed=bool(options.key),
            ca=options.ca,
            timeout_s=options.timeout_s,
            most_bytes=max(LEAST_BYTES, BYTES_PER_TOKEN * options.most_tokens),
        ),
    )
