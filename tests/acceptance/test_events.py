"""Server-Sent Events of any session, against the real server."""

import httpx
import pytest

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.following import Seen, all_of
from tests.acceptance.haidy import chunk, post, wait
from tests.acceptance.test_haidy import wav

pytestmark = pytest.mark.usefixtures("scripted_keeps_nothing")


def finals(seen: list[Seen]) -> list[dict[str, object]]:
    return [each.data for each in seen if each.kind == "final"]


async def test_a_session_of_another_api_that_is_over_is_told_from_its_beginning_to_its_last_word(
    api: httpx.Client, scripted_server: RunningServer, headache: Recording
) -> None:
    task_id = post(api, chunk(wav(headache, 40), final=True)).json()["task_id"]
    wait(api, task_id)
    seen = await all_of(scripted_server, task_id)
    assert [each.kind for each in seen[-2:]] == ["error", "done"]
    assert seen[-2].data["code"] == "transcript_too_short"  # of made-up words no note is written: it is told why
    assert seen[-1].data == {"type": "done", "outcome": "done"}
    assert finals(seen)
    assert all(each.data["type"] == each.kind for each in seen)
    assert [each.last_id for each in seen if each.kind == "final"] == [str(n + 1) for n in range(len(finals(seen)))]


async def test_who_comes_back_is_told_only_what_is_new_and_who_has_all_nothing(
    api: httpx.Client, scripted_server: RunningServer, headache: Recording
) -> None:
    task_id = post(api, chunk(wav(headache, 40), final=True)).json()["task_id"]
    seen = await all_of(scripted_server, task_id)
    again = await all_of(scripted_server, task_id, last_id="2")
    assert finals(again) == finals(seen)[2:]
    assert await all_of(scripted_server, task_id, last_id=seen[-1].last_id) == []


def test_an_id_that_is_none_is_refused_and_headers_alone_can_be_asked_for(
    api: httpx.Client, headache: Recording
) -> None:
    task_id = post(api, chunk(wav(headache, 3), final=True)).json()["task_id"]
    path = f"/api/encounters/{task_id}/events"
    assert api.get(path, headers={"Last-Event-ID": "Anna"}).json()["code"] == "bad_request"
    assert api.head(path).status_code == 200


@pytest.mark.parametrize("path", ["/api/encounters/unknown/events", "/api/encounters/x%00/events"])
def test_an_unknown_session_is_not_found(api: httpx.Client, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
