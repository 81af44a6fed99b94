import itertools
from collections.abc import Sequence

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.facades.nabla.acknowledging import NumberedAcknowledgements, Numbers

Chunk = tuple[int, int]  # stream, number


def after(streams: int, chunks: Sequence[Chunk]) -> Numbers:
    numbers = Numbers(streams)
    for stream, number in chunks:
        numbers.received(stream, number)
    return numbers


@pytest.mark.parametrize("first", [0, 1, 57])
def test_numbers_of_one_stream_are_reached_from_wherever_they_begin(first: int) -> None:
    assert after(1, []).reached is None
    assert after(1, [(0, first), (0, first + 1)]).reached == first + 1


def test_a_gap_in_the_numbers_is_accepted() -> None:
    assert after(1, [(0, 3), (0, 9)]).reached == 9


def test_numbers_that_count_over_all_streams_are_reached_up_to_the_newest() -> None:
    assert after(2, [(0, 0)]).reached is None
    assert after(2, [(0, 0), (1, 1)]).reached == 1
    assert after(2, [(0, 0), (1, 1), (0, 2)]).reached == 2


def test_numbers_that_count_each_stream_are_reached_where_the_slower_one_is() -> None:
    assert after(2, [(0, 0), (0, 1), (0, 2), (1, 0)]).reached == 0
    assert after(2, [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1)]).reached == 1
    assert after(3, [(0, 0), (1, 0), (0, 1)]).reached is None


def test_a_chunk_that_is_sent_twice_takes_nothing_back() -> None:
    assert after(2, [(0, 0), (1, 1), (0, 2), (0, 0), (1, 1)]).reached == 2


def test_at_the_end_everything_is_reached() -> None:
    assert after(2, [(0, 0), (0, 1), (1, 0)]).highest == 1
    assert after(2, []).highest is None


@given(st.lists(st.integers(0, 2), max_size=40), st.booleans(), st.integers(0, 60))
def test_nothing_is_reached_that_may_still_be_on_its_way(order: list[int], by_stream: bool, first: int) -> None:
    counters = [itertools.count(first) for _ in range(3)] if by_stream else [itertools.count(first)] * 3
    chunks = [(stream, next(counters[stream])) for stream in order]
    for heard in range(len(chunks) + 1):
        reached = after(3, chunks[:heard]).reached
        assert reached is None or all(number > reached for _, number in chunks[heard:])


def test_the_newest_chunk_that_proves_whose_it_is_stays_back() -> None:
    def before_proof(*proving: bool) -> int | None:
        numbers = Numbers(1)
        for number, proves in enumerate(proving, 57):
            numbers.received(0, number, proves=proves)
        return numbers.before_proof

    assert before_proof(True) is None
    assert before_proof(True, False) is None
    assert before_proof(True, False, True) == 58
    assert before_proof(False, False) == 58


async def test_what_stayed_back_is_told_when_nothing_more_comes() -> None:
    told: list[int] = []
    three = anyio.Event()

    async def commit() -> None:
        pass

    async def tell(number: int) -> None:
        told.append(number)
        if number == 3:
            three.set()

    acknowledgements = NumberedAcknowledgements(1, commit, tell, keeps_back=True)
    for number in (1, 2, 3):
        acknowledgements.received(0, number, proves=True)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(acknowledgements.run)
        with anyio.fail_after(30):
            await three.wait()
        tasks.cancel_scope.cancel()
    assert told == [2, 3]


async def test_a_number_is_told_once_and_only_behind_its_commit() -> None:
    ledger: list[str] = []

    async def commit() -> None:
        ledger.append("commit")

    async def tell(number: int) -> None:
        ledger.append(str(number))

    acknowledgements = NumberedAcknowledgements(2, commit, tell)
    await acknowledgements.finish()
    acknowledgements.received(0, 0)
    acknowledgements.received(1, 1)
    await acknowledgements.finish()
    await acknowledgements.finish()
    assert ledger == ["commit", "1"]
