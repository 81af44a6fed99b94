"""Transcripts cut by sentence: the same items whichever way the audio came in."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from pipeline.errors import RecognitionFailed
from pipeline.types import Hypothesis, RecognitionRequest
from tests.acceptance.conftest import client
from tests.acceptance.live import of, told
from tests.acceptance.nabla_rest import Customer
from tests.acceptance.recorded import finished, sent
from tests.acceptance.test_haidy import encoded
from tests.fakes import EchoRecogniser, hypothesis
from tests.server.internal.test_remote import TOKEN, worker

pytestmark = pytest.mark.slow

SENTENCES = ("I saw Dr. Jones at 5 p.m. yesterday.", "He gave me 3.5 mg.", "No.")


class Punctuating(EchoRecogniser):
    """Says the same three sentences in each segment."""

    async def recognise(self, batch: Sequence[RecognitionRequest]) -> list[Hypothesis | RecognitionFailed]:
        return [hypothesis(" ".join(SENTENCES)) for _ in batch]


def recorded(server: RunningServer, octets: bytes, **options: Any) -> list[dict[str, Any]]:
    with client(server.base_url, server.key) as api:
        items: list[dict[str, Any]] = finished(api, sent(api, octets, note=False, **options))["items"]
        return items


async def test_on_every_way_in_each_sentence_is_an_item_with_times_and_an_id_of_its_own(
    headache: Recording, tmp_path: Path
) -> None:
    octets, run = encoded(headache, "wav", 8), anyio.to_thread.run_sync
    async with worker(Punctuating()) as there:
        there_too = {"AUSCULT_RECOGNISER_WORKERS_AT": there.url, "AUSCULT_INTERNAL_TOKEN": TOKEN}
        async with running_server(environment=there_too, data_dir=tmp_path / "data") as server:
            whole = await run(partial(recorded, server, octets))
            assert {item["text"] for item in whole} == {" ".join(SENTENCES)}

            events, _ = await told(server, [octets], note=False, split_by_sentence=True)
            listened = await run(partial(Customer(server).listen, octets, "audio/wav"))
            ways = [
                await run(partial(recorded, server, octets, split_by_sentence=True)),
                of(events, "final"),
                [item | {"start_ms": item["start_time_ms"]} for item in listened.json()["transcript"]],
            ]
    for items in ways:
        assert [item["text"] for item in items] == [*SENTENCES] * len(whole)
        assert len({item["id"] for item in items}) == len(items)
        starts = [item["start_ms"] for item in items]
        assert starts == sorted(set(starts))
