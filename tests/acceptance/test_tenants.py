"""`auscult tenants`, and what a running server makes of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from server.store import encounters as sql
from server.store.database import database_url, open_engine
from tests.acceptance.conftest import client, make_key
from tests.acceptance.haidy import chunk, poll, post, wait
from tests.acceptance.nabla import CONFIG, dialled, read, say
from tests.acceptance.recorded import finished, sent, upload
from tests.acceptance.test_haidy import wav
from tests.preforked import auscult


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


def test_whoever_asks_is_told_what_the_server_can_do_for_its_tenant(
    scripted_server: RunningServer, headache: Recording
) -> None:
    with api_of(scripted_server, "with its own hours", "live_audio_hours=1.5", "result_hours=48") as practice:
        encounter = post(practice, chunk(wav(headache, 2), final=True)).json()["task_id"]
        told = practice.get("/api/capabilities", params={"language": "fr-CH"}).raise_for_status().json()
        assert told["retention"] == {"upload_audio_hours": 0, "live_audio_hours": 1.5, "result_hours": 48}
        assert (told["recogniser"]["kind"], told["writer"]) == ("scripted", "embedded-extractive")
        titles = {each["name"]: each["title"] for each in told["templates"]}
        assert titles[told["default_template"]] == "Note SOAP"
        for asked in (
            {"scope": "console"},
            {"scope": "stream"},
            {"scope": "encounter", "encounter_id": encounter},
            {"scope": "follow", "encounter_id": encounter},
        ):
            token = practice.post("/api/tokens", json=asked).json()["token"]
            with client(scripted_server.base_url, token) as page:
                assert page.get("/api/capabilities", params={"language": "fr"}).json() == told
        refused = practice.get("/api/capabilities", params={"language": "no language"})
        assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")


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
        assert (ours.status_code, ours.json()["code"]) == (429, "rate_limited")
        assert practice.get("/metrics").status_code == 200  # nobody's business but the operator's
        headers = {"Authorization": practice.headers["Authorization"]}
        async with dialled(scripted_server, additional_headers=headers) as socket:
            (refusal,) = await read(socket, 10)
            assert (refusal["name"], socket.close_code) == ("RATE_LIMITED", 1013)


def used(server: RunningServer, tenant: str) -> str:
    """Minutes, as an operator reads them."""
    shown = auscult("tenants", "show", tenant, "--data-dir", str(server.data_dir))
    return shown.stdout.splitlines()[-1].split()[1]


def test_a_recording_is_counted_and_refused_like_a_live_session(
    scripted_server: RunningServer, headache: Recording
) -> None:
    with api_of(scripted_server, "recordings", "minutes_per_month=1") as practice:
        finished(practice, sent(practice, wav(headache, 36), wav(headache, 36), key="first"))
        assert used(scripted_server, "recordings") == "1.2"
        refused = upload(practice, wav(headache, 3))
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_minutes")
        again = upload(practice, wav(headache, 36), wav(headache, 36), key="first")
        assert again.status_code in (200, 202)  # what was accepted once is no new recording


def test_a_recording_has_its_tenant_s_priority(scripted_server: RunningServer, headache: Recording) -> None:
    with api_of(scripted_server, "urgent", "priority=5") as practice:
        encounter = sent(practice, wav(headache, 3))
    engine = open_engine(database_url("", scripted_server.data_dir))
    with engine.connect() as connection:
        assert sql.get(connection, encounter).priority == 5
    engine.dispose()


async def test_audio_is_counted_once_whatever_dies_while_it_is_heard(tmp_path: Path, headache: Recording) -> None:
    raw = (headache.mono() * 32767).astype("<i2").tobytes().ljust(2 * 16_000 * 60, b"\0")  # a minute
    async with running_server(recogniser="scripted", data_dir=tmp_path) as server:
        with client(server.base_url, server.key) as api:
            task_id = "NEW"
            for begin in range(0, len(raw), len(raw) // 4):
                part = raw[begin : begin + len(raw) // 4]
                task_id = post(api, chunk(part, task_id, file_format="pcm")).json()["task_id"]
                poll(api, task_id)
                await server.kill()
                await server.start()
            post(api, chunk(b"", task_id, final=True, file_format="pcm"))
            wait(api, task_id)
        assert used(server, "default") == "1.0"
