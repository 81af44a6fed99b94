"""OpenAI's own client against the real server: every format, the stream, errors, and that nothing is kept."""

import re
import sqlite3
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import httpx
import openai
import pytest
from openai import OpenAI

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.conftest import client, make_key, start
from tests.acceptance.recorded import finished, said, sent
from tests.acceptance.test_haidy import encoded

pytestmark = pytest.mark.slow

MODEL = "whisper-1"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    yield from start("scripted", {"AUSCULT_LIMITS_MAX_RECORDING_BYTES": "3000000"})


@pytest.fixture
def api(server: RunningServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.base_url}/openai/v1", api_key=server.key, max_retries=0, timeout=60) as made:
        yield made


@pytest.fixture
def raw(server: RunningServer) -> Iterator[httpx.Client]:
    with client(server.base_url, server.key) as made:
        yield made


@pytest.fixture(scope="module")
def visit(headache: Recording) -> bytes:
    return encoded(headache, "webm")


@pytest.fixture(scope="module")
def reference(server: RunningServer, visit: bytes) -> list[tuple[int, int, str]]:
    """What our own API says of the same file: start and end in milliseconds, and text."""
    with client(server.base_url, server.key) as ours:
        encounter = sent(ours, visit, note=False)
        items = said(finished(ours, encounter))
        ours.delete(f"/api/encounters/{encounter}").raise_for_status()
    assert len(items) > 3
    return sorted((start, end, text) for start, end, text, _ in items)


def stored(server: RunningServer) -> int:
    """Encounters in the database, and files of recordings."""
    with sqlite3.connect(f"file:{server.data_dir / 'auscult.db'}?mode=ro", uri=True) as database:
        rows: int = database.execute("SELECT count(*) FROM encounters").fetchone()[0]
    return rows + len(list((server.data_dir / "blobs").iterdir()))


def test_json_is_the_text_and_how_much_was_heard(
    api: OpenAI, visit: bytes, reference: list[tuple[int, int, str]], headache: Recording
) -> None:
    made = api.audio.transcriptions.create(file=("visit.webm", visit), model=MODEL, language="en")
    assert made.text == " ".join(text for _, _, text in reference)
    assert made.usage is not None
    assert made.usage.type == "duration"
    assert abs(made.usage.seconds - len(headache.mono()) / 16_000) < 1


def test_text_is_the_text(api: OpenAI, visit: bytes, reference: list[tuple[int, int, str]]) -> None:
    made = api.audio.transcriptions.create(file=visit, model=MODEL, response_format="text")
    assert made == " ".join(text for _, _, text in reference) + "\n"


def test_verbose_json_has_segments_and_words_with_their_times(
    api: OpenAI, visit: bytes, reference: list[tuple[int, int, str]]
) -> None:
    made = api.audio.transcriptions.create(
        file=visit, model=MODEL, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert made.segments is not None
    assert made.words is not None
    assert [(round(s.start * 1000), round(s.end * 1000), s.text) for s in made.segments] == reference
    assert [segment.id for segment in made.segments] == list(range(len(reference)))
    assert [word.word for word in made.words] == made.text.split()
    assert all(word.start <= word.end for word in made.words)
    assert all(one.start <= other.start for one, other in pairwise(made.words))
    assert made.language == "english"
    assert made.duration > reference[-1][1] / 1000
    pairs: list[tuple[Literal["word", "segment"], str]] = [("word", "segments"), ("segment", "words")]
    for wanted, absent in pairs:
        only = api.audio.transcriptions.create(
            file=visit, model=MODEL, response_format="verbose_json", timestamp_granularities=[wanted]
        )
        assert getattr(only, absent) is None


def test_captions_hold_every_text_at_its_time(api: OpenAI, visit: bytes, reference: list[tuple[int, int, str]]) -> None:
    srt = api.audio.transcriptions.create(file=visit, model=MODEL, response_format="srt")
    vtt = api.audio.transcriptions.create(file=visit, model=MODEL, response_format="vtt")
    assert vtt.startswith("WEBVTT\n\n")
    for captions, point in ((srt, ","), (vtt, ".")):
        pattern = rf"(\d\d):(\d\d):(\d\d){re.escape(point)}(\d\d\d)"
        cues = re.findall(rf"{pattern} --> {pattern}\n(.*)\n", captions)
        assert [(ms(*cue[:4]), ms(*cue[4:8]), cue[8]) for cue in cues] == reference


def ms(hours: str, minutes: str, seconds: str, thousandths: str) -> int:
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(thousandths)


def test_diarized_json_says_who_speaks(api: OpenAI, visit: bytes, reference: list[tuple[int, int, str]]) -> None:
    made: Any = api.audio.transcriptions.create(file=visit, model=MODEL, response_format="diarized_json")
    assert [segment.text for segment in made.segments] == [text for _, _, text in reference]
    assert all(segment.speaker for segment in made.segments)


def test_a_stream_tells_what_is_said_and_then_all_of_it(
    api: OpenAI, visit: bytes, reference: list[tuple[int, int, str]]
) -> None:
    events = list(api.audio.transcriptions.create(file=visit, model=MODEL, stream=True))
    *deltas, done = events
    assert {event.type for event in deltas} == {"transcript.text.delta"}
    assert done.type == "transcript.text.done"
    assert len(deltas) == len(reference)
    assert "".join(event.delta for event in deltas if event.type == "transcript.text.delta") == done.text
    assert done.text == " ".join(text for _, _, text in reference)


def test_nothing_is_kept_and_no_webhook_is_told_of_it(
    server: RunningServer, api: OpenAI, visit: bytes, reference: list[tuple[int, int, str]]
) -> None:
    before = stored(server)
    api.audio.transcriptions.create(file=visit, model=MODEL)
    list(api.audio.transcriptions.create(file=visit, model=MODEL, stream=True))
    with pytest.raises(openai.BadRequestError):
        api.audio.transcriptions.create(file=b"OggS\0" + bytes(5000), model=MODEL)
    assert stored(server) == before


@pytest.mark.parametrize("stream", [False, True])
def test_whoever_leaves_leaves_nothing(slow_server: RunningServer, visit: bytes, stream: bool) -> None:
    def create() -> None:
        with OpenAI(base_url=f"{slow_server.base_url}/openai/v1", api_key=slow_server.key, max_retries=0) as hasty:
            hasty = hasty.with_options(timeout=1.5)
            list(hasty.audio.transcriptions.create(file=visit, model=MODEL, stream=stream))

    opened = opened_by_it(slow_server)
    with pytest.raises((openai.APITimeoutError, httpx.ReadTimeout)):
        create()
    assert opened_by_it(slow_server) == opened + 1
    until = time.monotonic() + 10
    while stored(slow_server) and time.monotonic() < until:
        time.sleep(0.05)  # the server notices in its own time
    assert stored(slow_server) == 0


@pytest.fixture(scope="module")
def slow_server() -> Iterator[RunningServer]:
    yield from start("scripted", {"AUSCULT_RECOGNISER_SCRIPTED_DELAY_MS": "4000"})


def opened_by_it(server: RunningServer) -> float:
    with client(server.base_url, server.key) as raw:
        found = re.search(r'auscult_sessions_opened_total{api="openai"} (\S+)', raw.get("/metrics").text)
    return float(found[1]) if found else 0.0


def test_the_model_is_listed(api: OpenAI) -> None:
    (model,) = api.models.list()
    assert model.object == "model"
    assert model.id


# Bad input


def test_a_wrong_key_is_an_authentication_error(server: RunningServer, visit: bytes) -> None:
    with (
        OpenAI(base_url=f"{server.base_url}/openai/v1", api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as refused,
    ):
        stranger.audio.transcriptions.create(file=visit, model=MODEL)
    assert refused.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    ("octets", "param", "code"),
    [
        (b"", "file", None),
        (b"<html>this is no audio at all</html>" * 100, "file", "unsupported_audio"),
        (b"OggS\0" + bytes(5000), "file", "undecodable_audio"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_no_audio_is_a_bad_request(
    api: OpenAI, octets: bytes, param: str, code: str | None, stream: bool
) -> None:
    def create() -> None:
        made: Any = api.audio.transcriptions.create(file=("a.ogg", octets), model=MODEL, stream=stream)
        list(made)

    with pytest.raises(openai.APIError) as refused:
        create()
    assert (refused.value.param, refused.value.code) == (param, code)
    assert refused.value.type == "invalid_request_error"
    if not stream or code != "undecodable_audio":  # which shows only behind the first byte of the answer
        assert isinstance(refused.value, openai.BadRequestError)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "model"),
        ({"model": ""}, "model"),
        ({"model": MODEL, "response_format": "xml"}, "response_format"),
        ({"model": MODEL, "language": "klingon!"}, "language"),
        ({"model": MODEL, "language": "tlh"}, "language"),
        ({"model": MODEL, "temperature": "2"}, "temperature"),
        ({"model": MODEL, "temperature": "nan"}, "temperature"),
        ({"model": MODEL, "stream": "maybe"}, "stream"),
        ({"model": MODEL, "stream": "true", "response_format": "srt"}, "stream"),
        ({"model": MODEL, "timestamp_granularities[]": "word"}, "timestamp_granularities"),
        ({"model": MODEL, "timestamp_granularities[]": "phone"}, "timestamp_granularities"),
        ({"model": MODEL, "keywords[]": "x" * 1001}, "keywords"),
    ],
)
def test_fields_that_cannot_be_are_refused_by_name(
    raw: httpx.Client, visit: bytes, fields: dict[str, str], param: str
) -> None:
    answer = raw.post("/openai/v1/audio/transcriptions", data=fields, files={"file": ("a", visit)})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_form_needs_one_file(raw: httpx.Client, visit: bytes) -> None:
    url = "/openai/v1/audio/transcriptions"
    none = raw.post(url, files={"model": (None, MODEL)})
    two = raw.post(url, files=[("model", (None, MODEL)), ("file", ("a", visit)), ("file", ("b", visit))])
    no_form = raw.post(url, json={"model": MODEL})
    assert [answer.status_code for answer in (none, two, no_form)] == [400, 400, 400]
    assert [answer.json()["error"]["param"] for answer in (none, two)] == ["file", "file"]
    assert raw.get(url).status_code == 405
    assert "message" in raw.get(url).json()["error"]


def test_too_much_is_too_large(raw: httpx.Client) -> None:
    large = b"OggS\0" + bytes(3_100_000)
    files: list[tuple[str, Any]] = [("model", (None, MODEL)), ("file", ("a", large))]
    answer = raw.post("/openai/v1/audio/transcriptions", files=files)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_unknown_fields_are_ignored(api: OpenAI, visit: bytes, reference: list[tuple[int, int, str]]) -> None:
    made = api.audio.transcriptions.create(
        file=visit,
        model="gpt-4o-transcribe-diarize",
        prompt="Metformin, Ramipril",
        temperature=0.2,
        chunking_strategy="auto",
        include=["logprobs"],
        extra_body={"nonsense": "1"},
    )
    assert made.text == " ".join(text for _, _, text in reference)


def test_a_token_for_one_session_transcribes_nothing(server: RunningServer, raw: httpx.Client, visit: bytes) -> None:
    encounter = sent(raw, visit, note=False)
    wanted = {"scope": "follow", "encounter_id": encounter}
    token = raw.post("/api/tokens", json=wanted).raise_for_status().json()["token"]
    with client(server.base_url, token) as follower:
        files: list[tuple[str, Any]] = [("model", (None, MODEL)), ("file", ("a", visit))]
        answer = follower.post("/openai/v1/audio/transcriptions", files=files)
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")
    raw.delete(f"/api/encounters/{encounter}").raise_for_status()


def test_another_tenant_hears_the_same(server: RunningServer, visit: bytes, reference: object) -> None:
    key = make_key(server, "elsewhere")
    with OpenAI(base_url=f"{server.base_url}/openai/v1", api_key=key, max_retries=0, timeout=60) as other:
        assert other.audio.transcriptions.create(file=visit, model=MODEL).text
