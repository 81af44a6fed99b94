"""Which requests the engine gets next. A plain object: no clock, no event loop; the shell is `pipeline.batching`.

Requests wait in five lines, by what somebody loses when they are late (`Rank`). Of each stream at most one request
waits that is not final, the newest; finals are never dropped. A batch holds requests of one kind and of similar length.

What is promised, whatever arrives:
- A final that somebody waits for is handed over before everything else, but of any `PATIENCE` + 4 batches in a row one
  comes from each other line that waits all the time (files: counted while none is in the engine). So nothing starves,
  and finals get at least 5 batches of 9.
- Within a line tenants take turns; of a tenant, requests go by arrival. A stream's finals are handed over in order.
- Batches of partials, of later tries and, while anybody listens live, of files take `BOUNDED_S` at most by the
  measured cost, or are of one request: so long a final waits for them.
- While anybody listens live, files leave a lane free where there are several, unless their patience has ended; they
  never have all lanes.
"""

import math
from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import chain, zip_longest
from typing import Generic, TypeVar

from pipeline.costs import Costs
from pipeline.types import Purpose, RecognitionRequest

PATIENCE = 8  # batches of other lines that a line lets pass
BOUNDED_S = 0.25  # seconds that a batch may take for which nobody waits, while somebody may come who does
BULK_S = 5.0  # … and while nobody listens live


class Rank(IntEnum):
    """The lines; lower is served first."""

    FINAL = 0  # … and what becomes a final unless speech goes on: by arrival
    AGAIN = 1  # a later try of a text that looked wrong
    FIRST_PARTIAL = 2
    REFRESH = 3
    FILE = 4  # nobody listens


@dataclass(slots=True, kw_only=True, eq=False)
class Ticket:
    """A request on its way. The shell may change `request` and `alone` before it comes `again`."""

    request: RecognitionRequest
    alone: bool = False  # it gets a batch for itself: its company failed
    since: float = 0.0  # when it was submitted
    number: int = 0  # the how many-th that was submitted
    turn: int = 0  # its place in line: its own number, or that of one it replaced
    rank: Rank = Rank.FINAL
    cancelled: bool = False  # its stream is gone

    @property
    def stream(self) -> str:
        return self.request.stream_id


T = TypeVar("T", bound=Ticket)


class Schedule(Generic[T]):
    """See the module. `submit`, `cancel`; `take` for a free lane, then `done`; `again` for what needs another try."""

    def __init__(
        self, costs: Costs, *, lanes: int = 1, max_batch: int = 1, dropped: Callable[[T], None] = lambda ticket: None
    ) -> None:
        """`dropped` is told of each ticket that makes place for something newer of its stream."""
        self.lanes = lanes  # batches in the engine at the same time
        self.max_batch = max_batch  # requests in a batch
        self.superseded = 0  # requests that were never handed over, because their stream had something newer
        self._costs = costs
        self._dropped = dropped
        self._lines: dict[Rank, list[T]] = {rank: [] for rank in Rank}  # each by `turn`
        self._replaceable: dict[str, T] = {}  # of each stream the one that waits and is not final
        self._passed = dict.fromkeys(Rank, 0)  # batches of others since the line was last served, while it waits
        self._served: dict[Rank, dict[str, int]] = {rank: {} for rank in Rank}  # tenant → the last batch it was in
        self._live: set[str] = set()  # streams that somebody listens to
        self._batches: set[tuple[T, ...]] = set()  # in the engine
        self._submitted = 0
        self._taken = 0

    # In

    def submit(self, ticket: T, now: float) -> None:
        """Put a request in line, in place of what it makes pointless."""
        self._submitted += 1
        request = ticket.request
        ticket.since, ticket.rank = now, _rank(request)
        ticket.number = ticket.turn = self._submitted
        if request.live:
            self._live.add(ticket.stream)
        replaced = self._drop_pointless(request)
        if replaced is not None and (replaced.request.purpose.whole or not request.purpose.whole):
            ticket.turn = replaced.turn
            if ticket.rank is Rank.REFRESH and replaced.rank is Rank.FIRST_PARTIAL:
                ticket.rank = Rank.FIRST_PARTIAL  # still nothing was shown
        self._enter(ticket)

    def confirm(self, final: RecognitionRequest, now: float) -> T | None:
        """The ticket with the final's audio, where it is on its way already: a guess that has come true is a final."""
        for ticket in chain(self._replaceable.values(), *self._batches):
            if _guesses(ticket.request, final):
                ticket.request, ticket.since = replace(ticket.request, purpose=Purpose.FINAL), now
                if self._replaceable.get(ticket.stream) is ticket:
                    del self._replaceable[ticket.stream]
                self._drop_pointless(final)
                return ticket
        return None

    def again(self, ticket: T) -> bool:
        """Put back in line what the engine had; False where its stream has something newer waiting, or is gone."""
        if ticket.cancelled:
            return False
        if ticket.request.purpose is not Purpose.FINAL:
            waiting = self._replaceable.get(ticket.stream)
            if waiting is not None and waiting.number > ticket.number:
                self._supersede(ticket)
                return False
            self._drop_pointless(ticket.request)
        if ticket.request.temperature:
            ticket.rank = _rank(ticket.request)
        self._enter(ticket)
        return True

    def cancel(self, stream_id: str) -> None:
        """Forget what a stream has waiting, and mark what it has in the engine."""
        for line in self._lines.values():
            line[:] = [ticket for ticket in line if ticket.stream != stream_id]
        self._replaceable.pop(stream_id, None)
        self._live.discard(stream_id)
        for ticket in chain(*self._batches):
            ticket.cancelled |= ticket.stream == stream_id

    def withdraw(self, ticket: T) -> None:
        """Nobody waits for this one any more: it leaves its line, or its answer counts no more."""
        if ticket in self._lines[ticket.rank]:
            self._leave(ticket)
        ticket.cancelled = True

    # Out

    def take(self) -> tuple[T, ...]:
        """The next batch for a free lane; empty where no lane is free or nothing may go now."""
        rank = self._next_rank() if len(self._batches) < self.lanes else None
        if rank is None:
            return ()
        batch = self._fill(rank)
        self._taken += 1
        for ticket in batch:
            self._leave(ticket)
            self._served[ticket.rank][ticket.request.tenant] = self._taken
        self._batches.add(batch)
        self._count_passed(rank)
        return batch

    def done(self, batch: tuple[T, ...]) -> None:
        """The engine has answered a batch: its lane is free."""
        self._batches.remove(batch)

    @property
    def waiting_finals(self) -> int:
        """Finals in line that somebody waits for."""
        waiting = chain(self._lines[Rank.FINAL], self._lines[Rank.AGAIN])
        return sum(ticket.request.purpose is Purpose.FINAL for ticket in waiting)

    @property
    def waiting_files(self) -> int:
        """Requests in line that nobody waits for."""
        return len(self._lines[Rank.FILE])

    def late(self, now: float) -> float:
        """Seconds that the oldest final has waited for the engine to look at it first."""
        waiting = (now - t.since for t in self._lines[Rank.FINAL] if t.request.purpose is Purpose.FINAL)
        return max(waiting, default=0.0)

    # Lines

    def _enter(self, ticket: T) -> None:
        insort(self._lines[ticket.rank], ticket, key=lambda waiting: waiting.turn)
        if ticket.request.purpose is not Purpose.FINAL:
            self._replaceable[ticket.stream] = ticket

    def _leave(self, ticket: T) -> None:
        self._lines[ticket.rank].remove(ticket)
        if self._replaceable.get(ticket.stream) is ticket:
            del self._replaceable[ticket.stream]

    def _drop_pointless(self, request: RecognitionRequest) -> T | None:
        """Take out what a new request of the stream replaces. A final of an earlier segment replaces nothing later."""
        waiting = self._replaceable.get(request.stream_id)
        if waiting is None:
            return None
        if request.purpose is Purpose.FINAL and request.segment < waiting.request.segment:
            return None
        self._leave(waiting)
        self._supersede(waiting)
        return waiting

    def _supersede(self, ticket: T) -> None:
        self.superseded += 1
        self._dropped(ticket)

    def _next_rank(self) -> Rank | None:
        """The line to serve: one that was passed over too often, else the first that has somebody."""
        able = [rank for rank in Rank if self._lines[rank] and (rank is not Rank.FILE or self._files_may())]
        impatient = [rank for rank in able if self._passed[rank] >= PATIENCE]
        return max(impatient, key=self._passed.__getitem__) if impatient else next(iter(able), None)

    def _count_passed(self, served: Rank) -> None:
        """A batch was taken from a line: the others that wait have let it pass."""
        for rank, line in self._lines.items():
            had = rank is served or (rank is Rank.FILE and self._file_batches())
            self._passed[rank] = self._passed[rank] + 1 if line and not had else 0
            if not line:
                self._served[rank].clear()

    def _files_may(self) -> bool:
        """Whether files may have the free lane."""
        if not self._live or self.lanes == 1:
            return True
        another_is_free = len(self._batches) + 1 < self.lanes
        return self._file_batches() + 1 < self.lanes and (another_is_free or self._passed[Rank.FILE] >= PATIENCE)

    def _file_batches(self) -> int:
        """How many lanes files have."""
        return sum(batch[0].rank is Rank.FILE for batch in self._batches)

    def _in_turn(self, rank: Rank) -> Iterator[T]:
        """A line, tenants taking turns: the one served longest ago first, and of each by arrival."""
        by_tenant: dict[str, list[T]] = {}
        for ticket in self._lines[rank]:
            by_tenant.setdefault(ticket.request.tenant, []).append(ticket)
        served = self._served[rank]
        tenants = sorted(by_tenant, key=lambda tenant: served.get(tenant, 0))
        for round_of_all in zip_longest(*(by_tenant[tenant] for tenant in tenants)):
            yield from (ticket for ticket in round_of_all if ticket is not None)

    # Batches

    def _fill(self, rank: Rank) -> tuple[T, ...]:
        """The first in line, and of those behind it the ones that fit."""
        waiting = self._in_turn(rank)
        if rank is Rank.FIRST_PARTIAL:
            waiting = chain(waiting, self._in_turn(Rank.REFRESH))
        first = next(waiting)
        batch = [first]
        size = 1 if first.alone else self._size(rank, first)
        bound = self._bound(rank)
        passed_over: set[str] = set()  # streams whose later requests must not overtake
        for ticket in waiting:
            if len(batch) == size:
                break
            if ticket.alone or ticket.stream in passed_over or self._kind(ticket) != self._kind(first):
                passed_over.add(ticket.stream)
            elif self._costs.predict([each.request for each in (*batch, ticket)]) <= bound:
                batch.append(ticket)
            else:
                break
        return tuple(batch)

    def _size(self, rank: Rank, first: T) -> int:
        """Requests in a batch. Files take what they can get: of them only the sum counts."""
        if rank is Rank.FILE:
            return self.max_batch
        waiting = len(self._lines[rank]) / self.lanes
        cost = self._costs.of(first.request)
        return min(self.max_batch, cost.batch(waiting, self._costs.seconds(first.request)))

    def _bound(self, rank: Rank) -> float:
        """Seconds that a batch may take, beyond the first in line."""
        if rank is Rank.FINAL:
            return math.inf
        return BULK_S if rank is Rank.FILE and not self._live else BOUNDED_S

    def _kind(self, ticket: T) -> tuple[bool, float, int]:
        """What requests of one batch share: the care they need, and their length to within a factor of two."""
        request, seconds = ticket.request, self._costs.seconds(ticket.request)
        return request.purpose.whole, request.temperature, math.ceil(math.log2(max(seconds, 1.0)))


def _rank(request: RecognitionRequest) -> Rank:
    if not request.live:
        return Rank.FILE
    if request.purpose.whole:
        return Rank.AGAIN if request.temperature else Rank.FINAL
    return Rank.FIRST_PARTIAL if request.purpose is Purpose.FIRST_PARTIAL else Rank.REFRESH


def _guesses(request: RecognitionRequest, final: RecognitionRequest) -> bool:
    """Whether a request was made in case that just this final would come."""
    same_segment = request.stream_id == final.stream_id and request.segment == final.segment
    return same_segment and request.purpose is Purpose.SPECULATIVE and len(request.pcm) == len(final.pcm)
