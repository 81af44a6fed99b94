"""Packets come in any order, or not at all, and leave in theirs."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from server.ingest.jitter import Jitter, Packet, gap_ticks

DEPTH = 3


def packet(number: int, *, ssrc: int = 7, ticks: int = 960) -> Packet:
    return Packet(ssrc, number % 65_536, number * ticks % (1 << 32), number.to_bytes(8, "big"), number * 0.02)


def numbers(packets: Iterable[Packet]) -> list[int]:
    return [int.from_bytes(each.payload, "big") for each in packets]


def through(jitter: Jitter, packets: Iterable[Packet]) -> list[int]:
    return numbers(out for each in packets for out in jitter.push(each)) + numbers(jitter.flush())


@st.composite
def shuffled(draw: st.DrawFn) -> list[int]:
    """Consecutive numbers, each overtaken by at most `DEPTH` later ones; the first stays, as nothing is before it."""
    first = draw(st.integers(0, 200_000))
    length = draw(st.integers(1, 60))
    delays = draw(st.lists(st.integers(0, DEPTH), min_size=length, max_size=length))
    order = sorted(range(1, length), key=lambda index: (index + delays[index], index))
    return [first, *(first + index for index in order)]


def test_a_packet_in_its_turn_passes_at_once() -> None:
    jitter = Jitter(DEPTH)
    assert [numbers(jitter.push(packet(number))) for number in range(5)] == [[0], [1], [2], [3], [4]]


def test_a_lost_packet_costs_only_itself_and_delays_those_after_it_no_longer_than_the_depth() -> None:
    jitter = Jitter(DEPTH)
    assert [numbers(jitter.push(packet(number))) for number in (0, 1, 3, 4, 5, 6, 7)] == [
        *([0], [1], [], [], []),
        *([3, 4, 5, 6], [7]),
    ]
    assert (jitter.lost, jitter.held) == (1, 0)


@given(shuffled())
def test_packets_overtaken_within_the_depth_are_put_in_order_again(order: list[int]) -> None:
    jitter = Jitter(DEPTH)
    assert through(jitter, map(packet, order)) == sorted(order)
    assert (jitter.lost, jitter.discarded, jitter.restarts) == (0, 0, 0)


@given(first=st.integers(0, 200_000), kept=st.lists(st.booleans(), max_size=200))
def test_whatever_is_lost_all_others_come_out_in_order_and_the_loss_is_counted(first: int, kept: list[bool]) -> None:
    jitter = Jitter(DEPTH)
    came = [first, *(first + index for index, here in enumerate(kept, start=1) if here)]
    assert through(jitter, map(packet, came)) == came
    assert jitter.lost == came[-1] - first + 1 - len(came)


@given(order=shuffled(), copies=st.data())
def test_what_comes_twice_is_heard_once(order: list[int], copies: st.DataObject) -> None:
    jitter = Jitter(DEPTH)
    doubled = [number for number in order for _ in range(copies.draw(st.integers(1, 3)))]
    assert through(jitter, map(packet, doubled)) == sorted(order)
    assert jitter.discarded == len(doubled) - len(order)


@given(st.lists(st.tuples(st.integers(0, 70_000), st.integers(1, 3)), max_size=200))
def test_no_nonsense_makes_it_hold_more_than_its_depth_or_tell_a_packet_twice(came: list[tuple[int, int]]) -> None:
    jitter = Jitter(DEPTH)
    out = 0
    for number, ssrc in came:
        out += len(jitter.push(packet(number, ssrc=ssrc)))
        assert jitter.held <= DEPTH
    assert out + len(jitter.flush()) + jitter.discarded <= len(came)


def test_a_packet_that_comes_too_late_is_dropped_and_counted() -> None:
    jitter = Jitter(DEPTH)
    assert through(jitter, map(packet, (0, 2, 3, 4, 5, 1, 6))) == [0, 2, 3, 4, 5, 6]
    assert (jitter.lost, jitter.discarded) == (1, 1)


def test_a_sender_that_begins_anew_is_followed_from_its_second_packet_on() -> None:
    jitter = Jitter(DEPTH)
    old, new = [packet(number) for number in range(3)], [packet(40_000 + number) for number in range(3)]
    assert through(jitter, old + new) == [0, 1, 2, 40_000, 40_001, 40_002]
    assert (jitter.restarts, jitter.lost) == (1, 0)


def test_another_source_takes_over_and_what_the_first_still_had_is_told_before() -> None:
    jitter = Jitter(DEPTH)
    old, new = [packet(number) for number in (0, 2, 3)], [packet(10 + number, ssrc=9) for number in range(2)]
    assert through(jitter, old + new) == [0, 2, 3, 10, 11]


def test_one_stray_packet_changes_nothing() -> None:
    jitter = Jitter(DEPTH)
    assert through(jitter, [packet(0), packet(50_000), packet(1), packet(2, ssrc=8), packet(2)]) == [0, 1, 2]
    assert jitter.restarts == 0


def test_a_sender_that_is_mostly_silent_does_not_make_what_follows_a_gap_wait_for_seconds() -> None:
    jitter = Jitter(DEPTH)
    rare = [packet(number, ticks=19_200) for number in (0, 2, 3)]  # 400 ms apart
    assert [numbers(jitter.push(each)) for each in rare] == [[0], [], [2, 3]]


def test_a_gap_is_what_was_sent_and_never_came() -> None:
    assert gap_ticks(packet(65_534), packet(65_539)) == 4 * 960
    assert gap_ticks(packet(10), packet(11)) == 0
    paused = packet(11)._replace(timestamp=packet(500).timestamp)
    assert gap_ticks(packet(10), paused) == 0  # nothing was sent meanwhile
    assert gap_ticks(packet(10), packet(20, ssrc=8)) == 0
    assert gap_ticks(packet(10_000), packet(3)) == 0  # numbered anew
