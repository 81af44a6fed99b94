from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.store.seal import KEY_BYTES, KeyRing, Seal, SealBroken, read_or_make_key

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


def test_the_key_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = read_or_make_key(path)
    assert read_or_make_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_damaged_key_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(SealBroken, match="5 bytes instead of 32"):
        read_or_make_key(tmp_path / "key")
