"""JSON from clients: what cannot be read is their error, told without quoting what they sent."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from server.errors import BadRequest


@contextmanager
def reading_json() -> Iterator[None]:
    """Around msgspec's decoding: raises `BadRequest`, which names fields and types, never values."""
    try:
        yield
    except msgspec.ValidationError as exc:
        raise BadRequest(_without_values(str(exc))) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise BadRequest("The message is not valid JSON.") from None


def _without_values(message: str) -> str:
    """msgspec's messages name paths and types; only a wrong tag or enum quotes the client's value."""
    if "Invalid" not in message:
        return message
    _, at, path = message.rpartition(" - at ")
    return f"A field has a value that is not allowed{at}{path}" if at else "A field has a value that is not allowed."
