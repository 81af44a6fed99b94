"""What goes wrong with a language model's server, in our words. Theirs are looked at, and never passed on: they may
quote what was asked.
"""

import math
import re
from typing import Final

import openai

from pipeline.errors import (
    ModelBusy,
    ModelError,
    ModelRefused,
    ModelRejected,
    ModelTimeout,
    ModelTooLong,
    ModelUnauthorised,
    ModelUnavailable,
)

LONGEST_WAIT_S = 600  # what a server may ask for; more is no plan
# How OpenAI, vLLM, llama.cpp and others say that a request does not fit the model's context.
TOO_LONG: Final = re.compile(
    r"context_length_exceeded|exceed_context_size|context (?:length|size|window)|maximum (?:context|model) len"
    r"|too many tokens|prompt is too long|input is too long",
    re.IGNORECASE,
)
# How Azure, OpenAI and others say that they refuse what was said in the room.
REFUSED: Final = frozenset({"content_filter", "content_policy_violation", "invalid_prompt"})
USED_UP: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


def told(error: openai.OpenAIError) -> ModelError:
    """Our error for one of the client's."""
    match error:
        case openai.APITimeoutError():
            return ModelTimeout()
        case openai.APIConnectionError():
            return ModelUnavailable("The language model's server cannot be reached: see note_model.url.")
        case openai.APIStatusError():
            return _of_status(error)
        case openai.APIError() if _is_refusal(error):  # amid a stream
            return ModelRefused()
        case openai.APIError() if TOO_LONG.search(wording(error)):
            return ModelTooLong()
        case _:
            return ModelUnavailable("The language model's server ended its answer with an error.")


def wording(error: openai.APIError) -> str:
    """All that a server says of an error, to be searched and never shown."""
    return f"{error.message} {error.code} {error.type} {error.param} {error.body}"


def is_about_content(error: openai.APIError) -> bool:
    """Whether it is the messages that a server does not take, and not how they are asked."""
    return _is_refusal(error) or TOO_LONG.search(wording(error)) is not None


def _is_refusal(error: openai.APIError) -> bool:
    return f"{error.code}".lower() in REFUSED or f"{error.type}".lower() in REFUSED


def _of_status(error: openai.APIStatusError) -> ModelError:
    status = error.status_code
    if status in (401, 403):
        return ModelUnauthorised()
    if status == 429:
        if error.code in USED_UP:
            return ModelRejected("The quota of the language model's server is used up.")
        return ModelBusy(retry_after_s=_retry_after(error))
    if _is_refusal(error):
        return ModelRefused()
    if status in (400, 413, 422, 500) and TOO_LONG.search(wording(error)):
        return ModelTooLong()
    if status == 404:
        return ModelRejected("The language model's server knows no such model or address: see note_model.")
    if status == 408:
        return ModelTimeout()
    if status in (409, 425) or status >= 500:
        if error.response.headers.get("retry-after"):
            return ModelBusy(retry_after_s=_retry_after(error))
        return ModelUnavailable(f"The language model's server answers with status {status}.")
    return ModelRejected(f"The language model's server refuses the request with status {status}: see note_model.")


def _retry_after(error: openai.APIStatusError) -> int:
    """Whole seconds that the server asks to wait; 1 where it says nothing that can be read."""
    headers = error.response.headers
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return max(1, min(LONGEST_WAIT_S, math.ceil(float(milliseconds) / 1000)))
        return max(1, min(LONGEST_WAIT_S, math.ceil(float(headers.get("retry-after", "1")))))
    except (ValueError, OverflowError):  # a date, or nonsense
        return 1
