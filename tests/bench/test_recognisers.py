"""What the way to a worker costs, measured with an engine that takes no time of its own."""

import io

from rich.console import Console

from bench.recognisers import RecognisersOptions, run, show


async def test_calls_here_and_to_a_worker_are_measured_side_by_side() -> None:
    report = await run(RecognisersOptions(recogniser="scripted", calls=3, seconds=1))
    assert report.calls == 3
    assert report.worker_ms > 0
    assert report.overhead_ms == report.worker_ms - report.here_ms
    text = io.StringIO()
    show(report, Console(file=text, width=200))
    assert "scripted" in text.getvalue()
