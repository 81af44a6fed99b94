"""Webhooks and callbacks, received by real servers; on both databases."""

import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import anyio.to_thread
import pytest
from standardwebhooks import Webhook

from bench.receiver import Got, answering, hanging, in_turn, receiving
from bench.recordings import Recording
from bench.server import RunningServer, running_server
from tests.acceptance.conftest import client, make_key, start_on, store_on
from tests.acceptance.haidy import chunk, post
from tests.acceptance.nabla import pcm
from tests.acceptance.recorded import finished, sent, upload
from tests.acceptance.test_haidy import encoded
from tests.preforked import auscult

pytestmark = pytest.mark.slow

ALLOWED = {"AUSCULT_OUTGOING_ALLOW_HOSTS": "127.0.0.1"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    yield from start_on(request, ALLOWED)


def webhooks(server: RunningServer, *arguments: str, ok: bool = True) -> str:
    """`auscult webhooks …`; what it prints."""
    options = ("--data-dir", str(server.data_dir))
    done = auscult("webhooks", *arguments, *options, environment=server.environment)
    assert (done.returncode == 0) is ok, done.stderr + done.stdout
    return done.stdout + done.stderr


def secret_in(printed: str) -> str:
    return printed.split()[-1]


class Customer:
    """A tenant of its own, with a client."""

    def __init__(self, server: RunningServer) -> None:
        self.name = f"tenant{uuid4().hex}"
        self.api = client(server.base_url, make_key(server, self.name))

    def visit(self, recording: Recording) -> str:
        """A whole live session; its id."""
        answer = post(self.api, chunk(pcm(recording, 5)["d"], file_format="pcm", final=True))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["task_id"])


@pytest.fixture
def customer(server: RunningServer) -> Iterator[Customer]:
    made = Customer(server)
    with made.api:
        yield made


def told(got: Got) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(got.body)
    return body


async def test_a_session_s_end_is_told_once_and_signed(
    server: RunningServer, customer: Customer, headache: Recording
) -> None:
    async with receiving() as receiver:
        secret = secret_in(webhooks(server, "set", customer.name, receiver.url))
        encounter = await anyio.to_thread.run_sync(customer.visit, headache)
        (got,) = await receiver.until(1)
        Webhook(secret).verify(got.body, got.headers)
        assert told(got)["type"] == "encounter.completed"
        assert told(got)["data"]["encounter_id"] == encounter
        assert told(got)["data"]["items"]
        shown = customer.api.get(f"/api/encounters/{encounter}").json()
        assert told(got)["data"] == shown
        await anyio.sleep(0.5)
        assert len(receiver.got) == 1
        assert "delivered" in webhooks(server, "list", "--deliveries", "--tenant", customer.name)
        (attempt,) = webhooks(server, "list", "--attempts", got.headers["webhook-id"]).splitlines()[1:]
        assert " 200 " in attempt


async def test_every_attempt_has_the_same_key_and_body(
    server: RunningServer, customer: Customer, headache: Recording
) -> None:
    async with receiving(in_turn(answering(503, Retry_After="1"), answering(200))) as receiver:
        secret = secret_in(webhooks(server, "set", customer.name, receiver.url))
        await anyio.to_thread.run_sync(customer.visit, headache)
        first, second = await receiver.until(2)
        assert first.body == second.body
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == second.headers["idempotency-key"]
        for got in (first, second):
            Webhook(secret).verify(got.body, got.headers)


async def test_what_is_gone_is_a_dead_letter_until_somebody_says_otherwise(
    server: RunningServer, customer: Customer, headache: Recording
) -> None:
    async with receiving(in_turn(answering(410), answering(200))) as receiver:
        webhooks(server, "set", customer.name, receiver.url)
        await anyio.to_thread.run_sync(customer.visit, headache)
        (gone,) = await receiver.until(1)
        await anyio.to_thread.run_sync(until_listed, server, customer.name, "dead")
        assert webhooks(server, "redeliver", "--dead", "--tenant", customer.name).startswith("1 ")
        other = Customer(server)
        with other.api:  # something else that wakes the outbox
            webhooks(server, "set", other.name, receiver.url)
            await anyio.to_thread.run_sync(other.visit, headache)
        got = await receiver.until(3)
        assert gone.headers["webhook-id"] in {again.headers["webhook-id"] for again in got[1:]}


def until_listed(server: RunningServer, tenant: str, state: str) -> None:
    for _ in range(15):
        if state in webhooks(server, "list", "--deliveries", "--tenant", tenant):
            return
    raise TimeoutError


async def test_a_receiver_that_hangs_holds_up_nobody_else(
    server: RunningServer, customer: Customer, headache: Recording
) -> None:
    other = Customer(server)
    async with receiving(hanging) as slow, receiving() as quick:
        with other.api:
            webhooks(server, "set", customer.name, slow.url)
            webhooks(server, "set", other.name, quick.url)
            for _ in range(6):
                await anyio.to_thread.run_sync(customer.visit, headache)
            await slow.until(4)
            await anyio.to_thread.run_sync(other.visit, headache)
            await quick.until(1, seconds=8)
            assert len(slow.got) == 4  # so many of one tenant at a time
    webhooks(server, "set", customer.name, "")


async def test_a_recording_s_own_callback_is_called_and_a_failure_is_told_too(
    customer: Customer, headache: Recording
) -> None:
    async with receiving() as receiver:
        octets = encoded(headache, "webm", 5)
        encounter = await anyio.to_thread.run_sync(lambda: sent(customer.api, octets, callback_url=receiver.url))
        await receiver.until(1)
        failing = await anyio.to_thread.run_sync(
            lambda: sent(customer.api, b"OggS\0" + bytes(5000), callback_url=receiver.url)
        )
        got = await receiver.until(2)
        assert [told(each)["data"]["encounter_id"] for each in got] == [encounter, failing]
        assert [told(each)["type"] for each in got] == ["encounter.completed", "encounter.failed"]


async def test_a_recording_is_fetched_from_its_address(customer: Customer, headache: Recording) -> None:
    octets = encoded(headache, "webm", 5)
    async with receiving(answering(200, octets)) as files:
        answer = await anyio.to_thread.run_sync(
            lambda: customer.api.post("/api/recordings", json={"urls": [files.url]})
        )
        assert answer.status_code == 202, answer.text
        done = await anyio.to_thread.run_sync(finished, customer.api, answer.json()["encounter_id"])
        assert done["status"] == "done"
        assert done["items"]


async def test_a_recording_is_not_fetched_from_inside(customer: Customer) -> None:
    async with receiving() as inside, receiving(answering(302, Location=f"http://127.0.0.2:{inside.port}/")) as outside:
        answer = await anyio.to_thread.run_sync(
            lambda: customer.api.post("/api/recordings", json={"urls": [outside.url]})
        )
        over = await anyio.to_thread.run_sync(finished, customer.api, answer.json()["encounter_id"])
        assert over["error"]["code"] == "address_refused"
        assert not inside.got


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/meta-data", "http://127.0.0.2:8080/x"])
def test_an_address_inside_is_refused_at_once(
    server: RunningServer, customer: Customer, headache: Recording, url: str
) -> None:
    fetched = customer.api.post("/api/recordings", json={"urls": ["http://127.0.0.1:8080/a.wav", url]})
    told = upload(customer.api, encoded(headache, "webm", 2), callback_url=url)
    for answer in (fetched, told):
        assert answer.status_code == 400, answer.text
        assert answer.json()["code"] == "address_refused"
        assert "outgoing.allow_hosts" in answer.json()["detail"]
    assert "outgoing.allow_hosts" in webhooks(server, "set", customer.name, url, ok=False)
    assert url not in server.log()


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)  # the database does not matter here
async def test_an_operator_sets_tests_and_rotates(server: RunningServer, customer: Customer) -> None:
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving(in_turn(answering(200), answering(200), answering(500))))
        run = anyio.to_thread.run_sync
        old = secret_in(await run(lambda: webhooks(server, "set", customer.name, receiver.url)))
        assert "status 200" in await run(lambda: webhooks(server, "test", customer.name))
        new = secret_in(await run(lambda: webhooks(server, "rotate", customer.name)))
        assert new != old
        await run(lambda: webhooks(server, "test", customer.name))
        for secret in (old, new):
            Webhook(secret).verify(receiver.got[1].body, receiver.got[1].headers)
        assert "status 500" in await run(lambda: webhooks(server, "test", customer.name, ok=False))
        assert receiver.url in await run(lambda: webhooks(server, "list"))
        assert "Signing" not in await run(lambda: webhooks(server, "set", customer.name, receiver.url))
        for wrong in ("ftp://x", "http://user:pw@x/"):
            await run(lambda: webhooks(server, "set", customer.name, wrong, ok=False))  # noqa: B023
        assert "auscult keys create" in await run(lambda: webhooks(server, "set", "nobody", receiver.url, ok=False))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_a_delivery_that_a_kill_interrupted_is_made_with_the_same_key(
    database: str, request: pytest.FixtureRequest, tmp_path: Path, headache: Recording
) -> None:
    with store_on(database, request) as store:
        async with (
            receiving(in_turn(hanging, answering(200))) as receiver,
            running_server(recogniser="scripted", data_dir=tmp_path, environment=ALLOWED | store) as server,
        ):
            webhooks(server, "set", "default", receiver.url)
            with client(server.base_url, server.key) as api:
                octets = encoded(headache, "webm", 3)
                await anyio.to_thread.run_sync(sent, api, octets)
                await receiver.until(1)
                await server.kill()
                await server.start()
                first, second = await receiver.until(2)
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
