"""Contractions in full."""

import pytest

from pipeline.notes.english.contractions import in_full


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("Patient doesn't smoke.", "Patient does not smoke."),
        ("They can't sleep and won't eat.", "They cannot sleep and will not eat."),
        ("It's been sore, and there's a rash.", "It has been sore, and there is a rash."),
        ("They've had a cough, they're tired.", "They have had a cough, they are tired."),
        ("It's not getting better.", "It is not getting better."),
        ("Isn't sore.", "Is not sore."),
    ],
)
def test_what_can_be_read_in_one_way_is_written_in_full(text: str, full: str) -> None:
    assert in_full(text) == full


@pytest.mark.parametrize(
    "text",
    ["Patient's knee hurts.", "It's improved.", 'Patient: "I don\'t know".', "The doctor's advice.", "She'd fallen."],
)
def test_owners_quotations_and_doubt_stay(text: str) -> None:
    assert in_full(text) == text
