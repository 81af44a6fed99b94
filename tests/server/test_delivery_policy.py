from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.deliveries.policy import FIRST_S, LASTS_S, LONGEST_S, State, verdict
from server.outgoing import Answer

NOW = 1_800_000_000.0


def answer(status: int | None, retry_after: str | None = None) -> Answer:
    return Answer(status=status, error=None if status else "timeout", retry_after=retry_after, duration_ms=1)


@given(status=st.integers(200, 299), attempts=st.integers(1, 100), age=st.floats(0, 2 * LASTS_S))
def test_what_was_taken_is_delivered_however_late(status: int, attempts: int, age: float) -> None:
    assert verdict(answer(status), attempts=attempts, age_s=age, now=NOW, jitter=0.5).state is State.DELIVERED


def test_gone_is_for_good() -> None:
    assert verdict(answer(410), attempts=1, age_s=0, now=NOW, jitter=0.5).state is State.DEAD


@given(
    status=st.one_of(st.none(), st.integers(100, 599).filter(lambda status: status // 100 != 2 and status != 410)),
    retry_after=st.one_of(st.none(), st.text(max_size=30), st.integers(-10, 10**6).map(str)),
    jitter=st.floats(0, 1),
)
def test_any_receiver_is_given_up_after_a_day_and_never_hammered(
    status: int | None, retry_after: str | None, jitter: float
) -> None:
    age, attempts, waits = 0.0, 0, []
    while True:
        attempts += 1
        judged = verdict(answer(status, retry_after), attempts=attempts, age_s=age, now=NOW + age, jitter=jitter)
        if judged.state is State.DEAD:
            break
        waits.append(judged.wait_s)
        age += judged.wait_s
    assert age == pytest.approx(LASTS_S)
    assert attempts < 60
    assert all(wait >= FIRST_S * 0.5 for wait in waits[:-1])


def test_waits_grow_up_to_a_bound_and_differ_by_chance() -> None:
    def wait(attempts: int, jitter: float = 0.5) -> float:
        return verdict(answer(500), attempts=attempts, age_s=0, now=NOW, jitter=jitter).wait_s

    assert [wait(number) for number in (1, 2, 3)] == [5, 15, 45]
    assert wait(50) == LONGEST_S
    assert wait(1, 0) == 2.5
    assert wait(1, 1) == 7.5


@pytest.mark.parametrize(
    ("said", "waits"),
    [
        ("120", 120),
        (" 120 ", 120),
        (format_datetime(datetime.fromtimestamp(NOW + 300, UTC), usegmt=True), 300),
        (format_datetime(datetime.fromtimestamp(NOW - 300, UTC), usegmt=True), 5),
        ("soon", 5),
        ("-3", 5),
        ("9" * 400, 5),
        ("999999999", LASTS_S),
    ],
)
def test_who_says_when_to_come_again_is_listened_to(said: str, waits: float) -> None:
    judged = verdict(answer(503, said), attempts=1, age_s=0, now=NOW, jitter=0.5)
    assert judged.wait_s == pytest.approx(waits, abs=1)
