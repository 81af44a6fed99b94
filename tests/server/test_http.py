import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.auth import bearer
from server.errors import BadRequest
from server.http import decode


class Form(msgspec.Struct):
    name: str
    kind: str = "plain"


@given(st.binary(max_size=200).filter(lambda raw: b"name" not in raw))
def test_any_other_bytes_are_a_bad_request(raw: bytes) -> None:
    with pytest.raises(BadRequest, match=r"Expected|required|not valid JSON"):
        decode(raw, Form)


def test_an_error_names_the_field_and_never_its_value() -> None:
    with pytest.raises(BadRequest, match="name") as told:
        decode(b'{"name": 12345}', Form)
    assert "12345" not in str(told.value)


def test_unknown_fields_are_ignored() -> None:
    assert decode(b'{"name": "a", "other": [1, 2]}', Form) == Form(name="a")


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("", None),
    ],
)
def test_a_bearer_token_is_found(header: str, token: str | None) -> None:
    assert bearer({"authorization": header}) == token
