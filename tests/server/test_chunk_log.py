"""What a stream has heard and not yet logged."""

import pytest

from server.chunk_log import Channel, Heard, numbers_key, read_numbers
from server.domain import StreamSpec, StreamState


def channel(encoding: str) -> Channel:
    return Channel(ordinal=0, spec=StreamSpec(name="stream0", encoding=encoding), state=StreamState())


async def test_raw_chunks_are_logged_as_one_entry_that_names_their_numbers() -> None:
    raw = channel("pcm_s16le")
    for number in (5, 6, 8):
        raw.gather(bytes([number]), number)
    assert raw.heard == 3
    assert raw.take_gathered() == [Heard(body=b"\x05\x06\x08", numbers=(5, 8))]
    assert raw.next_number == 9
    assert raw.take_gathered() == []


async def test_chunks_of_a_container_keep_their_borders() -> None:
    container = channel("container")
    container.gather(b"head", 0)
    container.gather(b"more", 1)
    assert container.take_gathered() == [Heard(body=b"head", numbers=(0, 0)), Heard(body=b"more", numbers=(1, 1))]


async def test_chunks_that_are_not_counted_have_no_key() -> None:
    raw = channel("pcm_s16le")
    raw.gather(b"ab", None)
    raw.gather(b"cd", None)
    (heard,) = raw.take_gathered()
    assert heard.client_key is None
    assert raw.next_number == 0


@pytest.mark.parametrize("key", [None, "first", "chunk-3", "17"])
def test_keys_that_clients_chose_hold_no_numbers(key: str | None) -> None:
    assert read_numbers(key) is None


def test_numbers_are_read_back_from_a_key() -> None:
    assert read_numbers(numbers_key(3, 17)) == (3, 17)
