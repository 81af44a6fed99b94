import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.store.seal import KEY_BYTES, KeyRing, Seal, SealBroken

KEY = bytes(range(KEY_BYTES))


@given(st.binary(max_size=2000))
def test_what_is_sealed_opens_again_and_is_not_in_the_clear(plain: bytes) -> None:
    sealed = Seal(KEY, "encounter").seal("chunk/0/1", plain)
    assert Seal(KEY, "encounter").open("chunk/0/1", sealed) == plain
    assert len(plain) < 8 or plain not in sealed


@pytest.mark.parametrize(("scope", "place"), [("encounter", "chunk/0/2"), ("another", "chunk/0/1")])
def test_a_value_moved_to_another_place_does_not_open(scope: str, place: str) -> None:
    sealed = Seal(KEY, "encounter").seal("chunk/0/1", b"audio")
    with pytest.raises(SealBroken):
        Seal(KEY, scope).open(place, sealed)


def test_a_data_key_is_wrapped_for_its_encounter_alone() -> None:
    ring = KeyRing(KEY)
    seal, wrapped = ring.new("e1")
    assert ring.unwrap("e1", wrapped).open("x", seal.seal("x", b"audio")) == b"audio"
    with pytest.raises(SealBroken):
        ring.unwrap("e2", wrapped)
    with pytest.raises(SealBroken):
        KeyRing(bytes(KEY_BYTES)).unwrap("e1", wrapped)


def test_every_key_opens_and_the_first_one_wraps() -> None:
    old, new = KeyRing(KEY), bytes(KEY_BYTES)
    seal, wrapped = old.new("e1")
    both = KeyRing(new, KEY)
    assert both.unwrap("e1", wrapped).open("x", seal.seal("x", b"audio")) == b"audio"
    again = both.rewrapped("e1", wrapped)
    assert again is not None
    assert both.rewrapped("e1", again) is None
    assert KeyRing(new).unwrap("e1", again).open("x", seal.seal("x", b"audio")) == b"audio"
    secret = both.resealed("secret/token", old.seal("secret/token", b"secret"))
    assert secret is not None
    assert KeyRing(new).open("secret/token", secret) == b"secret"
    with pytest.raises(SealBroken):
        KeyRing(new).rewrapped("e1", wrapped)
