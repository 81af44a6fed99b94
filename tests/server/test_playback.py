"""Where the streams of a session begin, as their progress says."""

import pytest

from pipeline.types import WINDOW, RestartPoint
from server.domain import StreamSpec, StreamState
from server.playback import begins

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
