"""When a text is settled, what is lost and how old partials are: told from screens alone."""

from hypothesis import given
from hypothesis import strategies as st

from bench.calls import Shown
from bench.recordings import TruthItem
from bench.screens import Screen, judge, settled, whole, words_of
from pipeline.types import Role


def item(start_ms: int, end_ms: int, text: str) -> TruthItem:
    return TruthItem(speaker=Role.PATIENT, start_ms=start_ms, end_ms=end_ms, text=text)


def screens(*shown: tuple[float, str]) -> list[Screen]:
    return [Screen(at_ms=at_ms, words=tuple(text.split())) for at_ms, text in shown]


COUGH = item(1000, 2000, "I have a cough.")
FEVER = item(3000, 4000, "No fever.")


def test_an_item_is_settled_when_its_last_word_comes_to_stay() -> None:
    verdict = judge([COUGH], screens((1500, "i have"), (2300, "i have a cough"), (2900, "i have a cough")))
    assert verdict.ttfs_ms == (300,)
    assert verdict.errors.rate == 0


def test_a_word_that_goes_and_comes_back_settles_when_it_is_back() -> None:
    shown = screens((2100, "i have a cough"), (2400, "i have a cold"), (2700, "i have a cough"))
    assert judge([COUGH], shown).ttfs_ms == (700,)


def test_a_later_change_elsewhere_unsettles_nothing() -> None:
    shown = screens((2200, "i have a cough"), (3900, "i have a cough no beaver"), (4300, "i have a cough no fever"))
    assert judge([COUGH, FEVER], shown).ttfs_ms == (200, 300)


def test_a_correction_of_an_earlier_item_does_not_delay_a_later_one() -> None:
    shown = screens((4100, "i have a cold no fever"), (9000, "i have a cough no fever"))
    assert judge([COUGH, FEVER], shown).ttfs_ms == (7000, 100)


def test_a_word_put_in_between_delays_until_it_is_gone() -> None:
    shown = screens((2100, "i have a cough"), (2200, "i have a bad cough"), (2500, "i have a cough"))
    assert judge([COUGH], shown).ttfs_ms == (500,)


def test_wrong_words_settle_too() -> None:
    verdict = judge([COUGH], screens((2100, "i have a goal"), (2600, "i had a goal")))
    assert verdict.ttfs_ms == (600,)
    assert verdict.errors.substitutions == 2


def test_an_item_without_a_word_in_its_place_is_lost() -> None:
    verdict = judge([COUGH, FEVER], screens((4200, "no fever")))
    assert verdict.lost == (COUGH,)
    assert verdict.ttfs_ms == (200,)


def test_words_that_stood_there_before_anybody_spoke_are_no_answer() -> None:
    assert judge([FEVER], screens((500, "no fever"))).lost == (FEVER,)


def test_nothing_shown_is_all_lost() -> None:
    verdict = judge([COUGH, FEVER], [])
    assert verdict.lost == (COUGH, FEVER)
    assert verdict.ages_ms == ()
    assert verdict.errors.rate == 1


def test_the_age_of_a_partial_is_that_of_its_newest_word() -> None:
    words = words_of([COUGH])
    verdict = judge([COUGH], screens((1700, "i have"), (1800, "i have"), (2250, "i have a cough")))
    assert verdict.ages_ms == (1700 - words[1].end_ms, 250)
    assert verdict.lags_ms[2] == 2250 - words[2].end_ms


def test_what_was_left_out_makes_nothing_after_it_look_old() -> None:
    verdict = judge([COUGH, FEVER], screens((3500, "no"), (4100, "no fever")))
    assert all(age < 600 for age in verdict.ages_ms)
    assert all(lag < 600 for lag in verdict.lags_ms)


def test_a_word_said_again_is_not_reached_before_it_is_spoken() -> None:
    twice = [item(0, 1000, "yes"), item(2000, 3000, "yes")]
    assert judge(twice, screens((1100, "yes"), (3200, "yes yes"))).ages_ms == (100, 200)


def test_case_and_punctuation_may_change_at_any_time() -> None:
    shown = [
        Shown(at_ms=2100, text="i have a cough", settled=""),
        Shown(at_ms=2800, text="I have a cough.", settled="I have a cough."),
    ]
    assert judge([COUGH], whole(shown)).ttfs_ms == (100,)
    assert judge([COUGH], settled(shown)).ttfs_ms == (800,)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=6))
def test_a_transcript_without_mistakes_is_as_late_as_its_items_came(delays: list[int]) -> None:
    names = ("alpha bravo", "charlie delta", "echo foxtrot", "golf hotel", "india juliet", "kilo lima")
    items = [item(1000 * n, 1000 * n + 900, text) for n, text in enumerate(names[: len(delays)])]
    arrivals: list[tuple[float, str]] = []
    for number, delay in enumerate(delays):
        earliest = arrivals[-1][0] if arrivals else 0.0
        arrivals.append((max(earliest, items[number].end_ms + delay), " ".join(names[: number + 1])))
    verdict = judge(items, screens(*arrivals))
    assert verdict.lost == ()
    assert verdict.errors.rate == 0
    assert verdict.ttfs_ms == tuple(at - said.end_ms for (at, _), said in zip(arrivals, items, strict=True))
    assert verdict.ages_ms == verdict.ttfs_ms


@given(st.lists(st.text("ab ", max_size=12), max_size=8))
def test_any_screens_can_be_judged(texts: list[str]) -> None:
    items = [item(0, 900, "a b a"), item(1000, 1900, "b b")]
    verdict = judge(items, screens(*((500.0 * n, text) for n, text in enumerate(texts))))
    assert len(verdict.ttfs_ms) + len(verdict.lost) == 2
    assert len(verdict.lags_ms) <= 5
