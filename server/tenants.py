"""What is set for each tenant: as a running server knows it, and as an operator writes it down."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from types import MappingProxyType

import msgspec
from msgspec import inspect

from server.domain import TenantSettings
from server.remembering import Remembered
from server.settings import SettingsError, expectation, is_list, nearest
from server.store import tenants as sql
from server.store.database import Reader

COMMAND_LINE = "command line"


class Tenants:
    """What is set for tenants, as of a moment ago at most: see `REMEMBERED_S`."""

    def __init__(self, reader: Reader, steady: Callable[[], float]) -> None:
        self._settings = Remembered[TenantSettings](reader, steady)
        self._origins = Remembered[frozenset[str]](reader, steady)

    async def settings(self, tenant_id: str) -> TenantSettings:
        """What is set for a tenant. Raises `StoreUnavailable`."""
        return await self._settings.get(tenant_id, partial(sql.settings_of, tenant_id=tenant_id))

    async def origins(self) -> frozenset[str]:
        """The origins that any tenant's pages come from. Raises `StoreUnavailable`."""
        return await self._origins.get("", sql.origins)


def changed(settings: TenantSettings, changes: Sequence[str]) -> TenantSettings:
    """The settings with changes such as "streams=20" made; "streams=" goes back to what holds for all.

    Raises `SettingsError`, which names the nearest setting where there is none of that name.
    """
    values: dict[str, object] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise SettingsError(COMMAND_LINE, f"{change!r} is no change: write NAME=VALUE, or NAME= to reset it")
        if name not in _kinds():
            raise SettingsError(COMMAND_LINE, f"unknown setting {name}; did you mean {nearest(name, _kinds())}?")
        values[name] = _value(name, value) if value else None
    return msgspec.structs.replace(settings, **values)


def shown(settings: TenantSettings) -> list[tuple[str, str]]:
    """What is set, each setting as `changed` takes it."""
    values = {name: getattr(settings, name) for name in _kinds()}
    return [
        (name, ",".join(value) if isinstance(value, tuple) else str(value))
        for name, value in values.items()
        if value is not None
    ]


def _value(name: str, text: str) -> object:
    kind = _kinds()[name]
    offered = [part for part in map(str.strip, text.split(",")) if part] if is_list(kind) else text
    try:
        return getattr(msgspec.convert({name: offered}, TenantSettings, strict=False), name)
    except msgspec.ValidationError as exc:
        raise SettingsError(COMMAND_LINE, f"{name} is {text!r}, but must be {expectation(kind)}") from exc


@cache
def _kinds() -> Mapping[str, inspect.Type]:
    """Every setting with its type, without the None that says that it is not set."""
    kind = inspect.type_info(TenantSettings)
    assert isinstance(kind, inspect.StructType)
    return MappingProxyType({field.name: _given(field.type) for field in kind.fields})


def _given(kind: inspect.Type) -> inspect.Type:
    if not isinstance(kind, inspect.UnionType):
        return kind
    return next(member for member in kind.types if not isinstance(member, inspect.NoneType))
