"""Whisper models on this machine: what is here, what can be fetched, and which recogniser should run.

A model is a directory that faster-whisper (CTranslate2) can load. It is found by its path, by its name in the models
directory, or by its name in a cache laid out as the Hugging Face hub's client does. Only `fetch` uses the network.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec

from pipeline.errors import RecogniserUnavailable

Kind: TypeAlias = Literal["sphinx", "whisper", "scripted"]

REPOSITORIES: Mapping[str, str] = MappingProxyType(  # the names that faster-whisper 1.2 knows, and what they stand for
    {
        "tiny.en": "Systran/faster-whisper-tiny.en",
        "tiny": "Systran/faster-whisper-tiny",
        "base.en": "Systran/faster-whisper-base.en",
        "base": "Systran/faster-whisper-base",
        "small.en": "Systran/faster-whisper-small.en",
        "small": "Systran/faster-whisper-small",
        "medium.en": "Systran/faster-whisper-medium.en",
        "medium": "Systran/faster-whisper-medium",
        "large-v1": "Systran/faster-whisper-large-v1",
        "large-v2": "Systran/faster-whisper-large-v2",
        "large-v3": "Systran/faster-whisper-large-v3",
        "large": "Systran/faster-whisper-large-v3",
        "distil-large-v2": "Systran/faster-distil-whisper-large-v2",
        "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
        "distil-small.en": "Systran/faster-distil-whisper-small.en",
        "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
        "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
        "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
        "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    }
)
RECOMMENDED = "small.en"
PREFERRED = (RECOMMENDED, "small", "distil-small.en", "base.en", "base", "tiny.en", "tiny")  # live, on a few CPU cores
NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json")  # without the last, faster-whisper would ask the hub
FETCHED_FILES = [*NEEDED_FILES, "preprocessor_config.json", "vocabulary.*"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """A model that is on this machine, whole."""

    name: str  # what to call it by in settings and commands
    path: Path
    size: int  # bytes
    multilingual: bool

    @property
    def languages(self) -> str:
        """For people."""
        return "many" if self.multilingual else "English"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which recogniser runs, and why."""

    kind: Kind
    model: str  # name or directory of the Whisper model; empty for the others
    reason: str  # half a sentence
    hint: str = ""  # a command that leads to a better one


def choose(setting: str, model: str, root: Path | None = None) -> Choice:
    """The recogniser for a setting ("auto", "sphinx", "whisper", "scripted") and a model's name or directory.

    Raises: `RecogniserUnavailable` where a Whisper model is asked for that is not here, or a directory that is none.
    """
    if setting in ("sphinx", "scripted"):
        return decide(setting, model, ())
    found = (locate(model, root),) if model and (setting == "whisper" or _is_path(model)) else available(root)
    return decide(setting, model, found)


def decide(setting: str, model: str, found: Sequence[LocalModel]) -> Choice:
    """`choose` without looking anywhere: `found` is what is on this machine.

    Automatic is: the Whisper model that is configured, or else the preferred one of those that are here, or else
    pocketsphinx. Raises: `RecogniserUnavailable`.
    """
    if setting == "sphinx":
        return Choice(kind="sphinx", model="", reason="the setting says so")
    if setting == "scripted":
        return Choice(kind="scripted", model="", reason="the setting says so")
    if setting not in ("auto", "whisper"):
        raise RecogniserUnavailable(f"There is no recogniser {setting!r}: choose auto, sphinx, whisper or scripted.")
    best = _best(model, found)
    if best is not None:
        where = "is the model that is configured" if model else "is on this machine"
        return Choice(kind="whisper", model=model or best.name, reason=f"{best.name} {where}")
    if setting == "whisper":
        raise _missing(model)
    reason = f"the Whisper model {model} is not on this machine" if model else "no Whisper model is on this machine"
    return Choice(kind="sphinx", model="", reason=reason, hint=f"auscult models fetch {model or RECOMMENDED}")


def available(root: Path | None = None) -> tuple[LocalModel, ...]:
    """The models in a directory of models or cache (`None`: the hub's own cache), by name."""
    root = root or hub_cache()
    return tuple(sorted((*_cached(root), *_directories(root)), key=lambda model: model.name))


def locate(model: str, root: Path | None = None) -> LocalModel:
    """The model of this name or at this path.

    Raises: `RecogniserUnavailable` that says what is missing and which command fetches it.
    """
    if _is_path(model):
        path = Path(model).expanduser()
        for name in NEEDED_FILES:
            if not (path / name).is_file():
                raise RecogniserUnavailable(
                    f"{path} is no faster-whisper model: {name} is missing. "
                    f"Fetch a whole one: auscult models fetch {RECOMMENDED}"
                )
        return _described(model, path)
    found = _best(model, available(root))
    if found is None:
        raise _missing(model)
    return found


def fetch(name: str, root: Path | None = None, *, endpoint: str | None = None) -> Path:
    """Download a model by its name, or by its repository on the hub; a terminal sees the progress.

    `endpoint`: address of a mirror of the hub. Raises: `RecogniserUnavailable` that says what to do.
    """
    repository = repository_of(name)
    from huggingface_hub import snapshot_download  # not at the top: a server that fetches nothing need not load it

    try:
        path = snapshot_download(
            repository, cache_dir=root or hub_cache(), allow_patterns=FETCHED_FILES, endpoint=endpoint
        )
    except Exception as exc:  # the errors of whichever HTTP library the hub's client is built on
        raise RecogniserUnavailable(
            f"{name} could not be fetched: the model hub cannot be reached, or has no {repository}. Try again with a "
            "network (HTTPS_PROXY names a proxy, HF_ENDPOINT a mirror), or copy a converted model's directory to this "
            "machine and name it: auscult serve --recogniser whisper --model DIRECTORY"
        ) from exc
    return locate(path).path


def repository_of(name: str) -> str:
    """The hub's repository that a model's name stands for. Raises `RecogniserUnavailable` for an unknown name."""
    if name.count("/") == 1:
        return name
    if name in REPOSITORIES:
        return REPOSITORIES[name]
    near = get_close_matches(name, REPOSITORIES, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    raise RecogniserUnavailable(f"There is no model {name!r}.{meant} Known are: {', '.join(REPOSITORIES)}")


def hub_cache() -> Path:
    """Where the hub's client keeps what it fetched, by its own environment variables."""
    home = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    home = Path(os.environ.get("HF_HOME", home))
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()


def _best(model: str, found: Sequence[LocalModel]) -> LocalModel | None:
    """The model that is asked for; where none is, the preferred one."""
    if model:
        names = {model, REPOSITORIES.get(model, model)}
        return next((one for one in found if one.name in names or REPOSITORIES.get(one.name) in names), None)
    order = {name: rank for rank, name in enumerate(PREFERRED)}
    return min(found, key=lambda one: order.get(one.name, len(order)), default=None)


def _missing(model: str) -> RecogniserUnavailable:
    if not model:
        return RecogniserUnavailable(f"No Whisper model is on this machine: auscult models fetch {RECOMMENDED}")
    return RecogniserUnavailable(f"The Whisper model {model} is not on this machine: auscult models fetch {model}")


def shown(model: str) -> str:
    """What a model is called before clients: of one that is named by its place only the last part of that."""
    return os.path.basename(os.path.abspath(Path(model).expanduser())) if _is_path(model) else model


def _is_path(model: str) -> bool:
    """Whether a model is named by its place: `./small`, `/models/small`, or a directory that is there."""
    return model.startswith((".", "/", "~")) or Path(model).is_dir()


def _cached(root: Path) -> Iterator[LocalModel]:
    """Whole models in the layout of the hub's client: `models--OWNER--NAME/{refs/main,snapshots/REVISION/}`."""
    names = {repository: name for name, repository in reversed([*REPOSITORIES.items()])}  # first wins
    for folder in root.glob("models--*"):
        reference = folder / "refs" / "main"
        if not reference.is_file():
            continue
        path = folder / "snapshots" / reference.read_text().strip()
        repository = folder.name.removeprefix("models--").replace("--", "/", 1)
        if _is_whole(path):
            yield _described(names.get(repository, repository), path)


def _directories(root: Path) -> Iterator[LocalModel]:
    """Whole models in directories of their own."""
    for path in root.glob("*/model.bin"):
        if _is_whole(path.parent):
            yield _described(path.parent.name, path.parent)


def _is_whole(path: Path) -> bool:
    return all((path / name).is_file() for name in NEEDED_FILES)


def _described(name: str, path: Path) -> LocalModel:
    size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return LocalModel(name=name, path=path, size=size, multilingual=_is_multilingual(path))


def _is_multilingual(path: Path) -> bool:
    """As CTranslate2 ≥ 4.8 tells them apart: an English-only vocabulary has no empty token."""
    try:
        if (path / "vocabulary.json").is_file():
            return "" in msgspec.json.decode((path / "vocabulary.json").read_bytes(), type=list[str])
        if (path / "vocabulary.txt").is_file():
            return "" in (path / "vocabulary.txt").read_text("utf-8").removesuffix("\n").split("\n")
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # loading it will say so
    return False
