"""What browsers' recorders and followers are measured with."""

import json
from pathlib import Path

import anyio
import pytest
from rich.console import Console

from bench import decoders, followers, recorder
from bench.decoders import DecoderOptions
from bench.followers import FollowerOptions
from bench.recorder import RecorderOptions, differences
from bench.recordings import Recording
from bench.webm import recorded
from pipeline.containers import Container, sniff
from pipeline.types import SAMPLE_RATE
from tests.bench.conftest import Bench
from tests.listening import heard

CONSOLE = Console(quiet=True)


def final(start: int, text: str) -> dict[str, object]:
    return {"start_ms": start, "end_ms": start + 1000, "text": text}


def test_a_recording_in_slices_is_whole_and_each_slice_brings_its_audio() -> None:
    pcm = Recording.load("cough").mono()[: 5 * SAMPLE_RATE]
    chunks = recorded(pcm, 250)
    assert sniff(chunks[0] + chunks[1]) is Container.WEBM
    assert len(heard(*chunks).pcm) == pytest.approx(len(pcm), abs=400)
    assert len(heard(*chunks[:12]).pcm) > 2.6 * SAMPLE_RATE


def test_words_that_only_one_run_has_are_lost_or_repeated() -> None:
    whole = [final(0, "it aches"), final(2000, "since monday")]
    assert differences(whole, whole) == (0, 0)
    assert differences(whole, whole[:1]) == (2, 0)
    assert differences(whole, [*whole, whole[1]]) == (0, 2)
    assert differences(whole, [whole[0], final(2000, "since sunday night")]) == (2, 3)


@pytest.mark.slow
def test_a_recorder_that_is_cut_is_measured() -> None:
    options = RecorderOptions(recogniser="scripted", sessions=1, seconds=3, cuts=2, cut_seconds=6)
    report = anyio.run(recorder.run, options, CONSOLE)
    assert (report.lost_words, report.repeated_words) == (0, 0)
    assert report.words
    assert report.chunk_to_ack_ms is not None
    assert report.back_to_session_ms is not None
    assert report.back_to_session_ms.count == 2
    recorder.show(report, CONSOLE)


@pytest.mark.slow
def test_decoders_are_measured(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    done = bench("decoders", "--decoders", "3", "--seconds", "1", "--json", str(path))
    assert done.returncode == 0
    report = json.loads(path.read_bytes())
    assert report["missing_s"] < 0.5
    assert report["chunk_to_pcm_ms"]["count"] >= 9
    decoders.show(anyio.run(decoders.run, DecoderOptions(decoders=1, seconds=1, warm_up_s=0), CONSOLE), CONSOLE)


@pytest.mark.slow
def test_followers_are_measured() -> None:
    report = anyio.run(followers.run, FollowerOptions(followers=3, seconds=5), CONSOLE)
    assert report.missing_finals == 0
    assert report.events_per_s > 0
    followers.show(report, CONSOLE)
