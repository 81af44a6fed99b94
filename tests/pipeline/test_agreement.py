from hypothesis import given
from hypothesis import strategies as st

from pipeline.agreement import APART, LocalAgreement
from pipeline.types import Word
from tests.fakes import words

HYPOTHESES = st.lists(st.lists(st.sampled_from(["a", "b", "c"]), max_size=6).map(" ".join), max_size=12)


def hear(agreement: LocalAgreement, *texts: str, apart: int = APART) -> list[str]:
    """Successive hypotheses; returns what is shown after the last."""
    shown: tuple[Word, ...] = ()
    for number, text in enumerate(texts):
        shown = agreement.receive(words(text), number * apart)
    return [word.text for word in shown]


def committed(agreement: LocalAgreement) -> list[str]:
    return [word.text for word in agreement.committed]


def test_words_on_which_two_hypotheses_agree_are_committed() -> None:
    agreement = LocalAgreement()
    shown = hear(agreement, "the chest pain", "the chest rain started")
    assert committed(agreement) == ["the", "chest"]
    assert shown == ["the", "chest", "rain", "started"]


def test_hypotheses_that_heard_nearly_the_same_prove_nothing() -> None:
    agreement = LocalAgreement()
    hear(agreement, "the chest pain", "the chest pain started", apart=APART // 2)
    assert committed(agreement) == []
    agreement.receive(words("the test pain started"), APART)
    assert committed(agreement) == ["the"]


def test_the_last_word_may_be_half_of_one() -> None:
    agreement = LocalAgreement()
    hear(agreement, "no head", "no head")
    assert committed(agreement) == ["no"]


def test_a_mark_may_be_set_behind_a_committed_word() -> None:
    agreement = LocalAgreement()
    hear(agreement, "the pain started", "the pain started today")
    final = agreement.settle(words("the pain, which started today."))
    assert [w.text for w in final] == ["the", "pain,", "which", "started", "today."]


def test_a_final_that_changes_a_committed_word_keeps_what_was_committed_and_goes_on_behind_it() -> None:
    agreement = LocalAgreement()
    hear(agreement, "two milligrams a day", "two milligrams a day please")
    final = agreement.settle(words("ten milligrams a day please doctor"))
    assert [w.text for w in final] == ["two", "milligrams", "a", "day", "please", "doctor"]
    assert committed(agreement) == ["two", "milligrams", "a"]


def test_nothing_is_committed_of_a_recogniser_that_cannot_decode_behind_a_text() -> None:
    agreement = LocalAgreement(commits=False)
    hear(agreement, "two milligrams a day", "two milligrams a day please")
    assert agreement.text == ""
    assert agreement.settle(words("ten milligrams")) == words("ten milligrams")


def test_a_committed_word_may_go_on() -> None:
    agreement = LocalAgreement()
    hear(agreement, "take 3 a day", "take 3 a")
    assert committed(agreement) == ["take", "3"]
    assert [w.text for w in agreement.settle(words("take 3.5 milligrams"))] == ["take", "3.5", "milligrams"]


@given(HYPOTHESES)
def test_committed_words_never_change(texts: list[str]) -> None:
    agreement = LocalAgreement()
    before: tuple[str, ...] = ()
    for number, text in enumerate(texts):
        shown = agreement.receive(words(text), number * APART // 2)
        committed = tuple(w.text for w in agreement.committed)
        assert committed[: len(before)] == before
        assert tuple(w.text for w in shown)[: len(committed)] == committed
        before = committed


@given(HYPOTHESES, st.lists(st.sampled_from(["a", "b", "c"]), max_size=6))
def test_a_final_begins_with_what_was_committed(texts: list[str], final: list[str]) -> None:
    agreement = LocalAgreement()
    hear(agreement, *texts, apart=APART // 2)
    settled = " ".join(w.text for w in agreement.settle(words(" ".join(final))))
    assert settled.startswith(agreement.text)
