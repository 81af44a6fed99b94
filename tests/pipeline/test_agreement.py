from hypothesis import given
from hypothesis import strategies as st

from pipeline.agreement import LocalAgreement
from tests.fakes import words

HYPOTHESES = st.lists(st.lists(st.sampled_from(["a", "b", "c"]), max_size=6).map(" ".join), max_size=12)


def test_words_on_which_two_hypotheses_agree_are_committed() -> None:
    agreement = LocalAgreement()
    agreement.receive(words("the chest pain"))
    shown = agreement.receive(words("the chest rain started"))
    assert [w.text for w in agreement.committed] == ["the", "chest"]
    assert [w.text for w in shown] == ["the", "chest", "rain", "started"]


@given(HYPOTHESES)
def test_committed_words_never_change(texts: list[str]) -> None:
    agreement = LocalAgreement()
    before: tuple[str, ...] = ()
    for text in texts:
        shown = agreement.receive(words(text))
        committed = tuple(w.text for w in agreement.committed)
        assert committed[: len(before)] == before
        assert tuple(w.text for w in shown)[: len(committed)] == committed
        before = committed
