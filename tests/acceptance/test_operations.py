"""What the person who runs the server meets: commands, keys, TLS, health, and errors that say what to do."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import anyio
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from server.remembering import REMEMBERED_S
from server.store import tables as t
from server.store.database import open_engine
from tests.acceptance.conftest import WHISPER, client, make_key
from tests.acceptance.haidy import chunk, poll, post, send, wait
from tests.acceptance.nabla import CONFIG, dialled, play, read, say
from tests.acceptance.test_haidy import wav
from tests.preforked import auscult

pytestmark = pytest.mark.slow  # nearly every test starts a server or a command of its own


def test_a_second_server_on_the_same_data_directory_refuses_to_start(scripted_server: RunningServer) -> None:
    refused = auscult("serve", "--port", "0", "--data-dir", str(scripted_server.data_dir))
    assert refused.returncode == 1
    assert "already using the data directory" in refused.stderr
    assert "Traceback" not in refused.stderr


async def test_a_key_is_printed_on_the_first_run_only(tmp_path: Path) -> None:
    async with running_server(recogniser="scripted", data_dir=tmp_path / "data") as server:
        first = server.key
        await server.stop()
        server.key = "unchanged"
        await server.start()
        assert server.key == "unchanged"
        with client(server.base_url, first) as api:
            assert poll(api, "nothing").status_code == 404


def test_a_key_is_printed_alone_and_works_until_it_is_revoked(scripted_server: RunningServer) -> None:
    key = make_key(scripted_server, "a practice")
    data_dir = str(scripted_server.data_dir)
    with client(scripted_server.base_url, key) as api:
        assert poll(api, "nothing").status_code == 404
        listed = auscult("keys", "list", "--data-dir", data_dir).stdout
        (line,) = [line for line in listed.splitlines() if "a practice" in line]
        assert key not in listed
        assert auscult("keys", "revoke", line.split()[0], "--data-dir", data_dir).returncode == 0
        until = time.monotonic() + REMEMBERED_S + 2
        while poll(api, "nothing").status_code != 401:
            assert time.monotonic() < until
            time.sleep(0.2)


def test_the_access_log_says_who_did_what_and_polls_are_no_entries(
    scripted_server: RunningServer, headache: Recording
) -> None:
    with client(scripted_server.base_url, make_key(scripted_server, "watched")) as api:
        task_id = send(api, [wav(headache, 3)])
        wait(api, task_id)
    assert actions(scripted_server, task_id) == ["encounter.open", "encounter.close", "encounter.read"]


def actions(server: RunningServer, encounter: str) -> list[str]:
    """What the access log says of an encounter."""
    engine = open_engine(f"sqlite:///{server.data_dir / 'auscult.db'}")
    with engine.connect() as connection:
        query = (
            select(t.access_log.c.action).where(t.access_log.c.encounter_id == encounter).order_by(t.access_log.c.id)
        )
        found = list(connection.execute(query).scalars())
    engine.dispose()
    return found


def test_health_and_readiness_need_no_key(scripted_server: RunningServer) -> None:
    for path in ("/healthz", "/readyz"):
        assert httpx.get(scripted_server.base_url + path).status_code == 200


def test_metrics_need_a_key_and_no_token_will_do(scripted_server: RunningServer, api: httpx.Client) -> None:
    assert "auscult_store_commits_total" in api.get("/metrics").text
    refused = httpx.get(scripted_server.base_url + "/metrics")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    token = api.post("/api/tokens", json={"scope": "stream"}).json()["token"]
    with client(scripted_server.base_url, token) as page:
        assert page.get("/metrics").status_code == 403


async def test_metrics_can_be_opened_to_those_who_send_no_key(tmp_path: Path) -> None:
    environment = {"AUSCULT_SERVER_OPEN_METRICS": "true"}
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, "none") as anybody:
            assert "auscult_store_commits_total" in anybody.get("/metrics").text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("serve", "--recogniser", "whisper", "--model", "/nowhere"), "auscult models fetch"),
        (("serve", "--recogniser", "whisper", "--model", "small.en"), "auscult models fetch small.en"),
        (("serve", "--recogniser", "parrot"), "sphinx"),
        (("serve", "--config", "/nowhere.toml"), "/nowhere.toml"),
        (("serve", "--data-dir", "/proc/nowhere"), "--data-dir"),
        (("serve", "--host", "192.0.2.1"), "192.0.2.1 port 8765: this machine has no such address"),
        (("serve", "--host", "nowhere.invalid"), "--host"),
        (("serve", "--port", "{taken}"), "port {taken}: something else listens there"),
        (("serve", "--tls-cert", "/nowhere.pem", "--tls-key", "pyproject.toml"), "/nowhere.pem"),
        (("serve", "--tls-cert", "pyproject.toml", "--tls-key", "/nowhere.pem"), "--tls-key"),
        (("serve", "--tls-cert", "pyproject.toml", "--tls-key", "pyproject.toml"), "PEM"),
        (("transcribe", "pyproject.toml"), "no audio"),
        (("transcribe", "{speech}", "--recogniser", "sphinx", "--language", "de-CH"), "auscult models fetch small"),
        (("keys", "revoke", "nobody", "--data-dir", "{tmp}"), "auscult keys list"),
    ],
)
def test_what_cannot_be_done_is_one_line_that_says_what_to_do(
    tmp_path: Path, headache: Recording, arguments: tuple[str, ...], says: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        names = {"tmp": tmp_path, "speech": headache.mono_path, "taken": taken.getsockname()[1]}
        filled = [argument.format(**names) for argument in arguments]
        if "--data-dir" not in filled and filled[0] == "serve":
            filled += ["--data-dir", str(tmp_path)]
        failed = auscult(*filled)
    assert failed.returncode == 1
    assert says.format(**names) in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "uncaught" not in failed.stderr
    assert "API key" not in failed.stdout


def test_a_misspelt_variable_names_the_nearest_setting() -> None:
    failed = auscult("doctor", environment={"AUSCULT_SERVER_PROT": "1"})
    assert failed.returncode == 1
    assert "AUSCULT_SERVER_PORT" in failed.stderr


def test_the_doctor_names_the_recogniser_that_would_run() -> None:
    said = auscult("doctor")
    assert said.returncode == 0
    assert "sphinx" in said.stdout
    assert "auscult models fetch" in " ".join(said.stdout.split())


def test_a_recording_is_transcribed_without_a_server(headache: Recording, tmp_path: Path) -> None:
    file = tmp_path / "beginning.wav"
    file.write_bytes(wav(headache, 20))
    printed = auscult("transcribe", str(file), "--recogniser", "sphinx", "--template", "SOAP", "--json")
    assert printed.returncode == 0, printed.stderr
    output = json.loads(printed.stdout)
    assert len(output["items"]) > 4
    assert output["note"]["sections"]
    file.write_bytes(wav(headache, 5))
    lines = auscult("transcribe", str(file), "--recogniser", "sphinx").stdout.splitlines()
    assert lines[0].startswith("00:00.")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "auscult test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_path, key_path


def test_tls_is_spoken_and_old_versions_are_refused(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    command = [sys.executable, "-m", "server.cli", "serve", "--port", "0", "--recogniser", "scripted"]
    command += ["--data-dir", str(tmp_path / "data"), "--tls-cert", str(cert), "--tls-key", str(key)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = next(line.split()[-1] for line in process.stdout if "listens on" in line)
            assert url.startswith("https://")
            trusting = ssl.create_default_context(cafile=str(cert))
            assert httpx.get(url + "/healthz", verify=trusting).status_code == 200
            old = ssl.create_default_context(cafile=str(cert))
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises(httpx.ConnectError):
                httpx.get(url + "/healthz", verify=old)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


async def test_a_session_that_is_never_ended_is_finished_by_itself(tmp_path: Path, headache: Recording) -> None:
    environment = {"AUSCULT_LIMITS_HTTP_IDLE_TIMEOUT_S": "1"}
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            task_id = post(api, chunk(wav(headache, 5))).json()["task_id"]
            task = wait(api, task_id)[-1]
    assert task["status"] == "DONE"
    assert task["result"]["bubbles"]


async def test_when_all_places_are_taken_new_sessions_are_told_when_to_come_back(
    tmp_path: Path, headache: Recording
) -> None:
    environment = {"AUSCULT_LIMITS_MAX_SESSIONS": "1"}
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            task_id = post(api, chunk(wav(headache, 3))).json()["task_id"]
            refused = post(api, chunk(wav(headache, 3)))
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
            post(api, chunk(b"", task_id, final=True))
            wait(api, task_id)
            assert post(api, chunk(wav(headache, 3), final=True)).status_code == 200


async def test_a_socket_whose_streams_cannot_be_carried_is_told_when_to_come_back(
    tmp_path: Path, headache: Recording
) -> None:
    environment = {"AUSCULT_LIMITS_MAX_STREAMS": "2"}
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            assert post(api, chunk(wav(headache, 3))).status_code == 200
            async with dialled(server) as socket:
                await say(socket, CONFIG)
                (refusal,) = await read(socket, 10)
                assert socket.close_code == 1013
            assert refusal["object"] == "error_message"
            assert "try again in 30 seconds" in refusal["message"]
            metrics = api.get("/metrics").text
    assert "auscult_streams 1.0" in metrics
    assert "auscult_streams_carried 2.0" in metrics
    assert 'auscult_sessions_refused_total{reason="streams"} 1.0' in metrics


async def test_how_much_is_carried_is_measured_before_the_server_says_it_is_ready(tmp_path: Path) -> None:
    environment = {"AUSCULT_RECOGNISER_SCRIPTED_DELAY_MS": "400", "AUSCULT_LIMITS_MAX_STREAMS": "0"}
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            metrics = api.get("/metrics").text
        (carried,) = (line.split()[1] for line in metrics.splitlines() if line.startswith("auscult_streams_carried "))
        assert 1 <= float(carried) < 1000
        assert '"streams_carried"' in server.log()


async def test_a_kept_task_can_be_fetched_again_and_each_time_is_logged(tmp_path: Path, headache: Recording) -> None:
    environment = {"AUSCULT_TASKS_KEEP_AFTER_FETCH": "true"}
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            task_id = send(api, [wav(headache, 3)])
            first = wait(api, task_id)[-1]
            assert poll(api, task_id).json() == first
            assert actions(server, task_id)[-2:] == ["encounter.read", "encounter.read"]


async def test_a_session_ends_at_its_longest_duration_and_keeps_what_was_said(
    tmp_path: Path, headache: Recording
) -> None:
    environment = {"AUSCULT_LIMITS_MAX_SESSION_MINUTES": "1"}
    minute = (headache.mono() * 32767).astype("<i2").tobytes() + bytes(32_000 * 15)
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            task_id = post(api, chunk(minute, file_format="pcm")).json()["task_id"]
            until = time.monotonic() + 20
            while (answer := post(api, chunk(bytes(32_000), task_id, file_format="pcm"))).status_code == 200:
                assert time.monotonic() < until
                await anyio.sleep(0.05)
            assert answer.status_code == 413
            assert "1 minutes" in answer.json()
            post(api, chunk(b"", task_id, final=True, file_format="pcm"))
            assert wait(api, task_id)[-1]["result"]["bubbles"]
        async with dialled(server) as socket:
            await say(socket, CONFIG)
            await play(socket, {"d": minute + bytes(32_000 * 5), "p": b""})
            messages = await read(socket, 30)
            assert socket.close_code == 1008
        assert "start a new one" in messages[-1]["message"]


async def test_a_session_that_nobody_can_hear_ends_at_the_size_of_its_longest_duration(tmp_path: Path) -> None:
    environment = {"AUSCULT_LIMITS_MAX_SESSION_MINUTES": "1"}
    async with running_server(recogniser="sphinx", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            parameters, task_id, answers = {"language": "de"}, "NEW", list[int]()
            for number in range(5):
                body = chunk(bytes([number]) * (8 << 20), task_id, file_format="pcm", parameters=parameters)
                answer = post(api, body)
                answers.append(answer.status_code)
                task_id = answer.json()["task_id"] if answer.status_code == 200 else task_id
            assert answers == [200, 200, 200, 413, 413]
            assert "larger than 1 minutes" in answer.json()
            post(api, chunk(b"", task_id, final=True, file_format="pcm", parameters=parameters))
            assert wait(api, task_id)[-1]["status"] == "FAILED"


async def test_the_operators_template_is_used_where_the_client_names_none(tmp_path: Path, headache: Recording) -> None:
    environment = WHISPER | {"AUSCULT_NOTES_TEMPLATE": "de-internal-medicine"}
    async with running_server(recogniser="whisper", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            task_id = post(api, chunk(wav(headache, 12), final=True, parameters={"language": "en"})).json()["task_id"]
            sections = wait(api, task_id)[-1]["result"]["note"]["sections"]
    assert "Aktuelle Anamnese" in [section["title"] for section in sections]
