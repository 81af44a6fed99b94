"""Number words → digits."""

import pytest

from pipeline.notes.english.numerals import digits


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("five hundred milligrams twice a day", "500 mg twice a day"),
        ("one twenty over eighty", "120/80"),
        ("one hundred thirty over eighty five", "130/85"),
        ("a hundred and forty over seventy", "140/70"),
        ("ninety eight point six", "98.6"),
        ("three point oh five", "3.05"),
        ("ninety six percent", "96%"),
        ("seven out of ten", "7/10"),
        ("two over six murmur", "2/6 murmur"),
        ("one to ten", "1 to 10"),
        ("one oh five", "105"),
        ("two fifty milligrams", "250 mg"),
        ("forty-five minutes", "45 minutes"),
        ("nineteen eighty four", "1984"),
        ("in twenty twenty two", "in 2022"),
        ("two thousand five", "2005"),
        ("fifteen hundred", "1500"),
        ("type two diabetes", "type 2 diabetes"),
    ],
)
def test_numbers_are_read_as_clinicians_say_them(spoken: str, written: str) -> None:
    assert digits(spoken.split(" ")) == written.split(" ")


@pytest.mark.parametrize(
    "spoken",
    [
        "two three times a day",  # two or three
        "twenty thirty minutes",
        "five ten minutes",
        "at two thirty",
        "i am five ten",
        "call nine one one",
        "no one else",
        "this one is worse",
        "fifty fifty",
        "one hundred two hundred",
    ],
)
def test_what_can_be_read_in_two_ways_stays_in_words(spoken: str) -> None:
    assert digits(spoken.split(" ")) == spoken.split(" ")


def test_digits_and_other_words_stay_as_they_are() -> None:
    tokens = ["Take", "500", "mg", ",", "not", "1,000", "."]
    assert digits(tokens) == tokens


def test_over_divides_only_what_can_be_a_pressure_or_a_grade() -> None:
    assert digits(["three", "over", "two", "weeks"]) == ["3", "over", "2", "weeks"]
