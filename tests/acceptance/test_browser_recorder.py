"""A browser's MediaRecorder into /api/live: what a microphone hears becomes text, over a network that breaks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.recordings import Recording, TruthItem
from bench.server import RunningServer
from tests.acceptance.browser import listening, write_wav
from tests.acceptance.leaks import nothing_left_in
from tests.acceptance.proxy import proxied
from tests.acceptance.spoken import Event, assert_heard_once, assert_times_hold, finals_of, said_before

pytestmark = pytest.mark.slow

SECONDS = 12.5
OPTIONS: Event = {"language": "en", "note": False}


@pytest.fixture(autouse=True)
def nothing_stays(chromium: Path, browsers_server: RunningServer) -> Iterator[None]:
    with nothing_left_in(browsers_server):
        yield


@pytest.fixture(scope="module")
def microphone(headache: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first sentences of a consultation."""
    path = tmp_path_factory.mktemp("microphone") / "headache.wav"
    return write_wav(path, [headache.mono()[: int(SECONDS * 16000)]])


@pytest.fixture(scope="module")
def said(headache: Recording) -> list[TruthItem]:
    return said_before(headache, SECONDS)


async def test_what_a_microphone_hears_becomes_text_while_it_is_said(
    chromium: Path, pages: str, microphone: Path, browsers_server: RunningServer, said: list[TruthItem]
) -> None:
    async with listening(chromium, microphone) as browser:
        client = await browser.open(f"{pages}/recorder.html", OPTIONS)
        await client.start(browsers_server.base_url, browsers_server.key)
        await client.play(SECONDS)
        events = await client.stop()
    finals = finals_of(events)
    assert_heard_once(finals, said)
    assert_times_hold(finals, said)
    assert events[0]["type"] == "session"
    assert events[-1] | {"at": 0} == {"type": "done", "outcome": "done", "at": 0}
    first_partial = next(event for event in events if event["type"] == "partial")
    assert first_partial["at"] < finals[0]["at"] < finals[-1]["at"]


async def test_no_word_is_lost_or_repeated_when_the_network_breaks_and_when_it_forgets_a_connection(
    chromium: Path, pages: str, microphone: Path, browsers_server: RunningServer, said: list[TruthItem]
) -> None:
    async with listening(chromium, microphone) as browser, proxied(browsers_server.base_url) as network:
        client = await browser.open(f"{pages}/recorder.html", OPTIONS)
        await client.start(network.base_url, browsers_server.key)
        await client.read(2)
        network.cut()
        await client.until("events.filter((event) => event.type === 'offline').length >= 3")
        network.mend()
        await client.read(6)
        network.swallow()
        await client.play(SECONDS)
        events = await client.stop()
    finals = finals_of(events)
    assert_heard_once(finals, said)
    assert_times_hold(finals, said)
    sessions = [event for event in events if event["type"] == "session"]
    assert len(sessions) == 3
    assert len({event["encounter_id"] for event in sessions}) == 1
    assert len({event["resume_token"] for event in sessions}) == 3


async def test_a_recorder_that_is_restarted_in_between_goes_on_in_the_same_session(
    chromium: Path, pages: str, microphone: Path, browsers_server: RunningServer, said: list[TruthItem]
) -> None:
    async with listening(chromium, microphone) as browser:
        client = await browser.open(f"{pages}/recorder.html", OPTIONS)
        await client.start(browsers_server.base_url, browsers_server.key)
        await client.play(said[1].end_ms / 1000)
        await client.restart()
        await client.play(SECONDS)
        events = await client.stop()
    finals = finals_of(events)
    assert_heard_once(finals, said)
    assert_times_hold(finals, said)
    assert [event["type"] for event in events].count("session") == 1
