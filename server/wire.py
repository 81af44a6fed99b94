"""JSON from clients: what cannot be read is their error, told without quoting what they sent."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import msgspec
from msgspec import Raw, inspect

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


def unknown_fields(raw: bytes, kind: type[msgspec.Struct]) -> int:
    """How many fields JSON that could be read as `kind` has, at any depth, that `kind` has not."""
    return _unknown(raw, _described(kind))


@cache
def _described(kind: type[msgspec.Struct]) -> inspect.Type:
    return inspect.type_info(kind)


def _unknown(raw: bytes | Raw, kind: inspect.Type) -> int:
    """Only objects and lists of objects are looked into: of a chunk's audio nothing is copied."""
    if isinstance(kind, inspect.UnionType):
        begins = bytes(memoryview(raw)[:1])
        shape = {b"{": inspect.StructType, b"[": inspect.ListType}.get(begins)
        kind = next((each for each in kind.types if shape is not None and isinstance(each, shape)), kind)
    if isinstance(kind, inspect.StructType):
        fields = {field.encode_name: field.type for field in kind.fields}
        given = msgspec.json.decode(raw, type=dict[str, Raw])
        return sum(_unknown(value, fields[name]) if name in fields else 1 for name, value in given.items())
    if isinstance(kind, inspect.ListType) and isinstance(kind.item_type, inspect.StructType | inspect.UnionType):
        return sum(_unknown(value, kind.item_type) for value in msgspec.json.decode(raw, type=list[Raw]))
    return 0


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
