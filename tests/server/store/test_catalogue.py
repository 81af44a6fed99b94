"""Which encounters a list holds: those that its caller may reach one by one, a page at a time."""

import pytest
from sqlalchemy import Engine, insert

from server.domain import Caller, EncounterOptions, EncounterRow, Filter, Place, Scope, Stage, State
from server.store import catalogue, encounters
from server.store import tables as t

CONSOLE = Caller(tenant_id="practice", key_id="own", scope=Scope.CONSOLE, token_id="now", expires_at=1.0)
CALLERS = [
    Caller(tenant_id="practice", key_id="own"),
    CONSOLE,
    Caller(tenant_id="practice", key_id="own", scope=Scope.STREAM, token_id="now", expires_at=1.0),
    Caller(tenant_id="practice", key_id="own", scope=Scope.ENCOUNTER, encounter="a2", token_id="now", expires_at=1.0),
    Caller(tenant_id="practice", key_id="own", scope=Scope.FOLLOW, encounter="a5", token_id="now", expires_at=1.0),
]
ROWS = [  # id, tenant, key, token
    ("a0", "practice", "own", ""),
    ("a1", "practice", "own", "now"),
    ("a2", "practice", "own", "an earlier one"),
    ("a3", "practice", "another", ""),
    ("a4", "practice", "another", "now"),
    ("a5", "elsewhere", "own", "now"),  # ids of keys are not given twice; if one were, its tenant would still count
]


def row(encounter: str, tenant: str, key: str, token: str, at: float) -> EncounterRow:
    return EncounterRow(
        id=encounter, tenant_id=tenant, key_id=key, token_id=token, state=State.DONE, percentage=100, failure=None,
        options=EncounterOptions(api="live", streams=()), warnings=(), epoch=1, stages={Stage.CREATED: at}, owner="",
        data_key=None, last_key=None, resumptions=0, created_at=at, active_at=at, completed_at=at, fetched_at=None,
    )  # fmt: skip


@pytest.fixture
def filled(engine: Engine) -> Engine:
    with engine.begin() as connection:
        for tenant in ("practice", "elsewhere"):
            connection.execute(insert(t.tenants).values(id=tenant, name=tenant, created_at=0.0))
        for at, values in enumerate(ROWS):
            encounters.create(connection, row(*values, at=float(at)), None)
    return engine


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.scope)
def test_a_list_holds_what_its_caller_may_reach_and_nothing_else(filled: Engine, caller: Caller) -> None:
    with filled.connect() as connection:
        listed = catalogue.page(connection, caller, Filter(), behind=None, most=10)
        reached = [each for each, *_ in ROWS if caller.may_reach(encounters.get(connection, each))]
    assert [found.id for found in listed] == reached[::-1]


def test_a_console_reaches_what_its_key_and_all_tokens_of_it_opened(filled: Engine) -> None:
    with filled.connect() as connection:
        assert [each for each, *_ in ROWS if CONSOLE.may_reach(encounters.get(connection, each))] == ["a0", "a1", "a2"]


def test_the_pages_of_a_console_are_its_list(filled: Engine) -> None:
    found: list[str] = []
    behind = None
    with filled.connect() as connection:
        while rows := catalogue.page(connection, CONSOLE, Filter(states=(State.DONE,)), behind=behind, most=2):
            found += [each.id for each in rows]
            behind = Place(created_at=rows[-1].created_at, encounter=rows[-1].id)
    assert found == ["a2", "a1", "a0"]
