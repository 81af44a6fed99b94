"""The console over a network that breaks, and over a reload: what was said is there once, whichever way it goes."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import expect

from bench.recordings import Recording
from bench.server import RunningServer
from pipeline.types import SAMPLE_RATE
from tests.acceptance.browser import write_wav
from tests.acceptance.console import NETWORK, UNPLUGGED, Console, text, using
from tests.acceptance.leaks import nothing_left_in
from tests.acceptance.proxy import Network, proxied
from tests.acceptance.spoken import assert_heard_once, assert_times_hold, later, with_pauses
from tests.acceptance.udp_relay import Relays, relayed

pytestmark = pytest.mark.slow

# Audio for a connection that is closed already, of which the page was not told yet.
CLOSING = """
async () => {
  const { Api } = await import("/console/api.js");
  const { LiveSocket } = await import("/console/socket.js");
  const sockets = [];
  window.WebSocket = class extends WebSocket {
    constructor(...where) {
      super(...where);
      sockets.push(this);
    }
  };
  const pcm = { encoding: "pcm_s16le", sample_rate: 16000, channels: 1 };
  const live = new LiveSocket(new Api(new URL("/", location)), pcm);
  const session = await new Promise((resolve, reject) => {
    live.onsession = resolve;
    live.done.catch(reject);
  });
  const second = new Uint8Array(32000);
  live.push(second);
  sockets[0].close();
  live.push(second);
  await live.end();
  return [session.encounter_id, sockets.length];
}
"""
STILL_S = 3  # at the beginning: the microphone plays while a call is set up
SECONDS = 9.7
CUT_S = 4.6  # in the middle of a sentence
MOMENT = 50  # datagrams: about a second


@pytest.fixture(autouse=True)
def nothing_stays(chromium: Path, whisper_server: RunningServer) -> Iterator[None]:
    with nothing_left_in(whisper_server):
        yield


@dataclass(frozen=True, slots=True)
class Between:
    """The network between the page and the server: TCP and UDP."""

    tcp: Network
    udp: Relays

    def cut(self) -> None:
        self.tcp.cut()
        self.udp.cut()

    def mend(self) -> None:
        self.tcp.mend()
        self.udp.mend()


@asynccontextmanager
async def over_a_network(
    chromium: Path, server: RunningServer, microphone: Path
) -> AsyncIterator[tuple[Console, Between]]:
    async with (
        proxied(server.base_url) as tcp,
        relayed() as udp,
        using(chromium, server, microphone=microphone, url=tcp.base_url, relays=udp) as console,
    ):
        console.provoked.append(NETWORK)
        await console.sign_in(server.key)
        yield console, Between(tcp, udp)


@pytest.mark.parametrize("way", ["webrtc", "recorder"])
async def test_nothing_is_lost_or_doubled_when_the_network_is_cut_and_when_it_forgets_connections(
    chromium: Path, whisper_server: RunningServer, headache: Recording, tmp_path: Path, way: str
) -> None:
    still_s = STILL_S if way == "webrtc" else 0
    channels, said = with_pauses(headache, {0.0: still_s}, SECONDS)
    microphone = write_wav(tmp_path / "microphone.wav", [channels[0] + channels[1]])
    async with over_a_network(chromium, whisper_server, microphone) as (console, network):
        encounter = await console.start(way)
        await console.play(still_s + CUT_S)
        network.cut()
        await console.is_recording("recording_offline")
        await expect(console.page.locator("#foot-connection")).to_have_text(text("foot.kept"))
        network.mend()
        await console.is_recording()
        network.tcp.swallow()
        await console.play(still_s + SECONDS)
        await console.finish()
        assert await console.opened() == encounter
        finals = await console.said()
    assert_heard_once(finals, said)
    assert_times_hold(finals, said, still_s=still_s)


async def test_what_webrtc_loses_in_a_moment_is_brought_by_a_socket(
    chromium: Path, whisper_server: RunningServer, headache: Recording, tmp_path: Path
) -> None:
    channels, said = with_pauses(headache, {0.0: STILL_S}, SECONDS)
    microphone = write_wav(tmp_path / "microphone.wav", [channels[0] + channels[1]])
    async with over_a_network(chromium, whisper_server, microphone) as (console, network):
        await console.start("webrtc")
        await console.play(STILL_S + CUT_S)
        network.udp.cut()
        await network.udp.drop(MOMENT)
        network.udp.mend()
        await expect(console.page.locator("#foot-connection")).to_have_text(text("foot.way.socket"))
        await console.play(STILL_S + SECONDS)
        await console.finish()
        finals = await console.said()
    assert_heard_once(finals, said)
    assert_times_hold(finals, said, still_s=STILL_S)


@pytest.mark.parametrize("way", ["webrtc", "recorder"])
async def test_another_microphone_and_a_page_that_is_loaded_again_go_on_in_the_same_recording(
    chromium: Path, whisper_server: RunningServer, headache: Recording, tmp_path: Path, way: str
) -> None:
    """The microphone plays its file from the beginning whenever it is opened."""
    still_s = STILL_S if way == "webrtc" else 1
    still = np.zeros(still_s * SAMPLE_RATE, np.float32)
    sentence = headache.items[1]
    begin, end = (
        round((ms + by) * SAMPLE_RATE / 1000) for ms, by in ((sentence.start_ms, -200), (sentence.end_ms, 300))
    )
    microphone = write_wav(tmp_path / "microphone.wav", [np.concatenate([still, headache.mono()[begin:end]])])
    played_s = still_s + (end - begin) / SAMPLE_RATE + 0.5
    async with using(chromium, whisper_server, microphone=microphone) as console:
        await console.sign_in(whisper_server.key)
        encounter = await console.start(way)
        await console.play(played_s)
        await console.page.evaluate(UNPLUGGED)
        await expect(console.page.locator("#recording-problem")).to_have_text(text("recording.gone.microphone"))
        await console.button("recording.other_microphone").click()
        await expect(console.page.locator("#recording-problem")).to_be_empty()  # the new one was opened
        await console.play(played_s)
        await console.reload()
        assert await console.opened() == encounter
        await console.is_recording()
        await console.play(played_s)
        await console.button("recording.pause").click()
        await console.reload()
        await console.is_recording("paused")
        await console.play(played_s - 0.5)  # to nobody
        await console.finish()
        finals = await console.said()
    assert console.asked == ["beforeunload"] * 2
    assert_heard_once(finals, [later(sentence, by_ms) for by_ms in (0, 60_000, 120_000)])


async def test_what_comes_while_a_connection_is_closing_goes_over_the_next(
    chromium: Path, whisper_server: RunningServer
) -> None:
    async with using(chromium, whisper_server) as console:
        await console.sign_in(whisper_server.key)
        encounter, connections = await console.page.evaluate(CLOSING)
        heard_ms = (await console.ended(encounter))["audio_ms"]
    assert (heard_ms, connections) == (2000, 2)
