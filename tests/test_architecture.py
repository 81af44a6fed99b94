"""The rules of the whole: who may import whom, and what may not be in any file."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent
OURS = ["pipeline", "server", "bench", "config", "tests", "README.md", "Makefile", "pyproject.toml", "NOTICE", ".ci"]
NO_TEXT = {".bin", ".flac", ".mp3", ".mp4", ".npz", ".ogg", ".pyc", ".wav", ".webm", ".zlib"}
# The lookbehind leaves addresses alone: "https://example.org/home/page".
SOMEBODYS_FOLDER = re.compile(r"(?<![\w.:/-])/(?:home|root|work|Users)/")


def our_texts() -> Iterator[tuple[Path, str]]:
    for start in (ROOT / name for name in OURS):
        for path in start.rglob("*") if start.is_dir() else [start]:
            if path.is_file() and path.suffix not in NO_TEXT and "node_modules" not in path.parts:
                yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def test_every_import_keeps_to_the_architecture() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    report = subprocess.run([linter, "--no-logo"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert report.returncode == 0, report.stdout + report.stderr


def test_no_file_names_a_folder_of_somebody_s_machine() -> None:
    assert [str(path) for path, text in our_texts() if SOMEBODYS_FOLDER.search(text)] == []


def test_nothing_brings_torch_along() -> None:
    assert find_spec("torch") is None
