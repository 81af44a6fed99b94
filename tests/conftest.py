"""What tests of several packages share."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import bench.server
from server.structs import complete_structs
from tests import preforked
from tests.postgresql import Cluster, running_cluster

settings.register_profile(
    "ours", max_examples=25, deadline=None
)  # how long a busy machine takes says nothing of what is right
settings.load_profile("ours")

ROOT = Path(__file__).parent.parent

gc.disable()  # thousands of tests are collected, and all of them stay: there is nothing to be found


def pytest_collection_finish() -> None:
    complete_structs()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with data that is no part of the project; tests that ask for it are skipped where it is absent."""
    folder = Path(os.environ.get("AUSCULT_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"AUSCULT_TEST_DATA: there is no folder {folder}")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _room_for_every_stream() -> Iterator[None]:
    """Servers under test let all in: how many streams a busy machine carries is measured by `auscult-bench load`.

    Tests of admission set the limit that they want.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUSCULT_LIMITS_MAX_STREAMS", "1000")
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_decoder_each() -> Iterator[None]:
    """Servers under test, several at a time on few cores, load one model and not one for each core."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUSCULT_RECOGNISER_WORKERS", "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def _quick_starts() -> Iterator[None]:
    """Servers under test do not wait for their imports."""
    preforked.get_ready()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.server, "launch", preforked.launch)
        yield


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL, which goes on running; tests that ask for it are skipped where it is not installed."""
    with running_cluster() as running:
        yield running
