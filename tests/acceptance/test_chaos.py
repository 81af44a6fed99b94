"""What `auscult-bench chaos` does at length, in short: kills at random moments lose nothing that was promised."""

from typing import Literal

import pytest

from bench.chaos import chaos
from bench.postgresql import PostgresqlMissing

KILLS = 10  # on each database


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_kills_at_random_moments_lose_nothing(database: Literal["sqlite", "postgresql"]) -> None:
    try:
        report = await chaos(database, kills=KILLS, sessions=10, recordings=20, workers=0, seconds=12)
    except PostgresqlMissing as exc:
        pytest.skip(str(exc))
    assert report.kept, report
    assert report.sessions >= 10
    assert report.recordings >= 20
    assert report.database_restarts == (0 if database == "sqlite" else 1)
