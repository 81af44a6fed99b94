"""What each tenant may use: live streams at the same time, requests in a minute, audio in a month.

Deciding is pure; `Quotas` brings the decisions what is set, what is used and what time it is. Requests are counted by
each process for itself; streams and audio are counted in the database, over all processes.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
from sqlalchemy import Connection

from server.domain import Caller, TenantSettings
from server.errors import MinutesExceeded, QuotaExceeded, RateLimited, StreamsExceeded
from server.metrics import Metrics
from server.settings import QuotaSettings
from server.store import usage
from server.tenants import Tenants

MINUTE_S = 60
COUNTED_TENANTS = 4096  # whose requests are counted; of more, those that called longest ago are forgotten


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What one tenant may use; 0: as much as it likes."""

    streams: int = 0  # of live sessions, at the same time
    requests_per_minute: int = 0
    minutes_per_month: int = 0  # of audio

    def check(self, *, streams: int, live_streams: int, audio_ms: int) -> None:
        """Whether so many streams more (0: of a recording) may be heard, beside those and after so much audio.

        Raises `StreamsExceeded`, `MinutesExceeded`.
        """
        if self.streams and streams and live_streams + streams > self.streams:
            raise StreamsExceeded(f"At most {self.streams} audio streams can be live at the same time: end one first.")
        if self.minutes_per_month and audio_ms >= self.minutes_per_month * 60_000:
            raise MinutesExceeded(
                f"The {self.minutes_per_month} minutes of audio of this month are used: wait for the next month (UTC),"
                " or ask who runs the server for more."
            )


def allowance(for_all: QuotaSettings, own: TenantSettings) -> Allowance:
    """What a tenant may use: what is set for it, else what is set for all."""
    return Allowance(
        streams=for_all.streams if own.streams is None else own.streams,
        requests_per_minute=(
            for_all.requests_per_minute if own.requests_per_minute is None else own.requests_per_minute
        ),
        minutes_per_month=for_all.minutes_per_month if own.minutes_per_month is None else own.minutes_per_month,
    )


class RequestWindow:
    """The requests of the last minute, by the second: no more than the limit in any 60 s, however they are spread."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque()  # second, requests in it; oldest first
        self._total = 0

    def admit(self, at: float, limit: int) -> int:
        """Take a request at `at` (seconds of a clock that never goes back), unless `limit` were taken.

        Returns 0, or after how many seconds one will be taken again.
        """
        second = math.floor(at)
        while self._seconds and self._seconds[0][0] < second - MINUTE_S:
            self._total -= self._seconds.popleft()[1]
        if self._total >= limit:
            return max(1, math.ceil(self._seconds[0][0] + MINUTE_S + 1 - at)) if self._seconds else MINUTE_S
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + 1)
        else:
            self._seconds.append((second, 1))
        self._total += 1
        return 0


class Quotas:
    """See the module. One per process."""

    def __init__(
        self,
        tenants: Tenants,
        for_all: QuotaSettings,
        metrics: Metrics,
        *,
        now: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        """`now`: seconds since 1970; `steady`: seconds of a clock that never goes back."""
        self._tenants = tenants
        self._for_all = for_all
        self._metrics = metrics
        self._now = now
        self._steady = steady
        self._windows: OrderedDict[str, RequestWindow] = OrderedDict()

    async def count_request(self, caller: Caller) -> None:
        """A request of this caller has come. Raises `RateLimited`, `StoreUnavailable`."""
        limit = (await self.allowance(caller.tenant_id)).requests_per_minute
        if not limit:
            return
        window = self._windows.setdefault(caller.tenant_id, RequestWindow())
        self._windows.move_to_end(caller.tenant_id)
        while len(self._windows) > COUNTED_TENANTS:
            self._windows.popitem(last=False)
        if wait_s := window.admit(self._steady(), limit):
            self._metrics.quota_refusals.labels(quota="requests").inc()
            raise RateLimited(limit, retry_after_s=wait_s)

    async def allowance(self, tenant_id: str) -> Allowance:
        """What a tenant may use. Raises `StoreUnavailable`."""
        return allowance(self._for_all, await self._tenants.settings(tenant_id))

    def check(self, connection: Connection, tenant_id: str, allowed: Allowance, *, streams: int) -> None:
        """Whether a session with so many streams, or so many streams more of one, or a recording (0) may begin.

        For the transaction that begins it, before it changes anything. Two processes that ask at the same moment may
        both get the last place. Raises `StreamsExceeded`, `MinutesExceeded`.
        """
        allowed.check(
            streams=streams,
            live_streams=usage.live_streams(connection, tenant_id) if allowed.streams and streams else 0,
            audio_ms=(
                usage.audio_ms(connection, tenant_id, usage.month_of(self._now())) if allowed.minutes_per_month else 0
            ),
        )

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Around whatever may raise what `check` raises: refusals are counted."""
        try:
            yield
        except QuotaExceeded as exc:
            self._metrics.quota_refusals.labels(quota=exc.quota).inc()
            raise
