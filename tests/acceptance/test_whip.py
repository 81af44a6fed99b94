"""WHIP against the real server, with a real WebRTC client over loopback: audio in, transcript out."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import av
import httpx
import pytest
from aiortc.codecs.opus import OpusEncoder

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from tests.acceptance.conftest import LOOPBACK
from tests.acceptance.whip import (
    SDP,
    Call,
    Event,
    Voice,
    caller,
    calling,
    distant_caller,
    following,
    fragment,
    of_type,
    read_events,
)

pytestmark = pytest.mark.usefixtures("client_on_loopback", "whip_keeps_nothing")

SENTENCE_S = 3.5  # of "headache": the doctor's first
BOTH_S = 7.0  # the doctor's first, the patient's first, the doctor's second begun


async def said(call: Call, *voices: Voice) -> None:
    await call.connected()
    async with asyncio.timeout(30):
        for voice in voices:
            await voice.played.wait()


def later_ms(first: Voice, second: Voice) -> float:
    """How much later the second began to speak."""
    assert first.began_s is not None
    assert second.began_s is not None
    return (second.began_s - first.began_s) * 1000


async def test_what_is_said_is_told_over_sse_and_the_data_channel_alike(
    whip_server: RunningServer, headache: Recording
) -> None:
    voice = Voice(headache.mono(), seconds=BOTH_S)
    async with caller(whip_server) as http, calling(http, voice, channel=True, role="doctor") as call:
        await said(call, voice)
        assert (await call.hang_up()).status_code == 200
        told = await call.told_everything()
        events = await read_events(whip_server, call.events_url)
    assert {event["speaker"] for event in of_type(events, "final")} == {"doctor"}
    assert of_type(told, "final") == of_type(events, "final")
    assert of_type(told, "partial")
    assert events[-1] == {"type": "done", "outcome": "done"} == told[-1]
    first = headache.items[0]
    assert abs(of_type(events, "final")[0]["start_ms"] - first.start_ms) < 500


async def test_a_session_says_where_it_is_and_how_it_is_followed(
    whip_server: RunningServer, headache: Recording
) -> None:
    async with caller(whip_server) as http, calling(http, Voice(headache.mono())) as call:
        headers = call.answer.headers
        assert headers["content-type"] == SDP
        assert headers["location"].startswith("/whip/")
        assert len(headers["location"]) > len("/whip/") + 20
        assert headers["etag"].startswith('"')
        assert headers["accept-patch"] == "application/trickle-ice-sdpfrag"
        assert headers["cache-control"] == "no-store"
        assert call.events_url.startswith(f"{headers['location']}/events?token=")
        assert "ice-server" not in headers["link"]
        async with following(whip_server, call.events_url) as by_link:
            other = f"/api/encounters/{call.encounter}/events?token={call.events_url.partition('token=')[2]}"
            async with following(whip_server, other) as by_encounter:
                assert (await by_link.saw("final"))[0] == (await by_encounter.saw("final"))[0]


async def test_a_stereo_track_is_a_stream_for_each_channel(whip_server: RunningServer, headache: Recording) -> None:
    voice = Voice(*headache.channels(), seconds=BOTH_S)
    async with caller(whip_server) as http, calling(http, voice, roles="doctor,patient") as call:
        assert "stereo=1" in call.answer.text
        await said(call, voice)
        await call.hang_up()
        events = await read_events(whip_server, call.events_url)
    finals = sorted(of_type(events, "final"), key=lambda final: final["start_ms"])
    assert [(final["speaker"], final["stream"]) for final in finals][:2] == [
        ("doctor", "stream0"),
        ("patient", "stream1"),
    ]


@pytest.mark.slow
async def test_a_stereo_track_that_carries_one_channel_is_told_of(
    whip_server: RunningServer, headache: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpusEncoder, "__init__", encode_one_channel)  # as a page does that asks for nothing
    voice = Voice(headache.mono(), seconds=11)
    async with caller(whip_server) as http, calling(http, voice, channel=True, roles="doctor,patient") as call:
        await said(call, voice)
        await call.hang_up()
        told, *_ = of_type(await call.told_everything(), "error")
    assert told["code"] == "one_channel"
    assert "echo cancellation" in told["message"]


def encode_one_channel(encoder: OpusEncoder, init: Callable[[OpusEncoder], None] = OpusEncoder.__init__) -> None:
    init(encoder)
    encoder.codec.layout = "mono"
    encoder.resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000, frame_size=960)


async def test_a_mono_track_is_asked_for_in_mono(whip_server: RunningServer, headache: Recording) -> None:
    async with caller(whip_server) as http, calling(http, Voice(headache.mono())) as call:
        assert "stereo=1" not in call.answer.text


@pytest.mark.parametrize(
    ("query", "speakers"), [({}, ["doctor", "patient"]), ({"roles": "patient,doctor"}, ["patient", "doctor"])]
)
async def test_two_tracks_are_two_people_in_their_order(
    whip_server: RunningServer, headache: Recording, query: dict[str, Any], speakers: list[str]
) -> None:
    voices = [Voice(channel, seconds=BOTH_S) for channel in headache.channels()]
    async with caller(whip_server) as http, calling(http, *voices, **query) as call:
        await said(call, *voices)
        await call.hang_up()
        events = await read_events(whip_server, call.events_url)
    finals = sorted(of_type(events, "final"), key=lambda final: final["start_ms"])
    assert [final["speaker"] for final in finals][:2] == speakers
    assert abs(finals[1]["start_ms"] - headache.items[1].start_ms) < 500


async def test_two_sessions_with_one_encounter_are_two_people_whose_times_agree(
    whip_server: RunningServer, headache: Recording
) -> None:
    first, second = (Voice(channel, seconds=BOTH_S) for channel in headache.channels())
    async with caller(whip_server) as http, calling(http, first, role="doctor") as doctor:
        await said(doctor, first)
        async with following(whip_server, doctor.events_url) as follower:
            async with calling(http, second, role="patient", encounter_id=doctor.encounter) as patient:
                assert patient.encounter == doctor.encounter
                await said(patient, second)
                assert (await patient.hang_up()).status_code == 200
            assert (await doctor.hang_up()).status_code == 200
            await follower.saw("done")
    finals = of_type(follower.events, "final")
    (of_patient,) = [final for final in finals if final["speaker"] == "patient"]
    assert abs(of_patient["start_ms"] - headache.items[1].start_ms - later_ms(first, second)) < 500
    assert not of_type(follower.events, "interrupted")


async def test_candidates_may_follow_the_offer(whip_server: RunningServer, headache: Recording) -> None:
    async with caller(whip_server) as http, calling(http, Voice(headache.mono()), trickle=True) as call:
        told = await call.patch(fragment(call.peer.localDescription.sdp), **{"If-Match": call.etag})
        assert (told.status_code, told.content) == (204, b"")
        await call.connected()


async def test_a_client_that_freezes_is_noticed_and_goes_on_when_it_thaws(whip_server: RunningServer) -> None:
    async with distant_caller(whip_server) as client, following(whip_server, client.events_url) as follower:
        await follower.saw("partial")
        client.process.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(6):
            assert await follower.saw("interrupted") == [{"type": "interrupted", "stream": "stream0"}]
        client.process.send_signal(signal.SIGCONT)
        assert await follower.saw("resumed") == [{"type": "resumed", "stream": "stream0"}]
        finals = len(of_type(follower.events, "final"))
        await follower.saw("final", finals + 1)


async def test_a_new_session_goes_on_where_a_dead_client_was_and_times_do_not_drift(
    whip_server: RunningServer, headache: Recording
) -> None:
    async with distant_caller(whip_server) as client, following(whip_server, client.events_url) as follower:
        await follower.saw("final")
        client.process.kill()
        await follower.saw("interrupted")
        began = asyncio.get_running_loop().time()
        before = max(final["end_ms"] for final in of_type(follower.events, "final"))
        voice = Voice(headache.mono(), seconds=SENTENCE_S)
        async with (
            caller(whip_server) as http,
            calling(http, voice, encounter_id=client.encounter, language="de") as call,
        ):
            await said(call, voice)
            assert (await http.delete(client.resource)).status_code == 404  # it would end the streams of another one
            await call.hang_up()
        await follower.saw("done")
        assert asyncio.get_running_loop().time() > began
    assert [event["stream"] for event in of_type(follower.events, "resumed")] == ["stream0"]
    last = max(follower_final["start_ms"] for follower_final in of_type(follower.events, "final"))
    assert last > before + 3_000  # the silence in which nobody was there


async def test_a_newer_session_takes_the_place_of_one_that_still_speaks(
    whip_server: RunningServer, headache: Recording
) -> None:
    voice, second = Voice(headache.mono()), Voice(headache.mono(), seconds=SENTENCE_S)
    async with caller(whip_server) as http, calling(http, voice) as former:
        await former.connected()
        async with calling(http, second, encounter_id=former.encounter) as call:
            await said(call, second)
            await former.closed()
            assert (await former.hang_up()).status_code == 404
            assert (await call.hang_up()).status_code == 200
            assert (await read_events(whip_server, call.events_url))[-1]["outcome"] == "done"


async def test_a_page_that_is_loaded_again_goes_on_at_the_time_it_is(
    whip_server: RunningServer, headache: Recording
) -> None:
    first, second = (Voice(headache.mono(), seconds=SENTENCE_S) for _ in range(2))
    async with caller(whip_server) as http:
        async with calling(http, first) as call:
            await said(call, first)
        async with calling(http, second, encounter_id=call.encounter) as again:
            await said(again, second)
            await again.hang_up()
            finals = of_type(await read_events(whip_server, call.events_url), "final")
    assert [final["stream"] for final in finals] == ["stream0", "stream0"]
    assert abs(finals[1]["start_ms"] - headache.items[0].start_ms - later_ms(first, second)) < 500


async def test_a_client_may_close_its_connection_before_it_deletes(
    whip_server: RunningServer, headache: Recording
) -> None:
    voice = Voice(headache.mono(), seconds=SENTENCE_S)
    async with caller(whip_server) as http, calling(http, voice) as call:
        await said(call, voice)
        async with following(whip_server, call.events_url) as follower:
            await follower.saw("final")
            await call.peer.close()
            await follower.saw("interrupted")
            assert (await call.hang_up()).status_code == 200
            await follower.saw("done")
        assert (await call.hang_up()).status_code == 404
    assert of_type(follower.events, "final")


async def test_everybody_who_hangs_up_at_the_same_moment_is_finished(
    whip_server: RunningServer, headache: Recording
) -> None:
    async def talk(http: httpx.AsyncClient) -> list[Event]:
        voice = Voice(headache.mono(), seconds=SENTENCE_S)
        async with calling(http, voice) as call:
            await said(call, voice)
            assert (await call.hang_up()).status_code == 200
        return await read_events(whip_server, call.events_url)

    async with caller(whip_server) as http, asyncio.TaskGroup() as tasks:
        talks = [tasks.create_task(talk(http)) for _ in range(8)]
    for events in (task.result() for task in talks):
        assert of_type(events, "final")
        assert events[-1]["outcome"] == "done"


async def test_a_client_that_does_not_come_back_is_finished_without(headache: Recording) -> None:
    voice = Voice(headache.mono(), seconds=SENTENCE_S)
    impatient = LOOPBACK | {"AUSCULT_LIMITS_RECONNECT_TIMEOUT_S": "1"}
    async with running_server(recogniser="scripted", environment=impatient) as server, caller(server) as http:
        async with calling(http, voice) as call:
            await said(call, voice)
        events = await read_events(server, call.events_url)
        assert of_type(events, "final")
        assert events[-1]["outcome"] == "done"
        late = await http.post(
            "/whip", params={"encounter_id": call.encounter}, content=call.offer, headers={"Content-Type": SDP}
        )
        assert (late.status_code, late.json()["code"]) == (409, "already_final")


async def test_a_server_that_stops_says_goodbye_and_the_next_one_goes_on(headache: Recording) -> None:
    voice, second = Voice(headache.mono(), seconds=SENTENCE_S), Voice(headache.mono(), seconds=SENTENCE_S)
    async with running_server(recogniser="scripted", environment=LOOPBACK) as server, caller(server) as http:
        async with calling(http, voice) as call:
            await said(call, voice)
            await server.stop()
            await call.closed()
        await server.start()
        assert (await http.delete(call.resource)).status_code == 404
        async with calling(http, second, encounter_id=call.encounter) as again:
            await said(again, second)
            await again.hang_up()
            events = await read_events(server, call.events_url)  # the first one's link still leads there
        assert len(of_type(events, "final")) == 2
        assert "Traceback" not in server.log()


async def test_peers_and_their_packets_are_counted(whip_server: RunningServer, headache: Recording) -> None:
    voice = Voice(headache.mono(), seconds=1)
    async with caller(whip_server) as http:
        before = await scraped(http)
        async with calling(http, voice) as call:
            await said(call, voice)
            during = await scraped(http)
            assert during["auscult_peers"] >= 1
            await call.hang_up()
        after = await scraped(http)
    assert after["auscult_webrtc_packets_total"] >= during["auscult_webrtc_packets_total"]
    assert after["auscult_webrtc_packets_total"] > before["auscult_webrtc_packets_total"] + 40
    assert {"auscult_webrtc_packets_lost_total", "auscult_webrtc_packets_late_total"} <= set(after)
    assert after["auscult_peers"] == during["auscult_peers"] - 1


async def scraped(http: httpx.AsyncClient) -> dict[str, float]:
    lines = (await http.get("/metrics")).text.splitlines()
    return {
        line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("auscult_") and "{" not in line
    }
