"""Our own server, as `bench.rounds` starts it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

from bench import nabla_wire
from bench.calls import Endpoint
from bench.load_client import WireName
from bench.server import RunningServer, running_server

UNLIMITED = "100000"
UNHEARD = "auscult_segments_lost_total "


@dataclass(frozen=True, slots=True, kw_only=True)
class OurServer:
    """One that runs. Made by `OurTarget.running`."""

    server: RunningServer

    @property
    def endpoint(self) -> Endpoint:
        return nabla_wire.endpoint(self.server.base_url, self.server.key)

    def family(self) -> Sequence[psutil.Process]:
        return self.server.family()

    async def unheard(self) -> int | None:
        """From its metrics."""
        lines = (await self.server.metrics()).splitlines()
        return int(float(next(line.split()[1] for line in lines if line.startswith(UNHEARD))))


@dataclass(frozen=True, slots=True, kw_only=True)
class OurTarget:
    """Our server with one recogniser, in one setting."""

    name: str = "auscult"
    recogniser: str = "auto"
    model: str = ""
    compute_type: str = ""  # empty: as the settings have it
    encoder_window: str = ""
    prompt: bool = True  # whether the recogniser is told what was said before
    admission: bool = True  # whether it refuses what it cannot carry

    @property
    def wire(self) -> WireName:
        return "nabla"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[OurServer]:
        """A fresh server, ready, with data of its own. Raises: `ServerFailed`."""
        async with running_server(
            recogniser=self.recogniser, model=self.model, environment=self._environment()
        ) as server:
            yield OurServer(server=server)

    def _environment(self) -> Mapping[str, str]:
        given = {
            "AUSCULT_RECOGNISER_COMPUTE_TYPE": self.compute_type,
            "AUSCULT_RECOGNISER_ENCODER_WINDOW": self.encoder_window,
            "AUSCULT_RECOGNISER_USE_PROMPT": "" if self.prompt else "false",
            "AUSCULT_LIMITS_MAX_SESSIONS": UNLIMITED,
            "AUSCULT_LIMITS_MAX_STREAMS": "" if self.admission else UNLIMITED,
        }
        return {name: value for name, value in given.items() if value}
