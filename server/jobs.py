"""The one module that knows DBOS: durable workflows over the use-cases.

A workflow's arguments and results are ids and nothing else (they are stored in the clear). Workflows are plain
functions that run in DBOS's threads and call the use-cases on the server's event loop through a portal, so that a
workflow started here and one recovered after a crash run the same way.
"""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import anyio.to_thread
import msgspec
import structlog
from anyio.from_thread import BlockingPortal
from dbos import DBOS, SetWorkflowID
from dbos._error import DBOSException
from dbos._serialization import Serializer
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError

from server.closing import Closing
from server.dispatching import Dispatcher
from server.errors import StoreUnavailable
from server.executors import Executors
from server.recordings import Recordings
from server.tracing import NO_TRACES, Tracer, traced

T = TypeVar("T")

log = structlog.get_logger()

APPLICATION_VERSION = "1"  # raised only for incompatible workflows: jobs of another version would never be taken up
MAX_RECOVERIES = 1000  # a server may be killed often during one job
ATTEMPTS = 8  # of one step, 0.2 s apart and doubling: a database that is busy for half a minute ends no job
GIVEN_UP = frozenset({"ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})


class JsonSerializer(Serializer):
    """DBOS's default pickles; ids need no more than JSON, and JSON cannot run code."""

    def serialize(self, data: Any) -> str:
        return msgspec.json.encode(_plain(data)).decode()

    @classmethod
    def deserialize(cls, serialized_data: str) -> Any:
        return msgspec.json.decode(serialized_data)

    def name(self) -> str:
        return "auscult_json"


def _plain(data: Any) -> Any:
    """Exceptions are stored by their type alone: their text might quote what a foreign library was given."""
    return {"error": type(data).__name__} if isinstance(data, BaseException) else data


CLOSING, RECORDINGS = "closing", "recordings"  # queues, and the job that each is for
QUEUES = {"close_encounter": CLOSING, "transcribe_recording": RECORDINGS}
POLL_S = 1.0  # they only hold jobs of processes that died: whatever else there is to do is started where it arises
LAUNCH_LOCK = int.from_bytes(b"aus-dbos")  # one process at a time brings DBOS's tables to its version
ASK_AGAIN_S = 0.1  # for that lock


class DbosJobs:
    """The closing of an encounter, and the transcribing of a recording, as durable workflows."""

    def __init__(
        self,
        closing: Closing,
        recordings: Recordings,
        portal: BlockingPortal,
        dispatcher: Dispatcher | None,
        executors: Executors,
        engine: Engine,
        tracer: Tracer = NO_TRACES,
    ) -> None:
        """`dispatcher`: None where this process works on no recordings."""
        self._dispatcher = dispatcher
        self._executors = executors
        self._engine = engine

        def step(name: str, use_case: Callable[..., Awaitable[T]]) -> Callable[..., T]:
            use_case = traced(tracer, name, use_case)

            def run(*arguments: str | int) -> T:
                return portal.call(use_case, *arguments)

            return DBOS.step(name=name, retries_allowed=True, max_attempts=ATTEMPTS, interval_seconds=0.2)(run)

        finish_transcript = step("finish_transcript", closing.finish_transcript)
        write_note = step("write_note", closing.write_note)
        complete = step("complete", closing.complete)
        archive_audio = step("archive_audio", closing.archive_audio)
        fetch = step("fetch", recordings.fetch)
        transcribe = step("transcribe", recordings.transcribe)
        drop_files = step("drop_files", recordings.drop_files)

        @DBOS.workflow(name="close_encounter", max_recovery_attempts=MAX_RECOVERIES)
        def close_encounter(encounter: str) -> None:
            finish_transcript(encounter)
            write_note(encounter)
            complete(encounter)
            archive_audio(encounter)

        @DBOS.workflow(name="transcribe_recording", max_recovery_attempts=MAX_RECOVERIES)
        def transcribe_recording(encounter: str) -> None:
            if dispatcher is not None:
                portal.call(dispatcher.began, encounter)
            try:
                fetch(encounter)
                number = 1
                while not transcribe(encounter, number):
                    number += 1
                write_note(encounter)
                complete(encounter)
                drop_files(encounter)
            finally:
                if dispatcher is not None:
                    with suppress(RuntimeError):  # the server stops
                        portal.call(dispatcher.ended, encounter)

        self._close_encounter = close_encounter
        self._transcribe_recording = transcribe_recording

    async def start_closing(self, encounter: str) -> None:
        """Start the workflow, or do nothing when it is at work: its id is made of the encounter's.

        One that was given up (say, while the disk was full) is started anew.
        """
        await self._in_thread(partial(self._start, self._close_encounter, encounter))

    async def start_recording(self, encounter: str) -> None:
        """See `start_closing`; nothing where this process works on no recordings."""
        if self._dispatcher is not None:
            await self._in_thread(partial(self._start, self._transcribe_recording, encounter))

    async def forget(self, encounter: str) -> None:
        """Delete what is recorded of the encounter's jobs."""
        for kind in QUEUES.values():
            await self._in_thread(partial(DBOS.delete_workflow, _workflow(kind, encounter)))

    async def inherit(self) -> None:
        """Take up what is unfinished of processes that are no more: put it into the queues, for whoever is free."""
        alive = await self._executors.living()

        def resume() -> None:
            for found in DBOS.list_workflows(status="PENDING", load_input=False, load_output=False):
                if found.executor_id not in alive:
                    DBOS.resume_workflow(found.workflow_id, queue_name=QUEUES[found.name])

        await self._in_thread(resume)

    @staticmethod
    async def _in_thread(call: Callable[[], None]) -> None:
        """Raises `StoreUnavailable` where DBOS cannot reach its database."""
        try:
            await anyio.to_thread.run_sync(call)
        except (DBAPIError, DBOSException) as exc:
            log.error("jobs.failed", exc_info=exc)
            raise StoreUnavailable from exc

    async def launch(self) -> None:
        """Take up unfinished workflows, and take new ones."""
        await anyio.to_thread.run_sync(self._launch)

    def _launch(self) -> None:
        DBOS.listen_queues([CLOSING] if self._dispatcher is None else [CLOSING, RECORDINGS])
        with _alone(self._engine):
            DBOS.launch()
            for queue in QUEUES.values():
                DBOS.register_queue(queue, polling_interval_sec=POLL_S)

    def _start(self, work: Callable[[str], None], encounter: str) -> None:
        kind = CLOSING if work is self._close_encounter else RECORDINGS
        workflow = _workflow(kind, encounter)
        status = DBOS.get_workflow_status(workflow)
        if status is not None and status.status in GIVEN_UP:
            DBOS.delete_workflow(workflow)
        elif status is not None and status.status == "SUCCESS":
            return
        with SetWorkflowID(workflow):
            DBOS.start_workflow(work, encounter)


def _workflow(kind: str, encounter: str) -> str:
    return f"close-{encounter}" if kind == CLOSING else f"record-{encounter}"


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """No other process does this at the same time.

    The lock is asked for, not waited for: a statement that waits counts as a transaction, and DBOS's `CREATE INDEX
    CONCURRENTLY` waits for all of those, so that both would wait for ever.
    """
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.execute(select(func.pg_try_advisory_lock(LAUNCH_LOCK))).scalar():
            time.sleep(ASK_AGAIN_S)
        try:
            yield
        finally:
            connection.execute(select(func.pg_advisory_unlock(LAUNCH_LOCK)))


@asynccontextmanager
async def open_jobs(
    closing: Closing,
    recordings: Recordings,
    engine: Engine,
    executors: Executors,
    dispatcher: Dispatcher | None,
    tracer: Tracer = NO_TRACES,
) -> AsyncIterator[DbosJobs]:
    """DBOS on the server's own database, to be launched when the use-cases are ready."""
    async with BlockingPortal() as portal:
        DBOS(
            config={
                "name": "auscult",
                "system_database_url": engine.url.render_as_string(hide_password=False),
                "system_database_engine": engine,
                "executor_id": executors.me.id,
                "application_version": APPLICATION_VERSION,
                "serializer": JsonSerializer(),
                "log_level": "ERROR",
                "enable_otlp": False,
                "notification_listener_polling_interval_sec": 1.0,
            }
        )
        logging.getLogger("dbos").setLevel(logging.ERROR)
        jobs = DbosJobs(closing, recordings, portal, dispatcher, executors, engine, tracer)
        try:
            yield jobs
        finally:
            await anyio.to_thread.run_sync(lambda: DBOS.destroy(workflow_completion_timeout_sec=0))
            await portal.stop(cancel_remaining=True)
