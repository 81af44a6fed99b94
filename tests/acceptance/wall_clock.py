"""The wall clock of a server under test, which jumps when a test says so."""

import struct
from collections.abc import Mapping
from pathlib import Path

WRONG_CLOCK = Path(__file__).parent / "wrong_clock"  # its sitecustomize.py shifts time.time
WRONG_BY = struct.Struct("<d")


class WallClock:
    """What a server's clock is wrong by: 0 at first."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._file.write_bytes(WRONG_BY.pack(0.0))

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables of the server that goes by it."""
        return {"PYTHONPATH": str(WRONG_CLOCK), "TEST_CLOCK": str(self._file)}

    def jump(self, *, hours: float) -> None:
        """Be wrong by so much from now on."""
        with self._file.open("r+b") as file:
            file.write(WRONG_BY.pack(hours * 3600))
