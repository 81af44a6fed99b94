"""Where a pyannote pipeline lies, what is missing for it to run, and how it is loaded without calling anybody.

pyannote.audio 4 reports every model, pipeline and recording to its makers unless PYANNOTE_METRICS_ENABLED is 0 before
it is imported; one kind of its pipelines sends the audio itself away. Neither may happen here: `silence` sees to the
first, `checked` refuses the second. A checkpoint is a pickle, that is a program: whoever names one trusts it.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.errors import VoicesUnavailable

INSTALL = "pip install torch==2.13.0 && pip install 'pyannote.audio>=4.0.7,<5'"  # a plain torch brings 3 GB of CUDA
MEND_TORCHAUDIO = (
    "rm -f \"$(python -c 'import importlib.util as u;"
    ' print(u.find_spec("torchaudio").submodule_search_locations[0])\')"/lib/*.so'
)
EXAMPLE = "pyannote/speaker-diarization-community-1"
LOCAL_PIPELINES = frozenset(
    {"pyannote.audio.pipelines.SpeakerDiarization", "pyannote.audio.pipelines.speaker_diarization.SpeakerDiarization"}
)
HERE = "$model/"  # what a part of the same directory begins with
PARTS = ("segmentation", "embedding", "plda")  # any that is not named is taken from the hub


def check_installed() -> None:
    """Raises `VoicesUnavailable` with the command that mends it. Imports nothing heavy."""
    try:
        found = version("pyannote.audio")
    except PackageNotFoundError as exc:
        raise VoicesUnavailable(f"The package pyannote.audio is not installed: {INSTALL}") from exc
    if not found.startswith("4."):
        raise VoicesUnavailable(f"pyannote.audio {found} is installed, but 4 is needed: {INSTALL}")
    if _torchaudio_wants_cuda():
        raise VoicesUnavailable(
            f"torchaudio was built for CUDA, torch was not. It works without its own: {MEND_TORCHAUDIO}"
        )


def check_named(model: str, token: str) -> None:
    """Raises `VoicesUnavailable` where `model` cannot be a pipeline. Looks only at the disk."""
    if not model:
        raise VoicesUnavailable(
            f"pyannote needs a pipeline: set speakers.pyannote_model to its directory, or to a name such as {EXAMPLE}."
        )
    if _is_path(model):
        checked(Path(model))
    elif not token and _cached(model) is None:
        raise VoicesUnavailable(
            f"The pipeline {model} is not on this machine: set speakers.hub_token to your token of huggingface.co"
            f" (accept the conditions at https://hf.co/{model} first), or speakers.pyannote_model to a directory."
        )


def directory(model: str, token: str) -> Path:
    """The pipeline's directory; one that is on the hub only is downloaded, once.

    Raises: `VoicesUnavailable` where it is missing, incomplete or cannot be downloaded.
    """
    check_named(model, token)
    if _is_path(model):
        return Path(model)
    path = _cached(model) or _downloaded(model, token)
    checked(path)
    return path


def checked(path: Path) -> dict[str, Any]:
    """What a pipeline's `config.yaml` says, if everything it names is in its own directory and runs here.

    Raises: `VoicesUnavailable`.
    """
    import yaml

    try:
        config = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))
        name, params = str(config["pipeline"]["name"]), dict(config["pipeline"]["params"])
    except OSError as exc:
        raise VoicesUnavailable(f"{path} is no directory with a pyannote pipeline: it has no config.yaml.") from exc
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError) as exc:
        raise VoicesUnavailable(f"{path / 'config.yaml'} does not describe a pyannote pipeline.") from exc
    if name not in LOCAL_PIPELINES:  # pyannote.audio.pipelines.pyannoteai uploads the audio
        raise VoicesUnavailable(f"{path / 'config.yaml'} names the pipeline {name}: only SpeakerDiarization runs here.")
    for part in PARTS:
        named = params.get(part)
        if not isinstance(named, str) or not named.startswith(HERE):
            raise VoicesUnavailable(
                f"{path / 'config.yaml'} must name its {part} as {HERE}…: nothing is fetched for it."
            )
        files = ("plda.npz", "xvec_transform.npz") if part == "plda" else ("pytorch_model.bin",)
        for file in files:
            if not (lacking := path / named.removeprefix(HERE) / file).is_file():
                raise VoicesUnavailable(f"The pyannote pipeline is incomplete: there is no {lacking}.")
    return dict(config["pipeline"])


def silence() -> None:
    """Switch telemetry off. Must come before anything of pyannote is imported; holds for the process."""
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


@contextmanager
def importing() -> Iterator[None]:
    """Where pyannote is imported and models are loaded: silently, offline, with errors that say what to do.

    What it warns of (no torchcodec, checkpoints of an older lightning) is of no use to an operator. Its exporter is
    shut down, too: even one that has nothing to send keeps a thread.
    """
    silence()
    os.environ["HF_HUB_OFFLINE"] = "1"  # everything is in the directory by now
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pyannote.audio.telemetry import metrics

            metrics.set_telemetry_metrics(False)
            metrics.provider.shutdown()
            yield
    except VoicesUnavailable:
        raise
    except Exception as exc:  # whatever a foreign package, or a damaged checkpoint, comes up with
        raise VoicesUnavailable(f"The pyannote pipeline cannot be loaded ({type(exc).__name__}): {INSTALL}") from exc


def _is_path(model: str) -> bool:
    """Whether it is a directory and not a name on the hub, which is always owner/name."""
    return Path(model).is_dir() or model.startswith(("/", ".", "~")) or model.count("/") != 1


def _cached(model: str) -> Path | None:
    """Where the hub's cache has it, if it does."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (OSError, ValueError):  # the hub's "not here" is a FileNotFoundError, a name that cannot be one ValueError
        return None


def _downloaded(model: str, token: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, token=token))
    except Exception as exc:  # the hub's client and its HTTP client have a dozen classes for it
        raise VoicesUnavailable(
            f"The pipeline {model} cannot be downloaded ({type(exc).__name__}): check the network, speakers.hub_token,"
            f" and that its owner accepted the conditions at https://hf.co/{model}; or set a directory."
        ) from exc


def _torchaudio_wants_cuda() -> bool:
    """PyPI's torchaudio is linked against CUDA, which a torch for CPUs has not: then it cannot even be imported."""
    audio, torch = find_spec("torchaudio"), find_spec("torch")
    folders = [spec.submodule_search_locations or [] for spec in (audio, torch) if spec is not None]
    if len(folders) < 2 or not folders[0] or not folders[1]:
        return False
    if (Path(folders[1][0]) / "lib" / "libc10_cuda.so").exists():
        return False
    return any(b"libc10_cuda.so" in library.read_bytes() for library in Path(folders[0][0], "lib").glob("*.so"))
