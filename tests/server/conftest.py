from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from server.store.database import migrate, open_engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A migrated SQLite database of its own."""
    engine = open_engine(f"sqlite:///{tmp_path / 'auscult.db'}")
    migrate(engine)
    yield engine
    engine.dispose()
