"""Resume tokens belong to one encounter, are numbered, and cannot be made or changed by anybody else."""

import os

import pytest

from server import resumption
from server.errors import ResumeTokenInvalid
from server.store.seal import Seal

KEY = os.urandom(32)


def test_a_token_names_its_encounter_and_keeps_its_number() -> None:
    token = resumption.make(Seal(KEY, "e1"), "e1", 7)
    assert resumption.encounter_of(token) == "e1"
    assert resumption.read(Seal(KEY, "e1"), token) == 7


@pytest.mark.parametrize("token", ["", "e1", "e1.", "e1.AAAA", "e1.!!!", "e1.é", "." * 1000, "e1." + "A" * 100_000])
def test_what_is_no_token_is_an_error(token: str) -> None:
    with pytest.raises(ResumeTokenInvalid):
        resumption.read(Seal(KEY, "e1"), token)


def test_a_token_of_another_encounter_opens_nothing() -> None:
    token = resumption.make(Seal(KEY, "e1"), "e1", 0)
    with pytest.raises(ResumeTokenInvalid):
        resumption.read(Seal(KEY, "e2"), token.replace("e1", "e2"))
