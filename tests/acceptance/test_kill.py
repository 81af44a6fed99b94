"""A server that is killed again and again, and a ledger outside it of every byte that it acknowledged."""

import asyncio
import base64
import itertools
import json
import random
import time
from pathlib import Path

import anyio
import httpx
import pytest
from sqlalchemy import func, select
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from server.domain import State
from server.store import encounters as sql
from server.store import tables as t
from server.store.blobs import DirectoryBlobs
from server.store.database import open_engine
from server.store.key_sources import KeyFile
from server.store.seal import KeyRing
from tests.acceptance.conftest import WHISPER, client
from tests.acceptance.haidy import Task, chunk, pieces, post, wait
from tests.acceptance.nabla import CHUNK, CONFIG, dialled, pcm, say
from tests.acceptance.test_haidy import encoded

KILLS = 4  # `test_chaos` kills more often, and more things
SEED = 20


def stored_bytes(data_dir: Path, encounter: str) -> list[bytes]:
    """What the server has of each stream: its log, or the blob that the log became."""
    engine = open_engine(f"sqlite:///{data_dir / 'auscult.db'}")
    blobs = DirectoryBlobs(data_dir / "blobs")
    try:
        with engine.connect() as connection:
            row = sql.get(connection, encounter)
            assert row.data_key is not None
            seal = KeyRing(*KeyFile(data_dir / "key").read()).unwrap(encounter, row.data_key)
            kept: list[bytes] = []
            for stream in range(len(row.options.streams)):
                log = sql.read_log(connection, seal, encounter, stream, begin=0, most=1_000_000)
                if not log:  # it has become a blob, maybe just now
                    query = select(t.blobs.c.key).where(t.blobs.c.encounter_id == encounter, t.blobs.c.stream == stream)
                    key = connection.execute(query).scalar()
                    kept.append(b"" if key is None else blobs.open(key, seal).read())
                else:
                    kept.append(b"".join(part.body for part in log))
            return kept
    finally:
        engine.dispose()


class Patient:
    """A Haidy client that does not give up: it sends a chunk, by number, until it is acknowledged."""

    def __init__(self, server: RunningServer, parts: list[bytes], pace: float = 0.0, **more: object) -> None:
        self.acknowledged: list[bytes] = []
        self.done = False
        self.task_id = "NEW"
        self._server = server
        self._pace = pace  # seconds between two chunks
        self._parts = parts
        self._more = more

    def send(self) -> None:
        for number, part in enumerate([*self._parts, b""]):
            final = number == len(self._parts)
            self._until_acknowledged(chunk(part, self.task_id, final=final, chunk_index=number, **self._more))
            self.acknowledged.append(part)
            time.sleep(self._pace)  # a recorder's pace, so that the kills meet sessions at work
        self.done = True

    def _until_acknowledged(self, body: dict[str, object]) -> None:
        until = time.monotonic() + 60
        opening = {"Idempotency-Key": f"{id(self)}"}
        if self.task_id == "NEW":
            del body["chunk_index"]
        while time.monotonic() < until:
            try:
                with client(self._server.base_url, self._server.key) as api:
                    answer = post(api, body, headers=opening)
            except httpx.TransportError:
                time.sleep(0.02)  # the server is dead: another process, nothing to wait for
                continue
            assert answer.status_code == 200, answer.text
            self.task_id = answer.json()["task_id"]
            return
        raise AssertionError("never acknowledged")


async def killed_while(server: RunningServer, work: list[Patient], kills: int, pause: tuple[float, float]) -> int:
    """Kill and restart the server so often. Returns how many kills met work that was not done."""
    chance = random.Random(SEED)
    done = 0
    async with anyio.create_task_group() as clients:
        for patient in work:
            clients.start_soon(anyio.to_thread.run_sync, patient.send)
        for _ in range(kills):
            await anyio.sleep(chance.uniform(*pause))
            await server.kill()
            done += not all(patient.done for patient in work)
            await server.start()
    return done


def bubbles(task: Task) -> list[tuple[str, int, int, str]]:
    return [(b["id"], b["start_ms"], b["end_ms"], b["text"]) for b in task["result"]["bubbles"]]


@pytest.mark.slow
async def test_kills_lose_no_acknowledged_byte_and_change_no_final(tmp_path: Path, headache: Recording) -> None:
    raw = pcm(headache, 24)
    webm = encoded(headache, "webm", 24)
    data_dir = tmp_path / "data"
    async with running_server(recogniser="scripted", data_dir=data_dir) as server:
        slow = [
            Patient(server, pieces(raw["d"], 12_000), pace=0.06, file_format="pcm"),
            Patient(server, pieces(raw["p"], 8_001), pace=0.04, file_format="pcm"),
            Patient(server, pieces(webm, len(webm) // 75), pace=0.06),
        ]
        kills = await killed_while(server, slow, KILLS, (0.02, 0.5))
        with client(server.base_url, server.key) as api:
            tasks = [await anyio.to_thread.run_sync(wait, api, patient.task_id) for patient in slow]
        for patient in slow:
            (kept,) = stored_bytes(data_dir, patient.task_id)
            assert kept == b"".join(patient.acknowledged)
        undisturbed = [
            Patient(server, [raw["d"]], file_format="pcm"),
            Patient(server, [raw["p"]], file_format="pcm"),
            Patient(server, [webm]),
        ]
        for patient, interrupted in zip(undisturbed, tasks, strict=True):
            await anyio.to_thread.run_sync(patient.send)
            with client(server.base_url, server.key) as api:
                whole = (await anyio.to_thread.run_sync(wait, api, patient.task_id))[-1]
            again = interrupted[-1]
            assert again["status"] == whole["status"] == "DONE"
            assert [b[1:] for b in bubbles(again)] == [b[1:] for b in bubbles(whole)]
            assert len({b[0] for b in bubbles(again)}) == len(bubbles(again))
    assert kills == KILLS


@pytest.mark.slow
async def test_items_that_were_told_before_a_kill_keep_their_ids_and_words(tmp_path: Path, headache: Recording) -> None:
    raw = pcm(headache, 14)["d"]
    async with running_server(recogniser="whisper", data_dir=tmp_path / "data", environment=WHISPER) as server:
        with client(server.base_url, server.key) as api:
            task_id = post(api, chunk(raw[: len(raw) // 2], file_format="pcm")).json()["task_id"]
            before: list[tuple[str, int, int, str]] = []
            until = time.monotonic() + 60
            while not before and time.monotonic() < until:
                before = bubbles(api.post("/v2/tasks", json={"task_id": task_id}).json())
                await anyio.sleep(0.05)
            assert before
            await server.kill()
            await server.start()
            post(api, chunk(raw[len(raw) // 2 :], task_id, file_format="pcm"))
            post(api, chunk(b"", task_id, final=True, file_format="pcm"))
            after = bubbles((await anyio.to_thread.run_sync(wait, api, task_id))[-1])
            whole = post(api, chunk(raw, file_format="pcm", final=True)).json()["task_id"]
            straight = bubbles((await anyio.to_thread.run_sync(wait, api, whole))[-1])
    assert after[: len(before)] == before
    assert [b[1:] for b in after] == [b[1:] for b in straight]


@pytest.mark.slow
async def test_every_acknowledged_frame_of_a_socket_is_kept_when_the_server_is_killed(
    tmp_path: Path, headache: Recording
) -> None:
    data_dir = tmp_path / "data"
    audio = pcm(headache, headache.seconds)
    sent: dict[int, tuple[str, bytes]] = {}
    acknowledged = -1

    async def send(socket: ClientConnection) -> None:
        for number, (at, name) in enumerate(itertools.product(range(0, len(audio["d"]), CHUNK), "dp")):
            body = audio[name][at : at + CHUNK]
            sent[number] = (name, body)
            payload = base64.b64encode(body).decode()
            await say(socket, {"object": "audio_chunk", "stream_id": name, "payload": payload, "seq_id": number})
            await asyncio.sleep(0.002)

    async with running_server(recogniser="scripted", data_dir=data_dir) as server:
        async with dialled(server) as socket:
            await say(socket, CONFIG | {"enable_audio_chunk_ack": True})
            sending = asyncio.create_task(send(socket))
            try:
                async for message in socket:
                    acknowledged = max(acknowledged, json.loads(message).get("ack_id", -1))
                    if acknowledged >= 60:
                        await server.kill()
                        break
            except ConnectionClosed:
                pass
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        assert acknowledged >= 60
        engine = open_engine(f"sqlite:///{data_dir / 'auscult.db'}")
        with engine.connect() as connection:
            encounter = connection.execute(select(t.encounters.c.id)).scalar_one()
        engine.dispose()
        kept = dict(zip("dp", stored_bytes(data_dir, encounter), strict=True))
        for name in "dp":
            ledger = b"".join(body for n, (stream, body) in sent.items() if stream == name and n <= acknowledged)
            assert kept[name].startswith(ledger)
        await server.start()  # the client of a socket cannot come back: what it said is finished without it
        assert await finished(data_dir, encounter) > 0


async def finished(data_dir: Path, encounter: str) -> int:
    """Wait until an encounter is done; how many items it has."""
    engine = open_engine(f"sqlite:///{data_dir / 'auscult.db'}")
    try:
        with anyio.fail_after(30):
            while True:
                with engine.connect() as connection:
                    row = sql.get(connection, encounter)
                    query = select(func.count()).where(t.items.c.encounter_id == encounter)
                    count = int(connection.execute(query).scalar_one())
                if row.state is State.DONE:
                    return count
                await anyio.sleep(0.1)  # another process: there is no event to wait for
    finally:
        engine.dispose()
