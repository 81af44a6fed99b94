import subprocess
import sys

import pytest

from server.memory import _glibc

needs_glibc = pytest.mark.skipif(_glibc() is None, reason="another C library")
LEFT_BEHIND = """
import pathlib, resource, sys
from server.memory import give_back, limit_arenas
limit_arenas()
kept, freed = [], []
for _ in range(5000):  # what stays in use lies between what does not
    freed.append(bytearray(20_000))
    kept.append(bytearray(1000))
freed.clear()
def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
before = resident()
give_back()
print(before - resident())
"""


@needs_glibc
def test_what_was_freed_between_what_is_in_use_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", LEFT_BEHIND], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 20 * 2**20
