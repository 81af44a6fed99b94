"""The README's own clients, run as they are printed."""

import json
import os
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import httpx
import pytest

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.browser import PATIENCE_MS, listening, write_wav
from tests.acceptance.test_haidy import encoded, wav

README = Path(__file__).parent.parent.parent / "README.md"


def client(number: int, language: str = "python") -> str:
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    return blocks[number]


def run(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_http_client_of_the_readme_prints_bubbles(
    whisper_server: RunningServer, headache: Recording, tmp_path: Path
) -> None:
    (tmp_path / "visit.webm").write_bytes(encoded(headache, "webm", seconds=9))
    printed = run(client(0), whisper_server.base_url, whisper_server.key, str(tmp_path / "visit.webm"))
    assert "headache" in printed


@pytest.mark.slow
def test_the_socket_client_of_the_readme_prints_finals_and_a_note(
    whisper_server: RunningServer, headache: Recording, tmp_path: Path
) -> None:
    for name, channel in zip(("doctor", "patient"), headache.channels(), strict=True):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes((channel[: 16000 * 9] * 32767).astype("<i2").tobytes())
    url = whisper_server.base_url.replace("http", "ws", 1)
    printed = run(client(1), url, whisper_server.key, str(tmp_path / "doctor"), str(tmp_path / "patient"))
    assert "'speaker': 'doctor'" in printed
    assert "'speaker': 'patient'" in printed
    assert "'object': 'note'" in printed


@pytest.mark.slow
def test_openai_s_client_of_the_readme_prints_what_was_said(
    whisper_server: RunningServer, headache: Recording, tmp_path: Path
) -> None:
    (tmp_path / "visit.webm").write_bytes(encoded(headache, "webm", seconds=9))
    printed = run(client(2), whisper_server.base_url, whisper_server.key, str(tmp_path / "visit.webm"))
    assert "headache" in printed


@pytest.mark.slow
async def test_the_recorder_of_the_readme_shows_what_a_microphone_hears(
    chromium: Path, pages: str, whisper_server: RunningServer, headache: Recording, tmp_path: Path
) -> None:
    snippet = client(0, "js")
    microphone = write_wav(tmp_path / "visit.wav", [headache.mono()[: 16000 * 6]])
    around = (
        "async ({ server, token }) => { window.seen = []; const show = (event) => seen.push(event); const stop = {};"
    )
    async with listening(chromium, microphone) as browser:
        page = (await browser.open(f"{pages}/whip.html")).page
        url = whisper_server.base_url.replace("http", "ws", 1)
        await page.evaluate(
            f"{around} {snippet}; window.stopped = stop.onclick; }}", {"server": url, "token": whisper_server.key}
        )
        await page.wait_for_function("seen.some((event) => event.type === 'final')")
        await page.evaluate("stopped()")
        await page.wait_for_function("seen.at(-1).type === 'done'", timeout=PATIENCE_MS)
        assert "error" not in [event["type"] for event in await page.evaluate("seen") if event["type"] != "note"][:-2]


@pytest.mark.slow
async def test_the_webrtc_page_of_the_readme_shows_what_a_microphone_hears(
    chromium: Path, pages: str, whisper_server: RunningServer, headache: Recording, tmp_path: Path
) -> None:
    snippet = client(1, "js")
    microphone = write_wav(tmp_path / "visit.wav", [headache.mono()[: 16000 * 6]])
    around = (
        "async ({ server, token }) => { window.seen = []; const show = (event) => seen.push(event); window.stop = {};"
    )
    where = {"server": whisper_server.base_url, "token": whisper_server.key}
    async with listening(chromium, microphone) as browser:
        page = (await browser.open(f"{pages}/whip.html")).page
        await page.evaluate(f"{around} {snippet}; window.told = events; }}", where)
        await page.wait_for_function("seen.some((event) => event.type === 'final')")
        assert await page.evaluate("stop.onclick().then((answer) => answer.status)") == 200
        await page.wait_for_function("told.readyState === EventSource.CLOSED", timeout=PATIENCE_MS)


@pytest.mark.slow
def test_the_curl_commands_of_the_readme_send_a_recording_and_ask_for_it(
    whisper_server: RunningServer, headache: Recording, tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (tmp_path / "visit.wav").write_bytes(wav(headache, 5))
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    (block,) = [block for block in blocks if "audio_base64" in block]
    *send, ask = block.splitlines(keepends=True)
    environment = {**os.environ, "URL": whisper_server.base_url, "KEY": whisper_server.key, "NO_PROXY": "*"}

    def shell(command: str) -> dict[str, object]:
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    task_id = shell("".join(send))["task_id"]
    assert isinstance(task_id, str)
    assert shell(ask.replace("…", task_id))["task_id"] == task_id


@pytest.mark.slow
def test_nabla_s_digest_of_the_readme_writes_a_note(scripted_server: RunningServer) -> None:
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    (block,) = [block for block in blocks if "$B/digest " in block]
    body = re.search(r"\$B/digest .*?--json '(.*?)'\n", block, re.DOTALL)
    assert body is not None
    url = f"{scripted_server.base_url}/v1/copilot-api/server/digest"
    headers = {"Authorization": f"Bearer {scripted_server.key}"}
    answer = httpx.post(url, json=json.loads(body[1]), headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.json()["note"]["sections"]
