"""WHIP's HTTP (RFC 9725) against the real server: methods, status codes, and offers that cannot be answered."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from aiortc import RTCPeerConnection

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from tests.acceptance.conftest import LOOPBACK, make_key
from tests.acceptance.whip import FRAGMENT, SDP, Call, Voice, caller, calling, fragment, new_peer, offer, post

pytestmark = pytest.mark.usefixtures("client_on_loopback", "whip_keeps_nothing")

AS_SDP = {"Content-Type": SDP}


@pytest.fixture
async def http(whip_server: RunningServer) -> AsyncIterator[httpx.AsyncClient]:
    async with caller(whip_server) as made:
        yield made


@pytest.fixture
async def call(http: httpx.AsyncClient, headache: Recording) -> AsyncIterator[Call]:
    async with calling(http, Voice(headache.mono())) as made:
        yield made


@pytest.fixture
async def peer() -> AsyncIterator[RTCPeerConnection]:
    made = new_peer()
    yield made
    await made.close()


@pytest.fixture
async def good(peer: RTCPeerConnection) -> str:
    peer.addTransceiver("audio")
    return await offer(peer)


def refused(answer: httpx.Response, status: int, code: str) -> str:
    """The message of an error."""
    assert answer.status_code == status, answer.text
    error = answer.json()
    assert error["code"] == code
    return str(error["detail"])


async def test_the_endpoint_says_what_it_takes(http: httpx.AsyncClient) -> None:
    answer = await http.options("/whip")
    assert (answer.status_code, answer.headers["accept-post"]) == (200, "application/sdp")
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
        answer = await http.request(method, "/whip")
        assert answer.status_code == 405
        assert {name.strip() for name in answer.headers["allow"].split(",")} == {"POST", "OPTIONS"}


async def test_a_session_says_what_it_takes(http: httpx.AsyncClient, call: Call) -> None:
    answer = await http.options(call.resource)
    assert (answer.status_code, answer.headers["accept-patch"]) == (200, "application/trickle-ice-sdpfrag")
    for method in ("GET", "HEAD", "PUT", "POST"):
        answer = await http.request(method, call.resource)
        assert answer.status_code == 405
        assert {name.strip() for name in answer.headers["allow"].split(",")} == {"PATCH", "DELETE", "OPTIONS"}


async def test_a_stranger_is_not_let_in(whip_server: RunningServer, call: Call, good: str) -> None:
    async with httpx.AsyncClient(base_url=whip_server.base_url, trust_env=False) as stranger:
        for answer in (
            await stranger.post("/whip", content=good, headers=AS_SDP),
            await stranger.post("/whip", content=good, headers=AS_SDP | {"Authorization": "Bearer wrong"}),
            await stranger.delete(call.resource),
            await stranger.patch(call.resource, content=fragment(call.offer), headers={"Content-Type": FRAGMENT}),
            await stranger.get(call.events_url.partition("?")[0]),
        ):
            refused(answer, 401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_another_tenants_session_does_not_exist(whip_server: RunningServer, call: Call, good: str) -> None:
    async with caller(whip_server, make_key(whip_server, "another practice")) as other:
        refused(await other.delete(call.resource), 404, "not_found")
        headers = {"Content-Type": FRAGMENT, "If-Match": call.etag}
        refused(await other.patch(call.resource, content=fragment(call.offer), headers=headers), 404, "not_found")
        refused(await other.get(call.events_url.partition("?")[0]), 404, "not_found")
        refused(await post(other, good, encounter_id=call.encounter), 404, "not_found")


async def test_a_browsers_token_is_enough_for_a_whole_session(
    whip_server: RunningServer, http: httpx.AsyncClient, headache: Recording
) -> None:
    token = (await http.post("/api/tokens", json={"scope": "stream"})).json()["token"]
    async with caller(whip_server, token) as page, calling(page, Voice(headache.mono())) as call:
        assert (await call.patch(fragment(call.offer), **{"If-Match": call.etag})).status_code == 204
        assert (await call.hang_up()).status_code == 200


@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain", FRAGMENT])
async def test_an_offer_is_sdp(http: httpx.AsyncClient, good: str, content_type: str) -> None:
    refused(
        await http.post("/whip", content=good, headers={"Content-Type": content_type}), 415, "unsupported_media_type"
    )


@pytest.mark.parametrize("body", [b"", b"hello", b"\xff\xfe", b"v=0\r\n", b'{"sdp": "v=0"}', b"v=0\r\nm=audio"])
async def test_what_is_no_offer_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await post(http, body)
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] in ("sdp_invalid", "no_audio")


async def test_an_offer_of_ten_megabytes_is_refused(http: httpx.AsyncClient, good: str) -> None:
    refused(await post(http, good + "a=x:" + "y" * 10_000_000 + "\r\n"), 413, "too_large")


async def test_an_offer_must_bring_audio(http: httpx.AsyncClient, peer: RTCPeerConnection) -> None:
    peer.createDataChannel("transcript")
    assert "audio" in refused(await post(http, await offer(peer)), 422, "no_audio")


async def test_video_alone_is_refused(http: httpx.AsyncClient, peer: RTCPeerConnection) -> None:
    peer.addTransceiver("video")
    assert "audio" in refused(await post(http, await offer(peer)), 422, "video_only")


async def test_video_beside_audio_is_not_taken(http: httpx.AsyncClient, peer: RTCPeerConnection) -> None:
    peer.addTransceiver("audio")
    peer.addTransceiver("video")
    answer = await post(http, await offer(peer))
    assert answer.status_code == 201
    assert "a=inactive" in answer.text.partition("m=video")[2]
    assert "a=inactive" not in answer.text.partition("m=video")[0]


async def test_audio_that_is_only_received_is_none(http: httpx.AsyncClient, peer: RTCPeerConnection) -> None:
    peer.addTransceiver("audio", direction="recvonly")
    refused(await post(http, await offer(peer)), 422, "no_audio")


async def test_without_a_common_codec_there_is_no_session(http: httpx.AsyncClient, good: str) -> None:
    foreign = re.sub(r"^a=rtpmap:(\d+) opus/48000/2", r"a=rtpmap:\1 iLBC/8000", good, flags=re.MULTILINE)
    assert "Opus" in refused(await post(http, foreign), 422, "no_common_codec")


async def test_three_tracks_are_too_many(http: httpx.AsyncClient, peer: RTCPeerConnection) -> None:
    for _ in range(3):
        peer.addTransceiver("audio")
    refused(await post(http, await offer(peer)), 422, "too_many_tracks")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"langauge": "de"}, "Known ones: language"),
        ({"language": "Klingon, please"}, "such as"),
        ({"role": "nurse"}, "doctor, patient"),
        ({"roles": "doctor"}, "roles=doctor,patient"),
        ({"roles": "doctor,doctor"}, "two different"),
        ({"role": "doctor", "roles": "doctor,patient"}, "send one of them"),
        ({"note": "yes"}, "true or false"),
        ({"encounter_id": "../secrets"}, "Auscult-Encounter"),
    ],
)
async def test_a_query_that_is_not_understood_is_refused_in_clear_words(
    http: httpx.AsyncClient, good: str, query: dict[str, str], says: str
) -> None:
    assert says in refused(await post(http, good, **query), 400, "bad_request")


async def test_a_parameter_cannot_say_two_things(http: httpx.AsyncClient, good: str) -> None:
    answer = await http.post("/whip?language=de&language=en", content=good, headers=AS_SDP)
    assert "twice" in refused(answer, 400, "bad_request")


async def test_one_role_does_not_name_two_tracks(http: httpx.AsyncClient, peer: RTCPeerConnection) -> None:
    peer.addTransceiver("audio")
    peer.addTransceiver("audio")
    assert "roles" in refused(await post(http, await offer(peer), role="doctor"), 400, "bad_request")


async def test_an_unknown_template_is_refused_with_those_there_are(http: httpx.AsyncClient, good: str) -> None:
    assert "SOAP" in refused(await post(http, good, template="haiku"), 400, "unknown_template")


async def test_an_unknown_glossary_is_left_out_with_a_warning(http: httpx.AsyncClient, good: str) -> None:
    answer = await post(http, good, glossary="cardiology,astrology")
    assert answer.status_code == 201
    assert "cardiology" in answer.headers["auscult-warning"]


async def test_an_unknown_encounter_cannot_be_joined(http: httpx.AsyncClient, good: str) -> None:
    refused(await post(http, good, encounter_id="0" * 24), 404, "not_found")


async def test_a_language_that_the_recogniser_lacks_is_refused_with_the_command_that_mends_it(
    sphinx_server: RunningServer, good: str
) -> None:
    async with caller(sphinx_server) as http:
        says = refused(await post(http, good, language="de"), 400, "language_unsupported")
    assert "auscult models fetch" in says


async def test_who_cannot_be_heard_in_time_is_told_when_to_come_back(headache: Recording, good: str) -> None:
    full = LOOPBACK | {"AUSCULT_LIMITS_MAX_STREAMS": "1"}
    async with (
        running_server(recogniser="scripted", environment=full) as server,
        caller(server) as http,
        calling(http, Voice(headache.mono())) as call,
    ):
        answer = await post(http, good)
        refused(answer, 503, "overloaded")
        assert int(answer.headers["retry-after"]) > 0
        assert (await call.hang_up()).status_code == 200


async def test_candidates_need_the_etag_of_their_session(call: Call) -> None:
    told = fragment(call.offer)
    refused(await call.patch(told), 428, "precondition_required")
    refused(await call.patch(told, **{"If-Match": '"another"'}), 412, "precondition_failed")
    assert (await call.patch(told, **{"If-Match": call.etag})).status_code == 204
    assert (await call.patch(told, **{"If-Match": f'"another", {call.etag}'})).status_code == 204


async def test_candidates_that_cannot_be_read_are_refused(call: Call) -> None:
    headers = {"If-Match": call.etag}
    refused(await call.patch("hello", **headers), 400, "sdpfrag_invalid")
    refused(await call.patch("a=candidate:nonsense\r\n", **headers), 400, "sdpfrag_invalid")
    wrong = await call.patch(fragment(call.offer), **headers | {"Content-Type": SDP})
    refused(wrong, 415, "unsupported_media_type")
    large = await call.patch("a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" * 10_000, **headers)
    refused(large, 413, "too_large")
    await call.connected()


@pytest.mark.parametrize("if_match", ["*", '"*"'])
async def test_an_ice_restart_is_refused_and_the_session_goes_on(call: Call, if_match: str) -> None:
    await call.connected()
    restart = re.sub(r"^a=ice-ufrag:.*$", "a=ice-ufrag:newone", fragment(call.offer), flags=re.MULTILINE)
    restart = re.sub(r"^a=ice-pwd:.*$", "a=ice-pwd:" + "x" * 24, restart, flags=re.MULTILINE)
    says = refused(await call.patch(restart, **{"If-Match": if_match}), 422, "ice_restart_unsupported")
    assert "new one" in says
    assert call.peer.connectionState == "connected"
    assert (await call.patch(fragment(call.offer), **{"If-Match": if_match})).status_code == 204


async def test_delete_ends_a_session_once_and_whatever_the_etag(call: Call) -> None:
    await call.connected()
    assert (await call.http.delete(call.resource, headers={"If-Match": '"another"'})).status_code == 200
    refused(await call.hang_up(), 404, "not_found")
    refused(await call.patch(fragment(call.offer), **{"If-Match": call.etag}), 404, "not_found")
    await call.closed()


async def test_an_unknown_session_is_not_found(http: httpx.AsyncClient, good: str) -> None:
    refused(await http.delete("/whip/nothing"), 404, "not_found")
    refused(await http.get("/whip/nothing/events"), 404, "not_found")
    answer = await http.patch("/whip/nothing", content=good, headers={"Content-Type": FRAGMENT, "If-Match": '"x"'})
    refused(answer, 404, "not_found")


async def test_a_session_may_be_deleted_before_it_is_connected(http: httpx.AsyncClient, good: str) -> None:
    answer = await post(http, good)
    assert (await http.delete(answer.headers["location"])).status_code == 200
