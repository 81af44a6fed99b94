"""Reading Server-Sent Events as an EventSource does."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from bench.server import RunningServer


@dataclass(frozen=True, kw_only=True)
class Seen:
    """An event as it was received."""

    kind: str
    last_id: str
    data: dict[str, Any]


@asynccontextmanager
async def followed(
    server: RunningServer, encounter: str, *, key: str = "", last_id: str = ""
) -> AsyncIterator[AsyncIterator[Seen]]:
    """The events of a session while the block lasts."""
    headers = {"Authorization": f"Bearer {key or server.key}"} | ({"Last-Event-ID": last_id} if last_id else {})
    async with (
        httpx.AsyncClient(base_url=server.base_url, headers=headers, timeout=60, trust_env=False) as http,
        http.stream("GET", f"/api/encounters/{encounter}/events") as response,
    ):
        if response.status_code != httpx.codes.NO_CONTENT:
            response.raise_for_status()
            assert response.headers["content-type"].startswith("text/event-stream")
        yield events(response)


async def events(response: httpx.Response) -> AsyncIterator[Seen]:
    """HTML Living Standard §9.2.6."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line and fields:
            yield Seen(kind=fields["event"], last_id=fields["id"], data=json.loads(fields["data"]))
            fields = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")


async def all_of(server: RunningServer, encounter: str, **more: str) -> list[Seen]:
    """Everything until the server ends it."""
    async with followed(server, encounter, **more) as seen:
        return [each async for each in seen]
