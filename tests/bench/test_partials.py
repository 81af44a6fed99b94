"""How calm partials are, by arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.partials import Calm, calm, histories
from bench.wires import AudioChunkAck, Message, TranscriptItem
from pipeline.types import Role


def test_text_that_only_grows_is_calm() -> None:
    assert calm(["I have", "I have a", "I have a cough."]) == Calm(shown=5, retracted=0, erased=0, final=4)


def test_case_and_punctuation_may_change() -> None:
    assert calm(["i have", "I have."]).retracted == 0


def test_a_word_that_changes_is_taken_back_and_the_rest_must_be_read_again() -> None:
    # "i had a" → "i have a cough": one word of three is another; behind "i" two must be read again
    figures = calm(["i had a", "i have a cough"])
    assert figures == Calm(shown=3, retracted=1, erased=2, final=4)
    assert figures.retracted_rate == pytest.approx(1 / 3)
    assert figures.normalised_erasure == pytest.approx(2 / 4)


def test_a_word_that_is_put_in_moves_all_behind_it() -> None:
    assert calm(["a b c", "a x b c"]) == Calm(shown=3, retracted=2, erased=2, final=4)


def test_what_is_withdrawn_was_all_taken_back() -> None:
    figures = calm(["thank you", ""])
    assert figures == Calm(shown=2, retracted=2, erased=2, final=0)
    assert figures.normalised_erasure is None


def test_a_final_without_partials_takes_nothing_back() -> None:
    assert calm(["yes"]) == Calm(final=1)
    assert calm(["yes"]).retracted_rate is None


def test_an_item_s_history_is_all_that_was_told_of_it() -> None:
    def item(id: str, text: str, *, final: bool = False) -> TranscriptItem:
        return TranscriptItem(id=id, text=text, speaker=Role.DOCTOR, start_offset_ms=0, end_offset_ms=9, is_final=final)

    told: list[Message] = [
        item("a", "so"),
        item("b", "no"),
        AudioChunkAck(ack_id=1),
        item("a", "so it"),
        item("a", "so!", final=True),
    ]
    assert list(histories(told)) == [["so", "so it", "so!"], ["no"]]


texts = st.lists(st.lists(st.sampled_from(["a", "b", "c"]), max_size=5).map(" ".join), max_size=6)


@given(texts)
def test_no_more_is_taken_back_than_was_shown(history: list[str]) -> None:
    figures = calm(history)
    assert 0 <= figures.retracted <= figures.erased <= figures.shown


@given(texts, texts)
def test_items_add_up(one: list[str], other: list[str]) -> None:
    both = calm(one) + calm(other)
    assert both.shown == calm(one).shown + calm(other).shown
    assert both.final == calm(one).final + calm(other).final
