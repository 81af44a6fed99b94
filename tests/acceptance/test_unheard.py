"""A recogniser that fails on some segments: the rest is heard, and client and operator learn what is missing."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import start_blocking_portal

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from tests.acceptance.conftest import client
from tests.acceptance.haidy import send, wait
from tests.acceptance.test_haidy import wav
from tests.acceptance.test_nabla import CONFIG, END, dialled, finals, pcm, play, read, say

pytestmark = pytest.mark.slow

ONE: dict[str, object] = {"output_objects": ["transcript_item"], "streams": [{"id": "d", "speaker_type": "doctor"}]}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """Of each two segments of a stream it fails on the second, and on its second try too."""
    started = running_server(recogniser="scripted", environment={"AUSCULT_RECOGNISER_SCRIPTED_FAILS_EVERY": "2"})
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(started) as running:
        yield running


def unheard(server: RunningServer) -> int:
    with client(server.base_url, server.key) as api:
        lines = api.get("/metrics").text.splitlines()
    return int(float(next(line.split()[1] for line in lines if line.startswith("auscult_segments_lost_total "))))


async def test_a_socket_is_told_of_each_segment_without_text_and_goes_on(
    server: RunningServer, headache: Recording
) -> None:
    before = unheard(server)
    async with dialled(server) as socket:
        await say(socket, CONFIG | ONE)
        await play(socket, {"d": pcm(headache, 20)["d"]})
        await say(socket, END)
        messages = await read(socket)
        assert socket.close_code == 1000
    errors = [message for message in messages if message["object"] == "error_message"]
    assert errors
    assert {error["name"] for error in errors} == {"SEGMENT_UNHEARD"}
    assert all("could not be recognised" in error["message"] for error in errors)
    assert len(finals(messages)) in (len(errors), len(errors) + 1)
    assert unheard(server) - before == len(errors)
    assert finals(messages[messages.index(errors[0]) :])


def test_a_task_carries_each_segment_without_text_as_a_warning(server: RunningServer, headache: Recording) -> None:
    before = unheard(server)
    with client(server.base_url, server.key) as api:
        task = wait(api, send(api, [wav(headache, 20)]))[-1]
    assert task["status"] == "DONE"
    warnings = task["additional_info"]["warnings"]
    assert len(warnings) == unheard(server) - before > 0
    assert all("could not be recognised" in warning for warning in warnings)
