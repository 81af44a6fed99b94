"""Sessions of `/api/live` over time: killed servers, two sockets, many followers, every format; nothing is left."""

import asyncio
import itertools
import json
import random
from pathlib import Path

import anyio
import pytest

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from tests.acceptance.following import all_of, followed
from tests.acceptance.live import END, HELLO, Event, dialled, hear, of, pieces, recorded, rest, say, told, words
from tests.acceptance.test_kill import stored_bytes

pytestmark = pytest.mark.usefixtures("scripted_keeps_nothing")

KILLS = 6
FOLLOWERS = 50
UNUSABLE = {"undecodable_audio", "unsupported_audio", "no_audio_track", "invalid_audio"}


@pytest.mark.slow
async def test_a_server_that_is_killed_again_and_again_loses_no_acknowledged_chunk_and_repeats_no_word(
    tmp_path: Path,
) -> None:
    chunks, rng = recorded("headache", 45), random.Random(6)
    async with running_server(recogniser="scripted", data_dir=tmp_path) as server:
        uncut, _ = await told(server, chunks, note=False)
        finals: list[Event] = []
        hello: Event = {"note": False}
        acknowledged = at = 0
        for kill in range(KILLS + 1):
            async with dialled(server) as socket:
                await say(socket, HELLO | hello | {"after": len(finals)})
                session = await hear(socket, "session")
                hello = {"resume_token": session["resume_token"]}
                assert acknowledged <= session["chunks"] <= at, "acknowledged chunks are there, and no others"
                at = session["chunks"]
                until = len(chunks) * (kill + 1) // (KILLS + 1)
                reading = asyncio.create_task(rest(socket))
                while at < until:
                    await socket.send(chunks[at])
                    at += 1
                if kill < KILLS:
                    await anyio.sleep(rng.uniform(0, 0.3))  # anywhere between a chunk and its acknowledgement
                    await server.kill()
                else:
                    await say(socket, END)
                events = await reading
            finals += of(events, "final")
            acknowledged = max([acknowledged, *(event["chunks"] for event in of(events, "ack"))])
            if kill < KILLS:
                stored = b"".join(stored_bytes(tmp_path, session["encounter_id"]))
                assert stored.startswith(b"".join(chunks[:acknowledged]))
                assert b"".join(chunks).startswith(stored)
                await server.start()
    assert events[-1] == {"type": "done", "outcome": "done"}
    assert words(finals) == words(of(uncut, "final"))
    assert len({final["id"] for final in finals}) == len(finals)


async def test_two_sockets_are_one_session_with_a_voice_each(
    scripted_server: RunningServer, headache: Recording
) -> None:
    voices = [(channel[: 16_000 * 10] * 32767).astype("<i2").tobytes() for channel in headache.channels()]
    raw = {"encoding": "pcm_s16le", "note": False}
    async with dialled(scripted_server) as doctor, dialled(scripted_server) as patient:
        await say(doctor, HELLO | raw | {"role": "doctor"})
        encounter = (await hear(doctor, "session"))["encounter_id"]
        await say(patient, HELLO | raw | {"role": "patient", "encounter_id": encounter})
        session = await hear(patient, "session")
        assert session["encounter_id"] == encounter
        for at in range(0, len(voices[0]), 6400):
            await doctor.send(voices[0][at : at + 6400])
            await patient.send(voices[1][at : at + 6400])
        await say(doctor, END)
        await say(patient, END)
        heard_by_doctor, heard_by_patient = await asyncio.gather(rest(doctor), rest(patient))
    assert {final["speaker"] for final in of(heard_by_doctor, "final")} == {"doctor", "patient"}
    assert of(heard_by_doctor, "final") == of(heard_by_patient, "final")
    assert heard_by_doctor[-1] == heard_by_patient[-1] == {"type": "done", "outcome": "done"}


async def test_who_joined_goes_on_by_its_role_and_displaces_nobody_else(
    scripted_server: RunningServer, headache: Recording
) -> None:
    parts = recorded("headache", 10)
    async with dialled(scripted_server) as doctor:
        await say(doctor, HELLO | {"role": "doctor", "note": False})
        encounter = (await hear(doctor, "session"))["encounter_id"]
        joining = HELLO | {"role": "patient", "encounter_id": encounter}
        for begin, end in ((0, 5), (5, len(parts))):
            async with dialled(scripted_server) as patient:
                await say(patient, joining)
                assert (await hear(patient, "session"))["chunks"] == begin
                for part in parts[begin:end]:
                    await patient.send(part)
                while (await hear(patient, "ack"))["chunks"] < end:
                    pass
                if end == len(parts):
                    await say(patient, END)
        await say(doctor, END)
        assert {event["speaker"] for event in of([await hear(doctor, "final")], "final")} == {"patient"}


async def test_a_recorder_that_was_started_again_in_between_goes_on(scripted_server: RunningServer) -> None:
    first, second = recorded("headache", 10), recorded("cough", 10)
    alone, _ = await told(scripted_server, first, note=False)
    events, _ = await told(scripted_server, [*first, *second], note=False)
    finals = of(events, "final")
    assert [final["start_ms"] for final in finals] == sorted(final["start_ms"] for final in finals)
    assert finals[-1]["end_ms"] > 15_000
    assert len(finals) > len(of(alone, "final"))


async def test_many_followers_of_one_session_are_told_the_same_live_and_leave_nothing(
    scripted_server: RunningServer,
) -> None:
    async with dialled(scripted_server) as socket:
        await say(socket, HELLO)
        encounter = (await hear(socket, "session"))["encounter_id"]
        async with asyncio.TaskGroup() as tasks:
            patient = [tasks.create_task(all_of(scripted_server, encounter)) for _ in range(FOLLOWERS)]
            async with followed(scripted_server, encounter) as leaver:
                for part in recorded("headache"):
                    await socket.send(part)
                assert (await anext(leaver)).data["stream"] == "stream0"
            await say(socket, END)
            own = await rest(socket)
    for follower in patient:
        seen = [each.data for each in follower.result()]
        assert of(seen, "final") == of(own, "final")
        assert [event["type"] for event in seen[-2:]] == ["error", "done"]
    await nobody_is_connected(scripted_server)


async def nobody_is_connected(server: RunningServer) -> None:
    with anyio.fail_after(10):
        for delay_s in itertools.repeat(0.05):  # another process: there is no event to wait for
            if not any(each.status == "ESTABLISHED" for each in server.process.net_connections("tcp")):
                return
            await anyio.sleep(delay_s)


def formats(folder: Path) -> list[Path]:
    """All but two hours of silence, which `test_pyav_formats` decodes; `test_hard_audio` hears as long ones."""
    files = (path for path in folder.iterdir() if path.suffix not in (".json", ".jsonl") and path.stat().st_size)
    return sorted(path for path in files if path.name != "silence_2h.flac")


BEGINNING_BYTES = 300_000  # of a consultation, 10 s at least: to their ends `test_pyav_formats` decodes them
NEEDS_ITS_END = (".mp4", ".m4a")


def beginning(path: Path) -> bytes:
    """What is sent of a file."""
    octets = path.read_bytes()
    return octets[:BEGINNING_BYTES] if path.name.startswith("consult.") and path.suffix not in NEEDS_ITS_END else octets


@pytest.mark.slow
async def test_every_format_is_heard_live_in_chunks_of_random_size(
    scripted_server: RunningServer, test_data: Path
) -> None:
    folder = test_data / "audio" / "formats"
    manifest = {entry["file"]: entry for entry in map(json.loads, (folder / "manifest.jsonl").read_text().splitlines())}
    for seed, path in enumerate(formats(folder)):
        octets = await asyncio.to_thread(beginning, path)
        events, code = await told(scripted_server, pieces(octets, seed, mean=20_000), note=False)
        refused = {error["code"] for error in of(events, "error")}
        if manifest[path.name]["outcome"] == "reject":
            assert refused, path.name
            assert refused <= UNUSABLE, path.name
            assert not of(events, "final"), path.name
        else:
            assert not refused, path.name
            assert events[-1] == {"type": "done", "outcome": "done"}, path.name
        assert code == 1000, path.name


@pytest.mark.slow
async def test_a_media_recorders_own_chunks_say_what_its_file_says(
    scripted_server: RunningServer, test_data: Path
) -> None:
    folder = test_data / "audio" / "formats"
    octets = await asyncio.to_thread((folder / "consult.mediarecorder.webm").read_bytes)
    spans = json.loads((folder / "consult.mediarecorder.chunks.json").read_text())["chunks"]
    chunks = [octets[offset : offset + size] for offset, size in spans[:60]]  # of a second each
    whole, _ = await told(scripted_server, [b"".join(chunks)], note=False)
    events, code = await told(scripted_server, chunks, note=False)
    assert code == 1000
    assert words(of(events, "final")) == words(of(whole, "final")) != []
    assert of(events, "ack")[-1]["chunks"] == len(chunks)


async def test_a_server_that_stops_lets_its_followers_and_recorders_go(tmp_path: Path) -> None:
    async with running_server(recogniser="scripted", data_dir=tmp_path) as server, dialled(server) as socket:
        await say(socket, HELLO)
        encounter = (await hear(socket, "session"))["encounter_id"]
        for part in recorded("headache", 6):
            await socket.send(part)
        async with followed(server, encounter) as seen:
            await anext(seen)
            with anyio.fail_after(8):  # less than the server gives connections that do not end by themselves
                await server.stop()
            assert all(each.kind != "done" for each in [each async for each in seen])
        await rest(socket, 10)
        assert socket.close_code == 1012  # IANA's registry: service restart
