"""What an operator sets for a tenant, and how a running server comes to know it."""

import pytest
from sqlalchemy import Engine, event

from server.domain import TenantSettings
from server.errors import NotFound
from server.remembering import REMEMBERED_S
from server.settings import SettingsError
from server.store import keys
from server.store import tenants as sql
from server.store.database import Reader
from server.tenants import Tenants, changed, shown
from tests.clock import Clock


def make(engine: Engine, name: str, settings: TenantSettings | None = None) -> str:
    """A tenant's id."""
    with engine.begin() as connection:
        keys.create(connection, name, 1.0)
        tenant = sql.named(connection, name)
        if settings is not None:
            sql.put_settings(connection, tenant.id, settings)
    return tenant.id


def test_what_is_set_can_be_changed_and_reset() -> None:
    made = changed(
        TenantSettings(), ["streams=20", "live_audio_hours=1.5", "cors_origins=https://a.example, http://b:80"]
    )
    assert made == TenantSettings(streams=20, live_audio_hours=1.5, cors_origins=("https://a.example", "http://b:80"))
    assert shown(made) == [
        ("streams", "20"),
        ("live_audio_hours", "1.5"),
        ("cors_origins", "https://a.example,http://b:80"),
    ]
    assert changed(made, [f"{name}={value}" for name, value in shown(made)]) == made
    assert changed(made, ["streams=", "cors_origins="]) == TenantSettings(live_audio_hours=1.5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("stream=1", "did you mean streams"),
        ("streams", "NAME=VALUE"),
        ("streams=many", "a whole number from 0 to 100000"),
        ("streams=-1", "a whole number from 0"),
        ("result_hours=100000", "a number from 0 to 87600"),
        ("cors_origins=*", "origins"),
        ("cors_origins=https://a.example/path", "origins"),
    ],
)
def test_what_cannot_be_set_is_told_with_what_can(change: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        changed(TenantSettings(), [change])


def test_a_tenant_that_is_not_there_is_told_how_to_be_made(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(NotFound, match="keys create"):
        sql.named(connection, "nobody")


def test_tenants_are_listed_by_name_with_what_is_set(engine: Engine) -> None:
    make(engine, "b", TenantSettings(streams=1))
    make(engine, "a")
    with engine.connect() as connection:
        assert [(each.name, each.settings) for each in sql.listing(connection)] == [
            ("a", TenantSettings()),
            ("b", TenantSettings(streams=1)),
        ]


@pytest.fixture
def look_ups(engine: Engine) -> list[str]:
    made: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *said: made.append(said[2]))
    return made


async def test_a_change_is_known_a_moment_later_and_costs_no_look_up_before(
    engine: Engine, look_ups: list[str]
) -> None:
    clock = Clock()
    tenants = Tenants(Reader(engine), clock)
    tenant = make(engine, "practice", TenantSettings(streams=1, cors_origins=("https://a.example",)))
    make(engine, "other", TenantSettings(cors_origins=("https://b.example",)))
    assert (await tenants.settings(tenant)).streams == 1
    assert await tenants.origins() == {"https://a.example", "https://b.example"}
    with engine.begin() as connection:
        sql.put_settings(connection, tenant, TenantSettings(streams=2))
    look_ups.clear()
    assert (await tenants.settings(tenant)).streams == 1
    assert look_ups == []
    clock.at += REMEMBERED_S
    assert (await tenants.settings(tenant)).streams == 2
    assert await tenants.origins() == {"https://b.example"}


async def test_of_a_tenant_that_is_gone_nothing_is_set(engine: Engine) -> None:
    assert await Tenants(Reader(engine), Clock()).settings("gone") == TenantSettings()
