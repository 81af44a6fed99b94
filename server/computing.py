"""What takes long to work out of a note: in a few threads of its own, so that it holds up nothing else."""

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 2  # they all want the same interpreter, which audio needs, too


class Computing:
    """See the module. One per process."""

    def __init__(self) -> None:
        self._turns = anyio.CapacityLimiter(AT_ONCE)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `call` returns, or raises."""
        return await anyio.to_thread.run_sync(partial(call, *args, **kwargs), limiter=self._turns)
