"""What `auscult-bench turnaround` sends is what it says, and notes come of it."""

import pytest

from bench.turnaround import SHARE, measure, talk, visit
from pipeline.types import SAMPLE_RATE


@pytest.mark.parametrize("words", [50, 2_000])
def test_talk_is_as_long_as_it_is_to_be(words: int) -> None:
    lines = talk(words).split("\n")
    assert {line.split(": ")[0] for line in lines} == {"Doctor", "Patient"}
    assert words <= sum(len(line.split(": ", 1)[1].split()) for line in lines) < words + 50


def test_a_visit_is_as_long_as_it_is_to_be() -> None:
    assert len(visit(400 * SAMPLE_RATE)) == 400 * SAMPLE_RATE


@pytest.mark.slow
async def test_notes_are_there_and_measured() -> None:
    report = await measure(recogniser="scripted", model="", minutes=0.5, environment={})
    assert [each.words for each in report.streamed] == [500, 2_000, 5_000]
    assert all(0 < each.first_text_ms.median <= each.done_ms.max for each in report.streamed)
    assert report.uploaded.words > 10
    assert report.uploaded.taken_s <= report.uploaded.note_s
    assert (report.share < SHARE) or not report.held
