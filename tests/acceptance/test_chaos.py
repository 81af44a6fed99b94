"""What `auscult-bench chaos` does at length, in short: kills at random moments lose nothing that was promised."""

from typing import Literal

import pytest

from bench.chaos import chaos
from bench.postgresql import PostgresqlMissing

KILLS = 6  # on each database; the fifth takes PostgreSQL along


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_kills_at_random_moments_lose_nothing(database: Literal["sqlite", "postgresql"]) -> None:
    try:
        report = await chaos(database, kills=KILLS, sessions=5, recordings=5, workers=0, seconds=8)
    except PostgresqlMissing as exc:
        pytest.skip(str(exc))
    assert report.kept, report
    assert report.sessions >= 5
    assert report.recordings >= 5
    assert report.database_restarts == (0 if database == "sqlite" else 1)
