"""The server's wall clock jumps by hours, ahead and back, in the middle of everything."""

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from uuid import uuid4

import anyio
import anyio.to_thread
import httpx
import pytest

from bench.receiver import answering, in_turn, receiving
from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.conftest import client, make_key, start
from tests.acceptance.haidy import chunk, post, wait
from tests.acceptance.live import END, HELLO, dialled, hear, of, recorded, rest, say, told, words
from tests.acceptance.recorded import finished, sent
from tests.acceptance.test_haidy import encoded
from tests.acceptance.test_webhooks import webhooks
from tests.acceptance.wall_clock import WallClock

pytestmark = pytest.mark.slow

JUMP_H = 30.0  # more than anything is kept for
SETTINGS = {"AUSCULT_OUTGOING_ALLOW_HOSTS": "127.0.0.1", "AUSCULT_TASKS_TEND_S": "0.1"}


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> WallClock:
    return WallClock(tmp_path_factory.mktemp("clock") / "wrong_by")


@pytest.fixture(scope="module")
def server(clock: WallClock) -> Iterator[RunningServer]:
    yield from start("scripted", {**SETTINGS, **clock.environment})


@pytest.fixture(autouse=True)
def right_again(clock: WallClock) -> Iterator[None]:
    yield
    clock.jump(hours=0)


@pytest.fixture
def api(server: RunningServer) -> Iterator[httpx.Client]:
    with client(server.base_url, server.key) as made:
        yield made


async def until(happened: Callable[[], bool]) -> None:
    """Wait for another process: there is no event to wait for."""
    with anyio.fail_after(30):
        while not happened():  # noqa: ASYNC110
            await anyio.sleep(0.05)


def rounds(api: httpx.Client) -> None:
    """Several rounds of tending go by: each of them looks for what is to be erased."""
    time.sleep(0.5)
    assert api.get("/readyz").status_code == 200


@pytest.mark.parametrize("hours", [JUMP_H, -JUMP_H])
async def test_a_live_session_goes_on_and_who_joins_it_speaks_at_the_same_time(
    server: RunningServer, clock: WallClock, hours: float
) -> None:
    chunks = recorded("headache")
    undisturbed, _ = await told(server, chunks, role="doctor", note=False)
    hello = HELLO | {"note": False}
    async with dialled(server) as doctor, dialled(server) as patient:
        await say(doctor, hello | {"role": "doctor"})
        encounter = (await hear(doctor, "session"))["encounter_id"]
        for piece in chunks[: len(chunks) // 2]:
            await doctor.send(piece)
        while (await hear(doctor, "ack"))["chunks"] < len(chunks) // 2:
            pass
        clock.jump(hours=hours)
        await say(patient, hello | {"role": "patient", "encounter_id": encounter})
        await hear(patient, "session")
        for piece in recorded("cough", 10):
            await patient.send(piece)
        for piece in chunks[len(chunks) // 2 :]:
            await doctor.send(piece)
        clock.jump(hours=0)
        await say(patient, END)
        await say(doctor, END)
        heard, _ = await asyncio.gather(rest(patient), rest(doctor))
    finals = of(heard, "final")
    doctors = [final for final in finals if final["speaker"] == "doctor"]
    said, expected = words(doctors), words(of(undisturbed, "final"))
    assert set(said) <= set(expected)  # made-up words are the same on both streams: some count as overheard
    assert (said[0], said[-1]) == (expected[0], expected[-1])
    patients = [final for final in finals if final["speaker"] == "patient"]
    assert patients
    assert all(0 < final["start_ms"] < 60_000 for final in patients)
    assert heard[-1] == {"type": "done", "outcome": "done"}


def test_while_it_is_ahead_nothing_is_erased_and_all_work_is_done(
    server: RunningServer, clock: WallClock, api: httpx.Client, headache: Recording
) -> None:
    before = post(api, chunk(encoded(headache, "webm", 5), final=True)).json()["task_id"]
    wait(api, before)
    shown = api.get(f"/api/encounters/{before}").json()
    clock.jump(hours=JUMP_H)
    meanwhile = sent(api, encoded(headache, "webm", 5))
    assert (finished(api, meanwhile))["status"] == "done"
    rounds(api)
    assert api.get(f"/api/encounters/{before}").json() == shown
    clock.jump(hours=0)
    rounds(api)
    afterwards = sent(api, encoded(headache, "webm", 5))
    assert (finished(api, afterwards))["status"] == "done"
    for encounter in (before, meanwhile):
        assert api.get(f"/api/encounters/{encounter}").status_code == 200
    kept = [path.name for path in (server.data_dir / "blobs").iterdir()]
    assert any(before in name for name in kept)


async def test_what_was_to_be_told_while_it_was_ahead_is_told_when_it_is_right_again(
    server: RunningServer, clock: WallClock, headache: Recording
) -> None:
    visit = partial(chunk, encoded(headache, "webm", 5), final=True)
    async with receiving(in_turn(answering(503), answering(200))) as receiver:
        with client(server.base_url, make_key(server, tenant := f"tenant{uuid4().hex}")) as api:
            await anyio.to_thread.run_sync(webhooks, server, "set", tenant, receiver.url)
            clock.jump(hours=JUMP_H)
            post(api, visit())
            await until(lambda: "delivery.failed" in server.log())  # to be sent again, at a time that is a day away
            clock.jump(hours=0)
            post(api, visit())
            got = await receiver.until(3)
    ids = [each.headers["webhook-id"] for each in got]
    assert len(set(ids)) == 2
    assert ids.count(ids[0]) == 2


def test_tokens_hold_by_the_time_that_it_is(server: RunningServer, clock: WallClock, api: httpx.Client) -> None:
    token = api.post("/api/tokens", json={"scope": "stream", "expires_in_s": 600}).json()["token"]
    clock.jump(hours=JUMP_H)
    with client(server.base_url, token) as page:
        refused = page.get("/api/encounters/none")
        assert (refused.status_code, refused.json()["code"]) == (401, "token_expired")
        newer = api.post("/api/tokens", json={"scope": "stream", "expires_in_s": 600}).json()["token"]
        page.headers["Authorization"] = f"Bearer {newer}"
        assert page.get("/api/encounters/none").status_code == 404
    clock.jump(hours=0)
    with client(server.base_url, token) as page:
        assert page.get("/api/encounters/none").status_code == 404


def test_the_server_s_clock_is_the_one_that_jumps(server: RunningServer, clock: WallClock, api: httpx.Client) -> None:
    """Else all of this would say nothing."""
    clock.jump(hours=1_000_000)
    expires_at = api.post("/api/tokens", json={"scope": "stream"}).json()["expires_at"]
    assert int(expires_at[:4]) > 2100
