"""A browser's WebRTC into /whip: what a microphone hears becomes text, of one or of two, over a network that breaks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bench.recordings import Recording
from bench.server import RunningServer
from pipeline.types import Pcm
from tests.acceptance.browser import listening, write_wav
from tests.acceptance.leaks import nothing_left_in
from tests.acceptance.proxy import proxied
from tests.acceptance.spoken import assert_heard_once, assert_times_hold, finals_of, with_pauses
from tests.acceptance.udp_relay import relayed

pytestmark = pytest.mark.slow

SECONDS = 12.5
STILL_S = 4  # at the beginning: the microphone plays while a call is set up, which may take a busy machine so long
PAUSE_AT_S = 7.65  # nobody speaks there
QUERY = {"language": "en", "note": "false"}
CONNECTIONS = "events.filter((event) => event.state === 'connected').length"


@pytest.fixture(autouse=True)
def nothing_stays(chromium: Path, whisper_server: RunningServer) -> Iterator[None]:
    with nothing_left_in(whisper_server):
        yield


async def test_what_a_microphone_hears_becomes_text_told_by_server_sent_events(
    chromium: Path, pages: str, tmp_path: Path, whisper_server: RunningServer, headache: Recording
) -> None:
    channels, said = with_pauses(headache, {0.0: STILL_S}, SECONDS)
    microphone = write_wav(tmp_path / "microphone.wav", mono(channels))
    async with listening(chromium, microphone) as browser:
        client = await browser.open(f"{pages}/whip.html", {"query": QUERY})
        await client.start(whisper_server.base_url, whisper_server.key)
        await client.play(STILL_S + SECONDS)
        events = await client.stop()
    finals = finals_of(events)
    assert_heard_once(finals, said)
    assert_times_hold(finals, said, still_s=STILL_S)
    first_partial = next(event for event in events if event["type"] == "partial")
    assert first_partial["at"] < finals[0]["at"] < finals[-1]["at"]


async def test_a_stereo_track_keeps_two_people_apart_and_a_data_channel_tells_what_they_say(
    chromium: Path, pages: str, tmp_path: Path, whisper_server: RunningServer, headache: Recording
) -> None:
    channels, spoken = with_pauses(headache, {0.0: STILL_S}, SECONDS)
    microphone = write_wav(tmp_path / "microphone.wav", channels)
    query = QUERY | {"roles": "doctor,patient"}
    async with listening(chromium, microphone) as browser:
        client = await browser.open(f"{pages}/whip.html", {"query": query, "stereo": True, "channel": True})
        await client.start(whisper_server.base_url, whisper_server.key)
        await client.play(STILL_S + SECONDS)
        events = await client.stop()
    for role in ("doctor", "patient"):
        said = [item for item in spoken if item.speaker == role]
        finals = [event for event in finals_of(events) if event["speaker"] == role]
        assert_heard_once(finals, said)
        assert_times_hold(finals, said, still_s=STILL_S)


async def test_a_short_interruption_is_silence_of_its_length(
    chromium: Path, pages: str, tmp_path: Path, whisper_server: RunningServer, headache: Recording
) -> None:
    channels, said = with_pauses(headache, {0.0: STILL_S, PAUSE_AT_S: 6}, SECONDS)
    microphone = write_wav(tmp_path / "microphone.wav", mono(channels))
    async with listening(chromium, microphone) as browser, relayed() as relays:
        client = await browser.open(f"{pages}/whip.html", {"query": QUERY}, relays)
        await client.start(whisper_server.base_url, whisper_server.key)
        await client.play(STILL_S + PAUSE_AT_S + 0.2)
        relays.cut()
        await relays.drop(100)
        relays.mend()
        await client.play(said[-1].end_ms / 1000 + 0.5)
        events = await client.stop()
    finals = finals_of(events)
    assert_heard_once(finals, said)
    assert_times_hold(finals, said, still_s=STILL_S)
    assert [event["state"] for event in events if event["type"] == "connection"].count("connecting") == 1


async def test_no_word_is_lost_or_repeated_when_a_page_has_to_call_again(
    chromium: Path, pages: str, tmp_path: Path, whisper_server: RunningServer, headache: Recording
) -> None:
    channels, said = with_pauses(headache, {0.0: STILL_S, PAUSE_AT_S: 20}, SECONDS)
    microphone = write_wav(tmp_path / "microphone.wav", mono(channels))
    async with (
        listening(chromium, microphone) as browser,
        proxied(whisper_server.base_url) as network,
        relayed() as relays,
    ):
        client = await browser.open(f"{pages}/whip.html", {"query": QUERY}, relays)
        await client.start(network.base_url, whisper_server.key)
        await client.play(STILL_S + PAUSE_AT_S + 0.2)
        consultation = await client.page.evaluate("session.encounterId")
        network.cut()
        relays.cut()
        await client.until("events.some((event) => event.type === 'offline')")
        network.mend()
        relays.mend()
        await client.until(f"{CONNECTIONS} === 2")
        assert await client.page.evaluate("session.encounterId") == consultation
        await client.play(said[-1].end_ms / 1000 + 0.5)
        events = await client.stop()
    finals = finals_of(events)
    assert_heard_once(finals, said)
    assert_times_hold(finals, said, still_s=STILL_S)


def mono(channels: Sequence[Pcm]) -> list[Pcm]:
    """Both voices in one."""
    return [channels[0] + channels[1]]
