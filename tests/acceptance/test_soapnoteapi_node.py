"""The vendor's examples for Node against a real server; skipped where there is no Node, or npm cannot install."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.soapnote import CONSULTATION, FINISHED, check_like, streamed
from tests.acceptance.test_haidy import encoded

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent / "node"


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with what the examples import."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.skip("Node is not installed.")
    if not (EXAMPLES / "node_modules" / "eventsource-parser").exists():
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=EXAMPLES, capture_output=True, timeout=120)
        if done.returncode:
            pytest.skip("npm cannot install what the examples import.")
    return found


def test_the_page_s_node_clients_upload_poll_and_stream(
    node: str, scripted_server: RunningServer, headache: Recording, tmp_path: Path
) -> None:
    recording = tmp_path / "encounter-recording.mp3"
    recording.write_bytes(encoded(headache, "finished mp3", 8))
    url, key = scripted_server.base_url, scripted_server.key
    command = [node, str(EXAMPLES / "soapnoteapi.mjs"), url, key, str(recording), CONSULTATION]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    check_like(FINISHED["note"], got["note"])
    expected = streamed(url, key, {"transcript": CONSULTATION, "specialty": "primary_care_physician"})
    assert "bronchitis" in expected
    assert got["byHand"] == got["byParser"] == expected
