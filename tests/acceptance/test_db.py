"""`auscult db`."""

import sqlite3
from pathlib import Path

from tests.preforked import auscult


def checked(data_dir: Path, *more: str) -> tuple[int, str]:
    """What `auscult db check` says, on one line."""
    said = auscult("db", "check", "--data-dir", str(data_dir), *more)
    assert "Traceback" not in said.stderr
    return said.returncode, " ".join((said.stdout + said.stderr).split())


def test_an_empty_place_is_upgraded_and_then_found_in_order(tmp_path: Path) -> None:
    code, said = checked(tmp_path)
    assert code == 1
    assert "auscult db upgrade" in said
    assert not list(tmp_path.iterdir())
    for _ in range(2):
        assert "at schema 0" in auscult("db", "upgrade", "--data-dir", str(tmp_path)).stdout
    code, said = checked(tmp_path)
    assert code == 0, said
    assert "synchronous=2, secure_delete=1" in said


def test_a_newer_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    auscult("db", "upgrade", "--data-dir", str(tmp_path))
    with sqlite3.connect(tmp_path / "auscult.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    for command in (("db", "check"), ("db", "upgrade"), ("serve", "--port", "0")):
        refused = auscult(*command, "--data-dir", str(tmp_path))
        assert refused.returncode == 1
        assert "made by a newer Auscult" in " ".join((refused.stdout + refused.stderr).split())
