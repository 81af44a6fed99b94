"""Several server processes on one database, as an operator runs them: each with a data directory of its own."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bench.server import RunningServer, running_server


def shared(folder: Path, url: str) -> dict[str, str]:
    """What processes have in common: the database, the key, the recordings."""
    return {
        "AUSCULT_STORE_URL": url,
        "AUSCULT_STORE_KEY_FILE": str(folder / "key"),
        "AUSCULT_BLOBS_DIRECTORY": str(folder / "blobs"),
    }


@asynccontextmanager
async def processes(
    folder: Path, environment: Mapping[str, str], roles: Sequence[str], *, recogniser: str = "scripted"
) -> AsyncIterator[list[RunningServer]]:
    """Servers with these roles, each in a folder of its own; the first one's key is good for all."""
    async with AsyncExitStack() as stack:
        running: list[RunningServer] = []
        for number, role in enumerate(roles):
            started = running_server(
                recogniser=recogniser,
                data_dir=folder / f"process{number}",
                key=running[0].key if running else "",
                environment={**environment, "AUSCULT_SERVER_ROLE": role},
            )
            running.append(await stack.enter_async_context(started))
        yield running
