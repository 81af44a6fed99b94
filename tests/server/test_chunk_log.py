"""What a stream has heard and not yet logged."""

import pytest

from pipeline.types import Checkpoint, RestartPoint
from server.chunk_log import Channel, Heard, numbers_key, read_numbers
from server.domain import StreamSpec, StreamState


def channel(encoding: str, state: StreamState | None = None, *, rate: int = 16_000, channels: int = 1) -> Channel:
    spec = StreamSpec(name="stream0", encoding=encoding, sample_rate=rate, channels=channels)
    return Channel(ordinal=0, spec=spec, state=state or StreamState())


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


async def test_numbers_are_kept_of_chunks_that_are_logged_with_a_peers_audio() -> None:
    raw = channel("pcm_s16le")
    for number in (None, 3, 4, None):
        raw.gather(b"ab", number)
    assert raw.take_gathered() == [Heard(body=b"ab" * 4, numbers=(3, 4))]
    assert raw.next_number == 5


def test_raw_audio_has_reached_the_place_of_its_next_sample_before_anything_is_decoded() -> None:
    raw = channel("pcm_s16le")
    assert raw.reached == 0
    raw.gather(bytes(2 * 40), None)  # a peer's audio comes in pieces of 2.5 ms
    assert raw.reached == 40
    raw.gather(bytes(3), None)
    assert raw.reached == 41, "half a sample has no place yet"


def test_a_stream_that_began_later_or_goes_on_in_another_process_counts_from_there() -> None:
    state = StreamState(restart=RestartPoint(offset=1_000, position=48_500))
    raw = channel("pcm_s16le", state)
    raw.heard = raw.offset = 1_200  # what the log holds
    assert raw.reached == 48_600


def test_other_rates_and_channels_are_placed_on_the_same_time_line() -> None:
    raw = channel("pcm_s16le", rate=48_000, channels=2)
    raw.gather(bytes(4 * 480), None)
    assert raw.reached == 160


def test_a_container_has_reached_what_was_decoded_of_it() -> None:
    assert channel("container", StreamState(checkpoint=Checkpoint(position=512))).reached == 512
