"""A session that a WHIP peer began and a socket of `/api/live` continues, as a page does where the network fails it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from pipeline.types import Pcm
from tests.acceptance.conftest import LOOPBACK
from tests.acceptance.following import all_of
from tests.acceptance.live import END, HELLO, Event, dialled, hear, rest, say
from tests.acceptance.spoken import assert_heard_once, assert_times_hold, finals_of, said_before
from tests.acceptance.test_kill import stored_bytes
from tests.acceptance.udp_relay import relayed
from tests.acceptance.whip import Voice, caller, calling, following, new_peer, offer, post, without_candidates

pytestmark = pytest.mark.usefixtures("client_on_loopback")

SECONDS = 12.5
CHUNK_BYTES = 6_400  # 200 ms
BYTES_PER_MS = 32
WINDOW_MS = 32  # streams begin at a multiple of it


def s16le(pcm: Pcm) -> bytes:
    return bytes((pcm * 32_767).astype("<i2").tobytes())


class Continued:
    """A socket that takes the place of a peer, with all that was recorded since the time line began."""

    def __init__(self, socket: ClientConnection, session: Event) -> None:
        self.socket = socket
        self.encounter = str(session["encounter_id"])
        self.heard_ms = float(session["heard_ms"])
        self.chunks = int(session["chunks"])

    @property
    def heard_bytes(self) -> int:
        return round(self.heard_ms * BYTES_PER_MS)

    async def send(self, pcm: bytes) -> None:
        """All of it, and wait until it is on the disk."""
        for at in range(0, len(pcm), CHUNK_BYTES):
            await self.socket.send(self.chunks.to_bytes(4, "big") + pcm[at : at + CHUNK_BYTES])
            self.chunks += 1
        while (await hear(self.socket, "ack"))["chunks"] < self.chunks:
            pass

    async def end(self) -> list[Event]:
        await say(self.socket, END)
        return await rest(self.socket)


@asynccontextmanager
async def continuing(server: RunningServer, encounter: str, role: str = "unspecified") -> AsyncIterator[Continued]:
    format = {"encoding": "pcm_s16le", "sample_rate": 16_000, "channels": 1}
    async with dialled(server) as socket:
        await say(socket, HELLO | format | {"encounter_id": encounter, "role": role, "chunk_numbers": True})
        yield Continued(socket, await hear(socket, "session"))


@pytest.mark.slow
async def test_no_word_is_lost_or_repeated_when_a_socket_takes_the_place_of_a_peer_that_was_cut_off(
    whisper_server: RunningServer, headache: Recording
) -> None:
    voice, pcm = Voice(headache.mono()), s16le(headache.mono())[: round(SECONDS * 32_000)]
    async with (
        caller(whisper_server) as http,
        relayed() as relays,
        calling(http, voice, relays=relays, language="en", note="false") as call,
    ):
        async with following(whisper_server, call.events_url) as follower:
            await follower.saw("partial")  # in the middle of a sentence
        relays.cut()  # the server does not know it yet
        async with continuing(whisper_server, call.encounter) as page:
            assert 0 < page.heard_bytes < len(pcm)
            await page.socket.send(page.chunks.to_bytes(4, "big") + pcm[page.heard_bytes :])
            events = await page.end()
    finals, said = finals_of(events), said_before(headache, SECONDS)
    assert_heard_once(finals, said)
    assert_times_hold(finals, said)


@pytest.mark.usefixtures("whip_keeps_nothing")
async def test_a_peer_that_ended_at_a_gap_is_over_when_a_socket_has_brought_what_was_lost(
    whip_server: RunningServer, headache: Recording
) -> None:
    voice, pcm = Voice(headache.mono()), s16le(headache.mono()[:64_000])
    async with (
        caller(whip_server) as http,
        relayed() as relays,
        calling(http, voice, relays=relays, max_gap_ms="100") as call,
    ):
        async with following(whip_server, call.events_url) as follower:
            await follower.saw("final")
        relays.cut()
        await relays.drop(30)
        relays.mend()
        await call.closed()
        refused = await call.hang_up()
        assert (refused.status_code, refused.json()["code"]) == (409, "audio_lost")
        async with continuing(whip_server, call.encounter) as page:
            assert page.heard_bytes > 0
            await page.send(pcm)
            assert (await call.hang_up()).status_code == 404
            await page.end()
    assert stored_bytes(whip_server.data_dir, call.encounter)[0][page.heard_bytes :] == pcm


@pytest.mark.usefixtures("whip_keeps_nothing")
@pytest.mark.parametrize("tracks", [1, 2])
async def test_each_of_two_sockets_goes_on_where_a_peer_was_that_still_speaks_and_the_last_ends_it(
    whip_server: RunningServer, headache: Recording, tracks: int
) -> None:
    spoken = headache.channels()
    doctor_says, patient_says = (s16le(voice[:32_000]) for voice in spoken)
    voices = [Voice(*spoken, seconds=1)] if tracks == 1 else [Voice(each, seconds=1) for each in spoken]
    async with caller(whip_server) as http, calling(http, *voices, roles="doctor,patient") as call:
        await call.connected()
        for voice in voices:
            await voice.played.wait()
        async with (
            continuing(whip_server, call.encounter, "doctor") as doctor,
            continuing(whip_server, call.encounter, "patient") as patient,
        ):
            assert min(doctor.heard_ms, patient.heard_ms) > 0
            await doctor.send(doctor_says)
            await call.closed()
            assert (await call.hang_up()).status_code == 404
            await say(doctor.socket, END)
            await patient.send(patient_says)
            told_patient = await patient.end()
            told_doctor = await rest(doctor.socket)
    assert told_doctor[-1] == told_patient[-1] == {"type": "done", "outcome": "done"}
    stored = stored_bytes(whip_server.data_dir, call.encounter)
    assert stored[0][doctor.heard_bytes :] == doctor_says
    assert stored[1][patient.heard_bytes :] == patient_says


@pytest.mark.usefixtures("whip_keeps_nothing")
async def test_who_deletes_the_resource_of_a_peer_that_is_gone_does_not_end_what_a_socket_continues(
    whip_server: RunningServer, headache: Recording
) -> None:
    voice = Voice(headache.mono(), seconds=0.5)
    async with caller(whip_server) as http, calling(http, voice) as call:
        await call.connected()
        await voice.played.wait()
        async with following(whip_server, call.events_url) as follower:
            await call.peer.close()
            await follower.saw("interrupted")
            async with continuing(whip_server, call.encounter) as page:
                assert (await call.hang_up()).status_code == 404  # nothing was sent over the socket yet
                await page.send(s16le(headache.mono()[:32_000]))
                assert (await page.end())[-1]["outcome"] == "done"
            await follower.saw("done")
    (stored,) = stored_bytes(whip_server.data_dir, call.encounter)
    assert len(stored) == page.heard_bytes + 64_000


async def test_what_was_recorded_while_a_peer_never_connected_is_heard_from_its_beginning_and_survives_a_kill(
    headache: Recording, tmp_path: Path
) -> None:
    pcm = s16le(headache.mono())[: round(SECONDS * 32_000)]
    first, second = pcm[: CHUNK_BYTES * 20], pcm[CHUNK_BYTES * 20 :]
    async with running_server(recogniser="scripted", environment=LOOPBACK, data_dir=tmp_path) as server:
        async with caller(server) as http:
            encounter = await never_connected(http)
            async with continuing(server, encounter) as page:
                assert (page.heard_ms, page.chunks) == (0, 0)
                await page.send(first)
                await server.kill()
        await server.start()
        async with continuing(server, encounter) as page:
            assert (page.heard_ms, page.chunks) == (20 * 200, 20)
            await page.send(second)
            await page.end()
        events = [each.data for each in await all_of(server, encounter)]
        assert stored_bytes(tmp_path, encounter) == [pcm]
    assert events[-1] == {"type": "done", "outcome": "done"}
    assert abs(finals_of(events)[0]["start_ms"] - headache.items[0].start_ms) < 500


@pytest.mark.usefixtures("whip_keeps_nothing")
async def test_who_joins_one_that_sent_what_it_had_recorded_before_begins_where_that_one_is(
    whip_server: RunningServer,
) -> None:
    async with caller(whip_server) as http:
        encounter = await never_connected(http)
        async with continuing(whip_server, encounter) as page:
            await page.send(bytes(4_000 * BYTES_PER_MS))  # in an instant
            async with continuing(whip_server, encounter, "patient") as patient:
                assert patient.heard_ms >= 4_000 - WINDOW_MS
                await say(patient.socket, END)
                assert (await page.end())[-1]["type"] == "done"


async def never_connected(http: httpx.AsyncClient) -> str:
    """A session whose client hears no answer to what it sends by UDP."""
    peer = new_peer()
    peer.addTransceiver("audio", direction="sendonly")
    answer = await post(http, without_candidates(await offer(peer)))
    await peer.close()
    assert answer.status_code == 201
    return str(answer.headers["auscult-encounter"])
