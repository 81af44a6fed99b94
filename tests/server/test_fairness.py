from hypothesis import given
from hypothesis import strategies as st

from server.fairness import Waiting, chosen

tenants = st.sampled_from("abcd")
lines = st.lists(st.tuples(tenants, st.integers(-3, 3), st.integers(0, 1000)), max_size=30).map(
    lambda found: [
        Waiting(encounter=str(number), tenant=tenant, priority=priority, since=float(since))
        for number, (tenant, priority, since) in enumerate(found)
    ]
)


def waiting(encounter: str, tenant: str, since: float = 0, priority: int = 0) -> Waiting:
    return Waiting(encounter=encounter, tenant=tenant, priority=priority, since=since)


@given(line=lines, working=st.dictionaries(tenants, st.integers(0, 5)), most=st.integers(1, 5))
def test_whoever_is_taken_has_room_and_the_fewest_in_work(
    line: list[Waiting], working: dict[str, int], most: int
) -> None:
    taken = chosen(line, working, most_per_tenant=most)
    free = [each for each in line if working.get(each.tenant, 0) < most]
    if taken is None:
        assert not free
        return
    assert taken in free
    assert working.get(taken.tenant, 0) == min(working.get(each.tenant, 0) for each in free)
    own = [each for each in free if each.tenant == taken.tenant]
    assert taken.priority == max(each.priority for each in own)
    assert taken.since == min(each.since for each in own if each.priority == taken.priority)


@given(st.integers(1, 60), st.integers(1, 6), st.integers(1, 6))
def test_one_that_floods_never_keeps_another_waiting_for_more_than_one_place(
    flood: int, workers: int, most: int
) -> None:
    line = [waiting(str(number), "flood", number) for number in range(flood)]
    working: dict[str, int] = {}
    while sum(working.values()) < workers and (taken := chosen(line, working, most_per_tenant=most)):
        line.remove(taken)
        working[taken.tenant] = working.get(taken.tenant, 0) + 1
    line.append(waiting("late", "other", 1e6))
    taken = chosen(line, working, most_per_tenant=most)
    assert taken is not None
    assert taken.tenant == "other"


def test_of_one_tenant_priority_then_age() -> None:
    line = [waiting("old", "a", 1), waiting("urgent", "a", 9, 5), waiting("new", "a", 2)]
    order = []
    while taken := chosen(line, {}, most_per_tenant=1):
        order.append(taken.encounter)
        line.remove(taken)
    assert order == ["urgent", "old", "new"]


def test_of_tenants_with_as_many_in_work_the_higher_priority_then_age() -> None:
    line = [waiting("old", "a", 1), waiting("urgent", "b", 9, 5), waiting("new", "c", 2)]
    assert chosen(line, {}, most_per_tenant=1) == line[1]
    assert chosen(line, {"b": 1}, most_per_tenant=2) == line[0]


def test_nobody_waits() -> None:
    assert chosen([], {}, most_per_tenant=1) is None
