"""`auscult-bench chaos`: processes that are killed at random moments, and a ledger outside of all they promised.

Live sessions send numbered chunks to whichever process takes them, recordings are uploaded, webhooks are received. In
the end the ledger is compared with what the server has: every acknowledged byte, every transcript, every webhook.
"""

import base64
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self, TypeAlias

import anyio
import anyio.to_thread
import httpx
import msgspec
from sqlalchemy import select

from bench.haidy import chunk
from bench.killing import Killer
from bench.postgresql import running_cluster
from bench.processes import processes, shared
from bench.recordings import Recording
from bench.server import RunningServer, running_server
from bench.sink import Hook, WebhookSink, webhook_sink
from server.domain import State
from server.store import encounters as sql
from server.store import tables as t
from server.store.blobs import DirectoryBlobs
from server.store.database import database_url, open_engine
from server.store.deliveries import Secret, Webhook, put_webhook
from server.store.key_sources import KeyFile
from server.store.seal import KeyRing

Database = Literal["sqlite", "postgresql"]
_Item: TypeAlias = tuple[Any, ...]
"""When it began, when it ended, what was said."""

ROLES = {"sqlite": ("all",), "postgresql": ("web", "web", "jobs", "jobs")}
PAUSE_S = {"sqlite": 0.5, "postgresql": 2.0}  # between two kills, on average, were processes back at once
CHUNK_S = 0.5  # of audio
PACE_S = 0.15  # between chunks: so that kills meet sessions at work
UPLOAD_S = 5.0  # between recordings, once those in work are as many as they are to be
PATIENCE_S = 180.0  # for one request, and for everything to come to its end
RECOGNITION_MS = 100
TOKEN = "processes-of-one-run"
WAIT_S = 0.05  # until a client whose server is dead tries again


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """A transcript unlike that of an encounter that nothing disturbed."""

    kind: Literal["session", "recording"]
    encounter: str
    status: str
    error: str | None  # its code
    missing: int  # items that only the undisturbed one has
    other: int  # items that only this one has


class Report(msgspec.Struct, kw_only=True):
    """What was promised, and what came of it."""

    database: str
    processes: int
    kills: int
    kills_per_minute: float
    database_restarts: int
    failed_starts: int  # of processes, while the database was away: they were started once more
    sessions: int
    recordings: int
    acknowledged_bytes: int
    refused: int  # requests that were told to come again
    lost_bytes: int
    wrong_transcripts: Sequence[Wrong]
    missing_webhooks: int
    unlike_webhooks: int  # of one delivery, with another body; or two deliveries of one encounter
    repeated_webhooks: int  # attempts more than needed, under the same key
    seconds: float

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        broken = self.lost_bytes, self.wrong_transcripts, self.missing_webhooks, self.unlike_webhooks
        return not any(broken)


@dataclass(kw_only=True)
class _Session:
    """A live session, from its client's side."""

    key: str
    parts: list[bytes]
    task: str = "NEW"
    acknowledged: bytearray = field(default_factory=bytearray)


@dataclass(kw_only=True)
class _Stage:
    """What the clients share."""

    servers: list[RunningServer]
    sink: WebhookSink
    http: httpx.AsyncClient
    turn: Iterator[int] = field(default_factory=count)
    sessions: list[_Session] = field(default_factory=list)
    uploaded: list[str] = field(default_factory=list)
    ending: bool = False  # the kills are over
    refused: int = 0

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request to any process, again and again until it is taken. Raises `TimeoutError`."""
        with anyio.fail_after(PATIENCE_S):
            while True:
                server = self.servers[next(self.turn) % len(self.servers)]
                try:
                    answer = await self.http.request(method, server.base_url + path, **more)
                except httpx.TransportError:
                    await anyio.sleep(WAIT_S)  # it is dead: another process, there is no event to wait for
                    continue
                if answer.status_code < 500:
                    return answer.raise_for_status()
                self.refused += 1
                await anyio.sleep(WAIT_S)


@dataclass(kw_only=True)
class _Told:
    """What webhooks said."""

    ids: dict[str, set[str]] = field(default_factory=dict)  # encounter → its deliveries
    bodies: dict[str, set[bytes]] = field(default_factory=dict)  # delivery → what it carried
    attempts: int = 0

    @classmethod
    def of(cls, hooks: Sequence[Hook]) -> Self:
        told = cls(attempts=len(hooks))
        for hook in hooks:
            told.ids.setdefault(hook.encounter, set()).add(hook.id)
            told.bodies.setdefault(hook.id, set()).add(hook.body)
        return told

    @property
    def unlike(self) -> int:
        """Encounters with two deliveries, and deliveries with two bodies."""
        return sum(len(ids) > 1 for ids in self.ids.values()) + sum(len(each) > 1 for each in self.bodies.values())

    @property
    def repeated(self) -> int:
        """Attempts more than deliveries."""
        return self.attempts - len(self.bodies)


async def chaos(
    database: Database,
    *,
    kills: int,
    sessions: int = 10,
    recordings: int = 20,
    workers: int = 2,
    seed: int = 0,
    seconds: float = 30.0,
) -> Report:
    """Kill so often while so much is in work. `seconds`: of audio in each session; `workers`: that recognise for the
    processes on PostgreSQL (0: each does so itself).

    Raises `ServerFailed`, `PostgresqlMissing`, and `TimeoutError` where something never comes to its end.
    """
    began = time.monotonic()
    visit = Recording.load("headache")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="auscult-chaos-", ignore_cleanup_errors=True)))
        cluster = stack.enter_context(running_cluster()) if database == "postgresql" else None
        url = stack.enter_context(cluster.database()) if cluster is not None else ""
        sink = await stack.enter_async_context(webhook_sink())
        recognisers = await stack.enter_async_context(_recognisers(workers if database == "postgresql" else 0))
        servers = await stack.enter_async_context(
            processes(folder, _environment(folder, url, recognisers), ROLES[database])
        )
        http = await stack.enter_async_context(
            httpx.AsyncClient(
                headers={"Authorization": f"Bearer {servers[0].key}"}, timeout=PATIENCE_S, trust_env=False
            )
        )
        await anyio.to_thread.run_sync(set_webhook, folder, url, sink.url)
        web = servers[:2]
        stage = _Stage(servers=web, sink=sink, http=http)
        raw, file = _pcm(visit, seconds), visit.mono_path.read_bytes()
        async with anyio.create_task_group() as clients:
            for slot in range(sessions):
                clients.start_soon(_talk_on, stage, slot, raw)
            clients.start_soon(_upload_on, stage, file, recordings)
            victims, chance = [*servers, *recognisers], random.Random(seed)
            killer = Killer(cluster=cluster, kills=kills, pause_s=PAUSE_S[database] * len(victims), chance=chance)
            await killer.run(victims)
            stage.ending = True
        live, uploaded = stage.sessions, stage.uploaded
        ended = {id: await _ended(stage, id) for id in [*(session.task for session in live), *uploaded]}
        references = await _references(stage, raw, file)
        await _until_told(stage, set(ended))
        lost = [await anyio.to_thread.run_sync(_lost, folder, url, session) for session in live]
        wrong = [
            *_unlike("session", references[0], [ended[session.task] for session in live]),
            *_unlike("recording", references[1], [ended[encounter] for encounter in uploaded]),
        ]
        told = _Told.of(sink.got)
        return Report(
            database=database,
            processes=len(servers) + len(recognisers),
            kills=kills,
            kills_per_minute=round(kills / killer.seconds * 60, 1),
            database_restarts=killer.restarts,
            failed_starts=killer.failed_starts,
            sessions=len(live),
            recordings=len(uploaded),
            acknowledged_bytes=sum(len(session.acknowledged) for session in live) + len(uploaded) * len(file),
            refused=stage.refused,
            lost_bytes=sum(lost),
            wrong_transcripts=wrong,
            missing_webhooks=len(set(ended) - set(told.ids)),
            unlike_webhooks=told.unlike,
            repeated_webhooks=told.repeated,
            seconds=time.monotonic() - began,
        )


@asynccontextmanager
async def _recognisers(count: int) -> AsyncIterator[list[RunningServer]]:
    environment = {
        "AUSCULT_SERVER_ROLE": "recogniser",
        "AUSCULT_INTERNAL_TOKEN": TOKEN,
        "AUSCULT_RECOGNISER_SCRIPTED_DELAY_MS": str(RECOGNITION_MS),
    }
    async with AsyncExitStack() as stack:
        started = [running_server(recogniser="scripted", environment=environment) for _ in range(count)]
        yield [await stack.enter_async_context(each) for each in started]


def _environment(folder: Path, url: str, recognisers: Sequence[RunningServer]) -> dict[str, str]:
    return shared(folder, url) | {
        "AUSCULT_RECOGNISER_SCRIPTED_DELAY_MS": str(RECOGNITION_MS),
        "AUSCULT_LIMITS_MAX_STREAMS": "1000",
        "AUSCULT_OUTGOING_ALLOW_HOSTS": "127.0.0.1",
        "AUSCULT_TASKS_KEEP_AFTER_FETCH": "true",
        "AUSCULT_TASKS_TEND_S": "5",
        "AUSCULT_INTERNAL_TOKEN": TOKEN,
        "AUSCULT_RECOGNISER_WORKERS_AT": ",".join(each.base_url for each in recognisers),
    }


async def _talk_on(stage: _Stage, slot: int, raw: bytes) -> None:
    """One session behind the other, until the kills are over."""
    for number in count():
        session = _Session(key=f"session-{slot}-{number}", parts=_cut(raw, slot))
        stage.sessions.append(session)
        await _talk(stage, session)
        if stage.ending:
            return


async def _talk(stage: _Stage, session: _Session) -> None:
    for number, part in enumerate([*session.parts, b""]):
        index = None if session.task == "NEW" else number
        body = chunk(part, session.task, final=number == len(session.parts), index=index)
        key = {"Idempotency-Key": session.key}
        answer = await stage.ask("POST", "/v2/audio/audio_chunk", json=body, headers=key)
        session.task = answer.json()["task_id"]
        session.acknowledged += part
        await anyio.sleep(PACE_S)  # a recorder's pace


async def _upload_on(stage: _Stage, file: bytes, recordings: int) -> None:
    """So many recordings quickly, then one now and then: some are in work until the kills end."""
    for number in count():
        if number >= recordings and stage.ending:
            return
        stage.uploaded.append(await _upload(stage, file, f"recording-{number}"))
        await anyio.sleep(PACE_S if number < recordings else UPLOAD_S)


async def _upload(stage: _Stage, file: bytes, key: str) -> str:
    files, headers = {"audio": ("visit", file)}, {"Idempotency-Key": key}
    answer = await stage.ask("POST", "/api/recordings", files=files, headers=headers)
    return str(answer.json()["encounter_id"])


async def _ended(stage: _Stage, encounter: str) -> dict[str, Any]:
    """An encounter when it is over."""
    with anyio.fail_after(PATIENCE_S):
        while True:
            shown: dict[str, Any] = (await stage.ask("GET", f"/api/encounters/{encounter}")).json()
            if shown["status"] in (State.DONE, State.FAILED):
                return shown
            await anyio.sleep(0.2)  # as a client polls


async def _references(stage: _Stage, raw: bytes, file: bytes) -> tuple[list[_Item], list[_Item]]:
    """What a session and a recording say when nothing disturbs them."""
    session = _Session(key="reference", parts=[raw])
    await _talk(stage, session)
    recording = await _upload(stage, file, "reference recording")
    return _said(await _ended(stage, session.task)), _said(await _ended(stage, recording))


async def _until_told(stage: _Stage, encounters: set[str]) -> None:
    with anyio.move_on_after(PATIENCE_S):
        await stage.sink.until(encounters)


def _unlike(
    kind: Literal["session", "recording"], reference: list[_Item], encounters: Sequence[dict[str, Any]]
) -> Iterator[Wrong]:
    for encounter in encounters:
        if (said := _said(encounter)) != reference:
            yield Wrong(
                kind=kind,
                encounter=encounter["encounter_id"],
                status=encounter["status"],
                error=(encounter.get("error") or {}).get("code"),
                missing=len(set(reference) - set(said)),
                other=len(set(said) - set(reference)),
            )


def _said(encounter: dict[str, Any]) -> list[_Item]:
    return [(item["start_ms"], item["end_ms"], item["text"]) for item in encounter.get("items", [])]


def _pcm(visit: Recording, seconds: float) -> bytes:
    samples = visit.mono()[: int(seconds * 16_000)]
    return (samples * 32_767).astype("<i2").tobytes()


def _cut(raw: bytes, seed: int) -> list[bytes]:
    size = int(CHUNK_S * 32_000) + 2 * (seed % 7) * 100
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def set_webhook(folder: Path, url: str, target: str) -> None:
    """Have the only tenant's events told there."""
    engine = open_engine(database_url(url, folder / "process0"))
    keyring = KeyRing(*KeyFile(folder / "key").read())
    with engine.begin() as connection:
        tenant = connection.execute(select(t.tenants.c.id)).scalar_one()
        hook = Webhook(url=target, secrets=(Secret(secret="whsec_" + base64.b64encode(b"k" * 24).decode()),))
        put_webhook(connection, keyring, tenant, "auscult", hook, time.time())
    engine.dispose()


def _lost(folder: Path, url: str, session: _Session) -> int:
    """Acknowledged bytes of a session that the server does not have, or has otherwise."""
    engine = open_engine(database_url(url, folder / "process0"))
    blobs = DirectoryBlobs(folder / "blobs")
    try:
        with engine.connect() as connection:
            row = sql.get(connection, session.task)
            assert row.data_key is not None
            seal = KeyRing(*KeyFile(folder / "key").read()).unwrap(row.id, row.data_key)
            keys = sql.blob_keys(connection, row.id)
            kept: bytes
            if keys:
                with blobs.open(keys[0], seal) as blob:
                    kept = blob.readall()
            else:
                log = sql.read_log(connection, seal, row.id, 0, begin=0, most=1_000_000)
                kept = b"".join(part.body for part in log)
    finally:
        engine.dispose()
    same = sum(ours == theirs for ours, theirs in zip(kept, bytes(session.acknowledged), strict=False))
    return max(len(session.acknowledged), len(kept)) - same
