"""JSON from clients: what cannot be read is their error, told without quoting what they sent."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from server.errors import BadRequest

MISSING = re.compile(r"missing required field `(\w+)`")


@contextmanager
def reading_json() -> Iterator[None]:
    """Around msgspec's decoding: raises `BadRequest`, which names fields and types, never values."""
    try:
        yield
    except msgspec.ValidationError as exc:
        message = str(exc)
        raise BadRequest(_without_values(message), field=_field(message)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise BadRequest("The message is not valid JSON.") from None


def _field(message: str) -> str:
    """The field that msgspec's message is about."""
    _, _, path = message.rpartition(" - at `$")
    missing = MISSING.search(message)
    within = path.rstrip("`").lstrip(".") if path != message else ""
    return ".".join(part for part in (within, missing[1] if missing else "") if part)


def _without_values(message: str) -> str:
    """msgspec's messages name paths and types; only a wrong tag or enum quotes the client's value."""
    if "Invalid" not in message:
        return message
    _, at, path = message.rpartition(" - at ")
    return f"A field has a value that is not allowed{at}{path}" if at else "A field has a value that is not allowed."
