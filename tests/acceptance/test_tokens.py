"""Tokens for browsers: made with a key, taken wherever a key is, narrower than it, and over when they say so."""

import asyncio
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import jwt
import pytest
from sqlalchemy import select
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from server.remembering import REMEMBERED_S
from server.store import tables as t
from server.store.database import open_engine
from server.store.key_sources import KeyFile
from server.store.seal import KeyRing
from server.tokens import ALGORITHM, token_secret
from tests.acceptance import live
from tests.acceptance.conftest import client, make_key
from tests.acceptance.haidy import chunk, poll, post, send, wait
from tests.acceptance.nabla import CONFIG, END, dialled, finals, pcm, play, read, say
from tests.acceptance.test_haidy import wav
from tests.preforked import auscult

USER = "/v1/copilot-api/user/listen-ws"
STREAM = {"scope": "stream"}
CONSOLE = {"scope": "console"}


def make(api: httpx.Client, **body: Any) -> httpx.Response:
    return api.post("/api/tokens", json=body)


def token(api: httpx.Client, **body: Any) -> str:
    made = make(api, **(body or STREAM))
    assert made.status_code == 201, made.text
    text: str = made.json()["token"]
    return text


def resigned(server: RunningServer, token: str, **changed: Any) -> str:
    """The token with other claims, signed as the server signs."""
    claims = jwt.decode(token, options={"verify_signature": False})
    engine = open_engine(f"sqlite:///{server.data_dir / 'auscult.db'}")
    secret = token_secret(engine, KeyRing(*KeyFile(server.data_dir / "key").read()), server.data_dir / "none")
    engine.dispose()
    return jwt.encode(claims | changed, secret, ALGORITHM)


def expired(server: RunningServer, token: str) -> str:
    return resigned(server, token, exp=int(time.time()) - 1)


async def as_a_browser(server: RunningServer, token: str) -> list[dict[str, Any]]:
    """A short talk over Nabla's socket of users; everything that was answered."""
    offered = ["copilot-listen-protocol", f"jwt-{token}"]
    async with dialled(server, USER, additional_headers={}, subprotocols=offered) as socket:
        assert socket.subprotocol == "copilot-listen-protocol"
        await say(socket, CONFIG)
        await play(socket, {"d": bytes(32_000), "p": bytes(32_000)})
        await say(socket, END)
        return [*await read(socket), {"closed": socket.close_code}]


def test_a_token_is_made_with_a_key_shown_once_and_kept_by_no_cache(api: httpx.Client) -> None:
    before = time.time()
    made = make(api, scope="stream", expires_in_s=60)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    assert set(made.json()) == {"token", "expires_at"}
    ends = datetime.fromisoformat(made.json()["expires_at"]).timestamp()
    assert before + 59 < ends < time.time() + 62


def test_a_token_of_a_stream_opens_a_session_over_http_and_sees_it_to_its_end(
    scripted_server: RunningServer, api: httpx.Client, headache: Recording
) -> None:
    with client(scripted_server.base_url, token(api)) as page:
        task = wait(page, send(page, [wav(headache, 3)]))[-1]
    assert task["status"] == "DONE"
    assert task["result"]["bubbles"]


async def test_a_token_opens_the_users_socket_as_a_sub_protocol(
    scripted_server: RunningServer, api: httpx.Client
) -> None:
    assert await as_a_browser(scripted_server, token(api)) == [{"closed": 1000}]


def test_a_token_of_an_encounter_reaches_that_one_alone_and_opens_none(
    scripted_server: RunningServer, api: httpx.Client, headache: Recording
) -> None:
    named = post(api, chunk(wav(headache, 2))).json()["task_id"]
    other = post(api, chunk(wav(headache, 2))).json()["task_id"]
    with client(scripted_server.base_url, token(api, scope="encounter", encounter_id=named)) as page:
        assert poll(page, named).status_code == 200
        assert poll(page, other).status_code == 404
        assert post(page, chunk(b"", other, final=True)).status_code == 404
        refused = post(page, chunk(wav(headache, 2)))
        assert refused.status_code == 403
        assert "opens no other" in refused.json()
        assert post(page, chunk(b"", named, final=True)).status_code == 200
    wait(api, named)
    post(api, chunk(b"", other, final=True))


def test_a_token_that_only_follows_reads_its_encounter_and_feeds_none(
    scripted_server: RunningServer, api: httpx.Client, headache: Recording
) -> None:
    named = post(api, chunk(wav(headache, 2))).json()["task_id"]
    with client(scripted_server.base_url, token(api, scope="follow", encounter_id=named)) as page:
        assert poll(page, named).status_code == 200
        assert post(page, chunk(b"", named, final=True)).status_code == 403
        assert post(page, chunk(wav(headache, 2))).status_code == 403
        assert make(page, scope="stream").status_code == 403
        assert post(api, chunk(b"", named, final=True)).status_code == 200, "the session itself went on"
        wait(page, named)
        assert poll(page, named).json()["status"] == "DONE"
    assert poll(api, named).json()["status"] == "DONE", "whoever only reads took it from nobody"
    assert poll(api, named).status_code == 404


async def test_a_token_of_an_encounter_opens_no_socket(
    scripted_server: RunningServer, api: httpx.Client, headache: Recording
) -> None:
    named = post(api, chunk(wav(headache, 2), final=True)).json()["task_id"]
    refusal, closed = await as_a_browser(scripted_server, token(api, scope="encounter", encounter_id=named))
    assert (refusal["name"], closed) == ("FORBIDDEN", {"closed": 1008})


def test_a_token_of_a_stream_reaches_only_what_it_opened_itself(
    scripted_server: RunningServer, api: httpx.Client, headache: Recording
) -> None:
    of_the_key = post(api, chunk(wav(headache, 2), final=True)).json()["task_id"]
    with client(scripted_server.base_url, token(api)) as page, client(scripted_server.base_url, token(api)) as another:
        own = post(page, chunk(wav(headache, 2))).json()["task_id"]
        assert poll(page, own).status_code == 200
        assert poll(page, of_the_key).status_code == 404
        assert poll(another, own).status_code == 404
        assert poll(api, own).status_code == 200
        assert post(page, chunk(b"", own, final=True)).status_code == 200


def test_a_console_reaches_what_its_key_opened_and_nothing_of_another(
    scripted_server: RunningServer, headache: Recording
) -> None:
    keys = [make_key(scripted_server, "with a console") for _ in range(2)]
    with client(scripted_server.base_url, keys[0]) as own, client(scripted_server.base_url, keys[1]) as other:
        with client(scripted_server.base_url, token(own)) as page:
            opened = [post(each, chunk(wav(headache, 2), final=True)).json()["task_id"] for each in (own, page)]
        foreign = post(other, chunk(wav(headache, 2), final=True)).json()["task_id"]
        with client(scripted_server.base_url, token(own, **CONSOLE)) as console:
            opened.append(post(console, chunk(wav(headache, 2), final=True)).json()["task_id"])
            listed = console.get("/api/encounters").json()["encounters"]
            assert [each["encounter_id"] for each in listed] == opened[::-1]
            for encounter in opened:
                assert console.get(f"/api/encounters/{encounter}").status_code == 200
                assert console.delete(f"/api/encounters/{encounter}").status_code == 204
            assert console.get(f"/api/encounters/{foreign}").status_code == 404
            assert console.delete(f"/api/encounters/{foreign}").status_code == 404
            assert console.get("/metrics").status_code == 403
        assert other.get(f"/api/encounters/{foreign}").status_code == 200


async def test_a_newer_console_token_goes_on_with_a_live_session(
    scripted_server: RunningServer, api: httpx.Client
) -> None:
    first, second, third = (["auscult-live", f"jwt-{token(api, **CONSOLE)}"] for _ in range(3))
    chunks = live.recorded("headache", 6)
    async with live.dialled(scripted_server, subprotocols=first) as socket:
        await say(socket, live.HELLO | {"role": "doctor", "note": False})
        session = await live.hear(socket, "session")
        await socket.send(chunks[0])
        while (await live.hear(socket, "ack"))["chunks"] < 1:
            pass
    async with live.dialled(scripted_server, subprotocols=second) as socket:
        await say(socket, live.HELLO | {"resume_token": session["resume_token"]})
        resumed = await live.hear(socket, "session")
        assert (resumed["encounter_id"], resumed["chunks"]) == (session["encounter_id"], 1)
        await socket.send(chunks[1])
        while (await live.hear(socket, "ack"))["chunks"] < 2:
            pass
    async with live.dialled(scripted_server, subprotocols=third) as socket:
        await say(socket, live.HELLO | {"encounter_id": session["encounter_id"], "role": "doctor"})
        assert (await live.hear(socket, "session"))["chunks"] == 2
        for part in chunks[2:]:
            await socket.send(part)
        await say(socket, live.END)
        assert live.of(await live.rest(socket), "final")


@pytest.mark.parametrize("scope", ["console", "stream", "encounter"])
def test_a_token_makes_no_token(
    scripted_server: RunningServer, api: httpx.Client, headache: Recording, scope: str
) -> None:
    named = post(api, chunk(wav(headache, 2), final=True)).json()["task_id"]
    body = {"scope": scope} | ({"encounter_id": named} if scope == "encounter" else {})
    with client(scripted_server.base_url, token(api, **body)) as page:
        refused = make(page, **body)
    assert refused.status_code == 403
    assert refused.json()["code"] == "forbidden"
    assert refused.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "scope"),
        ({"scope": "all"}, "stream, encounter"),
        ({"scope": 7}, "scope"),
        ({"scope": "encounter"}, "encounter_id"),
        ({"scope": "encounter", "encounter_id": ""}, "encounter_id"),
        ({"scope": "stream", "encounter_id": "e"}, "leave it out"),
        ({"scope": "console", "encounter_id": "e"}, "leave it out"),
        ({"scope": "stream", "expires_in_s": 0}, "from 1 to 43200 seconds"),
        ({"scope": "stream", "expires_in_s": 43_201}, "from 1 to 43200 seconds"),
        ({"scope": "stream", "expires_in_s": "60"}, "expires_in_s"),
        ({"scope": "stream", "expires_in_s": 10**30}, ""),
    ],
)
def test_what_cannot_be_made_is_refused_with_the_reason(api: httpx.Client, body: dict[str, Any], says: str) -> None:
    refused = make(api, **body)
    assert refused.status_code == 400
    error = refused.json()
    assert error["code"] == "bad_request"
    assert says in error["detail"]


def test_a_request_that_is_no_json_or_too_large_is_refused(api: httpx.Client) -> None:
    assert api.post("/api/tokens", content=b"\xff{").status_code == 400
    too_large = api.post("/api/tokens", content=b" " * 20_000)
    assert too_large.status_code == 413
    assert too_large.json()["code"] == "too_large"


def test_a_token_for_an_encounter_that_is_not_the_tenants_is_not_made(
    scripted_server: RunningServer, api: httpx.Client, headache: Recording
) -> None:
    named = post(api, chunk(wav(headache, 2), final=True)).json()["task_id"]
    with client(scripted_server.base_url, make_key(scripted_server, "another practice")) as another:
        for encounter in (named, "0" * 24, "nothing"):
            refused = make(another, scope="encounter", encounter_id=encounter)
            assert refused.status_code == 404
            assert refused.json()["code"] == "not_found"


def test_without_a_key_nothing_is_made(scripted_server: RunningServer) -> None:
    refused = httpx.post(scripted_server.base_url + "/api/tokens", json=STREAM)
    assert refused.status_code == 401
    assert refused.json()["code"] == "unauthorized"
    assert refused.headers["www-authenticate"] == "Bearer"


def test_what_is_no_token_of_this_server_is_refused_everywhere(
    scripted_server: RunningServer, api: httpx.Client
) -> None:
    good = token(api)
    header, content, signature = good.split(".")
    unsigned = jwt.encode(jwt.decode(good, options={"verify_signature": False}), "", "none")
    foreign = jwt.encode(jwt.decode(good, options={"verify_signature": False}), bytes(32), ALGORITHM)
    wider = resigned(scripted_server, good, scope="all")
    tampered = f"{header}.{content[:-2]}{'AA' if content[-2:] != 'AA' else 'BB'}.{signature}"
    for bad in (unsigned, foreign, wider, tampered, f"{header}.{content}.", f"..{signature}"):
        with client(scripted_server.base_url, bad) as page:
            assert poll(page, "nothing").status_code == 401
            refused = make(page, **STREAM)
        assert refused.status_code == 401
        assert refused.json()["code"] == "unauthorized"
    with client(scripted_server.base_url, good) as page:
        assert poll(page, "nothing").status_code == 404


async def test_a_socket_refuses_a_wrong_token_at_the_handshake(
    scripted_server: RunningServer, api: httpx.Client
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await as_a_browser(scripted_server, token(api)[:-4] + "AAAA")
    assert refused.value.response.status_code == 401


def test_an_expired_token_is_told_apart_over_http(scripted_server: RunningServer, api: httpx.Client) -> None:
    with client(scripted_server.base_url, expired(scripted_server, token(api))) as page:
        assert poll(page, "nothing").status_code == 401
        refused = make(page, **STREAM)
    assert refused.status_code == 401
    assert refused.json()["code"] == "token_expired"
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_an_expired_token_is_told_in_the_socket_where_a_browser_can_read_it(
    scripted_server: RunningServer, api: httpx.Client
) -> None:
    offered = ["copilot-listen-protocol", f"jwt-{expired(scripted_server, token(api))}"]
    async with dialled(scripted_server, USER, additional_headers={}, subprotocols=offered) as socket:
        (message,) = await read(socket, 10)
        assert socket.close_code == 1008
    assert (message["object"], message["code"], message["name"]) == ("error_message", 50025, "TOKEN_EXPIRED")


async def keep_talking(socket: ClientConnection, streams: dict[str, bytes]) -> None:
    await play(socket, streams)
    quiet = {name: bytes(6144) for name in streams}
    while True:
        await play(socket, quiet)
        await anyio.sleep(0.1)  # as a microphone does


async def test_a_token_that_expires_while_somebody_talks_ends_the_socket_and_finishes_what_was_said(
    scripted_server: RunningServer, api: httpx.Client, headache: Recording
) -> None:
    with client(scripted_server.base_url, make_key(scripted_server, "long-winded")) as own:
        offered = ["copilot-listen-protocol", f"jwt-{token(own, scope='stream', expires_in_s=1)}"]
    async with dialled(scripted_server, USER, additional_headers={}, subprotocols=offered) as socket:
        await say(socket, CONFIG)
        talking = asyncio.create_task(keep_talking(socket, pcm(headache, 6)))
        messages = await read(socket, 10)
        assert socket.close_code == 1008
        await asyncio.wait([talking])
    assert finals(messages)
    assert (messages[-1]["object"], messages[-1]["code"]) == ("error_message", 50025)
    until = time.monotonic() + 20
    while (states := states_of(scripted_server, "long-winded")) != ["done"]:
        assert time.monotonic() < until, states
        await anyio.sleep(0.1)  # another process: there is no event to wait for


def states_of(server: RunningServer, tenant: str) -> list[str]:
    """How far the encounters of a tenant are."""
    engine = open_engine(f"sqlite:///{server.data_dir / 'auscult.db'}")
    with engine.connect() as connection:
        query = select(t.encounters.c.state).join(t.tenants, t.tenants.c.id == t.encounters.c.tenant_id)
        found = list(connection.execute(query.where(t.tenants.c.name == tenant)).scalars())
    engine.dispose()
    return found


@pytest.mark.slow
async def test_a_client_that_ended_in_time_gets_everything_although_its_token_expires(
    tmp_path: Path, headache: Recording
) -> None:
    environment = {"AUSCULT_RECOGNISER_SCRIPTED_DELAY_MS": "2500"}  # longer than the token holds
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            made = make(api, scope="stream", expires_in_s=1).json()
        offered = ["copilot-listen-protocol", f"jwt-{made['token']}"]
        async with dialled(server, USER, additional_headers={}, subprotocols=offered) as socket:
            await say(socket, CONFIG)
            await play(socket, pcm(headache, 6))
            await say(socket, END)
            messages = await read(socket, 30)
            assert socket.close_code == 1000
    assert time.time() > datetime.fromisoformat(made["expires_at"]).timestamp()
    assert finals(messages)


@pytest.mark.slow
def test_a_token_ends_with_its_key(scripted_server: RunningServer) -> None:
    with client(scripted_server.base_url, make_key(scripted_server, "closed")) as api:
        made = token(api)
    data_dir = str(scripted_server.data_dir)
    with client(scripted_server.base_url, made) as page:
        assert poll(page, "nothing").status_code == 404
        (line,) = [
            line for line in auscult("keys", "list", "--data-dir", data_dir).stdout.splitlines() if "closed" in line
        ]
        assert auscult("keys", "revoke", line.split()[0], "--data-dir", data_dir).returncode == 0
        until = time.monotonic() + REMEMBERED_S + 2
        while poll(page, "nothing").status_code != 401:
            assert time.monotonic() < until
            time.sleep(0.2)


@pytest.mark.slow
async def test_tokens_outlive_a_restart_and_a_secret_in_a_file_is_taken_over(tmp_path: Path) -> None:
    secret = tmp_path / "token-secret"
    secret.write_bytes(bytes(range(32)))  # as an earlier version kept it
    async with running_server(recogniser="scripted", data_dir=tmp_path) as server:
        assert not secret.exists()
        with client(server.base_url, server.key) as api:
            made = token(api)
        jwt.decode(made, bytes(range(32)), [ALGORITHM], audience="auscult")
        await server.stop()
        await server.start()
        with client(server.base_url, made) as page:
            assert poll(page, "nothing").status_code == 404


@pytest.mark.slow
async def test_the_operator_sets_how_long_tokens_hold(tmp_path: Path) -> None:
    environment = {"AUSCULT_TOKENS_EXPIRES_S": "5", "AUSCULT_TOKENS_MAX_EXPIRES_S": "20"}
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            ends = datetime.fromisoformat(make(api, **STREAM).json()["expires_at"]).timestamp()
            assert ends < time.time() + 7
            refused = make(api, scope="stream", expires_in_s=21)
    assert "from 1 to 20 seconds" in refused.json()["detail"]
