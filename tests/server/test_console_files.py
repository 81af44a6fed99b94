"""The console's files as they are served: small, asked for each time, with a policy that lets nothing else in."""

import gzip
import re
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from server import ops
from server.console.serving import FOLDER, MEDIA_TYPES, Console, read_files
from server.endpoints import routes


@pytest.fixture
def client() -> Iterator[TestClient]:
    console = Console(ops.operations(), read_files())
    with TestClient(Starlette(routes=routes(console.endpoints())), follow_redirects=False) as made:
        made.headers.pop("accept-encoding")
        yield made


def test_whoever_opens_the_server_in_a_browser_is_shown_the_way(client: TestClient) -> None:
    assert (client.get("/").status_code, client.get("/").headers["location"]) == (307, "console/")
    assert (client.get("/console").status_code, client.get("/console").headers["location"]) == (308, "console/")


def test_the_page_is_the_file_that_lies_there(client: TestClient) -> None:
    answer = client.get("/console/")
    assert answer.status_code == 200
    assert answer.content == (FOLDER / "index.html").read_bytes()
    assert answer.headers["content-type"].startswith("text/html")


def test_each_file_comes_as_what_it_is_and_smaller_where_that_is_taken(client: TestClient) -> None:
    for name, file in read_files().items():
        answer = client.get(f"/console/{name}")
        assert answer.headers["content-type"].startswith(file.media_type)
        assert answer.content == (FOLDER / name).read_bytes()
        smaller = client.get(f"/console/{name}", headers={"Accept-Encoding": "gzip"})
        assert smaller.content == answer.content  # the client has unpacked it
        if file.compressed:
            assert smaller.headers["content-encoding"] == "gzip"
            assert gzip.decompress(file.compressed) == answer.content
            assert smaller.headers["etag"] != answer.headers["etag"]


def test_who_has_a_file_is_told_that_it_is_still_the_same(client: TestClient) -> None:
    tag = client.get("/console/main.js").headers["etag"]
    again = client.get("/console/main.js", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/console/main.js", headers={"If-None-Match": '"another"'}).status_code == 200


def test_nothing_but_the_page_is_served(client: TestClient) -> None:
    for name in ("serving.py", "__init__.py", "nothing.js", "..%2fops.py"):
        assert client.get(f"/console/{name}").status_code == 404, name


def test_a_missing_file_is_refused_with_what_to_do(client: TestClient) -> None:
    assert "load the page again" in client.get("/console/nothing.js").json()["error"]["message"]


def test_the_policy_lets_nothing_else_in(client: TestClient) -> None:
    policy = client.get("/console/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy, "no other server"
    assert "require-trusted-types-for 'script'" in policy


def test_the_page_has_no_script_or_style_of_its_own_and_names_only_files_that_there_are() -> None:
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|<script(?![^>]*src=)|\sstyle=|\son\w+=|javascript:", page)
    named = set(re.findall(r'(?:src|href)="([^"#]+)"', page))
    scripts = [path.read_text(encoding="utf-8") for path in FOLDER.glob("*.js")]
    named |= {name for script in scripts for name in re.findall(r'from "\./([^"]+)"', script)}
    assert named <= set(read_files())


def test_no_file_speaks_of_another_server() -> None:
    for path in FOLDER.iterdir():
        if path.suffix in MEDIA_TYPES:
            found = re.findall(r"https?://[\w.]+", path.read_text(encoding="utf-8"))
            assert set(found) <= {"http://www.w3.org"}, path.name  # the name space of SVG


def test_all_files_together_are_small() -> None:
    """As they are sent; `auscult-bench console` says how much that is."""
    assert sum(len(file.compressed or file.octets) for file in read_files().values()) < 120_000
