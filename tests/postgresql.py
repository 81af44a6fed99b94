"""A PostgreSQL for tests, which are skipped where it is not installed."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench import postgresql
from bench.postgresql import Cluster as Cluster
from bench.postgresql import PostgresqlMissing


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A cluster that runs while the block does."""
    try:
        running = postgresql.running_cluster()
        cluster = running.__enter__()
    except PostgresqlMissing as exc:
        pytest.skip(str(exc))
    try:
        yield cluster
    finally:
        running.__exit__(None, None, None)
