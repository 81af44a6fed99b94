"""What tests of several packages share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with data that is no part of the project; tests that ask for it are skipped where it is absent."""
    folder = Path(os.environ.get("AUSCULT_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"AUSCULT_TEST_DATA: there is no folder {folder}")
    return folder
