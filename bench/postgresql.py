"""A PostgreSQL of one's own: in a temporary directory, on a Unix socket, as a user who may do nothing else."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from pipeline.errors import AuscultError

DEBIAN = Path("/usr/lib/postgresql")  # Debian keeps each version's programs outside PATH
UNPRIVILEGED = ("postgres", "nobody")  # who runs it where the tests run as root, whom PostgreSQL refuses
OPTIONS = "-c listen_addresses='' -c max_connections=300 -c unix_socket_directories="


class PostgresqlMissing(AuscultError):
    """PostgreSQL's initdb and pg_ctl are not installed: apt-get install postgresql."""

    code = "postgresql_missing"


class Cluster:
    """One PostgreSQL, which can be stopped and started again."""

    def __init__(self, programs: Path, folder: Path, user: str, *, flushes: bool) -> None:
        self._programs = programs
        self._folder = folder
        self._user = user
        self._options = f"-c fsync={'on' if flushes else 'off'} {OPTIONS}{folder}"
        self.running = False
        self._run("initdb", "--auth", "trust", "--username", "auscult", "--encoding", "UTF8", "--no-sync")

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        self._run("pg_ctl", "start", "--wait", "--log", str(self._folder / "log"), "-o", self._options)
        self.running = True

    def stop(self) -> None:
        """End it at once: every connection breaks, and what was not committed is lost."""
        self._run("pg_ctl", "stop", "--wait", "--mode", "immediate")
        self.running = False

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new database."""
        name = f"auscult{uuid4().hex}"
        self._run("createdb", "--host", str(self._folder), "--username", "auscult", name, data=False)
        yield f"postgresql://auscult@/{name}?host={self._folder}"

    def program(self, name: str) -> Path:
        """One of PostgreSQL's own programs, of this version."""
        return self._programs / name

    def _run(self, program: str, *arguments: str, data: bool = True) -> None:
        where = ["-D", str(self._folder / "data")] if data else []
        root = os.geteuid() == 0
        subprocess.run(
            [str(self._programs / program), *where, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            user=self._user if root else None,
            group=pwd.getpwnam(self._user).pw_gid if root else None,
            extra_groups=[] if root else None,
        )


@contextmanager
def running_cluster(*, flushes: bool = False) -> Iterator[Cluster]:
    """A cluster that runs while the block does. `flushes`: commits reach the disk; without, only its crash is survived.

    Raises `PostgresqlMissing`.
    """
    programs = _programs()
    if programs is None:
        raise PostgresqlMissing
    user = _user()
    with TemporaryDirectory(prefix="auscult-pg-", dir="/tmp") as made:  # short: a socket's path has 107 bytes at most
        folder = Path(made)
        if os.geteuid() == 0:
            shutil.chown(folder, user)
        cluster = Cluster(programs, folder, user, flushes=flushes)
        cluster.start()
        try:
            yield cluster
        finally:
            if cluster.running:
                cluster.stop()


def _programs() -> Path | None:
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(DEBIAN.glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


def _user() -> str:
    """Who is to run it."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    known: Sequence[str] = [entry.pw_name for entry in pwd.getpwall()]
    return next(name for name in UNPRIVILEGED if name in known)
