"""Who spoke, told by a real server over real audio: in one stream, on two channels, after a crash, in every façade."""

import asyncio
import base64
import json
import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select
from websockets.asyncio.client import connect

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from pipeline.engines.ge2e_weights import weights_path
from pipeline.errors import VoicesUnavailable
from pipeline.types import SAMPLE_RATE, Pcm, Role
from server.store import tables as t
from server.store.database import open_engine
from tests.acceptance import live
from tests.acceptance.conftest import WHISPER, client
from tests.acceptance.haidy import PATIENCE_S, POLL_S, chunk, pieces, post, send, wait
from tests.acceptance.live import HELLO, Event, of
from tests.audio import raw, wav

NAME = "headache"
SECONDS = 22  # of it: both have spoken four times or more, so that their words tell who is who
RIGHT = 0.9  # of the finals, with pocketsphinx's words


def has_voices() -> bool:
    try:
        weights_path()
    except VoicesUnavailable:
        return False
    return True


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_voices(), reason="needs the voice encoder: pip install --no-deps Resemblyzer==0.1.4"),
]


@cache
def recording() -> Recording:
    return Recording.load(NAME)


def mono() -> Pcm:
    return recording().mono()[: SECONDS * SAMPLE_RATE]


def stereo() -> NDArray[np.float32]:
    return np.stack(recording().channels(), axis=1)[: SECONDS * SAMPLE_RATE]


def octets(samples: NDArray[np.float32], size: int = 40_000) -> list[bytes]:
    """A WAV file in pieces."""
    return pieces(wav(samples, SAMPLE_RATE), size)


def speaking(start_ms: int, end_ms: int) -> Role:
    """Who says most between these times."""
    shares = {
        role: sum(
            max(0, min(end_ms, item.end_ms) - max(start_ms, item.start_ms))
            for item in recording().items
            if item.speaker is role
        )
        for role in (Role.DOCTOR, Role.PATIENT)
    }
    return max(shares, key=lambda role: shares[role])


def labels(events: Sequence[Event]) -> dict[str, tuple[str, str]]:
    """What a client knows of each final that it was told, at the end."""
    known: dict[str, tuple[str, str]] = {}
    for event in events:
        if event["type"] == "final":
            known[event["id"]] = (event.get("speaker_id", ""), event["speaker"])
        if event["type"] == "speaker_renamed":
            assert set(event["items"]) <= known.keys()
            known |= dict.fromkeys(event["items"], (event["speaker_id"], event["speaker"]))
    return known


def right(events: Sequence[Event]) -> float:
    known = labels(events)
    finals = of(events, "final")
    good = [known[final["id"]][1] == speaking(final["start_ms"], final["end_ms"]) for final in finals]
    return sum(good) / len(good)


def test_in_one_stream_doctor_and_patient_are_told_apart(whisper_api: httpx.Client) -> None:
    task = wait(whisper_api, send(whisper_api, octets(mono())))[-1]
    bubbles = task["result"]["bubbles"]
    good = [bubble["speaker"] == speaking(bubble["start_ms"], bubble["end_ms"]) for bubble in bubbles]
    assert sum(good) / len(good) >= RIGHT
    assert {bubble["speaker_id"] for bubble in bubbles} == {"s1", "s2"}


async def test_two_channels_are_two_people_and_their_roles_are_found(whisper_server: RunningServer) -> None:
    events, code = await live.told(whisper_server, octets(stereo()))
    assert code == 1000
    assert right(events) == 1.0
    assert {final["stream"] for final in of(events, "final")} == {"stream0.left", "stream0.right"}
    (summary,) = of(events, "speakers")
    assert {each["speaker"] for each in summary["speakers"]} == {"doctor", "patient"}
    assert all(each["talk_ms"] > 5000 and each["turns"] > 2 for each in summary["speakers"])


async def test_hints_name_the_channels_before_anything_is_said(scripted_server: RunningServer) -> None:
    hints = ["patient", "doctor"]  # the wrong way round: what is declared stands
    events, _ = await live.told(scripted_server, octets(stereo()), speaker_hints=hints)
    sides = {(final["stream"], final["speaker"]) for final in of(events, "final")}
    assert sides == {("stream0.left", "patient"), ("stream0.right", "doctor")}


async def test_one_hint_makes_two_channels_one_room(whisper_server: RunningServer) -> None:
    events, _ = await live.told(whisper_server, octets(stereo()), speaker_hints=["unspecified"])
    assert {final["stream"] for final in of(events, "final")} == {"stream0"}
    assert right(events) >= RIGHT


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"expected_speakers": 7}, "between 1 and 6"),
        ({"expected_speakers": -1}, "between 1 and 6"),
        ({"speaker_hints": ["nurse"]}, "doctor, patient, unspecified"),
        ({"speaker_hints": ["doctor", "doctor"]}, "twice"),
        ({"speaker_hints": ["doctor", "patient", "unspecified"]}, "left and the right"),
        ({"encoding": "pcm_s16le", "channels": 3}, "1 or 2"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_the_reason(
    scripted_server: RunningServer, more: dict[str, Any], word: str
) -> None:
    async with live.dialled(scripted_server) as socket:
        await live.say(socket, HELLO | more)
        events = await live.rest(socket)
    assert [event["code"] for event in events] == ["bad_request"]
    assert word in events[0]["message"]


async def test_raw_audio_has_two_channels_where_the_hello_says_so(whisper_server: RunningServer) -> None:
    both = pieces(raw(stereo(), "pcm_s16le"), 64_000)
    events, _ = await live.told(whisper_server, both, encoding="pcm_s16le", sample_rate=16_000, channels=2)
    assert right(events) == 1.0
    assert {final["stream"] for final in of(events, "final")} == {"stream0.left", "stream0.right"}


def test_who_follows_later_knows_the_same_labels_as_who_was_there(
    whisper_server: RunningServer, whisper_api: httpx.Client
) -> None:
    events, _ = asyncio.run(live.told(whisper_server, octets(mono())))
    known = labels(events)
    renamed = of(events, "speaker_renamed")
    assert renamed, "the first finals are told before anybody's role is known"
    encounter = of(events, "session")[0]["encounter_id"]
    path = f"/api/encounters/{encounter}"
    whole = _sse(whisper_api.get(f"{path}/events").text)
    assert labels(whole) == known
    assert not of(whole, "speaker_renamed")
    finals = of(events, "final")
    behind = _sse(whisper_api.get(f"{path}/events", headers={"Last-Event-ID": "5"}).text)
    first = {final["id"]: (final.get("speaker_id", ""), final["speaker"]) for final in finals[:5]}
    for event in of(behind, "speaker_renamed"):
        first |= dict.fromkeys(event["items"], (event["speaker_id"], event["speaker"]))
    assert first == {each: known[each] for each in first}
    summary = whisper_api.get(f"{path}/speakers").json()["speakers"]
    assert [each["speaker_id"] for each in summary] == ["s1", "s2"]
    assert whisper_api.get(f"/api/encounters/{'0' * 24}/speakers").status_code == 404


def _sse(text: str) -> list[Event]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


async def test_nabla_s_clients_get_a_corrected_item_again_under_its_id(whisper_server: RunningServer) -> None:
    pcm = raw(mono(), "pcm_s16le")
    address = whisper_server.base_url.replace("http", "ws", 1) + "/v1/copilot-api/server/listen-ws"
    protocols: Any = ["copilot-listen-protocol", f"jwt-{whisper_server.key}"]
    config = {"object": "listen_config", "streams": [{"id": "room"}], "language": "en-US", "expected_speakers": 2}
    told: list[Event] = []
    async with connect(address, subprotocols=protocols) as socket:
        await socket.send(json.dumps(config))

        async def play() -> None:
            for at in range(0, len(pcm), 32_000):
                payload = base64.b64encode(pcm[at : at + 32_000]).decode()
                await socket.send(json.dumps({"object": "audio_chunk", "stream_id": "room", "payload": payload}))
            await socket.send('{"object": "end"}')

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(play())
            async for message in socket:
                told.append(json.loads(message))
    finals = [event for event in told if event["object"] == "transcript_item" and event["is_final"]]
    by_id = {final["id"]: final for final in finals}
    assert len(by_id) < len(finals), "some were told again"
    for final in finals:
        assert final["text"] == by_id[final["id"]]["text"]
    good = [item["speaker"] == speaking(item["start_offset_ms"], item["end_offset_ms"]) for item in by_id.values()]
    assert sum(good) / len(good) >= RIGHT


@pytest.fixture
def own_server() -> Iterator[Any]:
    return running_server(recogniser="whisper", environment=WHISPER)  # type: ignore[return-value]


@pytest.mark.parametrize("kind", ["mono", "stereo"])
async def test_a_server_that_is_killed_goes_on_with_the_same_speakers(own_server: Any, kind: str) -> None:
    parts = octets(mono() if kind == "mono" else stereo(), 60_000)
    async with own_server as server:
        with client(server.base_url, server.key) as api:
            task_id = post(api, chunk(parts[0])).json()["task_id"]
            for piece in parts[1 : len(parts) * 2 // 3]:
                assert post(api, chunk(piece, task_id)).status_code == 200
            before = {bubble["id"]: bubble for bubble in _some_bubbles(api, task_id)}
            await server.kill()
            await server.start()
        with client(server.base_url, server.key) as api:
            for piece in parts[len(parts) * 2 // 3 :]:
                assert post(api, chunk(piece, task_id)).status_code == 200
            post(api, chunk(b"", task_id, final=True))
            bubbles = wait(api, task_id)[-1]["result"]["bubbles"]
        after = {bubble["id"]: bubble for bubble in bubbles}
        assert before.keys() <= after.keys()
        assert all(after[each]["text"] == bubble["text"] for each, bubble in before.items())
        assert {bubble["speaker_id"] for bubble in bubbles} == {"s1", "s2"}
        good = [bubble["speaker"] == speaking(bubble["start_ms"], bubble["end_ms"]) for bubble in bubbles]
        assert sum(good) / len(good) >= RIGHT
        engine = open_engine(f"sqlite:///{server.data_dir / 'auscult.db'}")
        with engine.connect() as connection:
            kept = connection.execute(select(t.encounters.c.conversation)).scalars().all()
        engine.dispose()
        assert all(each and b"by_voice" not in each for each in kept), "what voices sound like is sealed"


def _some_bubbles(api: httpx.Client, task_id: str) -> list[Event]:
    """What was said, as soon as it is a little."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        task = api.post("/v2/tasks", json={"task_id": task_id}).json()
        found: list[Event] = task.get("result", {}).get("bubbles", [])
        if len(found) >= 5:
            return found
        time.sleep(POLL_S)
    raise AssertionError("nothing was said")
