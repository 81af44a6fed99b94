"""One line for each thing worth knowing, on standard error. What was said, and by whom, never gets in.

Our own events are fixed texts with plain values beside them. Other people's libraries put what they like into a
message, and an exception's message may quote its input. So of a foreign record only the fixed beginning stays, of a
foreign exception only its type and where it was raised, and a value that is no plain one shows its type alone.
"""

import errno
import logging
import sys
import threading
from contextlib import suppress
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TextIO
from uuid import UUID

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from pipeline.errors import AuscultError
from server.settings import LogSettings

FOREIGN = ("aiortc", "alembic", "dbos", "uvicorn")  # libraries that bring, or may bring, handlers of their own
MAX_FRAMES = 16  # of a traceback, the innermost
MAX_CAUSES = 4  # exceptions behind an exception

_now = structlog.processors.TimeStamper(fmt="iso", utc=True, key="time")


class ErrorReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True):
    """What may be logged of an exception."""

    type: str
    module: str
    code: str = ""  # of our own errors; of the operating system's, the name of the error number
    message: str = ""  # only of our own errors: theirs are written without what was said
    frames: tuple[str, ...] = ()  # "server/app.py:12", innermost last
    cause: "ErrorReport | None" = None
    errors: tuple["ErrorReport", ...] = ()  # the members of an exception group


def configure_logging(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send our own events and, from warnings up, those of libraries to `stream` (default: standard error).

    Run uvicorn with `log_config=None, access_log=False`: else it replaces what is set here.
    """
    out = stream or sys.stderr
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _now,
        report_error,
        keep_plain,
    ]
    render = _renderer(settings, out)
    structlog.configure(
        processors=[*common, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[keep_fixed_part],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *common, render],
        use_get_message=False,
    )
    handler = _ForeignHandler(out)
    handler.setFormatter(formatter)
    handler.setLevel(max(level, logging.WARNING))
    logging.getLogger().handlers = [handler]
    for name in FOREIGN:
        logger = logging.getLogger(name)
        logger.handlers = [handler]  # not left to the root: DBOS adds a handler of its own where it finds none
        logger.propagate = False


def log_uncaught_errors() -> None:
    """Log what no one caught, in any thread, instead of printing a traceback that quotes values."""
    sys.excepthook = lambda kind, error, _: _log_crash(kind, error)
    threading.excepthook = lambda args: _log_crash(args.exc_type, args.exc_value)
    sys.unraisablehook = lambda args: _log_crash(args.exc_type, args.exc_value)


def describe_error(error: BaseException, *, causes: int = MAX_CAUSES) -> ErrorReport:
    """What may be logged of `error`: no message of a foreign exception, no local value, no source text."""
    ours = isinstance(error, AuscultError)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return ErrorReport(
        type=type(error).__name__,
        module=type(error).__module__,
        code=_code(error),
        message=str(error) if ours else "",
        frames=_frames(error.__traceback__),
        cause=describe_error(cause, causes=causes - 1) if cause and causes else None,
        errors=_members(error, causes),
    )


def report_error(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Processor: `exc_info` becomes an `ErrorReport` under `error`; `stack_info` goes."""
    event.pop("stack_info", None)
    error = _exception(event.pop("exc_info", None))
    if error is not None:
        event["error"] = describe_error(error)
    return event


def keep_plain(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Processor: numbers, texts, ids, paths and dates stay, exceptions are described, all else shows its type only."""
    return {key: _plain(value) for key, value in event.items()}


def keep_fixed_part(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Processor for records of libraries: keeps what their authors wrote, drops what was filled in.

    That is the template without its arguments, up to the first colon or line break: behind those f-strings put the
    details ("Error executing workflow 7: …", "Task exception was never retrieved\\nfuture: <Task … ValueError('…')>").
    """
    record: logging.LogRecord = event["_record"]
    message: object = record.msg
    if isinstance(message, BaseException):
        event.setdefault("exc_info", message)
    fixed = message.strip().partition("\n")[0].partition(": ")[0].rstrip(":") if isinstance(message, str) else ""
    return {**event, "event": fixed or type(message).__name__, "logger": record.name}


class _ForeignHandler(logging.Handler):
    """Writes lines through the same lock as our own events."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._lines = structlog.WriteLogger(stream)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.msg(self.format(record))
        except Exception:  # a log line must not end what was being done
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Say that a line was lost; what logging would print quotes the record's arguments."""
        with suppress(OSError, ValueError):
            self._lines.msg('{"level":"error","event":"log line lost"}')


def _log_crash(kind: type[BaseException], error: BaseException | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    report = describe_error(error) if error else ErrorReport(type=kind.__name__, module=kind.__module__)
    structlog.get_logger().critical("uncaught error", error=report)


def _renderer(settings: LogSettings, stream: TextIO) -> Processor:
    if settings.format == "console":
        return structlog.dev.ConsoleRenderer(colors=stream.isatty(), timestamp_key="time")
    return _render_json


def _render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    first = {key: event[key] for key in ("time", "level", "event") if key in event}
    return msgspec.json.encode({**first, **event}).decode()


def _exception(given: object) -> BaseException | None:
    """The exception that an `exc_info` argument means."""
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    if isinstance(given, BaseException):
        return given
    return sys.exception() if given else None


def _plain(value: object) -> object:
    match value:
        case bool() | int() | float() | None | ErrorReport():
            return value
        case str() | UUID() | Path() | date():
            return str(value).encode("utf-8", "replace").decode()  # a file name may hold half a surrogate pair
        case BaseException():
            return describe_error(value)
        case list() | tuple() | set() | frozenset():
            return [_plain(member) for member in value]
        case _:
            return f"<{type(value).__name__}>"


def _code(error: BaseException) -> str:
    if isinstance(error, AuscultError):
        return error.code
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno, str(error.errno))
    return ""


def _members(error: BaseException, causes: int) -> tuple[ErrorReport, ...]:
    if not isinstance(error, BaseExceptionGroup) or not causes:
        return ()
    return tuple(describe_error(member, causes=causes - 1) for member in error.exceptions)


def _frames(traceback: TracebackType | None) -> tuple[str, ...]:
    frames: list[str] = []
    while traceback is not None:
        file = "/".join(Path(traceback.tb_frame.f_code.co_filename).parts[-3:])
        frames.append(f"{file}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return tuple(frames[-MAX_FRAMES:])
