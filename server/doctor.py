"""What is installed, which recogniser would run, what is missing and the command that mends it."""

import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import anyio

from pipeline.errors import AuscultError, ModelTimeout, ModelUnavailable
from server.engines import (
    chosen,
    find_embedder,
    make_chat_model,
    make_remote,
    note_prompt,
    pyannote_missing,
    recognises_elsewhere,
    writes_with_model,
)
from server.settings import Settings
from server.templates import note_templates, own_templates

PACKAGES = ("av", "onnxruntime", "faster-whisper", "ctranslate2", "pocketsphinx", "webrtcvad-wheels", "dbos", "uvicorn")

MODEL_PATIENCE_S = 10.0  # for a language model's server to name its models
MODELS_NAMED = 8
MODEL_HINT = "for any language, and notes in better words: set note_model.url and note_model.name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the examination."""

    what: str
    ok: bool
    detail: str  # the version, the place, or the command that mends it
    needed: bool = True


def examine(settings: Settings) -> list[Finding]:
    """Everything worth knowing before the server is started."""
    return [
        *_packages(),
        *_sqlite(settings),
        *_files(settings),
        _voice_activity(),
        _voices(settings),
        *_review(settings),
        *_recognisers(settings),
        *_note_writer(settings),
    ]


def _packages() -> Iterator[Finding]:
    for name in PACKAGES:
        try:
            yield Finding(what=name, ok=True, detail=version(name))
        except PackageNotFoundError:
            yield Finding(what=name, ok=False, detail="pip install auscult")


def _sqlite(settings: Settings) -> Iterator[Finding]:
    """On Python 3.12 and newer the job engine asks SQLite for fractions of seconds, which it has since 3.42."""
    if settings.store.url:
        return
    old = sys.version_info >= (3, 12) and sqlite3.sqlite_version_info < (3, 42)
    mend = "; run Auscult with Python 3.11, or set store.url to a PostgreSQL database" if old else ""
    yield Finding(what="sqlite", ok=not old, detail=f"{sqlite3.sqlite_version}{mend}")


def _files(settings: Settings) -> Iterator[Finding]:
    yield _templates(settings)
    data = settings.data_path
    yield Finding(what="data directory", ok=_writable(data), detail=f"{data} (choose with --data-dir)")
    tls = bool(settings.server.tls_cert)
    detail = settings.server.tls_cert or "auscult serve --tls-cert … --tls-key …, or a proxy in front"
    yield Finding(what="TLS", ok=tls, detail=detail, needed=False)


def _templates(settings: Settings) -> Finding:
    try:
        found, own = note_templates(settings.notes), own_templates(settings.notes)
    except AuscultError as exc:
        return Finding(what="note templates", ok=False, detail=str(exc))
    of = f", of which {len(own)} in {settings.notes.templates_dir}" if own else ""
    return Finding(what="note templates", ok=True, detail=f"{len(found)}{of}")


def _writable(path: Path) -> bool:
    """Whether the directory is there and ours, or can be made."""
    existing = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
    probe = existing / ".auscult-doctor"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


def _voice_activity() -> Finding:
    found = find_spec("faster_whisper") is not None
    detail = "silero, inside faster-whisper" if found else "pip install auscult"
    return Finding(what="voice activity", ok=found, detail=detail)


def _voices(settings: Settings) -> Finding:
    try:
        embedder = find_embedder(settings)
    except AuscultError as exc:
        return Finding(what="voices", ok=False, detail=str(exc), needed=settings.speakers.embedder != "auto")
    if embedder is None:
        return Finding(what="voices", ok=True, detail="not told apart: the setting says so")
    return Finding(what="voices", ok=True, detail=f"{embedder.name}, {embedder.model}")


def _review(settings: Settings) -> Iterator[Finding]:
    if settings.speakers.review and settings.speakers.pyannote_model:
        missing = pyannote_missing(settings)
        detail = missing or f"by pyannote, {settings.speakers.pyannote_model}"
        yield Finding(what="review of labels", ok=missing is None, detail=detail, needed=False)


def _recognisers(settings: Settings) -> list[Finding]:
    """The recogniser of this process, or each of its workers."""
    if recognises_elsewhere(settings):
        return anyio.run(_workers, settings)
    return [_recogniser(settings)]


async def _workers(settings: Settings) -> list[Finding]:
    try:
        remote = make_remote(settings)
    except AuscultError as exc:
        return [Finding(what="recogniser workers", ok=False, detail=str(exc))]
    try:
        reports = await remote.examine()
    finally:
        await remote.aclose()
    return [
        Finding(what="recogniser worker", ok=ok, detail=f"{where}: {detail}", needed=not any(r[1] for r in reports))
        for where, ok, detail in reports
    ]


def _recogniser(settings: Settings) -> Finding:
    try:
        choice = chosen(settings)
    except AuscultError as exc:
        return Finding(what="recogniser", ok=False, detail=str(exc))
    name = f"{choice.kind} {choice.model or ''}".strip()
    hint = f" ({choice.hint})" if choice.hint else ""
    return Finding(what="recogniser", ok=True, detail=f"{name}: {choice.reason}{hint}")


def _note_writer(settings: Settings) -> Iterator[Finding]:
    """Who writes notes, and whether the model can."""
    if not writes_with_model(settings):
        why = "the setting says so" if settings.notes.writer == "embedded" else MODEL_HINT
        yield Finding(what="note writer", ok=True, detail=f"embedded ({why})")
        return
    model = settings.note_model
    where = urlsplit(model.url)
    needed = not settings.notes.fallback
    try:
        note_prompt(settings)
    except AuscultError as exc:
        yield Finding(what="note prompt", ok=False, detail=str(exc))
    ok, detail = anyio.run(_examine_model, settings)
    fallback = "" if ok or needed else "; until then the embedded writer writes"
    yield Finding(
        what="note writer", ok=ok, detail=f"model {model.name} at {model.url}: {detail}{fallback}", needed=needed
    )
    if where.scheme == "http" and where.hostname not in ("127.0.0.1", "::1", "localhost"):
        detail = "what was said goes to note_model.url in the clear: use https, or a network that nobody else is on"
        yield Finding(what="note model TLS", ok=False, detail=detail, needed=False)


async def _examine_model(settings: Settings) -> tuple[bool, str]:
    """Whether the model's server answers and has the model, and what mends it."""
    model = settings.note_model
    chat = make_chat_model(settings)
    try:
        with anyio.fail_after(MODEL_PATIENCE_S):
            names = await chat.models()
    except (TimeoutError, ModelTimeout):
        return False, "does not answer: start its server (`ollama serve`), or set note_model.url"
    except ModelUnavailable as exc:
        return False, f"{exc} Start it (`ollama serve`), or set note_model.url"
    except AuscultError as exc:
        return False, str(exc)
    finally:
        await chat.aclose()
    if model.name in names or f"{model.name}:latest" in names:
        return True, "answers"
    known = ", ".join(names[:MODELS_NAMED]) or "none"
    return False, f"answers, but has no such model (it has {known}): `ollama pull {model.name}`, or set note_model.name"
