"""Recogniser workers as processes of their own: two of them recognise for a server that has no model."""

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from tests.acceptance.conftest import WHISPER, client
from tests.acceptance.haidy import Task, send, wait
from tests.acceptance.recorded import finished, sent
from tests.acceptance.test_haidy import wav
from tests.preforked import auscult

MODEL = WHISPER["AUSCULT_RECOGNISER_MODEL"]
NOTHING: Mapping[str, str] = {}
TOKEN = "only-for-this-test"
WORKER = {"AUSCULT_SERVER_ROLE": "recogniser", "AUSCULT_INTERNAL_TOKEN": TOKEN}

pytestmark = pytest.mark.slow


@asynccontextmanager
async def workers(
    count: int = 2, recogniser: str = "scripted", delay_ms: int = 0, more: Mapping[str, str] = NOTHING
) -> AsyncIterator[list[RunningServer]]:
    environment = {**WORKER, **more, "AUSCULT_RECOGNISER_SCRIPTED_DELAY_MS": str(delay_ms)}
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(running_server(recogniser=recogniser, environment=environment))
            for _ in range(count)
        ]


def asking(those: list[RunningServer], token: str = TOKEN) -> dict[str, str]:
    urls = ",".join(worker.base_url for worker in those)
    return {"AUSCULT_RECOGNISER_WORKERS_AT": urls, "AUSCULT_INTERNAL_TOKEN": token}


def transcribed(server: RunningServer, recording: Recording, seconds: float = 12) -> list[tuple[object, ...]]:
    with client(server.base_url, server.key) as api:
        return bubbles(wait(api, send(api, [wav(recording, seconds)])))


def bubbles(seen: list[Task]) -> list[tuple[object, ...]]:
    """When was said what, as the last answer has it."""
    return [(bubble["start_ms"], bubble["end_ms"], bubble["text"]) for bubble in seen[-1]["result"]["bubbles"]]


async def calls(worker: RunningServer) -> float:
    async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        text = (await http.get(worker.base_url + "/metrics")).raise_for_status().text
    (line,) = [line for line in text.splitlines() if line.startswith("auscult_recognition_call_seconds_count")]
    return float(line.split()[1])


async def test_words_from_workers_are_those_of_a_model_at_home(
    headache: Recording, whisper_server: RunningServer
) -> None:
    at_home = await anyio.to_thread.run_sync(transcribed, whisper_server, headache)
    assert at_home
    async with workers(recogniser="whisper", more=WHISPER) as both, running_server(environment=asking(both)) as server:
        assert await anyio.to_thread.run_sync(transcribed, server, headache) == at_home
        assert sum([await calls(worker) for worker in both]) > 0
        assert MODEL in whisper_server.log()
        assert MODEL not in server.log()  # it has no model of its own


async def test_a_worker_killed_under_load_loses_nothing(headache: Recording) -> None:
    async with workers(delay_ms=150) as both, running_server(environment=asking(both)) as server:
        expected = await anyio.to_thread.run_sync(transcribed, server, headache)
        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(asyncio.to_thread(transcribed, server, headache)) for _ in range(8)]
            await until_busy(both[0])
            await both[0].kill()
        assert [each.result() for each in work] == [expected] * 8
        assert "recogniser.worker_failed" in server.log()
        assert "auscult_recogniser_workers_up 1.0" in await server.metrics()
        assert "auscult_segments_lost_total 0.0" in await server.metrics()


async def until_busy(worker: RunningServer) -> None:
    before = await calls(worker)
    with anyio.fail_after(30):
        while await calls(worker) < before + 5:  # noqa: ASYNC110 (another process)
            await anyio.sleep(0.02)


async def test_while_all_workers_are_away_a_session_waits_and_then_completes(headache: Recording) -> None:
    async with workers() as both, running_server(environment=asking(both)) as server:
        expected = await anyio.to_thread.run_sync(transcribed, server, headache)
        for worker in both:
            await worker.kill()
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(asyncio.to_thread(transcribed, server, headache))
            with anyio.fail_after(30):
                while "recogniser.worker_failed" not in server.log():  # noqa: ASYNC110 (another process)
                    await anyio.sleep(0.05)
            assert not work.done()
            await both[1].start()
        assert work.result() == expected


async def test_what_a_restart_finds_before_a_worker_answers_is_heard_when_one_does(headache: Recording) -> None:
    run = anyio.to_thread.run_sync
    async with workers(1) as (worker,), running_server(environment=asking([worker])) as server:
        expected = await run(transcribed, server, headache)
        await worker.kill()
        with client(server.base_url, server.key) as api:
            audio = wav(headache, 12)
            recording, session = await run(sent, api, audio), await run(send, api, [audio])
            await server.kill()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(server.start())
                with anyio.fail_after(30):
                    while "encounter.taken_over" not in server.log():  # noqa: ASYNC110 (another process)
                        await anyio.sleep(0.05)
                await worker.start()
            assert bubbles(await run(wait, api, session)) == expected
            heard = await run(finished, api, recording)
            assert [(item["start_ms"], item["end_ms"], item["text"]) for item in heard["items"]] == expected


async def test_a_server_whose_token_is_wrong_says_so_and_ends() -> None:
    async with workers(1) as one:
        refused = await anyio.to_thread.run_sync(run, ("serve", "--port", "0"), asking(one, token="wrong"))
        assert refused.returncode == 1
        assert "internal.token" in refused.stderr
        assert "wrong" not in refused.stderr
        good, bad = [
            await anyio.to_thread.run_sync(run, ("doctor",), asking(one, token=token)) for token in (TOKEN, "wrong")
        ]
        assert "scripted" in good.stdout
        assert "internal.token" in bad.stdout


def test_a_worker_that_anybody_could_call_does_not_start() -> None:
    refused = run(("serve", "--port", "0", "--role", "recogniser"), {"AUSCULT_RECOGNISER_KIND": "scripted"})
    assert refused.returncode == 1
    assert "internal.token" in refused.stderr


def run(arguments: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    with_data = {"AUSCULT_SERVER_DATA_DIR": f"/tmp/auscult-test-{os.getpid()}-{os.urandom(4).hex()}"}
    return auscult(*arguments, environment={**with_data, **environment})


async def test_certificates_let_in_who_has_one_and_nobody_else(tmp_path: Path, headache: Recording) -> None:
    for name in ("worker", "server"):
        certify(tmp_path, name)
    own = {
        name: {
            "AUSCULT_INTERNAL_CA": str(tmp_path / "ca.pem"),
            "AUSCULT_INTERNAL_CERT": str(tmp_path / f"{name}.pem"),
            "AUSCULT_INTERNAL_KEY": str(tmp_path / f"{name}.key"),
        }
        for name in ("worker", "server")
    }
    role = {"AUSCULT_SERVER_ROLE": "recogniser", "AUSCULT_RECOGNISER_KIND": "scripted", "AUSCULT_SERVER_PORT": "0"}
    async with await anyio.open_process(
        [sys.executable, "-m", "server.cli", "serve"],
        env={**os.environ, "PYTHONUNBUFFERED": "1", **role, **own["worker"]},
        stderr=subprocess.DEVNULL,
    ) as worker:
        try:
            assert worker.stdout is not None
            said = b""
            while b"listens on" not in said or not said.endswith(b"\n"):
                said += await worker.stdout.receive()
            url = said.decode().rpartition(" ")[2].strip()
            assert url.startswith("https://")
            async with running_server(environment=own["server"] | {"AUSCULT_RECOGNISER_WORKERS_AT": url}) as server:
                assert await anyio.to_thread.run_sync(transcribed, server, headache)
            only_ca = httpx.AsyncClient(verify=context(tmp_path / "ca.pem"), trust_env=False)
            async with only_ca:
                with pytest.raises(httpx.TransportError):
                    await only_ca.get(url + "/internal/recogniser")
        finally:
            worker.terminate()


def context(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca)


def certify(folder: Path, name: str) -> None:
    """A certificate for loopback, by an authority that is made with the first one."""
    now = datetime.now(UTC)
    authority_key_file = folder / "ca.key"
    if not authority_key_file.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        authority_key_file.write_bytes(pem(key))
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    authority_key = serialization.load_pem_private_key(authority_key_file.read_bytes(), None)
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(pem(key))


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
