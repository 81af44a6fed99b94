"""The newest connection feeds a stream."""

from server.attendance import Attendances


def test_a_newer_connection_displaces_the_one_before() -> None:
    attendances = Attendances()
    with attendances.attend(0, 1) as first:
        with attendances.attend(1) as second:
            assert first.displaced.is_set()
            assert not second.displaced.is_set()
            assert (first.kept, second.kept) == ((0,), (1,))
        assert attendances, "the first one still feeds stream 0"
    assert not attendances


def test_a_connection_that_has_ended_learns_that_a_newer_one_feeds_its_stream() -> None:
    attendances = Attendances()
    with attendances.attend(0, 1) as former:
        pass
    assert list(former.kept) == [0, 1]
    with attendances.attend(1):
        assert former.displaced.is_set()
    assert list(former.kept) == [0], "also when the newer one has ended"


def test_connections_of_different_streams_leave_each_other_alone() -> None:
    attendances = Attendances()
    with attendances.attend(0) as doctor, attendances.attend(1) as patient:
        assert not doctor.displaced.is_set()
        assert not patient.displaced.is_set()


def test_a_displaced_connection_that_leaves_does_not_take_the_newer_one_with_it() -> None:
    attendances = Attendances()
    former = attendances.attend(0)
    former.__enter__()
    with attendances.attend(0):
        former.__exit__(None, None, None)
        assert attendances
