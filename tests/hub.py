"""A model hub on loopback: as much of the Hugging Face API as downloading one repository takes."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REVISION = "0123456789abcdef0123456789abcdef01234567"


class _Hub(ThreadingHTTPServer):
    def __init__(self, repository: str, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repository = repository
        self.folder = folder


class _Handler(BaseHTTPRequestHandler):
    server: _Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        api = f"/api/models/{self.server.repository}"
        path = self.path.partition("?")[0]
        if path in (api, f"{api}/revision/main"):
            self._json({"id": self.server.repository, "sha": REVISION, "siblings": []})
        elif path == f"{api}/tree/{REVISION}":
            self._json([_entry(file) for file in sorted(self.server.folder.iterdir())])
        else:
            self._file(path.removeprefix(f"/{self.server.repository}/resolve/{REVISION}/"))

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""

    def _json(self, value: object) -> None:
        self._answer(json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str) -> None:
        file = self.server.folder / name
        if "/" in name or not file.is_file():
            self._answer(b"{}", {"X-Error-Code": "RepoNotFound"}, HTTPStatus.NOT_FOUND)
            return
        body = file.read_bytes()
        self._answer(body, {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": REVISION})

    def _answer(self, body: bytes, headers: dict[str, str], status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _entry(file: Path) -> dict[str, object]:
    body = file.read_bytes()
    return {"type": "file", "path": file.name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}


@contextmanager
def hub(repository: str, folder: Path) -> Iterator[str]:
    """Serve the files of a folder as a repository; give the hub's address."""
    server = _Hub(repository, folder)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
