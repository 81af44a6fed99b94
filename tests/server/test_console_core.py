"""The console's parts that need no page (tests/server/console/core.test.mjs), by node's own test runner."""

import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).parent / "console" / "core.test.mjs"


def test_what_the_console_decides_without_a_page() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: apt-get install nodejs")
    # The console's files are modules because a page says so; node has to be told.
    command = [node, "--experimental-default-type=module", "--no-warnings", "--test", str(TESTS)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
