"""What is created in a directory while somebody works, however short its life. Linux only. Source: inotify(7)."""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IN_CREATE, IN_MOVED_TO, IN_Q_OVERFLOW = 0x100, 0x80, 0x4000
EVENT = struct.Struct("iIII")  # watch, what, cookie, length of the name


class Created:
    """Names, in the order of their creation."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def names(self) -> list[str]:
        """Since the last call."""
        found: list[str] = []
        while True:
            try:
                events = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                return found
            while events:
                _, what, _, length = EVENT.unpack_from(events)
                assert not what & IN_Q_OVERFLOW
                found.append(events[EVENT.size : EVENT.size + length].rstrip(b"\0").decode())
                events = events[EVENT.size + length :]


@contextmanager
def watched(directory: Path) -> Iterator[Created]:
    """Watch a directory while the block lasts."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        watch = libc.inotify_add_watch(descriptor, os.fsencode(directory), IN_CREATE | IN_MOVED_TO)
        assert descriptor >= 0 <= watch, os.strerror(ctypes.get_errno())
        yield Created(descriptor)
    finally:
        os.close(descriptor)
