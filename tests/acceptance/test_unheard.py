"""What a recogniser fails on, and what it says that nobody said: client and operator learn of it."""

from collections.abc import Iterator

import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from pipeline.types import SAMPLE_RATE, to_samples
from tests.acceptance.conftest import client
from tests.acceptance.haidy import chunk, post, send, wait
from tests.acceptance.nabla import CONFIG, END, dialled, finals, pcm, play, read, say
from tests.acceptance.test_haidy import wav
from tests.audio import wav as float_wav

pytestmark = pytest.mark.slow

ONE: dict[str, object] = {"output_objects": ["transcript_item"], "streams": [{"id": "d", "speaker_type": "doctor"}]}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """Of each two segments of a stream it fails on the second, and on its second try too."""
    started = running_server(recogniser="scripted", environment={"AUSCULT_RECOGNISER_SCRIPTED_FAILS_EVERY": "2"})
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(started) as running:
        yield running


def counted(server: RunningServer, metric: str) -> int:
    """0 where nothing of that kind was counted yet."""
    with client(server.base_url, server.key) as api:
        lines = api.get("/metrics").text.splitlines()
    return int(float(next((line.removeprefix(metric) for line in lines if line.startswith(metric)), "0")))


def unheard(server: RunningServer) -> int:
    return counted(server, "auscult_segments_lost_total ")


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
    assert len(errors) > 1
    assert {error["name"] for error in errors} == {"SEGMENT_UNHEARD"}
    assert all("could not be recognised" in error["message"] for error in errors)
    assert len(finals(messages)) in (len(errors), len(errors) + 1)
    assert unheard(server) - before == len(errors)


def test_a_task_carries_each_segment_without_text_as_a_warning(server: RunningServer, headache: Recording) -> None:
    before = unheard(server)
    with client(server.base_url, server.key) as api:
        task = wait(api, send(api, [wav(headache, 20)]))[-1]
    assert task["status"] == "DONE"
    warnings = task["additional_info"]["warnings"]
    assert len(warnings) == unheard(server) - before > 0
    assert all("could not be recognised" in warning for warning in warnings)


def test_a_loop_is_cut_and_counted_in_the_metrics(sphinx_server: RunningServer, headache: Recording) -> None:
    question = next(item for item in headache.items if item.text == "Where does it hurt?")
    once = headache.mono()[to_samples(question.start_ms) : to_samples(question.end_ms)]
    again_and_again = np.concatenate([*[once, np.zeros(to_samples(100), np.float32)] * 6])
    before = guarded(sphinx_server)
    with client(sphinx_server.base_url, sphinx_server.key) as api:
        body = chunk(float_wav(again_and_again, SAMPLE_RATE, encoding="pcm_f32le"), final=True, file_format="wav")
        task = wait(api, post(api, body).json()["task_id"])[-1]
    assert [bubble["text"] for bubble in task["result"]["bubbles"]] == ["where does it hurt"]
    assert guarded(sphinx_server) == before + 1


def guarded(server: RunningServer) -> int:
    """Segments in which a loop was cut."""
    return counted(server, 'auscult_guarded_segments_total{guard="loop"} ')
