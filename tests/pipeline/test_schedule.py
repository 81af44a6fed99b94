"""What the schedule promises, held by made-up arrivals. Nothing here has a clock."""

import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.costs import Costs
from pipeline.schedule import BOUNDED_S, PATIENCE, Rank, Schedule, Ticket
from pipeline.types import Purpose, RecognitionRequest
from tests.simulation import request

FINAL, SPECULATIVE, FIRST_PARTIAL, REFRESH = Purpose
LOWER_LINES = len(Rank) - 1


def schedule(*requests: RecognitionRequest, lanes: int = 1, max_batch: int = 1) -> Schedule[Ticket]:
    made: Schedule[Ticket] = Schedule(measured(), lanes=lanes, max_batch=max_batch)
    for each in requests:
        made.submit(Ticket(request=each), 0.0)
    return made


def measured(call: float = 0.1, item: float = 0.001) -> Costs:
    """What an engine costs for which batches pay."""
    costs = Costs()
    for cost in (costs.whole, costs.partial):
        for count in (1, 1, 4, 1, 4, 8):
            cost.observe(count, count, call + count * item, anchor=True)
    return costs


def drained(line: Schedule[Ticket]) -> Iterator[tuple[RecognitionRequest, ...]]:
    """Every batch until nothing waits, each answered before the next one."""
    while batch := line.take():
        yield tuple(ticket.request for ticket in batch)
        line.done(batch)


def order(line: Schedule[Ticket]) -> list[tuple[str, int]]:
    return [(each.stream_id, each.segment) for batch in drained(line) for each in batch]


# One request after the other


def test_finals_and_guesses_at_them_come_first_by_arrival() -> None:
    line = schedule(
        request("a", 0, REFRESH),
        request("b", 1, SPECULATIVE),
        request("c", 2, FIRST_PARTIAL),
        request("d", 3, FINAL),
        request("e", 4, FINAL, live=False),
    )
    assert [segment for _, segment in order(line)] == [1, 3, 2, 0, 4]


def test_of_a_stream_only_the_newest_partial_waits_and_it_keeps_the_place_in_line() -> None:
    line = schedule(request("a", 0, REFRESH, seconds=1), request("b", 0, REFRESH), request("a", 0, REFRESH, seconds=2))
    assert [(batch[0].stream_id, len(batch[0].pcm)) for batch in drained(line)] == [("a", 32_000), ("b", 16_000)]
    assert line.superseded == 1


def test_a_refresh_is_as_urgent_as_the_first_partial_it_replaces() -> None:
    line = schedule(request("a", 0, FIRST_PARTIAL), request("b", 0, REFRESH), request("a", 1, REFRESH))
    assert order(line) == [("a", 1), ("b", 0)]


def test_a_guess_does_not_overtake_the_finals_that_came_while_its_partial_waited() -> None:
    line = schedule(request("a", 0, REFRESH), request("b", 0, FINAL), request("a", 0, SPECULATIVE))
    assert order(line) == [("b", 0), ("a", 0)]


def test_a_final_makes_its_streams_partial_pointless() -> None:
    line = schedule(request("a", 0, REFRESH), request("a", 0, FINAL))
    assert [batch[0].purpose for batch in drained(line)] == [FINAL]


def test_a_final_of_an_earlier_segment_leaves_a_guess_about_the_next_one_alone() -> None:
    line = schedule(request("a", 1, SPECULATIVE), request("a", 0, FINAL))
    assert sorted(order(line)) == [("a", 0), ("a", 1)]


@pytest.mark.parametrize("in_the_engine", [False, True])
def test_a_guess_that_comes_true_is_recognised_once(in_the_engine: bool) -> None:
    line = schedule(request("b", 7, FINAL), request("a", 0, SPECULATIVE, seconds=3))
    batches = [line.take()]
    if in_the_engine:
        line.done(batches[0])
        batches.append(line.take())
    ticket = line.confirm(request("a", 0, FINAL, seconds=3), 1.0)
    assert ticket is not None
    assert ticket.request.purpose is FINAL
    line.submit(Ticket(request=request("a", 1, FIRST_PARTIAL)), 2.0)  # does not replace it any more
    line.done(batches[-1])
    assert order(line) == [*([] if in_the_engine else [("a", 0)]), ("a", 1)]


def test_a_guess_about_other_audio_is_not_confirmed() -> None:
    line = schedule(request("a", 0, SPECULATIVE, seconds=3))
    assert line.confirm(request("a", 0, FINAL, seconds=3.2), 1.0) is None
    assert line.confirm(request("a", 1, FINAL, seconds=3), 1.0) is None
    assert line.confirm(request("b", 0, FINAL, seconds=3), 1.0) is None


def test_a_cancelled_stream_is_forgotten_in_line_and_in_the_engine() -> None:
    line = schedule(request("gone", 0), request("gone", 1), request("here", 2))
    batch = line.take()
    line.cancel("gone")
    assert batch[0].cancelled
    assert not line.again(batch[0])
    line.done(batch)
    assert order(line) == [("here", 2)]


def test_what_is_put_back_gives_way_to_what_its_stream_asked_since_but_not_to_what_it_asked_before() -> None:
    line = schedule(request("a", 0, REFRESH), lanes=3)
    older = line.take()
    line.submit(Ticket(request=request("a", 0, SPECULATIVE)), 1.0)
    newer = line.take()
    assert line.again(older[0])
    assert line.again(newer[0])  # replaces the older one, which is in line again
    assert not line.again(older[0])
    line.done(older)
    line.done(newer)
    assert [batch[0].purpose for batch in drained(line)] == [SPECULATIVE]


def test_the_oldest_final_says_how_late_it_is() -> None:
    line = schedule(request("a", 0, REFRESH), request("f", 0, FINAL, live=False))
    assert line.late(9.0) == 0.0
    line.submit(Ticket(request=request("b", 0)), 2.0)
    assert line.late(9.0) == 7.0
    assert (line.waiting_finals, line.waiting_files) == (1, 1)


# Batches


def test_where_a_call_costs_what_its_requests_cost_they_go_alone() -> None:
    costs = measured(call=0.0, item=0.1)
    line: Schedule[Ticket] = Schedule(costs, max_batch=8)
    for segment in range(8):
        line.submit(Ticket(request=request("a", segment)), 0.0)
    assert [len(batch) for batch in drained(line)] == [1] * 8


def test_where_a_call_costs_the_same_for_many_they_go_together() -> None:
    line = schedule(*(request(f"s{n}") for n in range(8)), max_batch=8)
    assert [len(batch) for batch in drained(line)] == [8]


def test_before_anything_is_measured_requests_go_alone() -> None:
    line: Schedule[Ticket] = Schedule(Costs(), max_batch=8)
    for segment in range(3):
        line.submit(Ticket(request=request("a", segment)), 0.0)
    assert [len(batch) for batch in drained(line)] == [1, 1, 1]


def test_a_batch_holds_requests_of_similar_length_and_none_overtakes_its_own_stream() -> None:
    line = schedule(
        request("a", 0, seconds=1),
        request("b", 0, seconds=9),
        request("b", 1, seconds=1),
        request("c", 0, seconds=0.9),
        max_batch=8,
    )
    batches = [[(each.stream_id, each.segment) for each in batch] for batch in drained(line)]
    assert batches == [[("a", 0), ("c", 0)], [("b", 0)], [("b", 1)]]


def test_an_engine_that_computes_thirty_seconds_whatever_it_gets_has_one_length() -> None:
    costs = measured()
    costs.window = 480_000
    line: Schedule[Ticket] = Schedule(costs, max_batch=8)
    for each in (request("a", seconds=1), request("b", seconds=9)):
        line.submit(Ticket(request=each), 0.0)
    assert [len(batch) for batch in drained(line)] == [2]


def test_finals_and_partials_are_never_in_one_batch_but_both_kinds_of_partials_are() -> None:
    line = schedule(request("a"), request("b", 0, REFRESH), request("c", 0, FIRST_PARTIAL), max_batch=8)
    assert [[each.purpose for each in batch] for batch in drained(line)] == [[FINAL], [FIRST_PARTIAL, REFRESH]]


def test_a_text_that_looked_wrong_is_tried_again_behind_the_finals_in_a_batch_of_its_own() -> None:
    line = schedule(request("a", 0), request("b", 1), max_batch=8)
    batch = line.take()
    for segment in (2, 3):
        line.submit(Ticket(request=request("c", segment)), 0.0)
    wrong = batch[0]
    wrong.request = request("a", 0, temperature=0.2)
    assert line.again(wrong)
    line.done(batch)
    assert [[each.segment for each in batch] for batch in drained(line)] == [[2, 3], [0]]


def test_what_failed_in_company_goes_alone() -> None:
    line = schedule(request("a", 0), request("b", 1), max_batch=8)
    batch = line.take()
    assert len(batch) == 2
    for ticket in batch:
        ticket.alone = True
        assert line.again(ticket)
    line.submit(Ticket(request=request("c", 2)), 0.0)
    line.done(batch)
    assert [len(batch) for batch in drained(line)] == [1, 1, 1]


# Files


def test_files_take_full_batches_while_nobody_listens_and_small_ones_while_somebody_does() -> None:
    files = [request("file", segment, live=False) for segment in range(8)]
    assert [len(batch) for batch in drained(schedule(*files, max_batch=8))] == [8]
    line: Schedule[Ticket] = Schedule(measured(call=0.0, item=0.1), max_batch=8)
    for each in (request("live", 0), *files):
        line.submit(Ticket(request=each), 0.0)
    assert [len(batch) for batch in drained(line)] == [1, 2, 2, 2, 2]


def test_files_leave_a_lane_free_while_somebody_listens() -> None:
    files = [request("file", segment, live=False) for segment in range(5)]
    assert all(schedule(*files, lanes=2).take() for _ in range(2))
    line = schedule(request("live", 0), *files, lanes=3)
    line.done(line.take())
    first, second = line.take(), line.take()
    assert first
    assert second
    assert not line.take()
    line.submit(Ticket(request=request("live", 1)), 0.0)
    assert line.take()[0].stream == "live"
    line.cancel("live")
    line.done(first)
    assert line.take()


def test_files_whose_patience_has_ended_do_not_have_all_lanes() -> None:
    files = [request("file", segment, live=False) for segment in range(5)]
    line = schedule(request("live", 0, REFRESH), *files, lanes=2)
    line.done(line.take())
    assert line.take()[0].rank is Rank.FILE
    for segment in range(2 * PATIENCE):
        line.submit(Ticket(request=request("live", segment)), 0.0)
        batch = line.take()
        assert batch[0].stream == "live"
        line.done(batch)
    assert not line.take()


def test_files_whose_patience_has_ended_have_the_last_free_lane() -> None:
    finals = [request("live", segment) for segment in range(2 * PATIENCE)]
    line = schedule(*finals, request("file", 0, live=False), lanes=2)
    busy = line.take()
    served = []
    while batch := line.take():
        served.append(batch[0].stream)
        line.done(batch)
    line.done(busy)
    assert served.index("file") == PATIENCE - 1


def test_files_get_one_batch_in_nine_while_finals_wait_however_many_lanes_there_are() -> None:
    line = schedule(lanes=2)
    segments = itertools.count()
    running: list[tuple[Ticket, ...]] = []
    served: Counter[bool] = Counter()
    for _ in range(400):
        while line.waiting_finals < 5:
            line.submit(Ticket(request=request("live", next(segments))), 0.0)
        while line.waiting_files < 5:
            line.submit(Ticket(request=request("file", next(segments), live=False)), 0.0)
        while batch := line.take():
            served[batch[0].request.live] += 1
            running.append(batch)
        line.done(running.pop(0))
    assert served[True] / PATIENCE * 0.8 < served[False] < served[True] / PATIENCE * 1.1


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
