"""`auscult tenants`, and what a running server makes of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.conftest import client, make_key
from tests.acceptance.haidy import chunk, poll, post, wait
from tests.acceptance.test_haidy import wav
from tests.acceptance.test_nabla import CONFIG, dialled, read, say
from tests.acceptance.test_operations import auscult


def test_an_operator_sets_reads_and_resets_what_holds_for_a_tenant(tmp_path: Path) -> None:
    there = ("--data-dir", str(tmp_path))
    assert auscult("keys", "create", "--tenant", "practice [b]", *there).returncode == 0
    assert auscult("tenants", "show", "practice [b]", *there).stdout == "# 0.0 minutes of audio this month\n"
    assert auscult("tenants", "set", "practice [b]", "streams=20", "result_hours=0.5", *there).returncode == 0
    assert auscult("tenants", "set", "practice [b]", "result_hours=", *there).returncode == 0
    assert auscult("tenants", "show", "practice [b]", *there).stdout.splitlines()[0] == "streams=20"
    listed = auscult("tenants", "list", *there).stdout
    assert "practice [b]" in listed
    assert "streams=20" in listed
    for arguments, says in (
        (("set", "practice [b]", "stream=1"), "did you mean streams?"),
        (("set", "practice [b]", "streams=x"), "a whole number from 0 to 100000"),
        (("set", "nobody", "streams=1"), "auscult keys create --tenant NAME"),
        (("show", "nobody"), "auscult tenants list"),
    ):
        failed = auscult("tenants", *arguments, *there)
        assert failed.returncode == 1
        assert says in failed.stderr
        assert "Traceback" not in failed.stderr


@contextmanager
def api_of(server: RunningServer, tenant: str, *settings: str) -> Iterator[httpx.Client]:
    """A client of a tenant for whom these settings were made before it came."""
    key = make_key(server, tenant)
    made = auscult("tenants", "set", tenant, *settings, "--data-dir", str(server.data_dir))
    assert made.returncode == 0, made.stderr
    with client(server.base_url, key) as api:
        yield api


def refusals(api: httpx.Client, quota: str) -> float:
    """As the server counts them."""
    prefix = f'auscult_quota_refusals_total{{quota="{quota}"}} '
    return sum(
        float(line.removeprefix(prefix)) for line in api.get("/metrics").text.splitlines() if line.startswith(prefix)
    )


async def test_live_streams_are_bounded_by_tenant_until_one_ends(
    scripted_server: RunningServer, api: httpx.Client, headache: Recording
) -> None:
    before = refusals(api, "streams")
    with api_of(scripted_server, "two streams", "streams=2") as practice:
        task_id = post(practice, chunk(wav(headache, 3))).json()["task_id"]
        headers = {"Authorization": practice.headers["Authorization"]}
        async with dialled(scripted_server, additional_headers=headers) as socket:  # it wants two streams more
            await say(socket, CONFIG)
            (refusal,) = await read(socket, 10)
            assert socket.close_code == 1013
        assert refusal["name"] == "QUOTA_STREAMS"
        assert "At most 2 audio streams" in refusal["message"]
        again = post(practice, chunk(wav(headache, 3)))
        assert again.status_code == 200
        refused = post(practice, chunk(wav(headache, 3)))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
        assert post(api, chunk(wav(headache, 3), final=True)).status_code == 200  # another tenant
        post(practice, chunk(b"", task_id, final=True))
        wait(practice, task_id)
        assert post(practice, chunk(wav(headache, 3), final=True)).status_code == 200
        post(practice, chunk(b"", again.json()["task_id"], final=True))
    assert refusals(api, "streams") == before + 2


def test_audio_is_counted_once_it_is_over_and_bounded_by_the_month(
    scripted_server: RunningServer, headache: Recording
) -> None:
    there = ("--data-dir", str(scripted_server.data_dir))
    with api_of(scripted_server, "one minute", "minutes_per_month=1") as practice:
        for seconds in (40, 30):
            wait(practice, post(practice, chunk(wav(headache, seconds), final=True)).json()["task_id"])
        refused = post(practice, chunk(wav(headache, 3)))
        assert refused.status_code == 429
        assert "The 1 minutes of audio" in refused.json()
        assert "# 1.2 minutes" in auscult("tenants", "show", "one minute", *there).stdout


async def test_requests_are_bounded_by_tenant_in_the_words_of_each_api(scripted_server: RunningServer) -> None:
    with api_of(scripted_server, "five a minute", "requests_per_minute=5") as practice:
        assert [poll(practice, "nothing").status_code for _ in range(5)] == [404] * 5
        refused = poll(practice, "nothing")
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 61
        ours = practice.post("/api/tokens", json={"scope": "stream"})
        assert (ours.status_code, ours.json()["error"]["code"]) == (429, "rate_limited")
        assert practice.get("/metrics").status_code == 200  # nobody's business but the operator's
        headers = {"Authorization": practice.headers["Authorization"]}
        async with dialled(scripted_server, additional_headers=headers) as socket:
            (refusal,) = await read(socket, 10)
            assert (refusal["name"], socket.close_code) == ("RATE_LIMITED", 1013)
