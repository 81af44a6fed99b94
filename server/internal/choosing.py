"""Which recogniser worker gets the next request. A plain object: no clock, no network; the shell is `remote`.

The worker with the least to do gets it, unless one with a free lane has heard the stream before: engines that decode
while a segment grows have less to do then. One that fails is left out for a second, then twice as long each time, and
comes back by one request.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

OUT_S = 1.0  # that a worker is left out after a failure, doubling …
MAX_OUT_S = 30.0  # … up to this
REMEMBERED_STREAMS = 10_000


@dataclass(slots=True, kw_only=True, eq=False)
class Worker:
    """One worker, as far as this process knows. Times are seconds on any one clock that does not go back."""

    url: str  # with an address, where its name has several
    host: str = ""  # its name and port, as certificates and its own `Host` have it
    lanes: int = 1  # requests that it can work on at the same time
    outstanding: int = 0  # requests of ours that it has
    failures: int = 0  # in a row
    out_until: float = 0.0
    _failed_at: float = -1.0

    def able(self, now: float) -> bool:
        """Whether it may get a request. One that has failed proves itself by one request at first."""
        return now >= self.out_until and (not self.failures or not self.outstanding)

    @property
    def load(self) -> float:
        """How full it would be with one request more."""
        return (self.outstanding + 1) / self.lanes


class Workers:
    """See the module. `begin` what `choose` chose, then say how it went, then `end`."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}
        self._heard: OrderedDict[str, Worker] = OrderedDict()  # stream → who had its last request

    def __iter__(self) -> Iterator[Worker]:
        return iter(tuple(self._workers.values()))

    def update(self, found: Iterable[Worker]) -> None:
        """These are the workers now; of those known already all that is known stays."""
        self._workers = {worker.url: self._workers.get(worker.url, worker) for worker in found}

    def choose(self, stream: str, now: float) -> Worker | None:
        """Who gets a request of this stream; None: nobody can take one."""
        able = [worker for worker in self._workers.values() if worker.able(now)]
        heard = self._heard.get(stream)
        if heard in able and heard is not None and heard.outstanding < heard.lanes:
            return heard
        return min(able, key=lambda worker: worker.load, default=None)

    def next_at(self) -> float | None:
        """When the next worker that is left out may be tried; None: all that can be waited for is an answer."""
        return min((w.out_until for w in self._workers.values() if not w.outstanding), default=None)

    def begin(self, worker: Worker, stream: str) -> None:
        """The worker gets a request of the stream."""
        worker.outstanding += 1
        self._heard[stream] = worker
        self._heard.move_to_end(stream)
        while len(self._heard) > REMEMBERED_STREAMS:
            self._heard.popitem(last=False)

    def end(self, worker: Worker) -> None:
        """It has it no more, however that went."""
        worker.outstanding -= 1

    def answered(self, worker: Worker) -> None:
        """It is well."""
        worker.failures, worker.out_until = 0, 0.0

    def failed(self, worker: Worker, began: float, now: float) -> bool:
        """A request that began then has failed on it. Those that fail together count once; returns whether it does."""
        if began <= worker._failed_at:
            return False
        worker.failures += 1
        worker._failed_at = now
        worker.out_until = now + min(MAX_OUT_S, OUT_S * 2 ** min(worker.failures - 1, 10))
        return True

    def busy(self, worker: Worker, until: float) -> None:
        """It is well, but takes nothing before then."""
        worker.failures, worker.out_until = 0, until
