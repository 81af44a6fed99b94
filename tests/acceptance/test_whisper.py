"""The whole way with a real Whisper model, small and trained for these voices (see its card in tests/models)."""

import re
from pathlib import Path

import pytest

from bench.recordings import Recording
from bench.server import running_server
from tests.acceptance.nabla import CONFIG, END, dialled, finals, pcm, play, read, say

MODEL = Path(__file__).parent.parent / "models" / "whisper-fixture-en"


@pytest.mark.slow
async def test_a_consultation_is_heard_by_whisper(tmp_path: Path, headache: Recording) -> None:
    environment = {"AUSCULT_RECOGNISER_USE_PROMPT": "false"}  # the fixture was not trained with prompts
    async with running_server(
        recogniser="whisper", model=str(MODEL), data_dir=tmp_path, environment=environment
    ) as server:
        assert server.recogniser is not None
        assert server.recogniser.kind == "whisper"
        async with dialled(server) as socket:
            await say(socket, CONFIG)
            await play(socket, pcm(headache, headache.seconds))
            await say(socket, END)
            items = finals(await read(socket, 120))
    said = set(re.findall(r"[a-z']+", " ".join(item["text"] for item in items).lower()))
    meant = set(re.findall(r"[a-z']+", " ".join(item.text for item in headache.items).lower()))
    assert len(said & meant) > 0.5 * len(meant)
    for item in items:
        truth = [t for t in headache.items if t.speaker == item["speaker"]]
        nearest = min(abs(item["start_offset_ms"] - t.start_ms) for t in truth)
        assert nearest < 500, item["start_offset_ms"]
