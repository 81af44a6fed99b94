"""The README's own clients, run as they are printed."""

import re
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.test_haidy import encoded

README = Path(__file__).parent.parent.parent / "README.md"


def client(number: int) -> str:
    blocks: list[str] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    return blocks[number]


def run(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_http_client_of_the_readme_prints_bubbles(
    sphinx_server: RunningServer, headache: Recording, tmp_path: Path
) -> None:
    (tmp_path / "visit.webm").write_bytes(encoded(headache, "webm", seconds=20))
    printed = run(client(0), sphinx_server.base_url, sphinx_server.key, str(tmp_path / "visit.webm"))
    assert "headache" in printed


@pytest.mark.slow
def test_the_socket_client_of_the_readme_prints_finals_and_a_note(
    sphinx_server: RunningServer, headache: Recording, tmp_path: Path
) -> None:
    for name, channel in zip(("doctor", "patient"), headache.channels(), strict=True):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes((channel[: 16000 * 15] * 32767).astype("<i2").tobytes())
    url = sphinx_server.base_url.replace("http", "ws", 1)
    printed = run(client(1), url, sphinx_server.key, str(tmp_path / "doctor"), str(tmp_path / "patient"))
    assert "'speaker': 'doctor'" in printed
    assert "'speaker': 'patient'" in printed
    assert "'object': 'note'" in printed
