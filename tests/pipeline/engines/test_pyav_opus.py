"""Ogg Opus that is written as it comes."""

import numpy as np
import pytest

from pipeline.containers import Container, sniff
from pipeline.engines.pyav_opus import OpusWriter
from pipeline.types import SAMPLE_RATE
from tests.audio import likeness, voice
from tests.listening import decoded


@pytest.mark.parametrize("size", [100, 320, 5000, SAMPLE_RATE * 20])
def test_what_is_written_in_pieces_of_any_size_is_heard_at_its_time(size: int) -> None:
    pcm, writer = voice(20, SAMPLE_RATE), OpusWriter()
    pieces = [writer.write(pcm[at : at + size]) for at in range(0, len(pcm), size)] + [writer.finish()]
    octets = b"".join(pieces)
    assert sniff(octets) is Container.OGG
    ours = decoded(octets)
    assert abs(len(ours) - len(pcm)) <= SAMPLE_RATE // 50
    assert likeness(ours[: len(pcm)], pcm[: len(ours)]) > 0.95
    if size < SAMPLE_RATE:
        assert sum(map(len, pieces[: len(pieces) // 2])) > len(octets) / 3  # a player need not wait for the end


def test_a_file_of_nothing_can_be_finished() -> None:
    assert isinstance(OpusWriter().finish(), bytes)


def test_a_moment_is_a_file() -> None:
    writer = OpusWriter()
    octets = writer.write(np.zeros(10, np.float32)) + writer.finish()
    assert len(decoded(octets)) < SAMPLE_RATE // 10
