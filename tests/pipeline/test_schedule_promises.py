"""What the schedule promises, held by simulated and by random arrivals. Nothing here has a clock."""

import heapq
import itertools
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.costs import Costs
from pipeline.schedule import BOUNDED_S, PATIENCE, Rank, Schedule, Ticket
from pipeline.types import Purpose, RecognitionRequest
from tests.simulation import drained, request, schedule

FINAL, REFRESH = Purpose.FINAL, Purpose.REFRESH
LOWER_LINES = len(Rank) - 1


def costs_of(live_item: float, file_item: float) -> Costs:
    costs = Costs()
    for count in (1, 1, 4, 1, 4, 8):
        costs.whole.observe(count, count * 10, count * file_item, anchor=True)
        costs.partial.observe(count, count, count * live_item, anchor=True)
    return costs


@pytest.mark.parametrize(("lanes", "file_item"), [(1, 0.05), (1, 0.6), (2, 0.6), (3, 0.6)])
def test_a_live_final_waits_for_one_bounded_batch_of_files_at_most(lanes: int, file_item: float) -> None:
    """In simulated time: files without end, and now and then a final that somebody waits for."""
    costs = costs_of(0.02, file_item)
    line: Schedule[Ticket] = Schedule(costs, lanes=lanes, max_batch=16)
    arrivals = [10 + n * 2.37 for n in range(40)]
    line.submit(Ticket(request=request("live", 0, REFRESH)), 0.0)  # somebody listens
    waits: list[float] = []
    ends: list[tuple[float, int, tuple[Ticket, ...]]] = []
    count, files, now = itertools.count(), itertools.count(), 0.0
    while arrivals:
        while line.waiting_files < 20:
            line.submit(Ticket(request=request("file", next(files), live=False, seconds=10)), now)
        while batch := line.take():
            live = [ticket for ticket in batch if ticket.request.live and ticket.request.purpose is FINAL]
            waits += [now - ticket.since for ticket in live]
            heapq.heappush(ends, (now + costs.predict([t.request for t in batch]), next(count), batch))
        if ends and ends[0][0] <= arrivals[0]:
            now, _, done = heapq.heappop(ends)
            line.done(done)
        else:
            now = arrivals.pop(0)
            line.submit(Ticket(request=request("live", next(count))), now)
    assert len(waits) >= 39
    assert max(waits) <= (max(BOUNDED_S, file_item * 1.01) if lanes == 1 else 0.0)
    assert next(files) > 100  # and files were served all the time


# Whatever arrives

purposes = st.sampled_from(list(Purpose))
arrivals = st.builds(
    request,
    st.sampled_from("abcd"),
    st.integers(0, 3),
    purposes,
    seconds=st.sampled_from((0.4, 1.5, 6.0)),
    tenant=st.sampled_from("xyz"),
    live=st.booleans(),
)


@given(st.lists(st.one_of(arrivals, st.none()), max_size=60), st.integers(1, 3), st.integers(1, 4))
def test_no_final_is_lost_and_of_each_stream_one_other_request_waits_at_most(
    steps: list[RecognitionRequest | None], lanes: int, max_batch: int
) -> None:
    line = schedule(lanes=lanes, max_batch=max_batch)
    handed: list[RecognitionRequest] = []
    running: list[tuple[Ticket, ...]] = []
    for step in steps:
        if step is not None:
            line.submit(Ticket(request=step), 0.0)
        elif batch := line.take():
            assert 1 <= len(batch) <= max_batch
            assert len({ticket.request.purpose.whole for ticket in batch}) == 1
            handed += [ticket.request for ticket in batch]
            running.append(batch)
        elif running:
            line.done(running.pop(0))
    for batch in running:
        line.done(batch)
    left = [each for batch in drained(line) for each in batch]
    assert all(count == 1 for count in Counter(each.stream_id for each in left if each.purpose is not FINAL).values())
    asked = [step for step in steps if step is not None]
    assert {each for each in asked if each.purpose is FINAL} <= {*handed, *left} <= set(asked)
    assert len(handed) + len(left) + line.superseded == len(asked)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from((0.4, 1.5, 6.0)), st.booleans()), max_size=60))
def test_a_streams_finals_are_handed_over_in_order(steps: list[tuple[str, float, bool]]) -> None:
    line = schedule(max_batch=4)
    handed: dict[str, list[int]] = defaultdict(list)
    segments = itertools.count()

    def serve() -> bool:
        batch = line.take()
        for ticket in batch:
            handed[ticket.stream].append(ticket.request.segment)
        if batch:
            line.done(batch)
        return bool(batch)

    for stream, seconds, served in steps:
        line.submit(Ticket(request=request(stream, next(segments), seconds=seconds, tenant=stream)), 0.0)
        if served:
            serve()
    while serve():
        pass
    assert all(finals == sorted(finals) for finals in handed.values())
    assert sum(map(len, handed.values())) == len(steps)


@given(st.lists(st.lists(arrivals, max_size=4), min_size=1, max_size=60))
def test_nothing_starves_whatever_arrives(rounds: list[list[RecognitionRequest]]) -> None:
    """Of any PATIENCE + 4 batches in a row one is from each line that waits all the time."""
    line = schedule(*(request(f"{rank}", 0, FINAL, live=False) for rank in range(200)))
    streams = itertools.count()
    waiting: Counter[Rank] = Counter()
    passed: Counter[Rank] = Counter()
    for arriving in itertools.islice(itertools.cycle(rounds), 60):
        for each in arriving:
            ticket = Ticket(request=request(f"s{next(streams)}", 0, each.purpose, tenant=each.tenant))
            line.submit(ticket, 0.0)
            waiting[ticket.rank] += 1
        batch = line.take()
        served = batch[0].rank
        waiting -= Counter(ticket.rank for ticket in batch)
        line.done(batch)
        for rank in Rank:
            passed[rank] = passed[rank] + 1 if rank is not served and (waiting[rank] or rank is Rank.FILE) else 0
            assert passed[rank] < PATIENCE + LOWER_LINES


@given(st.lists(st.lists(st.sampled_from("vwxyz"), max_size=5), min_size=1, max_size=60))
def test_tenants_take_turns(rounds: list[list[str]]) -> None:
    line = schedule()
    streams = itertools.count()
    waiting: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for arriving in itertools.islice(itertools.cycle(rounds), 80):
        for tenant in arriving:
            line.submit(Ticket(request=request(f"s{next(streams)}", tenant=tenant)), 0.0)
            waiting[tenant] += 1
        if batch := line.take():
            served = batch[0].request.tenant
            waiting[served] -= 1
            line.done(batch)
            for tenant in waiting:
                passed[tenant] = passed[tenant] + 1 if tenant != served and waiting[tenant] else 0
                assert passed[tenant] < 5


@given(st.lists(st.lists(arrivals, max_size=3), max_size=40), st.integers(0, 5))
def test_a_later_try_is_handed_over_soon_and_never_with_others(
    rounds: list[list[RecognitionRequest]], before: int
) -> None:
    line = schedule(request("wrong"), max_batch=8)
    batch = line.take()
    wrong = batch[0]
    wrong.request = request("wrong", temperature=0.2)
    for n in range(before):
        line.submit(Ticket(request=request(f"before{n}")), 0.0)
    line.again(wrong)
    line.done(batch)
    for count, arriving in enumerate(itertools.chain(rounds, itertools.repeat([]))):
        for each in arriving:
            line.submit(Ticket(request=each), 0.0)
        batch = line.take()
        line.done(batch)
        if wrong in batch:
            assert len(batch) == 1
            break
        assert count < PATIENCE + LOWER_LINES
