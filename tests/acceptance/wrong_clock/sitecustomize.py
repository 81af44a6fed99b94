"""For the PYTHONPATH of a server under test: its wall clock is wrong by the seconds in a file (`wall_clock.py`).

Python imports this module before anything else. The clock that never goes back (`time.monotonic`) is left as it is, as
by whoever sets a machine's time.
"""

import mmap
import os
import struct
import time

WRONG_BY = struct.Struct("<d")


def _shift(path: str) -> None:
    right = time.time
    with open(path, "rb") as file:
        wrong_by = mmap.mmap(file.fileno(), WRONG_BY.size, access=mmap.ACCESS_READ)

    def wrong() -> float:
        return right() + float(WRONG_BY.unpack_from(wrong_by)[0])

    time.time = wrong


if "TEST_CLOCK" in os.environ:
    _shift(os.environ["TEST_CLOCK"])
