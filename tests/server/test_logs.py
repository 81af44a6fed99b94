"""What the log says, and what it never says."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Overloaded, UnsupportedAudio
from server.logs import FOREIGN, configure_logging, describe_error
from server.settings import LogSettings

SAID = "my chest hurts"  # stands for what a patient said
Read = Callable[[], list[dict[str, object]]]


@contextmanager
def a_stream_for_the_log() -> Iterator[io.StringIO]:
    """Somewhere to write to; afterwards logging is as it was."""
    loggers = [logging.getLogger(name) for name in (None, *FOREIGN)]
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    yield io.StringIO()
    structlog.reset_defaults()
    for logger, handlers, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    monkeypatch.setattr(logging, "raiseExceptions", False)  # pytest's own handler fails tests whose lines are malformed
    with a_stream_for_the_log() as stream:
        yield stream


@pytest.fixture
def lines(out: io.StringIO) -> Read:
    """Logging as the server sets it up by default, and a function that reads what was written."""
    configure_logging(LogSettings(), out)
    return lambda: [json.loads(line) for line in out.getvalue().splitlines()]


def fail() -> None:
    raise ValueError(SAID)


def test_an_event_is_one_line_with_time_level_and_event_first(lines: Read) -> None:
    structlog.get_logger().info("session opened", encounter="e-1", streams=2)
    (line,) = lines()
    assert list(line) == ["time", "level", "event", "encounter", "streams"]
    assert str(line["time"]).endswith("Z")
    assert (line["level"], line["event"], line["encounter"], line["streams"]) == ("info", "session opened", "e-1", 2)


def test_what_is_bound_to_a_request_appears_in_its_lines(lines: Read) -> None:
    with structlog.contextvars.bound_contextvars(request="r-1"):
        structlog.get_logger().info("inside")
    structlog.get_logger().info("outside")
    assert [line.get("request") for line in lines()] == ["r-1", None]


def test_events_below_the_level_are_not_written(out: io.StringIO) -> None:
    configure_logging(LogSettings(level="warning"), out)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert "quiet" not in out.getvalue()
    assert "loud" in out.getvalue()


def test_people_get_the_same_events_in_a_readable_form(out: io.StringIO) -> None:
    configure_logging(LogSettings(format="console"), out)
    structlog.get_logger().warning("recogniser chosen", kind="sphinx")
    assert "recogniser chosen" in out.getvalue()
    assert "kind=sphinx" in out.getvalue()


def test_a_foreign_exception_shows_its_type_and_place_but_not_its_message(lines: Read) -> None:
    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("decoding failed")
    (line,) = lines()
    error = line["error"]
    assert isinstance(error, dict)
    assert (error["type"], error["module"]) == ("ValueError", "builtins")
    assert [frame.rpartition(":")[0] for frame in error["frames"]] == ["tests/server/test_logs.py"] * 2
    assert SAID not in json.dumps(line)


def test_an_error_of_our_own_shows_its_code_and_message_and_the_type_behind_it(lines: Read) -> None:
    try:
        try:
            fail()
        except ValueError as exc:
            raise UnsupportedAudio from exc
    except UnsupportedAudio as error:
        structlog.get_logger().warning("stream failed", error=error)
    (line,) = lines()
    report = line["error"]
    assert isinstance(report, dict)
    assert report["code"] == "unsupported_audio"
    assert report["message"] == str(UnsupportedAudio())
    assert report["cause"]["type"] == "ValueError"
    assert SAID not in json.dumps(line)


def test_an_error_raised_while_handling_another_names_both_types() -> None:
    error = KeyError(SAID)
    error.__context__ = ValueError(SAID)
    report = describe_error(error)
    assert (report.type, report.cause and report.cause.type) == ("KeyError", "ValueError")
    assert SAID not in repr(report)


def test_the_members_of_a_group_are_described_without_their_messages() -> None:
    report = describe_error(ExceptionGroup(SAID, [ValueError(SAID), ExceptionGroup(SAID, [Overloaded()])]))
    assert [member.type for member in report.errors] == ["ValueError", "ExceptionGroup"]
    assert [member.code for member in report.errors[1].errors] == ["overloaded"]
    assert SAID not in repr(report)


def test_errors_that_cause_each_other_are_described_once_round() -> None:
    one, other = ValueError(SAID), KeyError(SAID)
    one.__context__, other.__context__ = other, one
    assert describe_error(one, causes=2).cause == describe_error(other, causes=1)


def test_an_error_of_the_operating_system_names_its_number_but_no_file() -> None:
    report = describe_error(FileNotFoundError(2, "No such file or directory", SAID))
    assert report.code == "ENOENT"
    assert SAID not in repr(report)


def test_plain_values_are_written_and_of_all_others_only_the_type(lines: Read) -> None:
    id_ = UUID(int=7)
    structlog.get_logger().info("values", id=id_, path=Path("a/b"), seen=[1, 2.5, None], on=True)
    structlog.get_logger().info("others", audio=b"\x00", words={"text": SAID}, item=io.StringIO(SAID), deep=[{SAID}])
    plain, other = lines()
    assert (plain["id"], plain["path"], plain["seen"], plain["on"]) == (str(id_), "a/b", [1, 2.5, None], True)
    assert (other["audio"], other["words"], other["item"]) == ("<bytes>", "<dict>", "<StringIO>")


@given(value=st.text(st.characters(codec=None)) | st.floats() | st.integers() | st.binary() | st.lists(st.text()))
def test_every_value_can_be_written(value: object) -> None:
    with a_stream_for_the_log() as stream:
        configure_logging(LogSettings(), stream)
        structlog.get_logger().info("value", value=value)
        assert json.loads(stream.getvalue())["event"] == "value"


@pytest.mark.parametrize("name", ["uvicorn.error", "dbos", "alembic.runtime", "aiortc.rtp", "asyncio", "anything"])
def test_libraries_are_heard_from_warnings_up_in_the_same_form(lines: Read, name: str) -> None:
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    logger.info("chatter")
    logger.warning("trouble")
    (line,) = lines()
    assert list(line)[:3] == ["time", "level", "event"]
    assert (line["level"], line["event"], line["logger"]) == ("warning", "trouble", name)


@pytest.mark.parametrize(
    ("message", "arguments", "event"),
    [
        ("Got %s from %s", (SAID, 7), "Got %s from %s"),
        (f"Error executing workflow 7: {SAID}", (), "Error executing workflow 7"),
        (f"Task exception was never retrieved\nfuture: <Task {SAID}>", (), "Task exception was never retrieved"),
        (f"Traceback (most recent call last):\n  {SAID}", (), "Traceback (most recent call last)"),
        (OSError(98, SAID), (), "OSError"),
        (io.StringIO(SAID), (), "StringIO"),
        ("%d broken", (SAID,), "%d broken"),
    ],
)
def test_of_a_library_s_message_only_the_fixed_beginning_stays(
    lines: Read, message: object, arguments: tuple[object, ...], event: str
) -> None:
    logging.getLogger("dbos").error(message, *arguments)
    (line,) = lines()
    assert line["event"] == event
    assert SAID not in json.dumps(line)


def test_a_library_s_exception_shows_neither_message_nor_source_nor_stack(lines: Read) -> None:
    try:
        fail()
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n", stack_info=True)
    (line,) = lines()
    assert set(line) == {"time", "level", "event", "logger", "error"}
    assert SAID not in json.dumps(line)
    assert "raise" not in json.dumps(line)


def test_a_record_that_cannot_be_written_is_reported_without_its_content(lines: Read) -> None:
    class Unprintable(str):
        def partition(self, _: str, /) -> tuple[str, str, str]:
            raise RuntimeError(SAID)

        strip = None  # type: ignore[assignment]

    logging.getLogger("dbos").error(Unprintable(SAID))
    assert lines() == [{"level": "error", "event": "log line lost"}]


def test_setting_up_twice_writes_each_line_once(out: io.StringIO) -> None:
    configure_logging(LogSettings(), out)
    configure_logging(LogSettings(), out)
    logging.getLogger("dbos").warning("trouble")
    structlog.get_logger().info("event")
    assert len(out.getvalue().splitlines()) == 2


UNCAUGHT = f"""
import asyncio, logging, threading
from server.logs import configure_logging, log_uncaught_errors
from server.settings import LogSettings

def fail():
    raise ValueError("{SAID}")

async def lose_a_task():
    asyncio.get_running_loop().create_task(fail_later())
    await asyncio.sleep(0)

async def fail_later():
    fail()

class Bad:
    def __del__(self):
        fail()

configure_logging(LogSettings())
log_uncaught_errors()
asyncio.run(lose_a_task())
thread = threading.Thread(target=fail)
thread.start()
thread.join()
Bad()
fail()
"""


def test_what_no_one_caught_is_logged_without_its_message() -> None:
    done = subprocess.run([sys.executable, "-c", UNCAUGHT], capture_output=True, text=True, timeout=60)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    events = [line["event"] for line in lines]
    assert events == ["Task exception was never retrieved", *["uncaught error"] * 3]
    assert {line["error"]["type"] for line in lines} == {"ValueError"}
    assert done.returncode == 1
    assert SAID not in done.stderr + done.stdout


DURABLE = f"""
import asyncio, sys
from server.logs import configure_logging
from server.settings import LogSettings
configure_logging(LogSettings())
from dbos import DBOS
DBOS(config={{"name": "auscult-test", "system_database_url": "sqlite:///" + sys.argv[1], "run_admin_server": False}})

@DBOS.workflow()
async def work():
    raise ValueError("{SAID}")

async def main():
    handle = await DBOS.start_workflow_async(work)
    try:
        await handle.get_result()
    except ValueError:
        pass

DBOS.launch()
asyncio.run(main())
DBOS.destroy()
"""


def test_dbos_writes_through_our_log_although_it_brings_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DURABLE, str(tmp_path / "dbos.sqlite")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert "Exception encountered in asynchronous workflow" in [line["event"] for line in lines]
    assert SAID not in done.stderr + done.stdout
