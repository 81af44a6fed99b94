"""Where the streams of a session begin, as their progress says."""

import pytest

from pipeline.types import WINDOW, RestartPoint
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


def test_an_archive_is_read_so_that_each_file_begins_a_piece() -> None:
    files, at, read = (10, PIECE_BYTES + 11, PIECE_BYTES + 12), 0, []
    while at < 3 * PIECE_BYTES:
        read.append(at)
        at += up_to_the_next(files, at)
    assert read == [0, 10, PIECE_BYTES + 10, PIECE_BYTES + 11, PIECE_BYTES + 12, 2 * PIECE_BYTES + 12]
    assert up_to_the_next((), 5) == PIECE_BYTES
