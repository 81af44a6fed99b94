from hypothesis import given
from hypothesis import strategies as st

from pipeline.attribution.roles import Evidence, assign, doubted
from pipeline.types import Role

DOCTOR, PATIENT, NEITHER = Role.DOCTOR, Role.PATIENT, Role.UNSPECIFIED


def who(*speakers: tuple[float, int], declared: dict[str, Role] | None = None) -> list[Evidence]:
    return [
        Evidence(speaker=f"s{at}", log_odds=odds, words=words, declared=(declared or {}).get(f"s{at}", NEITHER))
        for at, (odds, words) in enumerate(speakers, 1)
    ]


def test_two_who_differ_enough_are_doctor_and_patient() -> None:
    assert assign(who((8, 60), (-8, 60)), {}) == {"s1": DOCTOR, "s2": PATIENT}


def test_two_who_hardly_differ_are_neither_yet() -> None:
    assert assign(who((1, 60), (-1, 60)), {}) == {"s1": NEITHER, "s2": NEITHER}


def test_beside_a_declared_doctor_the_other_one_is_the_patient() -> None:
    roles = assign(who((0, 10), (-4, 60), declared={"s1": DOCTOR}), {})
    assert roles == {"s1": DOCTOR, "s2": PATIENT}


def test_a_declared_role_never_changes() -> None:
    assert assign(who((-99, 900), (99, 900), declared={"s1": DOCTOR}), {})["s1"] is DOCTOR


def test_who_says_little_beside_doctor_and_patient_is_neither() -> None:
    assert assign(who((30, 300), (-30, 300), (-2, 40)), {}) == {"s1": DOCTOR, "s2": PATIENT, "s3": NEITHER}


def test_who_speaks_alone_needs_more() -> None:
    assert assign(who((8, 100)), {}) == {"s1": NEITHER}
    assert assign(who((30, 300)), {}) == {"s1": DOCTOR}


def test_what_was_told_is_kept_until_much_speaks_against_it() -> None:
    told = {"s1": DOCTOR, "s2": PATIENT}
    assert assign(who((-6, 60), (6, 60)), told) == told
    assert assign(who((-40, 300), (40, 300)), told) == {"s1": PATIENT, "s2": DOCTOR}


def test_doubt_needs_overwhelming_evidence() -> None:
    assert not doubted(Evidence(speaker="s1", log_odds=-20, declared=DOCTOR))
    assert doubted(Evidence(speaker="s1", log_odds=-30, declared=DOCTOR))
    assert not doubted(Evidence(speaker="s1", log_odds=-30, declared=PATIENT))
    assert not doubted(Evidence(speaker="s1", log_odds=-30))


@given(
    st.lists(st.tuples(st.floats(-60, 60), st.integers(0, 500)), max_size=6),
    st.dictionaries(st.sampled_from(["s1", "s2", "s3"]), st.sampled_from([DOCTOR, PATIENT]), max_size=2),
    st.dictionaries(st.sampled_from(["s1", "s2", "s3", "s4"]), st.sampled_from([DOCTOR, PATIENT]), max_size=2),
)
def test_of_those_without_a_declared_role_at_most_one_has_each(
    speakers: list[tuple[float, int]], declared: dict[str, Role], given_before: dict[str, Role]
) -> None:
    evidence = who(*speakers, declared=declared)
    roles = assign(evidence, given_before)
    assert roles.keys() == {each.speaker for each in evidence}
    for each in evidence:
        assert each.declared in (NEITHER, roles[each.speaker])
    free = [roles[each.speaker] for each in evidence if each.declared is NEITHER]
    taken = [each.declared for each in evidence]
    for role in (DOCTOR, PATIENT):
        assert free.count(role) <= (0 if role in taken else 1)
