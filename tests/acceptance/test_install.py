"""The ways to get the program: pip into an empty environment, and make where something is missing."""

import os
import pwd
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def test_pip_install_into_an_empty_environment_gives_a_server_that_answers(tmp_path: Path) -> None:
    venv.create(tmp_path / "env")
    programs = tmp_path / "env" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "--disable-pip-version-check"]
    options = ["--quiet", "--no-compile"]  # what the server never imports need not be compiled
    subprocess.run([*pip, "install", *options, str(ROOT)], check=True, timeout=600)
    command = [str(programs / "auscult"), "serve", "--port", "0", "--recogniser", "sphinx", "--data-dir", "data"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=clean) as server:
        try:
            assert server.stdout is not None
            said = [line := server.stdout.readline()]
            while line and "listens on" not in line:
                said.append(line := server.stdout.readline())
            assert "API key" in "".join(said)
            assert httpx.get(line.split()[-1] + "/healthz").json() == {"status": "alive"}
        finally:
            server.terminate()


def test_make_setup_without_a_usable_python_names_what_to_install() -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    with TemporaryDirectory(dir="/tmp") as made:
        folder = Path(made)
        folder.chmod(0o755)  # who is not root can read it
        for name in ("Makefile", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)
        tools = folder / "tools"
        tools.mkdir()
        for name in ("cat", "id"):
            found = shutil.which(name)
            assert found is not None
            (tools / name).symlink_to(found)
        nobody = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        failed = subprocess.run(
            [make, "setup"],
            cwd=folder,
            env={"PATH": str(tools)},
            capture_output=True,
            text=True,
            timeout=60,
            user=nobody,
            extra_groups=None if nobody is None else [],
        )
    assert failed.returncode != 0
    said = [line for line in failed.stderr.splitlines() if not line.startswith("make")]
    assert said == ["Auscult needs CPython 3.11, 3.12 or 3.13 with venv: apt-get install python3 python3-venv"]
