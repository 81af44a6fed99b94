"""Tenants' own glossaries: before the operator's, sealed, and remembered for a moment."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, event, select

from pipeline.errors import InvalidGlossary
from server.glossaries import MAX_BYTES, Glossaries, checked
from server.remembering import REMEMBERED_S
from server.store import glossaries as sql
from server.store import tables as t
from server.store.database import Reader
from server.store.seal import KEY_BYTES, KeyRing
from tests.clock import Clock
from tests.server.test_tenants import make

RING = KeyRing(bytes(KEY_BYTES))
SHARED = {"medical-terms": ("dyspnea", "anamnesis"), "cardiology": ("stent",)}


@pytest.fixture
def clinic(engine: Engine) -> str:
    return make(engine, "clinic")


@pytest.fixture
def put(engine: Engine, clinic: str) -> Callable[[str, str], None]:
    def store(name: str, text: str) -> None:
        with engine.begin() as connection:
            sql.put(connection, RING, clinic, name, text, 1.0)

    return store


def glossaries(engine: Engine, clock: Clock | None = None, ring: KeyRing = RING) -> Glossaries:
    return Glossaries(SHARED, Reader(engine), ring, clock or Clock())


async def test_a_tenants_own_terms_come_first_and_each_once(
    engine: Engine, clinic: str, put: Callable[[str, str], None]
) -> None:
    put("doctors", "Dr. Huber | hoober\n# nobody\nstent\n")
    named = ["medical-terms", "nowhere", "doctors", "cardiology"]
    assert await glossaries(engine).terms(clinic, named) == ("Dr. Huber", "stent", "dyspnea", "anamnesis")
    assert await glossaries(engine).terms(clinic, []) == ()


async def test_an_own_glossary_takes_the_place_of_the_shared_one_for_this_tenant_alone(
    engine: Engine, clinic: str, put: Callable[[str, str], None]
) -> None:
    put("cardiology", "TAVI")
    other = make(engine, "other")
    assert (await glossaries(engine).known(clinic))["cardiology"] == ("TAVI",)
    assert await glossaries(engine).terms(clinic, ["cardiology"]) == ("TAVI",)
    assert await glossaries(engine).known(other) == SHARED


async def test_a_change_is_known_a_moment_later_and_costs_no_look_up_before(
    engine: Engine, clinic: str, put: Callable[[str, str], None]
) -> None:
    clock, look_ups = Clock(), []
    event.listen(engine, "before_cursor_execute", lambda *said: look_ups.append(said[2]))
    known = glossaries(engine, clock)
    for _ in range(3):
        assert await known.known(clinic) == SHARED
        assert await known.terms(clinic, ["cardiology"]) == ("stent",)
    assert len(look_ups) == 1
    put("cardiology", "TAVI")
    put("cardiology", "TAVI\nSTEMI")
    clock.at += REMEMBERED_S
    assert await known.terms(clinic, ["cardiology"]) == ("TAVI", "STEMI")
    with engine.begin() as connection:
        assert sql.remove(connection, clinic, "cardiology")
        assert not sql.remove(connection, clinic, "cardiology")
        assert sql.count(connection, clinic) == 0
    clock.at += REMEMBERED_S
    assert await known.known(clinic) == SHARED


async def test_no_word_lies_in_the_database_and_what_does_not_open_is_left_out(
    engine: Engine, clinic: str, put: Callable[[str, str], None]
) -> None:
    put("doctors", "Huber")
    with engine.connect() as connection:
        assert b"Huber" not in connection.execute(select(t.glossaries.c.sealed)).scalar_one()
    other_key = KeyRing(bytes(range(KEY_BYTES)))
    assert await glossaries(engine, ring=other_key).known(clinic) == SHARED


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("", b"a", "name"),
        ("a/b", b"a", "name"),
        ("x" * 65, b"a", "name"),
        ("ok", b"\xff", "UTF-8"),
        ("ok", b"# only this\n\n", "no term"),
        ("ok", b"x" * (MAX_BYTES + 1), "larger"),
    ],
)
def test_what_cannot_be_a_glossary_is_told_why(name: str, content: bytes, says: str) -> None:
    with pytest.raises(InvalidGlossary, match=says):
        checked(name, content)


def test_a_files_first_mark_is_no_part_of_its_first_term() -> None:
    assert checked("de-CH.2", "\ufeffHerz\n".encode()) == "Herz\n"
