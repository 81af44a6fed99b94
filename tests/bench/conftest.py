"""What tests of the bench share."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from bench import cli

Bench: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Bench]:
    """`auscult-bench` with these arguments, in this process: neither it nor servers that it starts wait for imports."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["auscult-bench", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code or 0
        assert isinstance(code, int)
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    before = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, before)
