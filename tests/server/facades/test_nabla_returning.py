import base64
from typing import Any

import msgspec
import pytest

from pipeline.types import Role, Utterance
from server.domain import EncounterOptions, EncounterRow, Stage, State, StreamSpec
from server.facades.nabla import schema
from server.facades.nabla import schema_c as wire
from server.facades.nabla.dialect import Setup
from server.facades.nabla.generation_c import GenerationC
from server.facades.nabla.returning import Beginning, chosen, eligible, proves, untold, zero
from server.replays import Candidate, Match

VOICE = bytes(range(200)) * 16
SILENCE = bytes(3200)  # 100 ms
CONFIG = {
    "type": "CONFIG",
    "speech_locales": ["ENGLISH_US"],
    "streams": [{"id": "d", "speaker_type": "DOCTOR"}, {"id": "p", "speaker_type": "PATIENT"}],
}
SETUP: Setup = GenerationC().setup(msgspec.convert(CONFIG, wire.Config), 4, {"en"})


def chunk(body: bytes, number: int | None, stream: str = "d") -> schema.AudioChunk:
    return wire.AudioChunk(payload=base64.b64encode(body).decode(), stream_id=stream, seq_id=number)


def candidate(*, attended: bool) -> Candidate:
    unused: dict[str, Any] = {"failure": None, "last_key": None, "completed_at": None, "fetched_at": None}
    row = EncounterRow(
        id="e",
        tenant_id="t",
        key_id="k",
        token_id="",
        options=EncounterOptions(api="nabla-c", streams=(StreamSpec(name="stream0"),)),
        state=State.LIVE,
        stages={Stage.CREATED: 0.0},
        percentage=0,
        warnings=(),
        epoch=1,
        owner="o",
        data_key=None,
        resumptions=0,
        created_at=0.0,
        active_at=0.0,
        **unused,
    )
    return Candidate(row=row, attended=attended)


WAITING, BUSY = candidate(attended=False), candidate(attended=True)


@pytest.mark.parametrize("body", [b"", b"\x01", SILENCE, b"\x01\x00" * 1600, b"\x01\x00\xff\xff" * 800])
def test_silence_proves_nothing(body: bytes) -> None:
    assert not proves(body)


def test_a_voice_proves_whose_it_is_even_in_half_a_sample_too_much() -> None:
    assert proves(VOICE)
    assert proves(VOICE + b"\x00")


def test_the_first_chunk_with_a_voice_in_it_is_evidence() -> None:
    beginning = Beginning(SETUP)
    evidence = beginning.add(chunk(VOICE, 57, "p"))
    assert evidence is not None
    assert (evidence.stream, evidence.number, evidence.body) == (1, 57, VOICE)
    assert (evidence.before, evidence.first) == (0, 57)
    assert beginning.settled


def test_silence_is_held_back_until_somebody_speaks() -> None:
    beginning = Beginning(SETUP)
    for number, stream in ((10, "d"), (11, "p"), (12, "d")):
        assert beginning.add(chunk(SILENCE, number, stream)) is None
    assert not beginning.settled
    evidence = beginning.add(chunk(VOICE, 13, "p"))
    assert evidence is not None
    assert (evidence.number, evidence.before, evidence.first) == (13, 3200, 10)
    assert len(beginning.messages) == 4


def test_three_seconds_of_silence_are_enough_to_wait_for() -> None:
    beginning = Beginning(SETUP)
    for number in range(31):
        assert not beginning.settled
        beginning.add(chunk(SILENCE, number))
    assert beginning.settled


UNUSABLE = [chunk(VOICE, 3, "nobody"), wire.AudioChunk(payload="#", stream_id="d", seq_id=3)]  # answered when taken


@pytest.mark.parametrize("message", [wire.End(), chunk(VOICE, None), *UNUSABLE])
def test_anything_but_numbered_silence_settles_that_nothing_is_repeated(message: schema.ClientMessage) -> None:
    beginning = Beginning(SETUP)
    assert beginning.add(message) is None
    assert beginning.settled
    assert beginning.messages == [message]


def test_a_socket_that_begins_to_count_takes_no_session_from_another() -> None:
    assert eligible([WAITING, BUSY], None) == [WAITING, BUSY]
    assert eligible([WAITING, BUSY], 0) == eligible([WAITING, BUSY], 1) == [WAITING]
    assert eligible([WAITING, BUSY], 57) == [WAITING, BUSY]


def test_only_a_session_beyond_doubt_is_continued() -> None:
    waiting, busy = (Match(candidate=one, offset=0) for one in (WAITING, BUSY))
    assert chosen([]) is None
    assert chosen([waiting]) is waiting
    assert chosen([waiting, waiting]) is None
    assert chosen([waiting, busy]) is waiting
    assert chosen([busy]) is busy
    assert chosen([busy, busy]) is None


def test_a_sockets_time_begins_with_its_first_chunk() -> None:
    assert zero(32_000, 16_000) == 16_000
    assert zero(32_000, 8_000) == 32_000
    assert zero(-3200, 16_000) == 0


def test_finals_are_told_that_were_not_told_or_may_have_been_lost() -> None:
    def final(end_s: int) -> Utterance:
        return Utterance(id="i", stream="s", role=Role.DOCTOR, start=0, end=end_s * 16_000, text="")

    since = 60 * 16_000
    assert not untold(3, final(50), 4, since)
    assert untold(4, final(20), 4, since)
    assert untold(3, final(51), 4, since)
