"""Which worker gets a request, and for how long one that fails is left out."""

from server.internal.choosing import MAX_OUT_S, OUT_S, Worker, Workers


def two(lanes: int = 1) -> tuple[Workers, Worker, Worker]:
    workers = Workers()
    first, second = Worker(url="http://first", lanes=lanes), Worker(url="http://second", lanes=lanes)
    workers.update([first, second])
    return workers, first, second


def test_the_worker_with_the_least_to_do_gets_the_request() -> None:
    workers, first, second = two()
    workers.begin(first, "a")
    assert workers.choose("b", 0.0) is second
    workers.begin(second, "b")
    workers.begin(second, "c")
    assert workers.choose("d", 0.0) is first


def test_a_worker_with_more_lanes_gets_more() -> None:
    workers, first, second = two()
    second.lanes = 4
    given = []
    for stream in "abcde":
        worker = workers.choose(stream, 0.0)
        assert worker is not None
        workers.begin(worker, stream)
        given.append(worker)
    assert given.count(second) == 4
    assert given.count(first) == 1


def test_a_stream_goes_back_to_who_has_heard_it_while_that_one_has_a_free_lane() -> None:
    workers, first, second = two(lanes=2)
    workers.begin(second, "a")
    assert workers.choose("a", 0.0) is second
    workers.begin(second, "b")
    assert workers.choose("a", 0.0) is first


def test_one_that_fails_is_left_out_for_a_second_then_twice_as_long_up_to_half_a_minute() -> None:
    workers, first, _ = two()
    workers.update([first])
    now = 0.0
    for times in range(8):
        began = now
        assert workers.choose("a", now) is first
        assert workers.failed(first, began, now + 0.5)
        out = min(MAX_OUT_S, OUT_S * 2**times)
        assert workers.choose("a", now + 0.5 + out - 0.01) is None
        assert workers.next_at() == now + 0.5 + out
        now += 0.5 + out


def test_calls_that_fail_together_are_one_failure() -> None:
    workers, first, _ = two()
    assert workers.failed(first, 1.0, 2.0)
    assert not workers.failed(first, 1.5, 2.1)
    assert first.failures == 1
    assert first.out_until == 2.0 + OUT_S


def test_one_that_failed_comes_back_by_one_request() -> None:
    workers, first, _ = two(lanes=4)
    workers.update([first])
    workers.failed(first, 0.0, 0.0)
    assert workers.choose("a", OUT_S) is first
    workers.begin(first, "a")
    assert workers.choose("b", OUT_S) is None
    workers.answered(first)
    assert workers.choose("b", OUT_S) is first


def test_one_that_is_busy_is_asked_again_when_it_said() -> None:
    workers, first, second = two()
    workers.busy(first, 3.0)
    assert workers.choose("a", 2.0) is second
    workers.begin(second, "a")
    assert workers.choose("b", 3.0) is first


def test_what_is_known_of_a_worker_outlives_a_look_at_its_name() -> None:
    workers, first, _ = two()
    workers.failed(first, 0.0, 0.0)
    workers.update([Worker(url="http://first"), Worker(url="http://third")])
    assert {worker.url: worker.failures for worker in workers} == {"http://first": 1, "http://third": 0}
