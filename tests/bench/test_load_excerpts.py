"""What callers say: whole items, as they were recorded, each caller from elsewhere."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.clients import to_s16le
from bench.excerpts import BYTES_PER_MS, PAUSE_MS, excerpts
from bench.recordings import Recording
from pipeline.types import Role

COUGH = Recording.load("cough")
RECORDED = to_s16le(COUGH.mono())


def test_the_first_caller_says_the_recordings_own_beginning() -> None:
    (excerpt,) = excerpts(COUGH, callers=1, seconds=30)
    first = COUGH.items[0]
    assert excerpt.items[0].text == first.text
    assert excerpt.items[0].start_ms == PAUSE_MS
    begin = (first.start_ms - PAUSE_MS) * BYTES_PER_MS
    assert excerpt.audio == RECORDED[begin : begin + len(excerpt.audio)]


@settings(max_examples=20, deadline=None)
@given(callers=st.integers(1, 50), seconds=st.integers(10, 300), apart=st.booleans())
def test_nobody_is_cut_short(callers: int, seconds: int, apart: bool) -> None:
    for excerpt in excerpts(COUGH, callers=callers, seconds=seconds, apart=apart):
        length_ms = len(excerpt.audio) // BYTES_PER_MS
        last = excerpt.items[-1]
        assert 0 <= excerpt.items[0].start_ms <= PAUSE_MS
        assert all(item.end_ms <= length_ms for item in excerpt.items)
        assert last.end_ms <= length_ms <= last.end_ms + PAUSE_MS
        assert last.end_ms <= seconds * 1000


def test_callers_begin_at_different_places() -> None:
    beginnings = [excerpt.items[0].text for excerpt in excerpts(COUGH, callers=8, seconds=10)]
    assert len(set(beginnings)) == 8


def test_the_recording_goes_on_from_its_beginning() -> None:
    (excerpt,) = excerpts(COUGH, callers=1, seconds=COUGH.seconds + 20)
    texts = [item.text for item in excerpt.items]
    assert texts.count(COUGH.items[0].text) == 2


def test_microphones_apart_hear_one_voice_each() -> None:
    doctor, patient = excerpts(COUGH, callers=2, seconds=30, apart=True)
    assert {item.speaker for item in doctor.items} == {Role.DOCTOR}
    assert {item.speaker for item in patient.items} == {Role.PATIENT}


def test_too_short_for_anything_that_is_said_is_an_error() -> None:
    with pytest.raises(ValueError, match="too short"):
        excerpts(COUGH, callers=1, seconds=1)
