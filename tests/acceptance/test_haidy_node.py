"""The functions of Haidy's page, in Node as they stand there; skipped where there is no Node, or npm cannot install."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.test_haidy import encoded
from tests.acceptance.test_haidy_files import FINISHED
from tests.audio import encode

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def node() -> str:
    """Node, with what the page imports."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.skip("Node is not installed.")
    if not all((EXAMPLES / "node_modules" / name).exists() for name in ("axios", "form-data")):
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        if subprocess.run(command, cwd=EXAMPLES, capture_output=True, timeout=120).returncode:
            pytest.skip("npm cannot install what the page imports.")
    return found


def test_the_pages_functions_upload_talk_poll_and_are_refused(
    node: str, scripted_server: RunningServer, headache: Recording, tmp_path: Path
) -> None:
    recording, webm = tmp_path / "recording.m4a", tmp_path / "chunks.webm"
    recording.write_bytes(encode(headache.mono()[: 16000 * 6], FINISHED["m4a"]))
    webm.write_bytes(encoded(headache, "webm", seconds=6))
    command = [
        node,
        str(EXAMPLES / "haidy.cjs"),
        scripted_server.base_url,
        scripted_server.key,
        str(recording),
        str(webm),
    ]
    no_proxy = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=no_proxy)
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)

    queued = got["queued"]
    assert (queued["status"], queued["percentage"], queued["completed_at"]) == ("QUEUED", 0, None)
    assert got["going"]["task_id"]
    bubbles = {name: result["bubbles"] for name, result in got["results"].items()}
    for said in bubbles.values():
        assert [bubble["start"] for bubble in said] == sorted(bubble["start"] for bubble in said)
        assert all(bubble["text"] and bubble["start"] <= bubble["end"] for bubble in said)
    assert bubbles["file"][-1]["end"] == bubbles["base64"][-1]["end"] > 4
    assert bubbles["joined"][-1]["end"] > 6 + bubbles["file"][0]["end"]
    assert bubbles["live"][-1]["end"] > 4
    assert got["errors"] == {
        "gone": [404, "Task not found"],
        "unknown": [404, "Task not found"],
        "unnamed": [400, "File name is required"],
        "broken": [400, "Invalid base64 audio file"],
        "unauthorized": 401,
    }
