"""What is due, for whom, and that what cannot be erased keeps no other."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, text

from server.domain import TenantSettings
from server.retention import HELD_S, JUMP_S, Cutoffs, HeldTime, Retention, Sweeper, cutoffs, keeps_files
from server.store import tables as t
from server.store.blobs import DirectoryBlobs
from server.store.database import Reader, migrate, open_engine
from server.store.retention import forget_pages
from tests.clock import Clock
from tests.postgresql import Cluster

HOUR_S = 3600.0
NOW = 1_800_000_000.0
RETENTION = Retention(upload_audio=0, live_audio=24, results=48, patient_contexts=72)


def test_a_tenants_own_settings_come_first_also_where_they_say_zero() -> None:
    assert cutoffs(RETENTION, TenantSettings(), NOW) == Cutoffs(
        upload_audio=NOW, live_audio=NOW - 24 * HOUR_S, results=NOW - 48 * HOUR_S, patient_contexts=NOW - 72 * HOUR_S
    )
    own = TenantSettings(live_audio_hours=0, upload_audio_hours=1, result_hours=0.5, patient_context_hours=2)
    assert cutoffs(RETENTION, own, NOW) == Cutoffs(
        upload_audio=NOW - HOUR_S, live_audio=NOW, results=NOW - 0.5 * HOUR_S, patient_contexts=NOW - 2 * HOUR_S
    )


def test_files_outlive_their_transcription_only_where_somebody_wants_it() -> None:
    assert not keeps_files(RETENTION, TenantSettings())
    assert keeps_files(RETENTION, TenantSettings(upload_audio_hours=1))
    kept = Retention(upload_audio=2, live_audio=0, results=48)
    assert keeps_files(kept, TenantSettings())
    assert not keeps_files(kept, TenantSettings(upload_audio_hours=0))


def add(engine: Engine, encounter: str, hours_ago: float, tenant: str = "t1", *, audio: str = "") -> None:
    """An encounter that was completed so long ago; `audio`: of a live session, or files."""
    at = NOW - hours_ago * HOUR_S
    with engine.begin() as connection:
        if connection.execute(t.tenants.select().where(t.tenants.c.id == tenant)).first() is None:
            connection.execute(insert(t.tenants).values(id=tenant, name=tenant, created_at=0.0))
        connection.execute(
            insert(t.encounters).values(
                id=encounter,
                tenant_id=tenant,
                options="{}",
                state="done",
                stages="{}",
                percentage=100,
                warnings="[]",
                epoch=1,
                owner="",
                lease_until=0.0,
                data_key=b"wrapped",
                created_at=at,
                active_at=at,
                completed_at=at,
            )
        )
        if audio == "live":
            values = {"encounter_id": encounter, "stream": 0, "key": f"{encounter}-0", "size": 1, "created_at": at}
            connection.execute(insert(t.blobs).values(**values))
        if audio == "files":
            connection.execute(
                insert(t.parts).values(encounter_id=encounter, ordinal=0, blob=f"{encounter}-part0", size=1)
            )


class Notebook:
    """Use-cases that write down what they were asked to erase."""

    def __init__(self, broken: Sequence[str] = ()) -> None:
        self.erasures = 0
        self.erased: list[str] = []
        self.silenced: list[str] = []
        self.forgotten: dict[str, float] = {}
        self._broken = broken

    async def erase(self, encounter: str) -> None:
        if encounter in self._broken:
            raise OSError
        self.erasures += 1
        self.erased.append(encounter)

    async def erase_audio(self, encounter: str) -> None:
        self.erasures += 1
        self.silenced.append(encounter)

    async def forget(self, tenant: str, before: float) -> None:
        self.forgotten[tenant] = NOW - before


def sweeper(
    engine: Engine,
    folder: Path,
    notebook: Notebook,
    compactions: list[int],
    now: Callable[[], float] = lambda: NOW,
    steady: Callable[[], float] = lambda: 0.0,
) -> Sweeper:
    async def compact() -> bool:
        compactions.append(notebook.erasures)
        return True

    return Sweeper(notebook, notebook, DirectoryBlobs(folder), Reader(engine), RETENTION, compact, now, steady)


async def test_each_kind_goes_in_its_time_for_each_tenant(engine: Engine, tmp_path: Path) -> None:
    add(engine, "fresh", 1, audio="live")
    add(engine, "files", 1, audio="files")
    add(engine, "day", 25, audio="live")
    add(engine, "old", 49, audio="live")
    add(engine, "silent", 25)
    add(engine, "own", 3, "t2", audio="live")
    settings = '{"result_hours":2,"patient_context_hours":5}'
    with engine.begin() as connection:
        connection.execute(t.tenants.update().where(t.tenants.c.id == "t2").values(settings=settings))
    notebook = Notebook()
    assert await sweeper(engine, tmp_path / "blobs", notebook, []).sweep() == 2
    assert sorted(notebook.erased) == ["old", "own"]
    assert {"day", "files"} <= set(notebook.silenced) <= {"day", "files", "old"}
    assert notebook.forgotten == {"t1": 72 * HOUR_S, "t2": 5 * HOUR_S}


async def test_one_that_cannot_be_erased_keeps_no_other(engine: Engine, tmp_path: Path) -> None:
    for name in ("first", "second", "third"):
        add(engine, name, 50)
    notebook = Notebook(broken=["first"])
    assert await sweeper(engine, tmp_path / "blobs", notebook, []).sweep() == 2
    assert sorted(notebook.erased) == ["second", "third"]


async def test_the_database_forgets_at_the_start_and_once_behind_erasures(engine: Engine, tmp_path: Path) -> None:
    notebook, compactions = Notebook(), list[int]()
    sweeping = sweeper(engine, tmp_path / "blobs", notebook, compactions)
    await sweeping.sweep()
    await sweeping.sweep()
    assert compactions == [0]
    notebook.erasures += 3
    await sweeping.sweep()
    await sweeping.sweep()
    assert compactions == [0, 3]


@pytest.mark.parametrize("jump_h", [30, -30])
async def test_while_the_clock_is_wrong_nothing_is_erased_before_its_time(
    engine: Engine, tmp_path: Path, jump_h: int
) -> None:
    """Hours are wrong for some minutes: 30 more than what is kept for 24, or less."""
    clock, steady, notebook = Clock(NOW), Clock(500.0), Notebook()
    add(engine, "fresh", 23, audio="live")
    sweeping = sweeper(engine, tmp_path / "blobs", notebook, [], clock, steady)
    await sweeping.sweep()
    clock.at += jump_h * HOUR_S
    for _ in range(30):
        clock.at, steady.at = clock.at + 60, steady.at + 60
        await sweeping.sweep()
    clock.at -= jump_h * HOUR_S
    await sweeping.sweep()
    assert notebook.silenced == []
    clock.at, steady.at = clock.at + HOUR_S, steady.at + HOUR_S
    await sweeping.sweep()
    clock.at, steady.at = clock.at + HOUR_S, steady.at + HOUR_S
    await sweeping.sweep()
    assert notebook.silenced[:1] == ["fresh"]


async def test_an_upload_outlives_a_jump_of_the_clock(engine: Engine, tmp_path: Path) -> None:
    """What is just being written looks old, and nothing refers to it yet."""
    clock, steady = Clock(NOW), Clock(500.0)
    sweeping = sweeper(engine, tmp_path / "blobs", Notebook(), [], clock, steady)
    await sweeping.sweep()
    blob = tmp_path / "blobs" / "upload-part0"
    blob.write_bytes(b"sealed")
    clock.at, steady.at = clock.at + HOUR_S, steady.at + HOUR_S
    os.utime(blob, (clock.at, clock.at))
    clock.at += 6 * HOUR_S
    await sweeping.sweep()
    assert blob.exists()
    clock.at -= 6 * HOUR_S
    clock.at, steady.at = clock.at + 2 * HOUR_S, steady.at + 2 * HOUR_S
    await sweeping.sweep()  # the hours for which the clock was ahead keep no sweep away
    assert not blob.exists()


def test_a_clock_that_stays_ahead_is_believed_in_the_end_and_one_that_is_set_right_bit_by_bit_at_once() -> None:
    clock, steady = Clock(NOW), Clock(500.0)
    held = HeldTime(clock, steady)
    clock.at += JUMP_S
    assert held() == clock()
    clock.at += 40 * HOUR_S
    assert held() == clock() - 40 * HOUR_S
    clock.at, steady.at = clock.at + HELD_S, steady.at + HELD_S
    assert held() == clock()


def test_every_commit_is_flushed_and_what_is_deleted_overwritten(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL
        assert connection.execute(text("PRAGMA secure_delete")).scalar() == 1
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"


async def test_sqlites_log_is_empty_behind_it_and_a_reader_is_waited_for_later(engine: Engine, tmp_path: Path) -> None:
    add(engine, "e1", 1)
    assert (tmp_path / "auscult.db-wal").stat().st_size > 0
    with engine.connect() as reading:
        reading.execute(text("BEGIN"))
        reading.execute(t.encounters.select()).all()
        add(engine, "e2", 1)
        assert not await forget_pages([engine])
    assert await forget_pages([engine])
    assert (tmp_path / "auscult.db-wal").stat().st_size == 0


@pytest.fixture(scope="module")
def postgresql(cluster: Cluster) -> Iterator[Engine]:
    with cluster.database() as url:
        engine = open_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        migrate(engine)
        yield engine
        engine.dispose()


@pytest.mark.slow
async def test_postgresql_vacuums_what_was_touched(postgresql: Engine) -> None:
    query = text("SELECT vacuum_count FROM pg_stat_user_tables WHERE relname = 'encounters'")
    with postgresql.connect() as connection:
        assert connection.execute(query).scalar() == 0
    assert await forget_pages([postgresql])
    with postgresql.connect() as connection:
        assert connection.execute(query).scalar() == 1
