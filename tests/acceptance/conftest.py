"""A real server process for each recogniser, started once, and clients of two tenants."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import aioice.ice
import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from tests.acceptance.browser import found_chromium, serving_pages
from tests.acceptance.leaks import nothing_left_here, nothing_left_in
from tests.conftest import ROOT
from tests.preforked import auscult

WHISPER = {  # a model in the repository; as it was trained: short windows, no prompts
    "AUSCULT_RECOGNISER_KIND": "whisper",
    "AUSCULT_RECOGNISER_MODEL": str(ROOT / "tests" / "models" / "whisper-fixture-en"),
    "AUSCULT_RECOGNISER_ENCODER_WINDOW": "dynamic",
    "AUSCULT_RECOGNISER_USE_PROMPT": "false",
}
LOOPBACK = {"AUSCULT_WEBRTC_ADDRESSES": "127.0.0.1"}  # as an operator sets it whose clients are on the same machine


def start(recogniser: str, environment: Mapping[str, str] | None = None) -> Iterator[RunningServer]:
    started = running_server(recogniser=recogniser, environment=environment)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(started) as server:
        yield server


@contextmanager
def store_on(database: str, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The setting of a new store on SQLite or on PostgreSQL."""
    if database == "sqlite":
        yield {}
        return
    with request.getfixturevalue("cluster").database() as url:
        yield {"AUSCULT_STORE_URL": url}


def start_on(request: pytest.FixtureRequest, environment: Mapping[str, str]) -> Iterator[RunningServer]:
    """A server with made-up words on SQLite or on PostgreSQL, as the fixture's parameter says."""
    with store_on(request.param, request) as store:
        yield from start("scripted", {**environment, **store})


@pytest.fixture(scope="session")
def sphinx_server() -> Iterator[RunningServer]:
    """Real words of pocketsphinx, for what may depend on the recogniser."""
    yield from start("sphinx")


@pytest.fixture(scope="session")
def whisper_server(pages: str) -> Iterator[RunningServer]:
    """Real words, for a third of what pocketsphinx computes; our pages may call it, and WebRTC stays on loopback."""
    yield from start("whisper", WHISPER | LOOPBACK | {"AUSCULT_SERVER_CORS_ORIGINS": pages})


@pytest.fixture(scope="session")
def scripted_server() -> Iterator[RunningServer]:
    """For protocol tests: made-up words, at once."""
    yield from start("scripted")


@pytest.fixture(scope="session")
def whip_server() -> Iterator[RunningServer]:
    """Made-up words for what comes over WebRTC."""
    yield from start("scripted", LOOPBACK)


@pytest.fixture
def client_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our client's library leaves loopback out, as the server's does, which has a setting for it."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@pytest.fixture
def api(scripted_server: RunningServer) -> Iterator[httpx.Client]:
    with client(scripted_server.base_url, scripted_server.key) as made:
        yield made


@pytest.fixture
def sphinx_api(sphinx_server: RunningServer) -> Iterator[httpx.Client]:
    with client(sphinx_server.base_url, sphinx_server.key) as made:
        yield made


@pytest.fixture
def whisper_api(whisper_server: RunningServer) -> Iterator[httpx.Client]:
    with client(whisper_server.base_url, whisper_server.key) as made:
        yield made


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser; tests that ask for it are skipped where there is none."""
    return found_chromium()


@pytest.fixture(scope="session")
def pages() -> Iterator[str]:
    """The origin of the pages that tests open in it."""
    with serving_pages() as origin:
        yield origin


@pytest.fixture
def scripted_keeps_nothing(scripted_server: RunningServer) -> Iterator[None]:
    """What a test takes up in that server is given back."""
    with nothing_left_in(scripted_server):
        yield


@pytest.fixture
async def whip_keeps_nothing(whip_server: RunningServer) -> AsyncIterator[None]:
    """What a test takes up in that server, and in its own process, is given back."""
    with nothing_left_in(whip_server):
        async with nothing_left_here():
            yield


@pytest.fixture(scope="session")
def headache() -> Recording:
    return Recording.load("headache")


def client(url: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)


def make_key(server: RunningServer, tenant: str) -> str:
    """A key as an operator makes one, beside the running server."""
    options = ("--tenant", tenant, "--data-dir", str(server.data_dir))
    made = auscult("keys", "create", *options, environment=server.environment)
    made.check_returncode()
    return made.stdout.strip()
