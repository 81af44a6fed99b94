"""The one module that knows DBOS: durable workflows over the use-cases.

A workflow's arguments and results are ids and nothing else (they are stored in the clear). Workflows are plain
functions that run in DBOS's threads and call the use-cases on the server's event loop through a portal, so that a
workflow started here and one recovered after a crash run the same way.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
import msgspec
from anyio.from_thread import BlockingPortal
from dbos import DBOS, SetWorkflowID
from dbos._serialization import Serializer
from sqlalchemy import Engine

from server.closing import Closing

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


class DbosJobs:
    """The closing of an encounter as a durable workflow."""

    def __init__(self, closing: Closing, portal: BlockingPortal) -> None:
        def step(name: str, use_case: Callable[[str], Awaitable[None]]) -> Callable[[str], None]:
            def run(encounter: str) -> None:
                portal.call(use_case, encounter)

            return DBOS.step(name=name, retries_allowed=True, max_attempts=ATTEMPTS, interval_seconds=0.2)(run)

        finish_transcript = step("finish_transcript", closing.finish_transcript)
        write_note = step("write_note", closing.write_note)
        complete = step("complete", closing.complete)
        archive_audio = step("archive_audio", closing.archive_audio)

        @DBOS.workflow(name="close_encounter", max_recovery_attempts=MAX_RECOVERIES)
        def close_encounter(encounter: str) -> None:
            finish_transcript(encounter)
            write_note(encounter)
            complete(encounter)
            archive_audio(encounter)

        self._close_encounter = close_encounter

    async def start_closing(self, encounter: str) -> None:
        """Start the workflow, or do nothing when it is at work: its id is made of the encounter's.

        One that was given up (say, while the disk was full) is started anew.
        """

        def start() -> None:
            workflow = f"close-{encounter}"
            status = DBOS.get_workflow_status(workflow)
            if status is not None and status.status in GIVEN_UP:
                DBOS.delete_workflow(workflow)
            with SetWorkflowID(workflow):
                DBOS.start_workflow(self._close_encounter, encounter)

        await anyio.to_thread.run_sync(start)

    async def forget(self, encounter: str) -> None:
        """Delete what is recorded of the encounter's closing."""
        await anyio.to_thread.run_sync(DBOS.delete_workflow, f"close-{encounter}")

    async def launch(self) -> None:
        """Take up unfinished workflows, and take new ones."""
        await anyio.to_thread.run_sync(DBOS.launch)


@asynccontextmanager
async def open_jobs(closing: Closing, engine: Engine, executor: str) -> AsyncIterator[DbosJobs]:
    """DBOS on the server's own database, to be launched when the use-cases are ready."""
    async with BlockingPortal() as portal:
        DBOS(
            config={
                "name": "auscult",
                "system_database_url": engine.url.render_as_string(hide_password=False),
                "system_database_engine": engine,
                "executor_id": executor,
                "application_version": APPLICATION_VERSION,
                "serializer": JsonSerializer(),
                "log_level": "ERROR",
                "enable_otlp": False,
                "notification_listener_polling_interval_sec": 1.0,
            }
        )
        logging.getLogger("dbos").setLevel(logging.ERROR)
        jobs = DbosJobs(closing, portal)
        try:
            yield jobs
        finally:
            await anyio.to_thread.run_sync(lambda: DBOS.destroy(workflow_completion_timeout_sec=0))
            await portal.stop(cancel_remaining=True)
