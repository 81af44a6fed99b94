"""Traces, read by a collector of the tests' own."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import anyio.to_thread
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from bench.recordings import Recording
from bench.server import running_server
from tests.acceptance.conftest import WHISPER, client
from tests.acceptance.haidy import chunk, post, wait
from tests.acceptance.nabla import dialled
from tests.acceptance.test_haidy import wav

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@dataclass
class Collector:
    """What was sent to it."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)

    def spans(self) -> list[Span]:
        found: list[Span] = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    found += scope.spans
        return found


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.bodies.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = Thread(target=server.serve_forever)
        serving.start()
        collector.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield collector
        finally:
            server.shutdown()
            serving.join()


def values(span: Span) -> dict[str, str | int]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


async def test_requests_recognition_and_job_steps_are_spans_without_a_word_of_what_was_said(
    tmp_path: Path, headache: Recording
) -> None:
    with collecting() as collector:
        environment = WHISPER | {"AUSCULT_TRACING_ENDPOINT": collector.url}
        async with running_server(recogniser="whisper", data_dir=tmp_path, environment=environment) as server:
            with client(server.base_url, server.key) as api:
                api.headers["traceparent"] = f"00-{TRACE}-{PARENT}-01"
                api.headers["tracestate"] = "patient=Meier"
                first = post(api, chunk(wav(headache, 10), final=True))
                task_id = first.json()["task_id"]
                task = (await anyio.to_thread.run_sync(wait, api, task_id))[-1]
                assert api.get(f"/api/encounters/{task_id}/speakers?name=Meier").status_code == 200
                assert api.get("/patients/Meier").status_code == 404
            with client(server.base_url, "nobody's") as stranger:
                assert stranger.post("/v2/tasks?name=Meier").status_code == 401
            async with dialled(server):
                pass
            key = server.key
        spans = collector.spans()
    named = {span.name: values(span) for span in spans}
    chunks = named["POST /v2/audio/audio_chunk"]
    assert chunks["http.response.status_code"] == 200
    assert named["GET /api/encounters/{encounter}/speakers"]["http.response.status_code"] == 200
    assert named["GET unknown"]["http.response.status_code"] == 404
    assert "WEBSOCKET /v1/copilot-api/server/listen-ws" in named
    assert named["recognition"]["auscult.requests"]
    for step in ("finish_transcript", "write_note", "complete", "archive_audio"):
        assert named[f"job {step}"] == {"auscult.step": step, "auscult.encounter": task_id}
    (sent,) = (span for span in spans if span.name == "POST /v2/audio/audio_chunk")
    assert (sent.trace_id.hex(), sent.parent_span_id.hex()) == (TRACE, PARENT)
    words = {word for bubble in task["result"]["bubbles"] for word in bubble["text"].lower().split() if len(word) > 5}
    assert words
    everything = b"".join(collector.bodies).lower()
    for secret in ("meier", key.lower(), *words):
        assert secret.encode() not in everything


async def test_a_collector_that_is_away_costs_spans_and_nothing_else(tmp_path: Path, headache: Recording) -> None:
    environment = {"AUSCULT_TRACING_ENDPOINT": "http://127.0.0.1:9"}
    async with running_server(recogniser="scripted", data_dir=tmp_path, environment=environment) as server:
        with client(server.base_url, server.key) as api:
            task_id = post(api, chunk(wav(headache, 3), final=True)).json()["task_id"]
            task = (await anyio.to_thread.run_sync(wait, api, task_id))[-1]
    assert task["status"] == "DONE"
