from itertools import pairwise
from pathlib import Path

import pytest
import tokenizers
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio
from hypothesis import given
from hypothesis import strategies as st

from bench.random_model import Shape, write_model
from pipeline.engines.whisper_text import (
    CONTEXT,
    CONTEXT_LENGTHS,
    HOTWORDS,
    PROMPT,
    ROOM,
    WRITTEN,
    Prompter,
    compression_ratio,
    limit,
    max_length,
    prefix,
    spans,
    timed,
)
from pipeline.types import SAMPLE_RATE, Word

FIXTURE = Path(__file__).parents[2] / "models" / "whisper-fixture-en"
SECOND = SAMPLE_RATE
POSITION = SAMPLE_RATE // 50

BPE = tokenizers.Tokenizer.from_file(str(FIXTURE / "tokenizer.json"))
ENGLISH = Tokenizer(BPE, multilingual=False)

CONTROL = ("<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>", "<|0.00|>")

anything = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=80)
texts = anything.map(lambda text: " ".join(text.split())).filter(lambda text: "<|" not in text)


@pytest.fixture(scope="session")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """Every byte is a token."""
    folder = write_model(tmp_path_factory.mktemp("chinese"), shape=Shape(languages=("en", "zh")))
    bytewise = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    return Tokenizer(bytewise, multilingual=True, task="transcribe", language="zh")


def words(tokenizer: Tokenizer, text: str) -> list[str]:
    """The words in what the model wrote, when it wrote this."""
    return [span.text for span in spans(tokenizer, tokenizer.encode(text))]


# Words


def test_words_are_what_spaces_part() -> None:
    assert words(ENGLISH, " Good morning, how are you?") == ["Good", "morning,", "how", "are", "you?"]


@pytest.mark.parametrize("text", ["twenty-one", "3.5", "120/80", "50%", "isn't", '"well"', "(yes),", "T4/T8."])
def test_what_is_written_without_a_space_is_one_word(text: str) -> None:
    assert words(ENGLISH, f" He said {text} again.") == ["He", "said", text, "again."]


@given(text=texts)
def test_the_words_joined_by_spaces_are_the_text(text: str) -> None:
    assert " ".join(words(ENGLISH, f" {text}" if text else "")) == text


@given(text=texts)
def test_words_take_up_the_tokens_from_the_first_to_the_last(text: str) -> None:
    tokens = ENGLISH.encode(f" {text}" if text else "")
    found = spans(ENGLISH, tokens)
    assert all(span.first < span.spoken <= span.end <= len(tokens) for span in found)
    assert all(before.end <= after.first for before, after in pairwise(found))


def test_half_a_character_at_the_end_is_no_text() -> None:
    tokens = ENGLISH.encode(" no é")
    assert [span.text for span in spans(ENGLISH, tokens[:-1])] == ["no"]


def test_a_language_without_spaces_is_parted_by_characters(chinese: Tokenizer) -> None:
    assert words(chinese, "你好。吗?") == ["你", "好。", "吗?"]


def test_foreign_words_and_numbers_stay_whole_in_a_language_without_spaces(chinese: Tokenizer) -> None:
    assert words(chinese, "服用aspirin100毫克") == ["服", "用", "aspirin100", "毫", "克"]


# What was committed


@given(committed=texts, tail=texts)
def test_the_words_begin_with_what_was_committed(committed: str, tail: str) -> None:
    tokens = prefix(ENGLISH, committed)
    if tokens:
        written = [*tokens, *ENGLISH.encode(f" {tail}")]
        assert [span.text for span in spans(ENGLISH, written)][: len(committed.split())] == committed.split()


def test_committed_characters_are_put_together_again(chinese: Tokenizer) -> None:
    tokens = prefix(chinese, "你 好。 我 是 AB 吗")
    assert chinese.decode(list(tokens)) == " 你好。我是 AB 吗"


def test_nothing_committed_is_no_prefix() -> None:
    assert prefix(ENGLISH, "") == prefix(ENGLISH, " ") == ()


def test_a_prefix_behind_which_nothing_could_be_written_is_left_out() -> None:
    assert prefix(ENGLISH, "amlodipine " * 100) == ()


# What was said before


@given(said=texts.map(lambda text: text * 20), terms=st.lists(texts, max_size=200))
def test_what_comes_before_a_text_leaves_room_for_it(said: str, terms: list[str]) -> None:
    assert len(Prompter(BPE).before(said, tuple(terms))) <= 1 + PROMPT


@given(said=st.text("abc ", max_size=900))
def test_what_was_said_before_comes_in_few_lengths(said: str) -> None:
    before = Prompter(BPE).before(said, ())
    assert max(0, len(before) - 1) in CONTEXT_LENGTHS


def test_the_last_words_said_are_the_ones_kept() -> None:
    before = Prompter(BPE).before("earlier " * 300 + "the pain is in my chest", ())
    assert BPE.decode(list(before)).endswith(" earlier the pain is in my chest")


def test_the_first_terms_of_a_glossary_are_the_ones_kept() -> None:
    terms = tuple(f"medicine {number}" for number in range(300))
    before = Prompter(BPE).before("", terms)
    assert BPE.decode(list(before)).startswith(" medicine 0, medicine 1, medicine 2")
    assert len(before) <= 1 + HOTWORDS


def test_where_nothing_was_said_nothing_comes_before() -> None:
    assert Prompter(BPE).before("", ()) == Prompter(BPE).before(" ", ()) == ()


@pytest.mark.parametrize("mark", CONTROL)
def test_a_control_token_that_somebody_spells_out_is_none(mark: str) -> None:
    before = Prompter(BPE).before(f"the patient {mark} takes {mark} metoprolol", (mark, f"amlodipine {mark}"))
    said = prefix(ENGLISH, f"amlodipine {mark} daily")
    assert all(token < ENGLISH.eot for token in (*before[1:], *said))


# How much may be written


def test_longer_audio_may_hold_more_text_up_to_what_a_model_can_write() -> None:
    limits = [limit(seconds * SECOND, 0) for seconds in (0, 1, 5, 30)]
    assert limits == sorted(limits)
    assert limits[-1] == WRITTEN


def test_fast_speech_is_within_the_limit() -> None:
    fast = " ".join(["seventy"] * 30)  # six words a second for five seconds
    assert len(ENGLISH.encode(f" {fast}")) < limit(5 * SECOND, 0)


@given(samples=st.integers(0, 30 * SECOND), prefixed=st.integers(0, WRITTEN - ROOM))
def test_there_is_always_room_behind_what_was_committed(samples: int, prefixed: int) -> None:
    assert prefixed + ROOM <= limit(samples, prefixed) <= WRITTEN


@given(start=st.integers(0, 1 + PROMPT + 3), tokens=st.integers(1, WRITTEN))
def test_ctranslate2_lets_the_text_be_as_long_as_the_limit_says(start: int, tokens: int) -> None:
    most = max_length(start, tokens)
    allowed = min(most // 2, most - start)  # as CTranslate2 4.8 computes it
    assert allowed == min(tokens, CONTEXT - start)


# When it was said


def aligned(*positions: int) -> list[tuple[int, int]]:
    """Tokens that begin at these positions of the encoder, the last of which is the end of the text."""
    path = []
    for token, (begin, end) in enumerate(pairwise(positions)):
        path += [(token, position) for position in range(begin, max(end, begin + 1))]
    return [*path, (len(positions) - 1, positions[-1])]


def spoken(text: str, *positions: int, seconds: float = 10) -> tuple[Word, ...]:
    tokens = ENGLISH.encode(text)
    assert len(tokens) == len(positions) - 1, tokens
    return timed(
        spans(ENGLISH, tokens),
        aligned(*positions),
        [0.5 + index / 10 for index in range(len(tokens))],
        int(seconds * SECOND),
    )


def test_a_word_begins_with_its_first_token_and_ends_with_the_next_word() -> None:
    yes, no = spoken(" yes no", 0, 10, 30)
    assert (yes.start, yes.end) == (0, 10 * POSITION)
    assert (no.start, no.end) == (10 * POSITION, 30 * POSITION)


def test_a_mark_takes_no_time_and_no_share_in_the_probability() -> None:
    yes, no = spoken(" yes. no", 0, 10, 20, 30)
    assert (yes.text, yes.end, yes.probability) == ("yes.", 10 * POSITION, 0.5)
    assert no.start == 20 * POSITION


def test_a_pause_before_a_word_is_not_part_of_it() -> None:
    first, *_, last = spoken(" yes no yes no. yes", 0, 100, 110, 120, 130, 131, 200)
    assert first.end - first.start <= 2 * 10 * POSITION
    assert last.end - last.start <= 2 * 10 * POSITION


def test_a_long_word_within_a_sentence_stays_long() -> None:
    _, drawn, _ = spoken(" yes no yes", 0, 10, 100, 110)
    assert drawn.end - drawn.start == 90 * POSITION


def test_no_word_is_outside_the_audio() -> None:
    (word,) = spoken(" yes", 0, 60, seconds=0.5)
    assert word.end == SECOND // 2


@given(steps=st.lists(st.integers(0, 40), min_size=8, max_size=8), length=st.integers(0, 10 * SECOND))
def test_words_follow_each_other_in_time(steps: list[int], length: int) -> None:
    text = " yes no. yes no yes no?"
    tokens = ENGLISH.encode(text)
    positions = [sum(steps[:count]) for count in range(len(tokens) + 1)]
    said = timed(spans(ENGLISH, tokens), aligned(*positions), [0.5] * len(tokens), length)
    times = [time for word in said for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(0 <= time <= length for time in times)


# Loops


@given(text=st.text(min_size=1, max_size=200))
def test_the_compression_ratio_is_faster_whisper_s(text: str) -> None:
    assert compression_ratio(text) == get_compression_ratio(text)
