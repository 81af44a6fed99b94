"""Pages of other origins: those that the operator names may call the server, all others may not."""

import time
from collections.abc import Iterator

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from server.remembering import REMEMBERED_S
from tests.acceptance.conftest import client, make_key
from tests.acceptance.haidy import chunk, post
from tests.acceptance.nabla import CONFIG, END, dialled, read, say
from tests.acceptance.test_haidy import wav
from tests.preforked import auscult

PAGE = "https://app.example.org"
ANOTHER = "http://127.0.0.1:3000"
STRANGER = "https://app.example.org.evil.example"
ROUTES = [
    ("POST", "/v2/audio/audio_chunk", "authorization,content-type,idempotency-key"),
    ("POST", "/v2/tasks", "authorization,content-type"),
    ("POST", "/api/tokens", "authorization,content-type"),
    ("GET", "/api/encounters/0/events", "authorization,last-event-id"),
    ("POST", "/whip", "authorization,content-type"),
    ("PATCH", "/whip/0", "authorization,content-type,if-match"),
    ("DELETE", "/whip/0", "authorization"),
    ("GET", "/whip/0/events", "last-event-id"),
    ("PUT", "/api/anything", "authorization,content-type,if-match"),
    ("PUT", "/v1/note/audio", "authorization"),
    ("POST", "/v1/core/user/generate-note", "authorization,content-type,x-nabla-api-version"),
    ("POST", "/openai/v1/audio/transcriptions", "authorization,x-stainless-lang"),
]
CORS = "access-control-allow-origin"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    environment = {"AUSCULT_SERVER_CORS_ORIGINS": f"{PAGE}, {ANOTHER}"}
    started = running_server(recogniser="scripted", environment=environment)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(started) as made:
        yield made


def preflight(server: RunningServer, method: str, path: str, headers: str, origin: str = PAGE) -> httpx.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return httpx.options(server.base_url + path, headers=asked)


@pytest.mark.parametrize(("method", "path", "headers"), ROUTES, ids=[f"{method} {path}" for method, path, _ in ROUTES])
def test_a_browser_may_ask_for_every_route_before_it_has_a_key(
    server: RunningServer, method: str, path: str, headers: str
) -> None:
    for origin in (PAGE, ANOTHER):
        allowed = preflight(server, method, path, headers, origin)
        assert allowed.status_code == 200, allowed.text
        assert allowed.headers[CORS] == origin
        assert "Origin" in allowed.headers["vary"]
        assert "access-control-allow-credentials" not in allowed.headers
        assert method in allowed.headers["access-control-allow-methods"].split(", ")
        named = {name.strip().lower() for name in allowed.headers["access-control-allow-headers"].split(",")}
        assert set(headers.split(",")) <= named


@pytest.mark.parametrize("origin", [STRANGER, "https://app.example.org:8443", "http://app.example.org", "null"])
def test_a_page_of_another_origin_is_not_let_in(server: RunningServer, origin: str) -> None:
    refused = preflight(server, "POST", "/api/tokens", "authorization", origin)
    assert refused.status_code == 400
    assert CORS not in refused.headers
    assert CORS not in httpx.get(server.base_url + "/healthz", headers={"Origin": origin}).headers


def test_answers_and_errors_can_be_read_by_the_page(server: RunningServer, headache: Recording) -> None:
    with client(server.base_url, server.key) as api:
        api.headers["Origin"] = PAGE
        made = api.post("/api/tokens", json={"scope": "stream"})
        answers = [
            made,
            post(api, chunk(wav(headache, 2), final=True)),
            api.post("/v2/tasks", json={"task_id": "nothing"}),
            api.post("/api/tokens", content=b"{"),
            api.get("/no/such/route"),
            api.get("/api/tokens"),
            httpx.post(server.base_url + "/api/tokens", headers={"Origin": PAGE}),
        ]
    assert [answer.status_code for answer in answers] == [201, 200, 404, 400, 404, 405, 401]
    for answer in answers:
        assert answer.headers[CORS] == PAGE
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        ours = ["Auscult-Encounter", "Auscult-Warning"]
        assert exposed == ["Location", "ETag", "Link", "Retry-After", "Accept-Patch", *ours]


async def test_sockets_are_as_without_it(server: RunningServer) -> None:
    for origin in (PAGE, STRANGER):  # a page cannot send what it does not have: the key or token decides
        async with dialled(server, origin=origin) as socket:
            await say(socket, CONFIG)
            await say(socket, END)
            assert await read(socket) == []
            assert socket.close_code == 1000


@pytest.mark.parametrize(("method", "path", "headers"), ROUTES[:3])
def test_without_the_setting_no_page_of_another_origin_is_let_in(
    scripted_server: RunningServer, method: str, path: str, headers: str
) -> None:
    answers = [
        preflight(scripted_server, method, path, headers),
        httpx.request(method, scripted_server.base_url + path, headers={"Origin": PAGE}),
    ]
    assert [answer.status_code for answer in answers] == [400, 401]
    for answer in answers:
        assert CORS not in answer.headers


def test_a_tenants_own_pages_read_only_what_is_its_own(server: RunningServer) -> None:
    theirs = "https://practice.example.org"
    key = make_key(server, "practice")
    made = auscult("tenants", "set", "practice", f"cors_origins={theirs}", "--data-dir", str(server.data_dir))
    assert made.returncode == 0, made.stderr
    until = time.monotonic() + REMEMBERED_S + 2
    while preflight(server, "POST", "/api/tokens", "authorization", theirs).status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.2)
    assert preflight(server, "POST", "/api/tokens", "authorization", STRANGER).status_code == 400

    def allowed(credential: str, origin: str) -> str | None:
        headers = {"Origin": origin, "Authorization": f"Bearer {credential}"}
        answer = httpx.post(f"{server.base_url}/v2/tasks", headers=headers, json={"task_id": "0"})
        found: str | None = answer.headers.get(CORS)
        return found

    assert allowed(key, theirs) == theirs
    assert allowed(key, PAGE) == PAGE
    assert allowed(server.key, theirs) is None  # another tenant's
    assert allowed(key, STRANGER) is None
    assert allowed("expired or wrong", theirs) == theirs  # so that the page learns that it needs another token
    with client(server.base_url, key) as api:
        token = api.post("/api/tokens", json={"scope": "stream"}).json()["token"]
    assert allowed(token, theirs) == theirs
