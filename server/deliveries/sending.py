"""The outbox at work: what is due is sent, a few at a time, and what came of it is written down."""

import random
from collections.abc import Callable, Mapping
from functools import partial

import anyio
import msgspec
import structlog
from anyio.abc import TaskGroup
from sqlalchemy import Connection

from pipeline.errors import AuscultError
from server.computing import Computing
from server.deliveries.dialect import Dialect
from server.deliveries.policy import ATTEMPT_S, State, Verdict, verdict
from server.domain import Callback, EncounterRow, EncounterView
from server.errors import StoreUnavailable
from server.executors import Executors
from server.metrics import Metrics
from server.outgoing import Answer, Outgoing
from server.store import deliveries as sql
from server.store.database import Reader
from server.store.deliveries import Due, Parcel, Webhook
from server.store.seal import KeyRing, Seal
from server.store.writer import Writer
from server.tracing import NO_TRACES, Tracer

log = structlog.get_logger()

AT_ONCE = 32
AT_ONCE_PER_TENANT = 4  # a receiver that hangs holds up its own tenant alone
LOOK_AGAIN_S = 60.0  # other processes, and the command line, may put something in without a word

NOWHERE = Answer(status=None, error="no_webhook", retry_after=None, duration_ms=0)


class Deliveries:
    """See the module. One per process that does jobs; `enqueue` is for all."""

    def __init__(
        self,
        dialects: Mapping[str, Dialect],
        outgoing: Outgoing,
        keyring: KeyRing,
        reader: Reader,
        writer: Writer,
        executors: Executors,
        metrics: Metrics,
        now: Callable[[], float],
        computing: Computing,
        tracer: Tracer = NO_TRACES,
    ) -> None:
        self.pending = 0  # deliveries to be made, of all processes, when it was last looked
        self._dialects = dialects
        self._outgoing = outgoing
        self._keyring = keyring
        self._reader = reader
        self._writer = writer
        self._executors = executors
        self._metrics = metrics
        self._now = now
        self._computing = computing
        self._tracer = tracer
        self._running = False
        self._sending: set[str] = set()  # deliveries on their way
        self._unsettled = False  # claims whose end could not be stored
        self._changed = anyio.Event()  # something was put in, or there is room

    def wake(self) -> None:
        """Something was put into the outbox."""
        self._changed.set()

    async def foresee(self, seal: Seal, view: EncounterView) -> EncounterView:
        """An encounter that will soon be over, with what takes long to work out of it for those who are to be told.

        To be called before the transaction in which `enqueue` is: all writing waits for that one.
        """
        wanted = await self._reader.read(partial(_wanted, seal=seal, row=view.row))
        for name in dict.fromkeys(name for name, _ in wanted):
            if (dialect := self._dialects.get(name)) is not None:
                view = await self._computing.run(dialect.foreseen, view)
        return view

    def enqueue(self, connection: Connection, seal: Seal, view: EncounterView) -> int:
        """Put in what is to be told of an encounter that is over, once; returns how many deliveries.

        To be called in the transaction that says the last word on it.
        """
        row = view.row
        if sql.has(connection, row.id):
            return 0
        count = 0
        for name, callback in _wanted(connection, seal, row):
            dialect = self._dialects.get(name)
            message = dialect.completed(view, {} if callback is None else callback.extra) if dialect else None
            if message is not None:
                parcel = Parcel(body=message.body, url=None if callback is None else callback.url)
                sql.put(connection, seal, row.tenant_id, row.id, name, message.event, parcel, self._now())
                count += 1
        return count

    async def inherit(self) -> None:
        """Take back what dead processes had claimed; at the start, this one too, whose name may be an old one."""
        living = await self._executors.living()
        if not self._running:
            living -= {self._executors.me.id}
        if await self._writer.write(partial(sql.release, living=living)):
            self.wake()

    async def run(self) -> None:
        """Send until cancelled."""
        self._running = True
        async with anyio.create_task_group() as attempts:
            while True:
                self._changed = anyio.Event()
                try:
                    wait_s = await self._send_due(attempts)
                except AuscultError as exc:  # the database is away
                    log.warning("deliveries.not_looked_at", code=exc.code)
                    self._unsettled, wait_s = True, 1.0
                with anyio.move_on_after(wait_s):
                    await self._changed.wait()

    async def _send_due(self, tasks: TaskGroup) -> float:
        """Begin with what is due; returns for how many seconds nothing else will be."""
        if self._unsettled:
            self._unsettled = False
            await self._writer.write(partial(sql.give_back, executor=self._executors.me.id, kept=tuple(self._sending)))
        self.pending = await self._reader.read(sql.pending)
        if not self.pending:
            return LOOK_AGAIN_S
        at = self._now()  # one time for both: what falls due in between is neither claimed nor waited for otherwise
        if room := AT_ONCE - len(self._sending):
            executor = self._executors.me.id
            claim = partial(sql.claim, executor=executor, at=at, most=room, most_per_tenant=AT_ONCE_PER_TENANT)
            for due in await self._writer.write(claim):
                self._sending.add(due.id)
                tasks.start_soon(self._attempt, due)
        next_at = await self._reader.read(partial(sql.next_at, after=at))  # those due have no room: `_attempt` wakes
        return LOOK_AGAIN_S if next_at is None else min(LOOK_AGAIN_S, max(0.0, next_at - self._now()))

    async def _attempt(self, due: Due) -> None:
        """One attempt. Whatever goes wrong in it, the others are not touched."""
        try:
            await self._settle(due, await self._answer(due))
        except AuscultError as exc:  # the database is away: the claim is given back
            log.error("delivery.not_attempted", delivery=due.id, code=exc.code)
            self._unsettled = True
        finally:
            self._sending.discard(due.id)
            self.wake()

    async def _answer(self, due: Due) -> Answer:
        """What came of an attempt. Raises `StoreUnavailable`."""
        began = anyio.current_time()
        try:
            return await self._sent(due)
        except StoreUnavailable:
            raise
        except Exception as exc:  # one that cannot be sent must not end the others, at each start again
            log.error("delivery.broken", delivery=due.id, exc_info=exc)
            code = exc.code if isinstance(exc, AuscultError) else "internal"
            took = round((anyio.current_time() - began) * 1000)
            return Answer(status=None, error=code, retry_after=None, duration_ms=took)

    async def _settle(self, due: Due, answer: Answer) -> None:
        now = self._now()
        attempts, age = due.attempts + 1, now - due.created_at
        judged = verdict(answer, attempts=attempts, age_s=age, now=now, jitter=random.random())
        if answer is NOWHERE:
            judged = Verdict(state=State.DEAD)
        settle = partial(sql.settle, executor=self._executors.me.id, due=due, answer=answer, verdict=judged, at=now)
        while True:  # it was sent: that must be written down, or it is sent once more than needed
            try:
                if await self._writer.write(settle):
                    self._metrics.deliveries.labels(outcome=judged.state).inc()
                    self._metrics.delivery_seconds.observe(answer.duration_ms / 1000)
                    noted = {"delivery": due.id, "dialect": due.dialect, "outcome": str(judged.state)}
                    self._tracer.past("delivery", answer.duration_ms / 1000, noted | {"status": answer.status or 0})
                break
            except AuscultError as exc:
                log.warning("delivery.not_recorded", delivery=due.id, code=exc.code)
                await anyio.sleep(1)  # the database is away
        if judged.state is not State.DELIVERED:
            log.info(
                "delivery.failed",
                delivery=due.id,
                attempts=attempts,
                status=answer.status,
                code=answer.error,
                state=judged.state,
            )

    async def _sent(self, due: Due) -> Answer:
        parcel = self._opened(due)
        dialect = self._dialects.get(due.dialect)
        find = partial(sql.get_webhook, keyring=self._keyring, tenant=due.tenant, dialect=due.dialect)
        hook = await self._reader.read(find)
        url = parcel.url or (hook.url if hook is not None else None)
        if dialect is None or url is None:
            return NOWHERE
        return await send(self._outgoing, dialect, hook, url, due.id, parcel.body, self._now())

    def _opened(self, due: Due) -> Parcel:
        place = f"delivery/{due.id}"
        if due.encounter is not None and due.data_key is not None:
            opened = self._keyring.unwrap(due.encounter, due.data_key).open(place, due.sealed)
        else:
            opened = self._keyring.open(place, due.sealed)
        return msgspec.json.decode(opened, type=Parcel)


async def send(
    outgoing: Outgoing, dialect: Dialect, hook: Webhook | None, url: str, delivery: str, body: bytes, at: float
) -> Answer:
    """One POST, signed where there is something to sign with."""
    signing = [] if hook is None else hook.signing(at)
    headers = {"Content-Type": "application/json", **dialect.headers(signing, delivery, at, body)}
    return await outgoing.post(url, body, headers, timeout_s=ATTEMPT_S)


def _wanted(connection: Connection, seal: Seal, row: EncounterRow) -> list[tuple[str, Callback | None]]:
    """In which dialects the end is to be told: to the tenant's webhooks (None), and where it was asked for."""
    hooks = sql.webhook_dialects(connection, row.tenant_id) if row.options.kept else []
    return [*((name, None) for name in hooks), *sql.callbacks(connection, seal, row.id).items()]
