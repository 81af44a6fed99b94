"""What tenants may use: decided purely, and counted in the database."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert

from server.domain import Caller, State, TenantSettings
from server.errors import MinutesExceeded, RateLimited, StreamsExceeded
from server.metrics import Metrics
from server.quotas import MINUTE_S, Allowance, Quotas, RequestWindow, allowance
from server.remembering import REMEMBERED_S
from server.settings import QuotaSettings
from server.store import tables as t
from server.store import tenants as sql
from server.store import usage
from server.store.database import Reader, migrate, open_engine
from server.tenants import Tenants
from tests.clock import Clock
from tests.postgresql import Cluster
from tests.server.test_tenants import make

times = st.lists(st.floats(0, 400), max_size=300).map(sorted)


@given(times, st.integers(1, 20))
def test_no_minute_has_more_requests_than_the_limit(asked: list[float], limit: int) -> None:
    window = RequestWindow()
    taken = [at for at in asked if window.admit(at, limit) == 0]
    for first in taken:
        assert sum(first <= at < first + MINUTE_S for at in taken) <= limit


@given(times, st.integers(1, 20))
def test_nobody_is_refused_who_sent_less_than_the_limit_for_61_seconds(asked: list[float], limit: int) -> None:
    window = RequestWindow()
    taken: list[float] = []
    for at in asked:
        before = sum(at - MINUTE_S - 1 < each for each in taken)
        if window.admit(at, limit) == 0:
            taken.append(at)
        else:
            assert before >= limit


@given(times, st.integers(1, 5))
def test_whoever_comes_back_when_it_was_told_is_taken(asked: list[float], limit: int) -> None:
    window = RequestWindow()
    for at in asked:
        if wait_s := window.admit(at, limit):
            assert 1 <= wait_s <= MINUTE_S + 1
            assert window.admit(at + wait_s, limit) == 0
            return


def test_a_tenants_own_settings_are_before_those_of_all() -> None:
    for_all = QuotaSettings(streams=3, requests_per_minute=4, minutes_per_month=5)
    assert allowance(for_all, TenantSettings()) == Allowance(streams=3, requests_per_minute=4, minutes_per_month=5)
    own = TenantSettings(streams=0, minutes_per_month=9)
    assert allowance(for_all, own) == Allowance(streams=0, requests_per_minute=4, minutes_per_month=9)


def test_streams_and_minutes_up_to_the_limit_are_taken() -> None:
    allowed = Allowance(streams=3, minutes_per_month=10)
    allowed.check(streams=2, live_streams=1, audio_ms=599_999)
    with pytest.raises(StreamsExceeded, match="At most 3") as streams:
        allowed.check(streams=2, live_streams=2, audio_ms=0)
    assert streams.value.retryable
    with pytest.raises(MinutesExceeded, match="The 10 minutes") as minutes:
        allowed.check(streams=0, live_streams=0, audio_ms=600_000)
    assert not minutes.value.retryable
    allowed.check(streams=0, live_streams=100, audio_ms=0)  # a recording is no live stream
    Allowance().check(streams=100, live_streams=100, audio_ms=1 << 60)


def quotas(
    engine: Engine, clock: Clock, metrics: Metrics | None = None, for_all: QuotaSettings | None = None
) -> Quotas:
    tenants = Tenants(Reader(engine), clock)
    return Quotas(tenants, for_all or QuotaSettings(), metrics or Metrics(), now=clock, steady=clock)


async def test_requests_are_counted_for_each_tenant_and_a_change_is_in_force_soon(engine: Engine) -> None:
    clock, metrics = Clock(), Metrics()
    counting = quotas(engine, clock, metrics, QuotaSettings(requests_per_minute=2))
    one, other = (Caller(tenant_id=make(engine, name), key_id="k") for name in ("one", "other"))
    for _ in range(2):
        await counting.count_request(one)
    with pytest.raises(RateLimited, match="More than 2 requests") as refused:
        await counting.count_request(one)
    assert str(refused.value.retry_after_s) in str(refused.value)
    await counting.count_request(other)
    assert metrics.registry.get_sample_value("auscult_quota_refusals_total", {"quota": "requests"}) == 1
    with engine.begin() as connection:
        sql.put_settings(connection, one.tenant_id, TenantSettings(requests_per_minute=3))
    clock.at += REMEMBERED_S
    await counting.count_request(one)
    with pytest.raises(RateLimited):
        await counting.count_request(one)


def open_session(engine: Engine, tenant: str, name: str, streams: int, state: State = State.LIVE) -> None:
    encounter = {
        "id": name, "tenant_id": tenant, "options": "{}", "state": state, "stages": "{}", "percentage": 0,
        "warnings": "[]", "epoch": 1, "owner": "", "lease_until": 0.0, "created_at": 1.0, "active_at": 1.0,
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(t.encounters).values(**encounter))
        for ordinal in range(streams):
            row = {"encounter_id": name, "ordinal": ordinal, "name": "s", "role": "doctor", "format": "{}"}
            connection.execute(insert(t.streams).values(**row))


def test_a_tenants_live_streams_and_its_audio_of_the_month_are_counted(engine: Engine) -> None:
    clock = Clock()
    tenant, other = make(engine, "practice"), make(engine, "other")
    open_session(engine, tenant, "live", 2)
    open_session(engine, tenant, "over", 5, State.DONE)
    open_session(engine, other, "foreign", 5)
    counting = quotas(engine, clock)
    with engine.begin() as connection:
        assert usage.live_streams(connection, tenant) == 2
        for heard_ms in (60_000, 60_000):
            usage.add_audio(connection, tenant, usage.month_of(clock.at), heard_ms)
        usage.add_audio(connection, other, usage.month_of(clock.at), 1)
        assert usage.audio_ms(connection, tenant, usage.month_of(clock.at)) == 120_000
        counting.check(connection, tenant, Allowance(streams=3, minutes_per_month=3), streams=1)
        with pytest.raises(StreamsExceeded):
            counting.check(connection, tenant, Allowance(streams=3), streams=2)
        with pytest.raises(MinutesExceeded):
            counting.check(connection, tenant, Allowance(minutes_per_month=2), streams=0)
        clock.at += 40 * 86_400
        counting.check(connection, tenant, Allowance(minutes_per_month=2), streams=0)


def test_a_month_is_a_calendar_month_in_utc() -> None:
    assert usage.month_of(1_798_761_599.9) == "2026-12"
    assert usage.month_of(1_798_761_600.0) == "2027-01"


@pytest.mark.slow
def test_audio_is_added_up_on_postgresql_too(cluster: Cluster, tmp_path: Path) -> None:
    with cluster.database() as url:
        engine = open_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        migrate(engine)
        tenant = make(engine, "practice")
        open_session(engine, tenant, "live", 2)
        with engine.begin() as connection:
            usage.add_audio(connection, tenant, "2026-11", 5)
            usage.add_audio(connection, tenant, "2026-11", 6)
            assert usage.audio_ms(connection, tenant, "2026-11") == 11
            assert usage.live_streams(connection, tenant) == 2
        engine.dispose()
