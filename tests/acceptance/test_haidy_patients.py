"""Haidy's patient contexts, named by later requests."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.conftest import client, make_key
from tests.acceptance.haidy import chunk, post, wait
from tests.acceptance.test_haidy import wav
from tests.acceptance.test_haidy_files import BASE64, done, encode, request, upload

PATH = "/v2/patient-contexts/"
ANNA = {
    "external_id": "42",
    "patient_group": "ward 7",
    "name": "Anna Muster",
    "birth_date": "1970-12-31",
    "gender": "female",
}
COUNTS = {"total_files", "parsed_files", "overtime_files", "error_files"}
UNKNOWN = ["The patient context is unknown here: the recording is transcribed without it."]


@pytest.fixture
def stranger(scripted_server: RunningServer) -> Iterator[httpx.Client]:
    """Another tenant."""
    with client(scripted_server.base_url, make_key(scripted_server, "another clinic")) as made:
        yield made


def warnings(task: dict[str, Any]) -> list[str]:
    told: list[str] = task.get("additional_info", {}).get("warnings", [])
    return told


def test_a_patient_is_stored_shown_changed_and_forgotten(api: httpx.Client, stranger: httpx.Client) -> None:
    made = api.post(PATH, json=ANNA)
    assert made.status_code == 200, made.text
    shown = made.json()
    assert shown.keys() == {*ANNA, "id", "created", "updated", "created_at", "updated_at", *COUNTS}
    assert ANNA.items() <= shown.items()
    assert shown["id"].startswith("ctx_")
    assert [shown[count] for count in COUNTS] == [0] * 4
    assert api.get(PATH + shown["id"]).json() == shown
    changed = api.post(PATH, json=ANNA | {"name": None, "gender": "other", "unknown": [1]}).json()
    assert (changed["id"], changed["name"], changed["gender"]) == (shown["id"], None, "other")
    assert changed["created"] == shown["created"]
    for reach in (stranger.get, stranger.delete):
        answer = reach(PATH + shown["id"])
        assert (answer.status_code, answer.json()) == (404, "Patient context not found")
    assert api.delete(PATH + shown["id"]).status_code == 204
    for name in (shown["id"], "patient-123", "ctx_" + "0" * 24, "%00"):
        answer = api.get(PATH + name)
        assert (answer.status_code, answer.json()) == (404, "Patient context not found")


def test_the_slash_at_the_end_may_be_missing(api: httpx.Client) -> None:
    bare = api.post(PATH.rstrip("/"), json=ANNA)  # and no redirect to an address made of what the client called us
    assert bare.status_code == 200
    assert ANNA.items() <= bare.json().items()


def test_a_recording_names_its_patient_in_every_way_and_an_unknown_one_is_a_warning(
    api: httpx.Client, stranger: httpx.Client, headache: Recording
) -> None:
    known, short = api.post(PATH, json=ANNA).json()["id"], wav(headache, 3)
    parameters = {"language": "de-CH", "template": "de-internal-medicine"}

    def told(by: httpx.Client, name: str) -> list[list[str]]:
        live = chunk(short, final=True, parameters=parameters | {"patient_context_id": name})
        return [
            warnings(done(by, upload(by, short, patient_context_id=name))),
            warnings(done(by, by.post(BASE64, json=request(encode(short), patient_context_id=name)))),
            warnings(wait(by, post(by, live).json()["task_id"])[-1]),
        ]

    assert told(api, known) == [[]] * 3
    assert told(api, "patient-123") == [UNKNOWN] * 3
    assert told(stranger, known) == [UNKNOWN] * 3


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in ANNA.items() if name != field}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (without("external_id"), "'external_id' is required"),
        (without("patient_group"), "'patient_group' is required"),
        (ANNA | {"external_id": " "}, "'external_id' is required"),
        (ANNA | {"external_id": "4" * 201}, "external_id"),
        (ANNA | {"external_id": 42}, "external_id"),
        (ANNA | {"name": "x" * 201}, "name"),
        (ANNA | {"birth_date": "31.12.1970"}, "birth_date"),
        (ANNA | {"birth_date": "1970-02-30"}, "birth_date"),
        (ANNA | {"birth_date": "1970-W01-1"}, "birth_date"),
        (ANNA | {"gender": "F"}, "male, female, other"),
        ([], "object"),
    ],
)
def test_a_wrong_patient_is_told_which_field_and_never_its_value(api: httpx.Client, body: Any, says: str) -> None:
    answer = api.post(PATH, json=body)
    assert answer.status_code == 400
    assert says in answer.json()
    assert "1970" not in answer.json() or "1970-12-31" in answer.json()
    assert "Muster" not in answer.json()


@pytest.mark.parametrize("raw", [b"", b"not json", b'{"a": ' * 10_000, b"\xff\xfe", b'"text"'])
def test_what_is_no_json_is_a_bad_request(api: httpx.Client, raw: bytes) -> None:
    answer = api.post(PATH, content=raw)
    assert answer.status_code == (413 if len(raw) > 16_384 else 400)
    assert isinstance(answer.json(), str)


def test_a_token_reads_no_patients_and_without_a_key_nobody_does(
    api: httpx.Client, scripted_server: RunningServer
) -> None:
    known = api.post(PATH, json=ANNA).json()["id"]
    token = api.post("/api/tokens", json={"scope": "stream"}).json()["token"]
    for key, status in ((token, 403), ("wrong", 401)):
        with client(scripted_server.base_url, key) as other:
            assert other.post(PATH, json=ANNA).status_code == status
            assert other.get(PATH + known).status_code == status
            assert other.delete(PATH + known).status_code == status
    assert api.patch(PATH + known).status_code == 405
    assert api.get(PATH).status_code == 405
