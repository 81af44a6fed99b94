"""The commands as an operator runs them, against the real server.

Those whose process matters have one of their own; the others are called here, which spares them, and the servers that
they start, their imports.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

from bench import accuracy, ingest, latency_report, live, webrtc
from tests.bench.conftest import Bench

LIMIT_S = 120.0
MODEL = Path(__file__).parent.parent / "models" / "whisper-fixture-en"  # a third of what pocketsphinx computes
WHISPER = {  # as the fixture was trained: short windows, no prompts
    "AUSCULT_RECOGNISER_ENCODER_WINDOW": "dynamic",
    "AUSCULT_RECOGNISER_USE_PROMPT": "false",
}
LINE = re.compile(r"\d\d:\d\d\.\d\d\d (doctor |patient) \S")


@contextmanager
def running(*arguments: str, errors: int = subprocess.STDOUT) -> Iterator[subprocess.Popen[str]]:
    """`auscult-bench` with these arguments as a process of its own."""
    command = [sys.executable, "-m", "bench.cli", *arguments]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_an_unknown_recording_is_one_line_that_names_those_there_are(bench: Bench) -> None:
    done = bench("live", "--recording", "nope")
    assert done.returncode == 1
    assert done.stderr.strip() == "auscult-bench: no recording 'nope'; there are: cough, headache"


def test_notes_that_are_not_there_are_one_line_that_names_the_folder(tmp_path: Path, bench: Bench) -> None:
    done = bench("notes", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "nowhere" in done.stderr


def test_a_server_that_is_not_there_is_one_line() -> None:
    with running("demo", "--url", "http://127.0.0.1:1", "--key", "k", errors=subprocess.PIPE) as process:
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert errors.count("\n") == 1
    assert "Traceback" not in errors


@pytest.mark.slow
def test_the_demonstration_prints_what_is_said_and_the_note(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    for name, value in WHISPER.items():
        monkeypatch.setenv(name, value)
    done = bench("demo", "--recording", "headache", "--recogniser", "whisper", "--model", str(MODEL), "--speed", "8")
    assert done.returncode == 0, done.stdout + done.stderr
    first, *lines = done.stdout.splitlines()
    assert first.startswith("Demonstration: ")
    assert "Recogniser: whisper" in first
    assert sum(LINE.match(line) is not None for line in lines) > 10
    said = {line[:9] for line in lines if LINE.match(line)}
    cited = set(re.findall(r"\d\d:\d\d\.\d\d\d", "\n".join(line for line in lines if not LINE.match(line))))
    assert cited
    assert cited <= said


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demonstration_ends_its_server(number: signal.Signals) -> None:
    with running("demo", "--recogniser", "scripted") as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if LINE.match(line):
                break
        servers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        rest = process.communicate(timeout=LIMIT_S)[0]
    assert process.returncode == 130, "".join(said) + rest
    assert "Traceback" not in rest
    assert servers
    assert not any(server.is_running() for server in servers)


@pytest.mark.slow
def test_live_writes_figures_that_can_be_read_back(tmp_path: Path, bench: Bench) -> None:
    path = tmp_path / "figures.json"
    done = bench("live", "--recording", "headache", "--recogniser", "scripted", "--speed", "8", "--json", str(path))
    assert done.returncode == 0, done.stderr
    report = msgspec.json.decode(path.read_bytes(), type=live.Report)
    assert report.speaker_accuracy == 1.0
    assert report.lost_items_at_ms == ()
    assert report.start_error_ms is not None
    assert report.start_error_ms.median < 400  # the scripted recogniser starts with the pre-roll
    assert report.close_code == 1000


@pytest.mark.slow
def test_latency_writes_figures_that_can_be_read_back(tmp_path: Path, bench: Bench) -> None:
    path = tmp_path / "figures.json"
    arguments = ("--recording", "headache", "--recogniser", "scripted", "--repeat", "2", "--speed", "20")
    done = bench("latency", *arguments, "--json", str(path))
    assert done.returncode == 0, done.stderr
    assert "TTFS" in done.stdout
    report = msgspec.json.decode(path.read_bytes(), type=latency_report.Report)
    assert report.sessions == 2
    assert report.close_codes == (1000, 1000)
    assert report.ttfs_ms is not None
    assert report.endpoint_delay_ms is not None
    assert report.ttfs_ms.count >= 2 * report.endpoint_delay_ms.count  # segments are cut where the voice changes
    assert report.ttfs_ms.median >= report.endpoint_delay_ms.median
    assert report.lost_items == 0
    assert report.endurance is None


@pytest.mark.slow
def test_a_long_stream_is_compared_with_its_beginning(tmp_path: Path, bench: Bench) -> None:
    path = tmp_path / "figures.json"
    arguments = ("--recording", "headache", "--recogniser", "scripted", "--minutes", "3", "--speed", "40")
    done = bench("latency", *arguments, "--json", str(path))
    assert done.returncode == 0, done.stderr
    long = msgspec.json.decode(path.read_bytes(), type=latency_report.Report).endurance
    assert long is not None
    assert long.ttfs_change is not None
    assert long.rss_growth_mb is not None


@pytest.mark.slow
def test_accuracy_writes_figures_that_can_be_read_back(tmp_path: Path, bench: Bench) -> None:
    path = tmp_path / "figures.json"
    done = bench("accuracy", "--only", "headache", "--recogniser", "sphinx", "--channels", "mono", "--json", str(path))
    assert done.returncode == 0, done.stderr
    assert "headache" in done.stdout
    report = msgspec.json.decode(path.read_bytes(), type=accuracy.Report)
    total = report.variants[0].total
    assert total.medical.rate is not None
    assert total.medical.rate < 0.2
    assert total.start_error_ms is not None
    assert total.start_error_ms.median < 200
    assert not report.split


def test_a_list_of_recordings_that_is_none_is_one_line(tmp_path: Path, bench: Bench) -> None:
    done = bench("accuracy", str(tmp_path), "--recogniser", "scripted")
    assert done.returncode == 1
    assert done.stderr.strip() == "auscult-bench: There is no recording with a known text."


@pytest.mark.slow
@pytest.mark.parametrize("ack", ["--ack", "--no-ack"])
def test_ingest_loses_nothing(ack: str, tmp_path: Path, bench: Bench) -> None:
    path = tmp_path / "figures.json"
    done = bench("ingest", "--sessions", "3", "--seconds", "2", ack, "--directory", str(tmp_path), "--json", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    report = msgspec.json.decode(path.read_bytes(), type=ingest.Report)
    assert (report.lost_chunks, report.errors, report.broken) == (0, 0, 0)
    assert (report.acknowledgement_ms is not None) == (ack == "--ack")
    assert report.chunks_per_s == pytest.approx(60, rel=0.2)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_webrtc_uses_all_that_the_network_delivers(tmp_path: Path, bench: Bench) -> None:
    path = tmp_path / "figures.json"
    done = bench("webrtc", "--peers", "2", "--seconds", "3", "--loss", "0,10", "--twice", "5", "--json", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    report = msgspec.json.decode(path.read_bytes(), type=webrtc.Report)
    assert [each.loss for each in report.rounds] == [0.0, 0.1]
    assert all(each.used_of_arrived > 0.98 for each in report.rounds)
    assert report.rounds[1].lost_share == pytest.approx(0.1, abs=0.06)
