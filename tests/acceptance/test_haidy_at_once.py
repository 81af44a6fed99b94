"""Chunks of one task that are sent without waiting for the answers before, each over a connection of its own."""

import json
import socket
from urllib.parse import urlsplit

import httpx

from bench.server import RunningServer
from tests.acceptance.conftest import client, make_key
from tests.acceptance.haidy import chunk, post, wait
from tests.acceptance.test_kill import stored_bytes

CONNECTIONS = 40
SAMPLES = 800  # in each chunk, all of them its number


def numbered(number: int) -> bytes:
    return number.to_bytes(2, "little") * SAMPLES


def request(server: RunningServer, key: str, body: dict[str, object]) -> bytes:
    """A chunk request as it travels."""
    content = json.dumps(body).encode()
    where = urlsplit(server.base_url).netloc
    head = f"POST /v2/audio/audio_chunk HTTP/1.1\r\nHost: {where}\r\nAuthorization: Bearer {key}\r\n"
    return head.encode() + f"Connection: close\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def status(connection: socket.socket) -> int:
    with connection, connection.makefile("rb") as answer:
        return int(answer.read().split(None, 2)[1])


def send_at_once(server: RunningServer, key: str, bodies: list[dict[str, object]]) -> list[int]:
    """Send each body without waiting for the answer to the one before; what each was answered."""
    where = urlsplit(server.base_url)
    connections = [socket.create_connection((where.hostname, where.port), timeout=60) for _ in bodies]
    for connection, body in zip(connections, bodies, strict=True):
        connection.sendall(request(server, key, body))
    return [status(connection) for connection in connections]


def order(server: RunningServer, task_id: str) -> list[int]:
    """The numbers of the chunks that are stored."""
    (kept,) = stored_bytes(server.data_dir, task_id)
    return [kept[at] for at in range(0, len(kept), 2 * SAMPLES)]


def test_chunks_that_are_sent_at_once_are_stored_in_the_order_of_their_arrival(
    scripted_server: RunningServer, api: httpx.Client
) -> None:
    for _ in range(5):
        task_id = post(api, chunk(numbered(0), file_format="pcm")).json()["task_id"]
        bodies = [chunk(numbered(number), task_id, file_format="pcm") for number in range(1, CONNECTIONS)]
        bodies.append(chunk(numbered(CONNECTIONS), task_id, final=True, file_format="pcm"))
        assert set(send_at_once(scripted_server, scripted_server.key, bodies)) == {200}
        wait(api, task_id)
        assert order(scripted_server, task_id) == list(range(CONNECTIONS + 1))


def test_they_are_too_where_the_key_has_to_be_looked_up_first(scripted_server: RunningServer) -> None:
    opening, new = (make_key(scripted_server, "at once") for _ in range(2))
    with client(scripted_server.base_url, opening) as api:
        task_id = post(api, chunk(numbered(0), file_format="pcm")).json()["task_id"]
        bodies = [chunk(numbered(number), task_id, file_format="pcm") for number in range(1, CONNECTIONS + 1)]
        assert set(send_at_once(scripted_server, new, bodies)) == {200}
        assert order(scripted_server, task_id) == list(range(CONNECTIONS + 1))
        assert post(api, chunk(b"", task_id, final=True)).status_code == 200
