"""Where the streams of a session begin, as their progress says."""

import pytest

from pipeline.types import SAMPLE_RATE, WINDOW, RestartPoint
from server.domain import StreamSpec, StreamState
from server.playback import PIECE_BYTES, begins, up_to_the_next

CONTAINER = StreamSpec(name="a")
RAW = StreamSpec(name="b", encoding="pcm_s16le", sample_rate=48_000, channels=2)


@pytest.mark.parametrize(
    ("spec", "restart", "begin"),
    [
        (CONTAINER, RestartPoint(), 0),
        (CONTAINER, RestartPoint(position=5 * WINDOW), 5 * WINDOW),  # nothing was stored of it yet
        (CONTAINER, RestartPoint(offset=900, position=40_000, origin=104.0), 0),  # Opus begins before its first sound
        (CONTAINER, RestartPoint(offset=900, position=40_000, origin=5 * WINDOW + 371.5), 5 * WINDOW),  # so does AAC
        (CONTAINER, RestartPoint(offset=900, position=40_000, origin=5 * WINDOW - 3.0), 5 * WINDOW),
        (CONTAINER, RestartPoint(offset=900, position=40_000), 0),  # mp3 has no times
        (RAW, RestartPoint(offset=4 * 48_000, position=16_000), 0),
        (RAW, RestartPoint(offset=4 * 48_000, position=16_000 + 5 * WINDOW), 5 * WINDOW),
    ],
)
def test_a_stream_begins_where_it_joined(spec: StreamSpec, restart: RestartPoint, begin: int) -> None:
    assert begins(spec, StreamState(restart=restart)) == begin


def test_where_a_stream_joined_is_kept_whatever_its_recorder_did_since() -> None:
    started_again = RestartPoint(offset=9_000, position=400_000, origin=345_000.0)
    assert begins(CONTAINER, StreamState(restart=started_again, begin=5 * WINDOW)) == 5 * WINDOW
    assert begins(CONTAINER, StreamState(restart=started_again, begin=0)) == 0


def test_a_container_is_entered_about_once_a_minute_and_warmed_up() -> None:
    state = StreamState(begin=0)
    assert state.entry(10**9) is None
    for second in range(0, 300, 7):
        state = state.decoded_from(RestartPoint(offset=second, position=second * SAMPLE_RATE), entered=True)
    assert [each.offset for each in state.entries] == [63, 126, 189, 252]
    assert state.restart.offset == 294
    assert [state.entry(second * SAMPLE_RATE) for second in (63, 64, 127, 1000)] == [
        None, state.entries[0], state.entries[1], state.entries[3]
    ]  # fmt: skip
    assert state.decoded_from(RestartPoint(position=400 * SAMPLE_RATE), entered=False).entries == state.entries


def test_an_archive_is_read_so_that_each_file_begins_a_piece() -> None:
    files, at, read = (10, PIECE_BYTES + 11, PIECE_BYTES + 12), 0, []
    while at < 3 * PIECE_BYTES:
        read.append(at)
        at += up_to_the_next(files, at)
    assert read == [0, 10, PIECE_BYTES + 10, PIECE_BYTES + 11, PIECE_BYTES + 12, 2 * PIECE_BYTES + 12]
    assert up_to_the_next((), 5) == PIECE_BYTES
