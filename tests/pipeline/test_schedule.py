"""What the schedule promises, held by made-up arrivals. Nothing here has a clock."""

import pytest

from pipeline.costs import Costs
from pipeline.schedule import PATIENCE, Rank, Schedule, Ticket
from pipeline.types import Purpose
from tests.simulation import drained, measured, request, schedule

FINAL, SPECULATIVE, FIRST_PARTIAL, REFRESH = Purpose


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


def test_a_long_batch_of_files_does_not_use_up_the_patience_of_the_next_one() -> None:
    line = schedule(
        request("live", 0, REFRESH), request("file", 0, live=False), request("file", 1, live=False), lanes=2
    )
    line.done(line.take())
    long = line.take()
    assert long[0].rank is Rank.FILE
    for segment in range(4 * PATIENCE):
        line.submit(Ticket(request=request("live", segment)), 0.0)
    for _ in range(2 * PATIENCE):
        line.done(line.take())
    line.done(long)
    busy, served = line.take(), []
    while batch := line.take():
        served.append(batch[0].rank)
        line.done(batch)
    line.done(busy)
    assert served.index(Rank.FILE) == PATIENCE - 1
