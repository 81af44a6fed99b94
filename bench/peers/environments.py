"""Virtual environments for the peers, each its own, made from the package registry and kept for the next time."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import anyio

from bench.peers.catalogue import ENGINE, Project
from pipeline.errors import AuscultError

INSTALL_TIMEOUT_S = 1800.0  # torch is large
DONE = "complete"
QUIET = ("--quiet", "--disable-pip-version-check", "--no-input", "--progress-bar", "off")


class PeerUnavailable(AuscultError):
    """A peer cannot be installed or does not start here."""

    code = "peer_unavailable"

    def __init__(self, peer: str, reason: str) -> None:
        super().__init__(f"{peer}: {reason}")
        self.peer = peer
        self.reason = reason


def cache_directory() -> Path:
    """Where environments are kept unless somebody says otherwise."""
    return Path.home() / ".cache" / "auscult-bench"


async def environment(project: Project, cache: Path) -> Path:
    """The interpreter of the project's environment, which is made where it is not there yet.

    Raises: `PeerUnavailable` with what pip said last.
    """
    place = cache / f"{project.name}-{_fingerprint(project)}"
    python = place / "bin" / "python"
    if not (place / DONE).exists():
        with anyio.move_on_after(INSTALL_TIMEOUT_S) as waiting:
            await _run(project, [sys.executable, "-m", "venv", "--clear", str(place)])
            await _run(project, [str(python), "-m", "pip", "install", *QUIET, *ENGINE, *project.needs])
            await _run(project, [str(python), "-m", "pip", "install", *QUIET, "--no-deps", *project.alone])
            (place / DONE).touch()
        if waiting.cancelled_caught:
            raise PeerUnavailable(project.name, f"it was not installed within {INSTALL_TIMEOUT_S:g} s")
    return python


def _fingerprint(project: Project) -> str:
    """What is in it, so that another list makes another environment."""
    listed = "\n".join([sys.version, *ENGINE, *project.needs, *project.alone])
    return sha256(listed.encode()).hexdigest()[:10]


async def _run(project: Project, command: list[str]) -> None:
    try:
        done = await anyio.run_process(command, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    except OSError as exc:
        raise PeerUnavailable(project.name, f"its environment could not be made: {exc.strerror}") from exc
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines()
        raise PeerUnavailable(project.name, f"it could not be installed: {said[-1] if said else 'no reason given'}")
