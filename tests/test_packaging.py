"""What is shipped for a GPU: the image, its settings, the files that a build sees. No container engine is needed."""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path, PurePosixPath

import msgspec
import pytest

from server.settings import Settings, config_directory, load_settings
from tests.conftest import ROOT

DOCKERFILE = ROOT / "Dockerfile.gpu"
GPU = config_directory() / "gpu.toml"
STRINGS = msgspec.json.Decoder(list[str])
PATIENCE_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction of a Dockerfile, its continued lines joined."""

    name: str
    text: str

    @property
    def strings(self) -> list[str]:
        """The JSON list in it: an exec form, or paths."""
        return STRINGS.decode(self.text[self.text.index("[") :])


def stages() -> list[list[Instruction]]:
    """The Dockerfile, cut before each FROM."""
    lines = [line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found: list[list[Instruction]] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, text = line.partition(" ")
        if name == "FROM":
            found.append([])
        found[-1].append(Instruction(name=name, text=" ".join(text.split())))
    return found


def only(name: str) -> Instruction:
    """The final stage's instruction of this name."""
    [instruction] = [one for one in stages()[-1] if one.name == name]
    return instruction


def environment() -> Mapping[str, str]:
    """What the final stage's ENV sets."""
    return dict(re.findall(r"(\w+)=(\S+)", only("ENV").text))


def copied() -> Iterator[str]:
    """What is taken from the project's folder."""
    for instruction in (one for stage in stages() for one in stage if one.name == "COPY"):
        words = instruction.text.split()
        if not words[0].startswith("--from="):
            yield from words[:-1]


def let_through(path: str, rules: Sequence[str]) -> bool:
    """Whether a build sees the path: the last rule of .dockerignore that fits it, or a folder it is in, decides."""
    parts = PurePosixPath(path)
    seen = True
    for rule in rules:
        pattern = rule.removeprefix("!")
        anywhere = pattern.startswith("**/")
        for part in (parts, *parts.parents[:-1]):
            if fnmatch(part.name if anywhere else str(part), pattern.removeprefix("**/")):
                seen = rule.startswith("!")
    return seen


@contextmanager
def answering(status: int) -> Iterator[int]:
    """The port of something that answers one request for /readyz with this status."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else HTTPStatus.NOT_FOUND)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        server.timeout = PATIENCE_S
        answers = threading.Thread(target=server.handle_request)
        answers.start()
        yield server.server_port
        answers.join()


def is_healthy(port: int) -> bool:
    """What the image's health check says of a server on this port, where a proxy is named that is not there."""
    python, *arguments = only("HEALTHCHECK").strings
    assert python == "python"
    nowhere = "http://127.0.0.1:9"
    variables = {"AUSCULT_SERVER_PORT": str(port), "http_proxy": nowhere, "HTTP_PROXY": nowhere}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=variables, capture_output=True, timeout=PATIENCE_S).returncode == 0


@pytest.fixture
def rules() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_gpu_s_settings_are_settings_that_exist_with_values_that_can_be_used() -> None:
    settings = load_settings(config_file=GPU, environment={})
    assert settings.recogniser.kind == "whisper"
    assert settings.recogniser.device == "cuda"


def test_every_setting_for_the_gpu_is_explained_above() -> None:
    lines = GPU.read_text(encoding="utf-8").splitlines()
    settings = [(above, line) for above, line in pairwise(lines) if "=" in line and not line.startswith("#")]
    assert [line for above, line in settings if not above.startswith("# ")] == []


def test_the_wheel_carries_the_settings_and_all_that_it_is_made_of_gets_into_the_image() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"]["config"] == "server/config"
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    assert needed | {*wheel["packages"], *wheel["force-include"]} <= set(copied())


def test_a_build_sees_what_it_copies_and_neither_data_nor_keys_nor_history(rules: list[str]) -> None:
    assert [path for path in copied() if not let_through(path, rules)] == []
    assert [path for path in copied() if not (ROOT / path).exists()] == []
    secret = ("data/key", "data/auscult.db", ".git/config", ".venv/bin/python", "tests/models/x/model.bin", "key.pem")
    assert [path for path in secret if let_through(path, rules)] == []


def test_the_image_starts_from_a_base_that_does_not_change_by_itself() -> None:
    names: set[str] = set()
    for stage in stages():
        image, _, name = stage[0].text.partition(" AS ")
        assert image in names or re.fullmatch(r"nvidia/cuda:12\.\d+\.\d+-runtime-ubuntu\d\d\.04(@sha256:\w+)?", image)
        names.add(name)


def test_the_server_in_the_image_is_not_root() -> None:
    user, _, group = only("USER").text.partition(":")
    assert int(user) >= 10_000  # a number: Kubernetes' runAsNonRoot reads no names
    assert int(group) >= 10_000


def test_the_image_keeps_data_and_models_in_volumes_and_writes_nowhere_else() -> None:
    settings = load_settings(config_file=GPU, environment={})
    volumes = only("VOLUME").strings
    assert volumes == [settings.server.data_dir, settings.recogniser.models_dir]
    assert environment()["AUSCULT_CONFIG"] in [one.text.split()[-1] for one in stages()[-1] if one.name == "COPY"]
    kept = [PurePosixPath(environment()[name]) for name in ("HF_HOME", "CUDA_CACHE_PATH")]
    assert [path for path in kept if str(path.parent) not in volumes] == []


def test_no_variable_of_the_image_holds_a_secret() -> None:
    names = [word for stage in stages() for one in stage if one.name in ("ARG", "ENV") for word in one.text.split()]
    assert [name for name in names if re.search("KEY|PASSWORD|SECRET|TOKEN", name)] == []


def test_the_image_runs_the_server_and_publishes_the_port_it_listens_on() -> None:
    assert [*only("ENTRYPOINT").strings, *only("CMD").strings] == ["auscult", "serve", "--host", "0.0.0.0"]
    assert only("EXPOSE").text == str(Settings().server.port)
    assert only("STOPSIGNAL").text == "SIGTERM"  # uvicorn's sign to finish what it is doing


@pytest.mark.parametrize(("status", "healthy"), [(HTTPStatus.OK, True), (HTTPStatus.SERVICE_UNAVAILABLE, False)])
def test_the_health_check_is_content_with_a_ready_server_only(status: int, healthy: bool) -> None:
    with answering(status) as port:
        assert is_healthy(port) is healthy


def test_the_health_check_fails_where_nobody_listens() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        assert not is_healthy(unheard.getsockname()[1])


def test_a_linter_has_nothing_to_say_about_the_dockerfile() -> None:
    linter = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if linter is None:
        pytest.skip("hadolint is not packaged for this machine")
    report = subprocess.run([linter, "--no-color", DOCKERFILE], capture_output=True, text=True, timeout=60)
    assert report.returncode == 0, report.stdout + report.stderr
